"""The promises, over real HTTP and a real file: the same suite for every gateway."""

import asyncio
from dataclasses import replace

import pytest

from service.dialects import DIALECTS
from service.settings import Span
from service.store.tasks import claim_tasks, step
from service.wire import loads
from service.wiring import open_services
from service.worker import working
from tests.hub import GATEWAY, SANDBOX, SETTINGS, hub, smallest
from tests.servers import Sink

EVERY_GATEWAY = pytest.mark.parametrize("dialect", list(DIALECTS))
# openai's task shows no link at all: its result is at /content as soon as it is completed (gateways.md section 3)
SHOWING_LINKS = pytest.mark.parametrize("dialect", [name for name in DIALECTS if name != "openai"])
# elsewhere the gateway documents where every result can be had, link or no link
ONLY_LINKS = pytest.mark.parametrize(
    "dialect", [name for name in DIALECTS if DIALECTS[name].surfaces[0].route("content") is None]
)
CALLING_BACK = pytest.mark.parametrize("dialect", [name for name in DIALECTS if DIALECTS[name].calls_back])
SILENT = pytest.mark.parametrize("dialect", [name for name in DIALECTS if not DIALECTS[name].calls_back])
HURRIED = replace(SETTINGS, sweep=replace(SETTINGS.sweep, deadline=Span(300)))
TRUSTING = replace(GATEWAY, trust="trust")


def on_the_way_to(dialect, end):
    """The statuses that a caller of a gateway's API is called back about: Ark's own at each change."""
    return {status for status in dialect.called_back if not status.terminal or status == end}


# --- 1. no paid task is created twice


@EVERY_GATEWAY
async def test_a_create_whose_reply_is_lost_is_not_sent_again(tmp_path, dialect):
    """F8.2: RemoteProtocolError is no proof."""
    async with hub(tmp_path, dialect) as it:
        await it.ended(await it.submit("[drop]"))
        assert it.made() == 1


@EVERY_GATEWAY
async def test_a_create_that_is_never_answered_is_not_sent_again(tmp_path, dialect):
    """F8.2: ReadTimeout is no proof."""
    async with hub(
        tmp_path, dialect, settings=replace(SETTINGS, submit=replace(SETTINGS.submit, timeout=Span(200)))
    ) as it:
        await it.ended(await it.submit("[stall]"))
        assert it.made() == 1


@EVERY_GATEWAY
@pytest.mark.parametrize("status", [424, 500, 503])
async def test_a_create_that_is_answered_with_a_doubt_is_not_sent_again(tmp_path, dialect, status):
    """F8.2: 5xx and 424. F2 Quirks: a 424 on create is ambiguous."""
    async with hub(tmp_path, dialect, settings=HURRIED) as it:
        await it.ended(await it.submit(f"[{status} x1]"))
        assert (it.made(), it.sandbox.log.refusals) == (0, 1)


@EVERY_GATEWAY
@pytest.mark.parametrize("status", [400, 401, 402, 403])
async def test_a_create_that_is_refused_is_refused_to_the_caller(tmp_path, dialect, status):
    """F8.2: an explicit refusal is one."""
    async with hub(tmp_path, dialect) as it:
        answer = await it.submitted(f"[{status} x1]")
        assert (answer.status_code, answer.json()["task"]["submission"]) == (status, "refused")


@CALLING_BACK
async def test_a_create_whose_reply_is_lost_is_claimed_by_its_callback(tmp_path, dialect):
    """F8.1, F8.2: the token stays alive."""
    async with hub(tmp_path, dialect) as it:
        task = await it.submit("[drop]")
        assert task["submission"] == "unknown"
        assert (await it.ended(task))["status"] == "succeeded"


@SILENT
async def test_a_create_whose_reply_is_lost_ends_with_words_where_nothing_can_claim_it(tmp_path, dialect):
    async with hub(tmp_path, dialect) as it:
        ended = await it.ended(await it.submit("[drop]"))
        assert (ended["status"], ended["error"]["code"]) == ("expired", "outcome_unknown")


