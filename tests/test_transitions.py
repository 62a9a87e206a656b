"""Where news about a task cross each other: who claims what, what is told of it, and what is kept meanwhile."""

import base64
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.clock import DAY
from service.model import VideoRequest, shown_url
from service.outcomes import Refused
from service.settings import ArchiveSettings, Span
from service.wire import dumps
from service.worker import working
from tests.calling_back import SLOW, TRUSTING, called
from tests.hub import GATEWAY, SANDBOX, SETTINGS, hub, smallest
from tests.servers import Sink, serve
from tests.store.given import sql

BODY = {"gateway": "easyrouter", "model": "dreamina-seedance-2-0", "prompt": "a cat", "metadata": {"a": 1, "b": 2}}
BIG = "data:image/png;base64," + base64.b64encode(bytes(60_000)).decode()
UNDERWAY = {"status": "SUCCESS", "result_url": "https://media.example.com/v.mp4"}


async def submitted(it, body, key):
    return await it.http.post(
        "/v1/tasks", content=dumps(body), headers={"content-type": "application/json", "idempotency-key": key}
    )


# --- who claims what


@pytest.mark.parametrize("gateway", [GATEWAY, TRUSTING], ids=["verify", "trust"])
async def test_a_callback_cannot_claim_a_gateways_task_that_is_anothers(tmp_path, gateway):
    lost = replace(SANDBOX, run_ms=(60_000, 60_000))
    async with hub(tmp_path, sandbox=lost, gateway=gateway, worker=False) as it:
        owned, unknown = await it.submit("[lost]"), await it.submit("[lost] [drop]")
        claim = UNDERWAY | {"task_id": owned["gateway_task_id"]}
        assert (await called(it, unknown, claim)).status_code == 200
        shown = await it.task(unknown["id"])
        assert (shown["submission"], shown["status"], shown["gateway_task_id"]) == ("unknown", "queued", None)


async def test_a_callback_can_claim_a_gateways_task_that_is_nobodys(tmp_path):
    lost = replace(SANDBOX, run_ms=(60_000, 60_000))
    async with hub(tmp_path, sandbox=lost, worker=False) as it:
        unknown = await it.submit("[lost] [drop]")
        await called(it, unknown, {"task_id": "task_of_its_own", "status": "IN_PROGRESS"})
        assert (await it.task(unknown["id"]))["gateway_task_id"] == "task_of_its_own"


# --- what is told of it


async def test_an_end_that_no_callback_told_of_was_found_by_sweeping(tmp_path):
    async with hub(tmp_path, sandbox=replace(SANDBOX, run_ms=(150, 150))) as it:
        task = await it.submit("[lost]")
        await called(it, task, {"id": "cgt-1", "status": "running"})
        assert (await it.ended(task))["result_source"] == "sweep"


async def test_an_end_that_a_callback_told_of_was_found_by_it(tmp_path):
    async with hub(tmp_path) as it:
        assert (await it.ended(await it.submit()))["result_source"] == "callback"


async def test_acceptance_is_told_also_when_the_end_was_quicker(tmp_path):
    async with hub(tmp_path, gateway=TRUSTING) as it:
        task = await it.ended(await it.submit("[slow create 300ms] [take 0ms]"))

        async def told():
            return {event["type"] for event in await it.listed(f"/v1/events?task={task['id']}")}

        assert {"task.accepted", "task.succeeded"} <= await it.until(told, lambda types: "task.accepted" in types)


async def test_a_caller_whose_task_succeeded_while_its_create_stalled_hears_of_the_success(tmp_path):
    patient = replace(SETTINGS, submit=replace(SETTINGS.submit, timeout=Span(500)))
    async with hub(tmp_path, gateway=TRUSTING, settings=patient) as it:
        path, body = smallest("easyrouter")
        answer = await it.post(path, body | {"prompt": "[stall] [take 0ms]"})
        (task,) = await it.listed("/v1/tasks")
        assert (answer.status_code, task["status"], task["submission"]) == (200, "succeeded", "unknown")


async def test_a_queued_task_that_expires_was_never_sent(tmp_path):
    async with hub(tmp_path) as it:
        ended = await it.ended(await it.submit("[429]", execution_expires_after=1))
        assert (ended["status"], ended["submission"], it.made()) == ("expired", "unsent", 0)


async def test_no_claim_is_promised_where_no_callback_was_asked_for(tmp_path):
    async with hub(tmp_path, "worldrouter") as it:
        task = await it.submit("[drop]")
        assert "not sent again" in task["error"]["message"]
        assert "claim" not in task["error"]["message"]


# --- keys


