"""Trying again: the same request, by the same way, as one new task however often it is asked for."""

import asyncio
from dataclasses import replace

import pytest

from service.dialects import DIALECTS
from service.model import Task
from service.settings import OwnerSettings, PriceSettings
from service.store.statements import run
from tests.calling_back import SLOW
from tests.hub import GATEWAY, SETTINGS, Hub, hub, smallest
from tests.servers import Sink
from tests.test_inline_media import BIG


async def failed(it: Hub, prompt: str = "[fail]", **more):
    return await it.ended(await it.submit(prompt, **more))


async def retried(it: Hub, task):
    return await it.post(f"/v1/tasks/{task['id']}/retry")


async def stored(it: Hub, task_id: str) -> Task:
    found = await it.services.reads.task(task_id, None)
    assert found is not None
    return found


# --- a task that is tried again


async def test_a_failed_task_is_tried_again_as_a_new_one(tmp_path):
    async with hub(tmp_path) as it:
        first = await failed(it)
        answer = await retried(it, first)
        again = answer.json()
        assert (answer.status_code, again["attempt"], again["prompt"]) == (201, 2, "[fail]")
        assert answer.headers["location"] == f"/v1/tasks/{again['id']}"
        assert (again["id"] != first["id"], it.made()) == (True, 2)


async def test_the_new_task_names_the_one_that_it_tries_again(tmp_path):
    async with hub(tmp_path) as it:
        first = await failed(it)
        again = (await retried(it, first)).json()
        assert (first["retry_of"], again["retry_of"]) == (None, first["id"])


async def test_the_new_task_asks_for_the_same(tmp_path):
    async with hub(tmp_path) as it:
        first = await failed(it, duration=5, ratio="16:9", seed=7, metadata={"order": "17"}, external_id="order-17")
        again = (await retried(it, first)).json()
        assert (await stored(it, again["id"])).request == (await stored(it, first["id"])).request


async def test_a_second_retry_is_the_same_new_task(tmp_path):
    async with hub(tmp_path) as it:
        first = await failed(it)
        answers = [await retried(it, first) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201, 200, 200]
        assert [answer.headers.get("idempotent-replayed") for answer in answers] == [None, "true", "true"]
        assert (len({answer.json()["id"] for answer in answers}), it.made()) == (1, 2)