@EVERY_GATEWAY
async def test_a_create_that_was_turned_away_as_one_too_many_is_sent_again(tmp_path, dialect):
    """F8.2; F2 Client policy: 429 keeps the task in a local queue."""
    async with hub(tmp_path, dialect) as it:
        task = await it.submit("[429 x1]")
        assert task["submission"] == "unsent"
        assert (await it.ended(task))["status"] == "succeeded"


@EVERY_GATEWAY
async def test_a_create_that_was_turned_away_and_sent_again_is_made_once(tmp_path, dialect):
    async with hub(tmp_path, dialect) as it:
        await it.ended(await it.submit("[429 x1]"))
        assert it.made() == 1


async def test_a_create_that_never_left_waits_for_the_gateway(tmp_path):
    """F8.2: ConnectError is proof."""
    async with hub(tmp_path, gateway=replace(GATEWAY, base_url="http://127.0.0.1:1")) as it:
        task = await it.submit()
        assert (task["submission"], task["error"]["code"]) == ("unsent", "gateway_unreachable")


async def test_a_create_that_never_leaves_ends_by_its_deadline(tmp_path):
    async with hub(tmp_path, gateway=replace(GATEWAY, base_url="http://127.0.0.1:1")) as it:
        task = await it.submit(execution_expires_after=1)
        assert (await it.ended(task))["status"] == "expired"


async def test_a_repeated_submit_with_its_key_makes_one_task(tmp_path):
    async with hub(tmp_path) as it:
        first = await it.submitted(headers={"idempotency-key": "order-1"})
        again = await it.submitted(headers={"idempotency-key": "order-1"})
        assert (first.content, it.made()) == (again.content, 1)


async def test_a_repeated_submit_says_that_it_is_one(tmp_path):
    async with hub(tmp_path) as it:
        await it.submitted(headers={"idempotency-key": "order-1"})
        again = await it.submitted(headers={"idempotency-key": "order-1"})
        assert again.headers["idempotent-replayed"] == "true"


async def test_a_key_with_another_body_is_a_conflict(tmp_path):
    async with hub(tmp_path) as it:
        await it.submitted("a cat", headers={"idempotency-key": "order-1"})
        again = await it.submitted("a dog", headers={"idempotency-key": "order-1"})
        assert (again.status_code, it.made()) == (409, 1)


async def test_a_key_belongs_to_its_owner(tmp_path):
    async with hub(tmp_path) as it:
        mine = await it.submit(headers={"idempotency-key": "order-1"})
        it.http = it.other
        theirs = await it.submit(headers={"idempotency-key": "order-1"})
        assert mine["id"] != theirs["id"]


async def test_a_repeated_submit_gets_the_same_refusal(tmp_path):
    async with hub(tmp_path) as it:
        first = await it.submitted("[402 x1]", headers={"idempotency-key": "order-1"})
        again = await it.submitted("[402 x1]", headers={"idempotency-key": "order-1"})
        assert (first.status_code, first.content) == (again.status_code, again.content) == (402, again.content)


@EVERY_GATEWAY
async def test_a_repeated_create_on_the_compatible_api_makes_one_task(tmp_path, dialect):
    """F8.3: Idempotency-Key."""
    async with hub(tmp_path, dialect) as it:
        path, body = smallest(dialect)
        answers = [await it.post(path, body, idempotency_key="order-1") for _ in range(3)]
        assert (len({answer.content for answer in answers}), it.made()) == (1, 1)


# --- 2. no task is stuck


@EVERY_GATEWAY
async def test_a_task_whose_callback_is_lost_is_found_by_the_sweep(tmp_path, dialect):
    """F8.5; F2 Client policy: poll only, where there is no callback."""
    async with hub(tmp_path, dialect) as it:
        ended = await it.ended(await it.submit("[lost]"))
        assert (ended["status"], ended["result_source"]) == ("succeeded", "sweep")