async def test_what_was_refused_as_one_too_many_may_be_sent_again_under_its_key(tmp_path):
    async with hub(tmp_path) as it:
        body = BODY | {"prompt": "[429 x1] a cat", "when_full": "refuse"}
        answers = [await submitted(it, body, "order-1") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [429, 201]


async def test_what_was_refused_for_good_is_told_again_under_its_key(tmp_path):
    async with hub(tmp_path) as it:
        answers = [await submitted(it, BODY | {"prompt": "[402 x1] a cat"}, "order-1") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [402, 402]


async def test_the_same_json_in_another_order_is_the_same_request(tmp_path):
    async with hub(tmp_path) as it:
        first = await submitted(it, BODY, "order-1")
        again = await submitted(it, dict(reversed(BODY.items())) | {"metadata": {"b": 2, "a": 1}}, "order-1")
        assert (again.status_code, again.json()["id"]) == (first.status_code, first.json()["id"])


async def test_a_known_key_is_answered_before_anything_is_judged_again(tmp_path):
    """The host of a webhook may have stopped resolving, or moved to a private address, since."""
    async with hub(tmp_path) as it, Sink().open() as sink:
        body = BODY | {"webhook_url": sink.url}
        first = await submitted(it, body, "order-1")
        it.services.egress.guard._allow = ()
        again = await submitted(it, body, "order-1")
        assert (again.status_code, again.headers["idempotent-replayed"]) == (first.status_code, "true")


# --- inline media


async def rows(it, statement, **params):
    return await it.services.database.read(statement, **params)


async def test_inline_media_are_kept_apart_and_reach_the_gateway_whole(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.submit(media=[{"type": "image", "url": BIG}])
        (made,) = it.sandbox._tasks.values()
        (row,) = await rows(it, "task_of_owner", id=task["id"], owner=None)
        assert (made.request.media[0].url, len(row["request"]) < 1_000) == (BIG, True)


async def test_inline_media_of_a_create_that_waited_reach_the_gateway_whole(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.submit("[429 x1] a cat", media=[{"type": "image", "url": BIG}])
        await it.ended(task)
        (made,) = it.sandbox._tasks.values()
        assert made.request.media[0].url == BIG


async def test_inline_media_are_forgotten_when_the_create_is_through(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.submit(media=[{"type": "image", "url": BIG}])
        assert await rows(it, "request", task_id=task["id"]) == []


async def test_inline_media_of_a_create_that_waits_are_kept(tmp_path):
    async with hub(tmp_path, worker=False) as it:
        task = await it.submit("[429 x1] a cat", media=[{"type": "image", "url": BIG}])
        assert len(await rows(it, "request", task_id=task["id"])) == 1


async def test_a_small_request_is_kept_in_one_piece(tmp_path):
    async with hub(tmp_path, worker=False) as it:
        task = await it.submit("[429 x1] a cat")
        assert await rows(it, "request", task_id=task["id"]) == []


def test_inline_data_is_shown_by_its_kind_and_length():
    assert shown_url(BIG) == f"data:image/png;base64,… ({len(BIG)} characters)"


# --- limits of a gateway


async def test_no_task_is_asked_about_more_often_than_its_gateway_allows_at_its_deadline_either(tmp_path):
    seldom = replace(GATEWAY, min_interval=Span(150), callbacks=False)
    hurried = replace(SETTINGS, sweep=replace(SETTINGS.sweep, deadline=Span(400), grace=Span(300)))
    async with hub(tmp_path, gateway=seldom, settings=hurried, sandbox=SLOW) as it:
        await it.ended(await it.submit("[hang]"))
        closest_ms = it.sandbox.log.closest_gets_ms
        assert closest_ms is None or closest_ms >= 140


async def test_a_fault_of_ours_in_a_create_is_no_doubt(tmp_path):
    """Nothing has left, and nobody has to wonder."""

    def unwritable(request, url):
        raise ZeroDivisionError

    async with hub(tmp_path) as it:
        broken = replace(it.dialect.surfaces[0], write_create=unwritable)
        outcome = await it.services.gateways["easyrouter"].create(VideoRequest(model="m"), broken, None, 1_000)
        assert isinstance(outcome, Refused) and outcome.problem.code == "internal"


async def test_a_create_to_a_route_that_is_not_there_is_not_taken_for_a_missing_task(tmp_path):
    async with hub(tmp_path) as it:
        gateway = it.services.gateways["easyrouter"]
        gateway.base_url += "/wrong"
        answer = await it.submitted()
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_route")


# --- the last look


async def test_a_success_that_a_list_does_not_show_is_found_by_one_last_look(tmp_path):
    """The service was down past the deadline, and the list shows nothing so old."""
    async with hub(tmp_path, "ark", worker=False) as it:
        tasks = [await it.submit("[take 0ms] [unlisted] [lost]") for _ in range(2)]
        for task in tasks:
            await it.services.database.write(
                sql, "UPDATE tasks SET deadline_at = 1, next_at = 1 WHERE id = :id", id=task["id"]
            )
        async with working(it.services):
            ended = [await it.ended(task) for task in tasks]
        assert [task["status"] for task in ended] == ["succeeded", "succeeded"]


async def test_a_task_that_nobody_answers_for_ends_after_a_few_last_looks(tmp_path):
    async with hub(tmp_path, worker=False) as it:
        task = await it.submit("[get 500 x99]")
        await it.services.database.write(
            sql, "UPDATE tasks SET deadline_at = 1, next_at = 1 WHERE id = :id", id=task["id"]
        )
        async with working(it.services):
            assert (await it.ended(task))["status"] == "expired"
        assert 1 < it.sandbox.log.gets_by_task[task["gateway_task_id"]] < 10


# --- what is passed on as it is


@pytest.mark.parametrize(
    "extra", [{"duration": "x"}, {"metadata": {"seed": -7}}, {"metadata": {"ratio": "1:7"}}], ids=str
)
async def test_what_is_passed_on_is_held_to_the_same_rules(tmp_path, extra):
    async with hub(tmp_path, worker=False) as it:
        answer = await it.submitted(extra=extra)
        assert (answer.status_code, it.made()) == (400, 0)


async def test_a_callback_cannot_be_passed_on(tmp_path):
    async with hub(tmp_path, "cubicspaces", worker=False) as it:
        answer = await it.submitted(extra={"callback_url": "https://example.com/"})
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, "extra")


async def test_another_owners_group_cannot_be_passed_on(tmp_path):
    async with hub(tmp_path, "worldrouter", worker=False) as it:
        group = (await it.post("/worldrouter/v1/asset-groups", {"name": "annas"})).json()["id"]
        body = {"gateway": "worldrouter", "model": "seedance-2.0", "prompt": "a"}
        answers = [
            await it.other.post("/v1/tasks", json=body | more)
            for more in ({"asset_group_id": group}, {"extra": {"asset_group_id": group}})
        ]
        assert [answer.status_code for answer in answers] == [403, 400]


# --- creates whose caller was never answered


async def test_an_old_note_of_an_unanswered_caller_swallows_no_new_create(tmp_path):
    path, body = smallest("easyrouter")
    async with hub(tmp_path, worker=False) as it:
        first = (await it.post(path, body)).json()["task_id"]
        note = (
            "INSERT INTO unanswered_creates (task_id, owner, fingerprint, created_at) VALUES (:id, 'anna', :print, :at)"
        )
        six_days_ago = it.services.clock() - 6 * DAY
        (row,) = await rows(it, "task_of_owner", id="task_" + first.removeprefix("task_"), owner=None)
        await it.services.database.write(sql, note, id=row["id"], print="x", at=six_days_ago)
        await it.services.unanswered.begin()
        found = "SELECT gone_at FROM unanswered_creates WHERE fingerprint = 'x'"
        (kept,) = await it.services.database.write(sql, found)
        assert kept["gone_at"] == six_days_ago


# --- ends that are made of silence


async def looked_at(it, task):
    """The task as a look has claimed it."""
    now = it.services.clock()
    statement = "UPDATE tasks SET deadline_at = 1, next_at = :until, lease = 'look' WHERE id = :id"
    await it.services.database.write(sql, statement, id=task["id"], until=now + 60_000)
    claimed = await it.services.reads.task(task["id"], None)
    assert claimed is not None
    return claimed


async def test_a_callback_that_comes_during_the_last_look_is_heard_before_the_task_expires(tmp_path):
    async with hub(tmp_path, sandbox=SLOW, worker=False) as it:
        task = await it.submit()
        claimed = await looked_at(it, task)
        await called(it, task)
        await it.services.sweeper._looks.expire(claimed)
        assert (await it.task(task["id"]))["status"] == "queued"


async def test_silence_ends_a_task_past_its_deadline(tmp_path):
    async with hub(tmp_path, sandbox=SLOW, worker=False) as it:
        task = await it.submit()
        await it.services.sweeper._looks.expire(await looked_at(it, task))
        assert (await it.task(task["id"]))["status"] == "expired"


async def test_silence_does_not_end_a_success_that_waits_for_its_archive(tmp_path):
    archiving = replace(SETTINGS, archive=ArchiveSettings(directory=str(tmp_path / "kept")))
    async with hub(tmp_path, sandbox=SLOW, gateway=TRUSTING, settings=archiving, worker=False) as it:
        task = await it.submit()
        claimed = await looked_at(it, task)
        await called(it, task)
        await it.services.sweeper._looks.expire(claimed)
        stored = await it.services.reads.task(task["id"], None)
        assert stored and (stored.status.terminal, stored.errand) == (False, "archive")


# --- what is bounded


async def test_a_dead_result_is_asked_about_no_more_often_than_its_gateway_allows(tmp_path):
    async with hub(tmp_path, "seedance2") as it:
        task = await it.ended(await it.submit())
        it.services.gateways["seedance2"].min_interval_ms = 60_000
        it.sandbox._tasks.clear()
        await it.services.database.write(sql, "UPDATE tasks SET looked_at = 1 WHERE id = :id", id=task["id"])
        codes = [(await it.http.get(f"/v1/tasks/{task['id']}/content")).status_code for _ in range(3)]
        assert codes == [410, 502, 502]  # gone; and then: asked only just now


async def test_an_owner_has_no_more_subscriptions_than_the_settings_allow(tmp_path):
    few = replace(SETTINGS, deliveries=replace(SETTINGS.deliveries, subscriptions=2))
    async with hub(tmp_path, settings=few, worker=False) as it:
        answers = [await it.http.post("/v1/subscriptions", json={"url": "http://127.0.0.1:1/"}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201, 201, 409]
        assert (await it.other.post("/v1/subscriptions", json={"url": "http://127.0.0.1:1/"})).status_code == 201


async def test_what_a_receipt_says_of_the_cost_survives_a_quicker_callback(tmp_path):
    async with hub(tmp_path, "seedance2", gateway=TRUSTING) as it:
        task = await it.ended(await it.submit("[slow create 300ms] [take 0ms]"))

        async def settled():
            return await it.task(task["id"])

        shown = await it.until(settled, lambda found: found["submission"] == "accepted")
        assert shown["usage"]["creditsCharged"] == 40


# --- links that lead nowhere


def finished_as(body):
    async def app(request):
        if request.url.path.endswith("/content"):
            return Response(b"\x00\x00\x00\x18ftypmp42 the video", media_type="video/mp4")
        return JSONResponse({"task_id": "task_1", "status": "queued"} if request.method == "POST" else body)

    return Starlette(routes=[Route("/{path:path}", app, methods=["GET", "POST"])])


DONE_WITHOUT = {"task_id": "task_1", "status": "SUCCESS", "progress": "100%"}


@pytest.mark.parametrize(
    "more",
    [{}, {"result_url": "see dashboard"}, {"result_url": "https://[cdn/v.mp4"}, {"result_url": "http://h:99999/"}],
)
async def test_a_success_without_a_good_link_is_had_where_the_gateway_documents_the_download(tmp_path, more):
    body = {"code": "success", "data": DONE_WITHOUT | more}
    async with serve(finished_as(body)) as url, hub(tmp_path, gateway=replace(GATEWAY, base_url=url)) as it:
        task = await it.ended(await it.submit())
        assert (task["status"], task["video"]["url"]) == ("succeeded", task["video"]["content_url"])
        assert (await it.http.get(task["video"]["url"])).content.endswith(b"the video")


async def test_a_bad_link_hides_no_good_one(tmp_path):
    good = {"status": "succeeded", "content": {"video_url": "https://media.example.com/v.mp4"}}
    body = {"code": "success", "data": DONE_WITHOUT | {"result_url": "see dashboard", "data": good}}
    async with serve(finished_as(body)) as url, hub(tmp_path, gateway=replace(GATEWAY, base_url=url)) as it:
        task = await it.ended(await it.submit())
        assert task["video"]["url"] == "https://media.example.com/v.mp4"


# --- what is refused at once


async def test_a_create_that_is_refused_at_once_is_not_called_back(tmp_path):
    async with hub(tmp_path) as it, Sink().open() as sink:
        path, body = smallest("easyrouter")
        wanted = body | {"prompt": "[402]", "metadata": {"callback_url": sink.url}}
        assert (await it.post(path, wanted)).status_code == 402
        assert await it.listed("/v1/deliveries") == []


@pytest.mark.parametrize("odd", ["asset://ID/", "asset://ID?x", "asset://%61bc", "asset:///ID", "asset://a b"])
async def test_another_spelling_of_an_asset_is_refused(tmp_path, odd):
    async with hub(tmp_path, "worldrouter", worker=False) as it:
        answer = await it.submitted(media=[{"type": "image", "url": odd, "role": "reference_image"}])
        assert (answer.status_code, it.made()) == (400, 0)
