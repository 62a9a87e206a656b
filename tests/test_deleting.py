"""Gateways that cancel by deleting: what our client of them does, and the same call on the API that we serve."""

from dataclasses import replace

import pytest

from tests.hub import GATEWAY, SANDBOX, SETTINGS, hub, smallest

PATH, BODY = smallest("ark")
QUEUED = replace(SANDBOX, queue_ms=(60_000, 60_000))
RUNNING = replace(SANDBOX, run_ms=(60_000, 60_000))
UNCALLED = replace(GATEWAY, callbacks=False)


async def made(it, **more):
    """(the id on the gateway's API, our own) of a new task."""
    public = (await it.post(PATH, BODY | more)).json()["id"]
    return public, "task_" + public.removeprefix("cgt-")


def with_prompt(prompt):
    return {"content": [{"type": "text", "text": prompt}]}


async def deleted(it, public, http=None):
    return await (http or it.http).request("DELETE", f"{PATH}/{public}", json={})


# --- our client


async def test_a_queued_task_is_cancelled_by_the_native_api(tmp_path):
    async with hub(tmp_path, "ark", sandbox=QUEUED, worker=False) as it:
        task = await it.submit()
        answer = await it.post(f"/v1/tasks/{task['id']}/cancel")
        assert (answer.status_code, answer.json()["status"], answer.json()["result_source"]) == (
            200,
            "cancelled",
            "cancel",
        )
        assert [each["status"] for each in it.sandbox.report()["tasks"]] == ["cancelled"]


async def test_a_running_task_is_not_cancelled(tmp_path):
    async with hub(tmp_path, "ark", sandbox=RUNNING) as it:
        task = await it.submit()
        answer = await it.post(f"/v1/tasks/{task['id']}/cancel")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_cancellable")
        assert [each["status"] for each in it.sandbox.report()["tasks"]] == ["running"]


async def test_a_cancel_that_comes_too_late_does_not_delete_the_result(tmp_path):
    async with hub(tmp_path, "ark", worker=False, sandbox=replace(SANDBOX, run_ms=(0, 0))) as it:
        task = await it.submit()
        answer = await it.post(f"/v1/tasks/{task['id']}/cancel")
        assert answer.status_code == 409
        assert [each["status"] for each in it.sandbox.report()["tasks"]] == ["succeeded"]


async def test_a_task_that_a_cancel_met_at_its_end_still_has_its_result(tmp_path):
    async with hub(tmp_path, "ark", gateway=UNCALLED, sandbox=replace(SANDBOX, run_ms=(0, 0))) as it:
        task = await it.submit()
        await it.post(f"/v1/tasks/{task['id']}/cancel")
        shown = await it.ended(task)
        assert (shown["status"], bool(shown["video"]["url"])) == ("succeeded", True)


async def test_a_task_that_ends_and_is_deleted_in_one_moment_ends_once_and_says_so(tmp_path):
    async with hub(tmp_path, "ark", gateway=UNCALLED, sandbox=QUEUED) as it:
        task = await it.submit("[ends before delete]")
        answer = await it.post(f"/v1/tasks/{task['id']}/cancel")
        assert answer.status_code == 409
        shown = await it.ended(task)
        assert (shown["status"], shown["error"]["gateway_code"]) == ("failed", "deleted")
        ends = [event["type"] for event in await it.listed("/v1/events") if event["type"] != "task.accepted"]
        assert ends == ["task.failed"]


async def test_what_its_callback_told_is_believed_of_a_task_that_was_deleted(tmp_path):
    async with hub(tmp_path, "ark", worker=False, sandbox=QUEUED) as it:
        task = await it.submit("[ends before delete]")
        (create,) = it.sandbox.log.creates.values()
        told = {"id": create.id, "status": "succeeded", "content": {"video_url": "https://example.com/v.mp4"}}
        assert (await it.http.post(str(create.callback_url), json=told)).status_code == 200
        await it.post(f"/v1/tasks/{task['id']}/cancel")
        shown = await it.task(task["id"])
        assert (shown["status"], shown["result_source"]) == ("succeeded", "callback")


