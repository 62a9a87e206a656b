"""The compatible API: a program written for a gateway, and its mistakes, in the gateway's own words."""

import asyncio
from dataclasses import replace

import pytest

from service.dialects import DIALECTS
from service.settings import Span
from tests.dialects.given import SPOKEN, minimal
from tests.hub import GATEWAY, SANDBOX, SETTINGS, hub, smallest
from tests.servers import Sink

EVERY_SURFACE = pytest.mark.parametrize("each", SPOKEN, ids=str)
EVERY_GATEWAY = pytest.mark.parametrize("dialect", list(DIALECTS))


def path_of(each, operation="create", task_id=""):
    return f"/{each.dialect.name}" + each.surface.route(operation).path.replace("{id}", task_id)


def refusal(each, answer):
    """The Problem that a client of the gateway reads in an answer."""
    return each.dialect.read_error(answer.status_code, answer.json())


@EVERY_SURFACE
async def test_a_program_creates_and_follows_a_task(tmp_path, each):
    async with hub(tmp_path, each.dialect.name) as it:
        receipt = each.surface.read_receipt((await it.post(path_of(each), minimal(each))).json())

        async def look():
            return each.surface.read_task((await it.http.get(path_of(each, "get", receipt.gateway_task_id))).json())

        seen = await it.until(look, lambda snapshot: snapshot.status and snapshot.status.terminal)
        assert (seen.status, bool(seen.video_url)) == ("succeeded", True)


@EVERY_SURFACE
async def test_an_id_looks_like_the_gateways(tmp_path, each):
    async with hub(tmp_path, each.dialect.name) as it:
        receipt = each.surface.read_receipt((await it.post(path_of(each), minimal(each))).json())
        assert receipt.gateway_task_id.startswith(each.surface.id_prefix)


@EVERY_SURFACE
async def test_unknown_fields_reach_the_gateway(tmp_path, each):
    async with hub(tmp_path, each.dialect.name) as it:
        await it.post(path_of(each), minimal(each) | {"brand_new": {"a": [1, None]}})
        (task,) = it.sandbox._tasks.values()
        assert task.request.extra == {"brand_new": {"a": [1, None]}}


@EVERY_SURFACE
@pytest.mark.parametrize(
    "body", [{}, {"model": 5}, {"model": None}, {"prompt": []}, {"content": "x"}, {"metadata": "x"}, {"duration": "x"}]
)
async def test_a_bad_create_is_refused_in_the_gateways_words(tmp_path, each, body):
    async with hub(tmp_path, each.dialect.name, worker=False) as it:
        answer = await it.post(path_of(each), {"model": "no-such-model"} | body)
        problem = refusal(each, answer)
        assert (problem.code in ("invalid_request", "unsupported_model"), it.made()) == (True, 0)


@EVERY_SURFACE
async def test_a_wrong_key_is_refused_in_the_gateways_words(tmp_path, each):
    """F1 auth; F5 Not said: auth text."""
    async with hub(tmp_path, each.dialect.name, worker=False) as it:
        answer = await it.http.post(path_of(each), json=minimal(each), headers={"authorization": "Bearer rh_wrong"})
        assert (answer.status_code, refusal(each, answer).code) == (401, "unauthorized")


@EVERY_SURFACE
async def test_an_unknown_task_is_refused_in_the_gateways_words(tmp_path, each):
    """F2 Quirks: 403, not 404. F3 Quirks: an unknown id is a 400. F5 Not said: unknown-id answer."""
    async with hub(tmp_path, each.dialect.name, worker=False) as it:
        answer = await it.http.get(path_of(each, "get", "task_nowhere"))
        assert refusal(each, answer).code in ("not_found", "forbidden")


@EVERY_SURFACE
@pytest.mark.parametrize(("method", "path"), [("GET", "/nowhere"), ("PUT", None)])
async def test_a_wrong_route_or_method_is_refused_in_the_gateways_words(tmp_path, each, method, path):
    async with hub(tmp_path, each.dialect.name, worker=False) as it:
        answer = await it.http.request(method, f"/{each.dialect.name}{path}" if path else path_of(each))
        assert refusal(each, answer) is not None


@EVERY_SURFACE
async def test_a_body_that_is_no_json_is_refused_in_the_gateways_words(tmp_path, each):
    async with hub(tmp_path, each.dialect.name, worker=False) as it:
        answer = await it.http.post(path_of(each), content=b"{", headers={"content-type": "application/json"})
        assert refusal(each, answer).code == "invalid_request"