@CALLING_BACK
async def test_a_task_whose_callback_comes_is_ended_by_it(tmp_path, dialect):
    patient = replace(SETTINGS, sweep=replace(SETTINGS.sweep, first_guess=Span(60_000)))
    async with hub(tmp_path, dialect, settings=patient) as it:
        ended = await it.ended(await it.submit())
        assert (ended["status"], ended["result_source"]) == ("succeeded", "callback")


@EVERY_GATEWAY
async def test_a_task_that_runs_for_ever_expires(tmp_path, dialect):
    """F8.5: the deadline."""
    async with hub(tmp_path, dialect, settings=HURRIED) as it:
        ended = await it.ended(await it.submit("[hang]"))
        assert (ended["status"], ended["result_source"]) == ("expired", "deadline")


@EVERY_GATEWAY
async def test_an_unknown_status_word_ends_nothing(tmp_path, dialect):
    """F0 anything else: go on asking."""
    async with hub(tmp_path, dialect) as it:
        assert (await it.ended(await it.submit("[odd status] [lost]")))["status"] == "succeeded"


@EVERY_GATEWAY
async def test_a_gateway_that_fails_for_a_while_fails_no_task(tmp_path, dialect):
    """F8.5: transient 4xx, 5xx and HTML must never fail a task."""
    async with hub(tmp_path, dialect) as it:
        assert (await it.ended(await it.submit("[get 500 x2] [html] [lost]")))["status"] == "succeeded"


@EVERY_GATEWAY
async def test_a_success_that_shows_its_result_late_is_waited_for(tmp_path, dialect):
    patient = replace(SETTINGS, sweep=replace(SETTINGS.sweep, result_grace=Span(5_000)))
    async with hub(tmp_path, dialect, settings=patient) as it:
        ended = await it.ended(await it.submit("[no url yet 200ms]"))
        assert ended["video"]["url"]


@ONLY_LINKS
async def test_a_success_that_never_shows_its_result_has_failed(tmp_path, dialect):
    async with hub(tmp_path, dialect) as it:
        ended = await it.ended(await it.submit("[no url yet 60s]"))
        assert (ended["status"], ended["error"]["gateway_code"]) == ("failed", "no_result")


@pytest.mark.parametrize("dialect", ["easyrouter", "videos"])
async def test_a_gateway_that_lags_behind_its_callback_is_asked_again(tmp_path, dialect):
    """F3 Callback: expect it to lag. F8.5."""
    async with hub(tmp_path, dialect) as it:
        assert (await it.ended(await it.submit("[lag 700ms]")))["status"] == "succeeded"


async def test_a_gateway_is_never_asked_more_often_than_it_allows(tmp_path):
    """F5 Poll: never below its pause, F8.5: callback or not."""
    async with hub(tmp_path, "videos", gateway=replace(GATEWAY, min_interval=Span(250))) as it:
        await it.ended(await it.submit("[take 600ms] [reorder] [duplicate x3] [lag 300ms]"))
        assert it.sandbox.log.closest_gets_ms is None or it.sandbox.log.closest_gets_ms >= 240


# --- 3. every task ends once


@EVERY_GATEWAY
@pytest.mark.parametrize("trust", ["verify", "trust"])
@pytest.mark.parametrize(
    "prompt", ["[duplicate x3]", "[reorder]", "[late 150ms]", "[forge]", "[fail oops] [duplicate]"]
)
async def test_a_task_has_one_end_whatever_is_called_back(tmp_path, dialect, trust, prompt):
    """F8.4: duplicates, disorder and forgeries."""
    async with hub(tmp_path, dialect, gateway=replace(GATEWAY, trust=trust)) as it:
        task = await it.ended(await it.submit(prompt))
        while it.sandbox.pending_callbacks:
            await it.until(lambda: it.listed("/v1/events"), lambda _: not it.sandbox.pending_callbacks)
        events = await it.listed(f"/v1/events?task={task['id']}")
        assert [
            event["type"]
            for event in events
            if event["type"].split(".")[1] in ("succeeded", "failed", "cancelled", "expired")
        ] == [f"task.{task['status']}"]


