"""What a gateway's no does to a create: told, kept waiting, or never repeated."""

from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.web.answers import json_answer
from tests.hub import GATEWAY, hub, smallest
from tests.servers import serve

VIDEOS = "/v1/videos"


def answering(status, body):
    """A gateway that says nothing else, and counts how often it was asked."""
    asked = []

    async def create(request: Request) -> Response:
        asked.append(await request.body())
        return json_answer(body, status)

    return Starlette(routes=[Route("/{path:path}", create, methods=["POST"])]), asked


async def submitted(tmp_path, dialect, status, body, **more):
    """(the native answer, how many creates the gateway got)."""
    app, asked = answering(status, body)
    async with serve(app) as url, hub(tmp_path, dialect, gateway=replace(GATEWAY, base_url=url), worker=False) as it:
        return await it.submitted(**more), len(asked)


async def test_an_error_behind_http_200_is_a_refusal_that_the_caller_is_told(tmp_path):
    """F5 "Errors"."""
    body = {"error": {"message": "no such size", "type": "invalid_request_error", "code": "bad_size"}}
    answer, asked = await submitted(tmp_path, "videos", 200, body)
    assert (answer.status_code, answer.json()["task"]["submission"], asked) == (400, "refused", 1)


@pytest.mark.parametrize("code", ["upstream_error", "timeout", 502])
async def test_a_fault_behind_http_200_is_a_doubt(tmp_path, code):
    """F5 "Errors", and promise 1."""
    answer, asked = await submitted(tmp_path, "videos", 200, {"error": {"message": "no", "type": "x", "code": code}})
    assert (answer.status_code, answer.json()["submission"], asked) == (202, "unknown", 1)
    assert answer.headers["x-should-retry"] == "false"


async def test_a_full_gateway_behind_http_200_keeps_the_task_waiting(tmp_path):
    """F5 "Errors"; promise 1: a 429 in other clothes."""
    body = {"error": {"message": "slow down", "type": "x", "code": "rate_limit_exceeded"}}
    answer, _ = await submitted(tmp_path, "videos", 200, body)
    assert (answer.status_code, answer.json()["submission"]) == (202, "unsent")


async def test_success_false_is_a_refusal_behind_http_200_too(tmp_path):
    """F6 "Errors"."""
    body = {"success": False, "error": {"code": "unauthorized", "message": "Invalid API key"}}
    answer, _ = await submitted(tmp_path, "seedance2", 200, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")


async def test_a_wrapped_error_behind_http_200_is_a_refusal(tmp_path):
    """F3 "Get answer": code is another than "success"."""
    body = {"code": "invalid", "message": "model not allowed: dreamina", "data": None}
    answer, _ = await submitted(tmp_path, "easyrouter", 200, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_model")


@pytest.mark.parametrize("dialect", ["worldrouter", "seedance2", "videos"])
async def test_one_too_many_is_told_when_to_come_again(tmp_path, dialect):
    """In the native API and in the gateway's own, also where the gateway itself does not say (F8.9)."""
    async with hub(tmp_path, dialect, worker=False) as it:
        path, body = smallest(dialect)
        native = await it.submitted("[429]", when_full="refuse")
        surface = it.dialect.surfaces[0]
        compatible = await it.post(path, surface.write_create(replace(surface.read_create(body), prompt="[429]"), None))
        assert int(native.headers["retry-after"]) >= 1
        assert int(compatible.headers["retry-after"]) >= 1