async def test_of_many_retries_at_once_one_is_made(tmp_path):
    async with hub(tmp_path) as it:
        first = await failed(it)
        answers = await asyncio.gather(*(retried(it, first) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
        assert (len({answer.json()["id"] for answer in answers}), it.made()) == (1, 2)


async def test_a_retry_stays_the_same_after_its_idempotency_key_is_forgotten(tmp_path):
    async with hub(tmp_path) as it:
        first = await failed(it)
        again = await retried(it, first)
        await it.services.database.write(forget_all_keys, it.services.clock() + 1)
        once_more = await retried(it, first)
        assert (once_more.status_code, once_more.json()["id"], it.made()) == (200, again.json()["id"], 2)


def forget_all_keys(before):
    yield run("prune_idempotency_keys", before=before)


async def test_what_is_tried_again_may_be_tried_a_third_time(tmp_path):
    async with hub(tmp_path) as it:
        second = await it.ended((await retried(it, await failed(it))).json())
        third = await retried(it, second)
        assert (third.status_code, third.json()["attempt"]) == (201, 3)


@pytest.mark.parametrize("prompt", ["[expire]", "[cancel]"])
async def test_what_expired_or_was_cancelled_may_be_tried_again(tmp_path, prompt):
    async with hub(tmp_path) as it:
        assert (await retried(it, await failed(it, prompt))).status_code == 201


# --- what cannot be tried again


async def test_what_still_runs_is_not_tried_again(tmp_path):
    async with hub(tmp_path, sandbox=SLOW) as it:
        answer = await retried(it, await it.submit())
        assert (answer.status_code, answer.json()["error"]["code"], it.made()) == (409, "conflict", 1)


async def test_what_succeeded_is_not_tried_again(tmp_path):
    async with hub(tmp_path) as it:
        answer = await retried(it, await it.ended(await it.submit()))
        assert (answer.status_code, "has succeeded" in answer.json()["error"]["message"]) == (409, True)


async def test_inline_media_are_not_kept_for_another_try(tmp_path):
    async with hub(tmp_path) as it:
        first = await failed(it, media=[{"type": "image", "url": BIG}])
        answer = await retried(it, first)
        assert (answer.status_code, "are not kept" in answer.json()["error"]["message"]) == (409, True)
        assert first["links"]["retry_html"] is None


async def test_a_task_of_a_gateway_that_is_gone_is_not_tried_again(tmp_path):
    async with hub(tmp_path) as it:
        first = await failed(it)
        it.services.retrying._gateways = {}
        answer = await retried(it, first)
        assert (answer.status_code, "not configured" in answer.json()["error"]["message"]) == (409, True)


async def test_another_owners_task_is_not_tried_again(tmp_path):
    async with hub(tmp_path) as it:
        first = await failed(it)
        assert (await it.other.post(f"/v1/tasks/{first['id']}/retry")).status_code == 404
        assert it.made() == 1


async def test_the_admin_tries_again_for_the_owner(tmp_path):
    async with hub(tmp_path) as it:
        first = await failed(it)
        again = (await it.admin.post(f"/v1/tasks/{first['id']}/retry")).json()
        assert (await stored(it, again["id"])).owner == "anna"


# --- refusals


async def test_what_the_gateway_refused_is_tried_again(tmp_path):
    async with hub(tmp_path) as it:
        refused = (await it.submitted("[402 x1] a cat")).json()["task"]
        assert (await retried(it, refused)).status_code == 201


async def test_a_retry_that_the_gateway_refuses_is_answered_so_each_time(tmp_path):
    async with hub(tmp_path) as it:
        refused = (await it.submitted("[402 x2] a cat")).json()["task"]
        answers = [await retried(it, refused) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [402, 402]
        assert len({answer.json()["task"]["id"] for answer in answers}) == 1


async def test_a_retry_that_came_too_early_may_be_asked_for_once_more(tmp_path):
    async with hub(tmp_path) as it:
        refused = (await it.submitted("[429 x2] a cat", when_full="refuse")).json()["task"]
        answers = [await retried(it, refused) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [429, 201, 200]
        assert it.made() == 1


async def test_a_retry_counts_against_the_limits_of_its_owner(tmp_path):
    settings = replace(SETTINGS, owners={"anna": OwnerSettings(pending=1)})
    async with hub(tmp_path, settings=settings) as it:
        first = await failed(it)
        await it.submit("[take 1m]")
        answer = await retried(it, first)
        assert (answer.status_code, answer.json()["error"]["code"], it.made()) == (429, "too_many_pending", 2)


async def test_a_retry_counts_against_the_budget_of_its_owner(tmp_path):
    price = PriceSettings(unit="quota", per=500_000, amount="1.00", currency="USD")
    settings = replace(SETTINGS, owners={"anna": OwnerSettings(budget="0.01 USD")})
    async with hub(tmp_path, settings=settings, gateway=replace(GATEWAY, price=price)) as it:
        first = (await it.submitted("[402 x1] a cat")).json()["task"]
        await it.ended(await it.submit())
        answer = await retried(it, first)
        assert (answer.status_code, answer.json()["error"]["code"]) == (402, "insufficient_credit")


# --- the way it came in by


async def test_the_webhook_of_the_task_is_told_of_the_new_one_too(tmp_path):
    async with hub(tmp_path) as it, Sink().open() as sink:
        first = await failed(it, webhook_url=sink.url)
        again = (await retried(it, first)).json()
        requests = await sink.wait_for(lambda requests: len(requests) == 2)
        assert again["id"].encode() in requests[1].body


async def test_a_task_of_a_gateways_own_api_is_tried_again_on_that_api(tmp_path):
    async with hub(tmp_path) as it, Sink().open() as sink:
        path, body = smallest("easyrouter")
        created = await it.post(path, body | {"prompt": "[fail]", "metadata": {"callback_url": sink.url}})
        assert created.status_code == 200
        (first,) = await it.listed("/v1/tasks")
        again = (await retried(it, await it.ended(first))).json()
        told = await sink.wait_for(lambda requests: len(requests) == 2)
        before, after = await stored(it, first["id"]), await stored(it, again["id"])
        same = ("mount", "caller_dialect", "caller_surface", "caller_model", "when_full", "surface", "request")
        assert [getattr(before, name) for name in same] == [getattr(after, name) for name in same]
        assert after.mount == "easyrouter"
        assert again["id"].removeprefix("task_").encode() in told[1].body
        assert b'"type":"task.failed"' not in told[1].body, "it is told in the gateway's shape"


# --- the caller's own name


@pytest.mark.parametrize("dialect", list(DIALECTS))
async def test_an_external_id_is_shown_and_never_sent_to_a_gateway(tmp_path, dialect):
    async with hub(tmp_path, dialect, worker=False) as it:
        task = await it.submit(external_id="order-17 ü")
        assert task["external_id"] == "order-17 ü"
        (made,) = it.sandbox._tasks.values()
        assert "order-17" not in str(made.request), "what it does not know is kept in there as well"


async def test_tasks_are_found_by_their_external_id(tmp_path):
    async with hub(tmp_path, worker=False) as it:
        wanted = await it.submit(external_id="order-17")
        await it.submit(external_id="order-18")
        await it.submit()
        assert [task["id"] for task in await it.listed("/v1/tasks?external_id=order-17")] == [wanted["id"]]
        assert (await it.other.get("/v1/tasks?external_id=order-17")).json()["data"] == []
        assert len((await it.admin.get("/v1/tasks?external_id=order-17")).json()["data"]) == 1


async def test_all_tries_have_the_external_id(tmp_path):
    async with hub(tmp_path) as it:
        first = await failed(it, external_id="order-17")
        again = (await retried(it, first)).json()
        assert [task["id"] for task in await it.listed("/v1/tasks?external_id=order-17")] == [again["id"], first["id"]]


@pytest.mark.parametrize("value", ["", "x" * 256, "a\nb", "a\x00b", 17, ["x"]])
async def test_an_external_id_that_is_none_is_refused_by_name(hub_without_worker, value):
    answer = await hub_without_worker.submitted(external_id=value)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "external_id")


async def test_the_longest_external_id_is_taken(hub_without_worker):
    assert (await hub_without_worker.submitted(external_id="x" * 255)).status_code == 201