@CALLING_BACK
async def test_a_forged_callback_changes_nothing(tmp_path, dialect):
    async with hub(tmp_path, dialect, gateway=TRUSTING) as it:
        ended = await it.ended(await it.submit("[forge] [take 300ms]"))
        stored = await it.services.reads.task(ended["id"], None)
        assert stored and stored.video_url
        assert stored.video_url.startswith(it.sandbox.base_url)


@CALLING_BACK
async def test_forged_callbacks_are_refused(tmp_path, dialect):
    async with hub(tmp_path, dialect) as it:
        await it.ended(await it.submit("[forge] [take 300ms]"))
        forged = [note.status for note in it.sandbox.log.callbacks if note.kind == "forged"]
        assert forged == [404, 404, 404]


@CALLING_BACK
async def test_a_trusted_callback_settles_without_a_question(tmp_path, dialect):
    patient = replace(SETTINGS, sweep=replace(SETTINGS.sweep, first_guess=Span(60_000)))
    async with hub(tmp_path, dialect, gateway=TRUSTING, settings=patient) as it:
        await it.ended(await it.submit())
        assert it.sandbox.log.gets_by_task.total() == 0


@EVERY_GATEWAY
async def test_a_failure_is_told_with_the_gateways_own_words(tmp_path, dialect):
    async with hub(tmp_path, dialect) as it:
        ended = await it.ended(await it.submit("[fail]"))
        assert (ended["status"], bool(ended["error"]["message"])) == ("failed", True)


@EVERY_GATEWAY
async def test_a_task_that_the_gateway_cancelled_is_cancelled(tmp_path, dialect):
    async with hub(tmp_path, dialect) as it:
        assert (await it.ended(await it.submit("[cancel] [lost]")))["status"] == "cancelled"


# --- 5. every matching subscriber hears every event


@EVERY_GATEWAY
async def test_a_subscriber_hears_of_acceptance_and_end(tmp_path, dialect):
    async with Sink().open() as sink, hub(tmp_path, dialect) as it:
        await it.subscribe(sink.url + "/hook", events=["task.accepted", "task.succeeded"])
        await it.submit()
        heard = await sink.wait_for(lambda requests: len(requests) == 2)
        assert {request.headers["x-reelhook-event"] for request in heard} == {"task.accepted", "task.succeeded"}


@EVERY_GATEWAY
async def test_a_caller_of_the_compatible_api_is_called_back_in_its_own_dialect(tmp_path, dialect):
    lasting = replace(SANDBOX, run_ms=(400, 400))  # long enough to be seen running
    async with Sink().open() as sink, hub(tmp_path, dialect, sandbox=lasting) as it:
        path, body = smallest(dialect)
        surface = it.dialect.surfaces[0]
        callback = surface.write_create(surface.read_create(body), sink.url + "/mine")
        assert (await it.post(path, callback)).status_code == 200
        told = await sink.wait_for(lambda requests: len(requests) == len(on_the_way_to(it.dialect, "succeeded")))
        statuses = [it.dialect.read_callback(loads(request.body)).status for request in told]
        assert set(statuses) == on_the_way_to(it.dialect, "succeeded")
        assert all(request.url.endswith("/mine") for request in told)


# --- what reviews have found


