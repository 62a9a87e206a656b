"""Where news about a task cross each other: who claims what, what is told of it, and what is kept meanwhile."""

from dataclasses import replace

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from service.clock import DAY
from service.model import VideoRequest
from service.outcomes import Refused
from service.settings import ArchiveSettings, Span
from service.worker import working
from tests.calling_back import SLOW, TRUSTING, called
from tests.hub import GATEWAY, SANDBOX, SETTINGS, TRUST, hub, smallest
from tests.servers import Sink, serve
from tests.store.given import sql

UNDERWAY = {"status": "SUCCESS", "result_url": "https://media.example.com/v.mp4"}


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


# --- limits of a gateway


async def test_no_task_is_asked_about_more_often_than_its_gateway_allows_at_its_deadline_either(tmp_path):
    seldom = replace(GATEWAY, min_interval=Span(150), callbacks=False)
    hurried = replace(SETTINGS, sweep=replace(SETTINGS.sweep, deadline=Span(400), grace=Span(300)))
    async with hub(tmp_path, gateway=seldom, settings=hurried, sandbox=SLOW) as it:
        await it.ended(await it.submit("[hang]"))
        closest_ms = it.sandbox.log.closest_gets_ms
        assert closest_ms is not None and closest_ms >= 140  # it was asked about twice at least


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


# --- creates whose caller was never answered


async def test_an_old_note_of_an_unanswered_caller_swallows_no_new_create(tmp_path):
    path, body = smallest("easyrouter")
    async with hub(tmp_path, worker=False) as it:
        first = (await it.post(path, body)).json()["task_id"]
        note = (
            "INSERT INTO unanswered_creates (task_id, owner, fingerprint, created_at) VALUES (:id, 'anna', :print, :at)"
        )
        six_days_ago = it.services.clock() - 6 * DAY
        (row,) = await it.services.database.read("task_of_owner", id="task_" + first.removeprefix("task_"), owner=None)
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


async def test_what_was_heard_during_the_last_look_is_asked_about_no_sooner_than_its_gateway_allows(tmp_path):
    async with hub(tmp_path, sandbox=SLOW, gateway=replace(GATEWAY, min_interval=Span(60_000)), worker=False) as it:
        task = await it.submit()
        claimed = await looked_at(it, task)
        await called(it, task)
        before = it.services.clock()
        await it.services.sweeper._looks.expire(claimed)
        stored = await it.services.reads.task(task["id"], None)
        assert stored and stored.lease is None
        assert stored.next_at and stored.next_at >= before + 60_000


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


async def overtaken(it, word, **said):
    """A task whose callback, of these words, came while its create was still under way; when that is through."""
    task = await it.submit(f"[slow create 300ms] {word}".strip())
    await called(it, task, {"success": True, "status": "running"} | said)
    await it.services.tasks.drain(5_000)
    return task


IMPATIENT = replace(SETTINGS, submit=replace(SETTINGS.submit, wait=Span(50)))
FINAL = {"status": "succeeded", "output": {"type": "video", "url": "https://media.example.com/v.mp4"}}


async def test_a_receipt_does_not_unsay_what_a_quicker_callback_has_told(tmp_path):
    async with hub(tmp_path, "seedance2", gateway=TRUSTING, settings=IMPATIENT, sandbox=SLOW, worker=False) as it:
        task = await it.task((await overtaken(it, "", **FINAL, creditsCharged=12))["id"])
        assert (task["status"], task["submission"], task["usage"]) == ("succeeded", "accepted", {"creditsCharged": 12})


async def succeeds_and_refuses(request):
    """A gateway that calls a success back before it refuses the create."""
    wanted = (await request.json())["metadata"]["callback_url"]
    success = {"status": "SUCCESS", "result_url": "https://media.example.com/v.mp4"}
    async with httpx.AsyncClient(trust_env=False, verify=TRUST) as caller:
        await caller.post(wanted, json=success)
    return JSONResponse({"code": "insufficient_user_quota", "message": "no credit"}, 402)


async def test_a_callback_that_is_owed_is_still_attempted_when_a_refusal_follows(tmp_path):
    app = Starlette(routes=[Route("/{path:path}", succeeds_and_refuses, methods=["POST"])])
    later = replace(SETTINGS, deliveries=replace(SETTINGS.deliveries, retries=(Span(300),)))
    async with (
        serve(app) as url,
        Sink(503, 200).open() as sink,
        hub(tmp_path, gateway=replace(TRUSTING, base_url=url), settings=later) as it,
    ):
        path, body = smallest("easyrouter")
        await it.post(path, body | {"metadata": {"callback_url": sink.url}})
        assert len(await sink.wait_for(lambda told: len(told) == 2)) == 2


# --- what is refused at once


async def test_a_create_that_is_refused_at_once_is_not_called_back(tmp_path):
    async with hub(tmp_path) as it, Sink().open() as sink:
        path, body = smallest("easyrouter")
        wanted = body | {"prompt": "[402]", "metadata": {"callback_url": sink.url}}
        assert (await it.post(path, wanted)).status_code == 402
        assert await it.listed("/v1/deliveries") == []