@EVERY_GATEWAY
async def test_a_private_callback_url_is_refused(tmp_path, dialect):
    async with hub(tmp_path, dialect, worker=False) as it:
        path, body = smallest(dialect)
        surface = it.dialect.surfaces[0]
        wanted = surface.write_create(surface.read_create(body), "http://192.168.0.1/hook")
        problem = it.dialect.read_error((answer := await it.post(path, wanted)).status_code, answer.json())
        assert problem is not None
        assert (".".join(surface.callback_path) in problem.message, it.made()) == (True, 0)


@EVERY_GATEWAY
@pytest.mark.parametrize("status", [402, 429])
async def test_a_refusal_of_the_gateway_is_given_back(tmp_path, dialect, status):
    async with hub(tmp_path, dialect, worker=False) as it:
        path, body = smallest(dialect)
        surface = it.dialect.surfaces[0]
        wanted = replace(surface.read_create(body), prompt=f"[{status}]")
        answer = await it.post(path, surface.write_create(wanted, None))
        problem = it.dialect.read_error(answer.status_code, answer.json())
        assert problem is not None
        assert problem.code in ("insufficient_credit", "rate_limited", "too_many_pending")


@EVERY_GATEWAY
async def test_a_doubt_tells_the_official_clients_not_to_try_again(tmp_path, dialect):
    """F8.3: x-should-retry: false."""
    async with hub(tmp_path, dialect, worker=False) as it:
        path, body = smallest(dialect)
        surface = it.dialect.surfaces[0]
        wanted = replace(surface.read_create(body), prompt="[drop]")
        answer = await it.post(path, surface.write_create(wanted, None))
        assert (answer.status_code, answer.headers["x-should-retry"]) == (504, "false")


async def test_two_gateways_of_one_dialect_do_not_know_each_others_tasks(tmp_path):
    async with hub(tmp_path, "easyrouter") as it:
        task = await it.submit()
        answer = await it.http.get(f"/videos/v1/videos/{task['id']}")
        assert answer.status_code == 404


async def test_a_task_is_cancelled_in_the_gateways_words(tmp_path):
    async with hub(tmp_path, "seedance2", sandbox=replace(SANDBOX, run_ms=(60_000, 60_000))) as it:
        path, body = smallest("seedance2")
        made = (await it.post(path, body)).json()["requestId"]
        answer = await it.post(f"{path}/{made}/cancel")
        assert answer.json() == {"success": True, "requestId": made, "status": "cancelled"}


async def test_the_create_outlives_a_caller_who_goes_away(tmp_path):
    async with hub(tmp_path, settings=replace(SETTINGS, submit=replace(SETTINGS.submit, timeout=Span(5_000)))) as it:
        path, body = smallest("easyrouter")
        calling = asyncio.create_task(it.post(path, body | {"prompt": "[slow create 500ms]"}))
        await it.until(lambda: it.listed("/v1/tasks"), len)
        calling.cancel()
        (task,) = await it.listed("/v1/tasks")
        assert (await it.ended(task))["status"] == "succeeded"


async def test_a_callers_own_metadata_reaches_seedance2(tmp_path):
    async with hub(tmp_path, "seedance2") as it:
        await it.submit(metadata={"projectId": "p", "nothing": None})
        (task,) = it.sandbox._tasks.values()
        assert task.request.metadata == {"projectId": "p", "nothing": None}


async def test_a_caller_is_called_back_once_however_often_the_gateway_calls(tmp_path):
    async with Sink().open() as sink, hub(tmp_path, "videos", gateway=replace(GATEWAY, trust="trust")) as it:
        path, body = smallest("videos")
        await it.post(path, body | {"prompt": "[duplicate x3] [reorder]", "metadata": {"callback_url": sink.url}})
        await sink.wait_for(len)
        await it.until(lambda: it.listed("/v1/deliveries?status=delivered"), len)
        while it.sandbox.pending_callbacks:
            await asyncio.sleep(0.01)
        assert len(sink.requests) == 1


@EVERY_GATEWAY
async def test_an_unknown_route_is_not_taken_for_an_unknown_task(tmp_path, dialect):
    async with hub(tmp_path, dialect, worker=False) as it:
        answer = await it.http.get(f"/{dialect}/no/such/route")
        problem = DIALECTS[dialect].read_error(answer.status_code, answer.json())
        assert problem and (answer.status_code, problem.code) == (404, "unknown_route")