async def test_a_gateway_that_cannot_be_asked_cancels_nothing(tmp_path):
    async with hub(tmp_path, "ark", sandbox=QUEUED, worker=False) as it:
        task = await it.submit("[get 500 x9]")
        answer = await it.post(f"/v1/tasks/{task['id']}/cancel")
        assert (answer.status_code, answer.json()["error"]["retryable"]) == (500, True)
        assert [each["status"] for each in it.sandbox.report()["tasks"]] == ["queued"]


# --- the API that we serve


async def test_a_queued_task_is_cancelled_by_deleting_it(tmp_path):
    async with hub(tmp_path, "ark", sandbox=QUEUED) as it:
        public, _ = await made(it)
        answer = await deleted(it, public)
        assert (answer.status_code, answer.json()) == (200, {})
        assert (await it.http.get(f"{PATH}/{public}")).json()["status"] == "cancelled"


async def test_a_running_task_is_not_deleted_and_the_official_client_need_not_try_again(tmp_path):
    async with hub(tmp_path, "ark", sandbox=RUNNING) as it:
        public, _ = await made(it)
        answer = await deleted(it, public)
        assert (answer.status_code, answer.headers["x-should-retry"]) == (409, "false")
        assert answer.json()["error"]["code"] == "InvalidAction.RunningTaskDeletion"


async def test_a_cancelled_task_is_not_deleted(tmp_path):
    async with hub(tmp_path, "ark", sandbox=QUEUED) as it:
        public, _ = await made(it)
        await deleted(it, public)
        assert (await deleted(it, public)).status_code == 409


@pytest.mark.parametrize("prompt", ["a cat", "[fail]", "[expire]"])
async def test_a_task_that_is_over_is_gone_from_the_gateways_api_and_stays_in_ours(tmp_path, prompt):
    async with hub(tmp_path, "ark") as it:
        public, own = await made(it, **with_prompt(prompt))
        before = await it.ended({"id": own})
        assert (await deleted(it, public)).json() == {}
        answers = [await it.http.get(f"{PATH}/{public}"), await deleted(it, public)]
        assert [(answer.status_code, answer.json()["error"]["code"]) for answer in answers] == [
            (404, "ResourceNotFound")
        ] * 2
        assert (await it.http.get(PATH)).json() == {"total": 0, "items": []}
        assert await it.task(own) == before


async def test_what_is_deleted_here_is_not_deleted_at_the_gateway(tmp_path):
    async with hub(tmp_path, "ark") as it:
        public, own = await made(it)
        await it.ended({"id": own})
        await deleted(it, public)
        assert [each["status"] for each in it.sandbox.report()["tasks"]] == ["succeeded"]


async def test_a_task_is_deleted_by_its_owner_only(tmp_path):
    async with hub(tmp_path, "ark") as it:
        public, own = await made(it)
        await it.ended({"id": own})
        assert (await deleted(it, public, it.other)).status_code == 404
        assert (await it.http.get(f"{PATH}/{public}")).status_code == 200


@pytest.mark.parametrize("dialect", ["worldrouter", "easyrouter", "seedance2"])
async def test_where_nothing_is_deleted_there_is_no_such_method(tmp_path, dialect):
    path, body = smallest(dialect)
    async with hub(tmp_path, dialect, worker=False, settings=SETTINGS) as it:
        surface = it.dialect.surfaces[0]
        public = surface.read_receipt((await it.post(path, body)).json()).gateway_task_id
        answer = await it.http.request("DELETE", f"{path}/{public}", json={})
        problem = it.dialect.read_error(answer.status_code, answer.json())
        assert problem is not None
        assert problem.code == "method_not_allowed"