async def test_a_late_outcome_of_one_process_does_not_touch_the_create_of_another(tmp_path):
    async with hub(tmp_path, gateway=replace(GATEWAY, base_url="http://127.0.0.1:1"), worker=False) as it:
        task = await it.submit()
        write, now = it.services.database.write, it.services.clock() + 60_000
        claim = {"gateway": "easyrouter", "now": now, "until": now + 1, "limit": 1}
        (claimed,) = await write(claim_tasks, "claim_tasks_to_send", lease="second", **claim)
        late = {"id": claimed.id, "lease": "first", "error": None, "next_at": now, "now": now}
        assert await write(step, "postpone_create", **late) is None
        assert (await it.task(task["id"]))["submission"] == "sending"


async def test_a_parameter_that_would_replace_our_callback_is_refused_before_anything_is_stored(tmp_path):
    async with hub(tmp_path) as it:
        answer = await it.submitted(extra={"metadata": {"callback_url": "https://elsewhere.example/"}})
        assert (answer.status_code, await it.listed("/v1/tasks")) == (400, [])


async def test_tasks_of_a_gateway_that_is_not_in_the_settings_wait_for_it(tmp_path):
    still = replace(SANDBOX, run_ms=(60_000, 60_000))
    async with hub(tmp_path, "easyrouter", sandbox=still, worker=False) as it:
        task = await it.submit()
    async with hub(tmp_path, "videos") as it:
        await it.services.sweeper._end_orphans("easyrouter")
        found = await it.services.reads.task(task["id"], None)
        assert found is not None
        assert found.next_at is not None
        assert (found.submission, found.next_at < it.services.clock() + 60_000) == ("accepted", True)


async def test_tasks_of_a_gateway_that_is_not_in_the_settings_end_by_their_deadline(tmp_path):
    still = replace(SANDBOX, run_ms=(60_000, 60_000))
    async with hub(tmp_path, "easyrouter", sandbox=still, settings=HURRIED, worker=False) as it:
        task = await it.submit()
    async with hub(tmp_path, "videos") as it:

        async def ended():
            await it.services.sweeper._end_orphans("easyrouter")
            return await it.services.reads.task(task["id"], None)

        assert (await it.until(ended, lambda found: found.status.terminal)).status == "expired"


async def test_a_deadline_counts_from_acceptance(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.submit("[429 x2]", execution_expires_after=100)
        accepted = await it.ended(task)
        assert accepted["deadline_at"] > task["deadline_at"]


async def test_two_services_on_one_file_end_each_task_once(tmp_path):
    async with Sink().open() as sink, hub(tmp_path) as one:
        await one.subscribe(sink.url)
        async with open_services(one.services.settings) as other, working(other):
            tasks = [
                await one.submit(prompt)
                for prompt in ("[lost]", "[duplicate x3]", "[429 x1]", "[drop]")
                for _ in range(3)
            ]
            for task in tasks:
                await one.ended(task)
            heard = await sink.wait_for(lambda found: len(found) >= len(tasks))
            assert (len({request.headers["webhook-id"] for request in heard}), one.made()) == (len(tasks), len(tasks))


async def test_creates_beyond_the_limit_wait_their_turn(tmp_path):
    async with hub(tmp_path, gateway=replace(GATEWAY, creates=1)) as it:
        answers = await asyncio.gather(*(it.submit(f"{number} [slow create 200ms]") for number in range(3)))
        assert sorted(task["submission"] for task in answers) == ["accepted", "unsent", "unsent"]
        for task in answers:
            assert (await it.ended(task))["status"] == "succeeded"


async def test_what_the_receipt_says_of_the_cost_is_kept(tmp_path):
    async with hub(tmp_path, "seedance2") as it:
        path, body = smallest("seedance2")
        receipt = (await it.post(path, body)).json()
        (task,) = await it.listed("/v1/tasks")
        charged = it.dialect.surfaces[0].read_receipt(receipt).usage["creditsCharged"]
        assert task["usage"] == {"creditsCharged": charged}


async def test_a_callback_url_that_does_not_resolve_today_may_tomorrow(tmp_path):
    async with hub(tmp_path) as it:
        answer = await it.submitted(webhook_url="https://no-such-host.invalid/hook")
        assert answer.status_code == 201
