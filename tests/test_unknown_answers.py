"""What a gateway says and nobody here knows: it reaches the caller of that gateway's API, and nobody else's."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.dialects.shape import Surface
from service.formats.gateway import task_id
from service.web.sandbox import open_sandbox
from service.wire import Json, dumps, loads, pick, place
from tests.dialects.given import SPOKEN, minimal
from tests.hub import GATEWAY, SANDBOX, TRUST, hub
from tests.servers import Sink, serve
from tests.test_compat import path_of

GATEWAYS = [each for each in SPOKEN if each.dialect.name != "openai"]
EVERY_SURFACE = pytest.mark.parametrize("each", GATEWAYS, ids=str)


def say_more(method: str, asked: Json, body: Json) -> None:
    """What a gateway says beyond its documentation."""
    body["brand_new"] = {"a": [1, None]}
    if method == "GET" and isinstance(body.get("data"), dict):
        body["data"] |= {"channel_id": 42, "newer": "x"}


@asynccontextmanager
async def chatty(dialect: str, change: Callable[[str, Json, Json], None] = say_more) -> AsyncIterator[str]:
    """A gateway whose answers are changed. change: told the method, the create, and the answer."""
    creates: list[Json] = [{}]
    async with open_sandbox(dialect, SANDBOX) as simulator, httpx.AsyncClient(trust_env=False, verify=TRUST) as http:

        async def answer(request: Request) -> Response:
            headers = {
                name: request.headers[name] for name in ("authorization", "content-type") if name in request.headers
            }
            asked = await request.body()
            if asked:
                creates.append(loads(asked))
            said = await http.request(
                request.method, simulator.base_url + request.url.path, content=asked, headers=headers
            )
            if said.headers["content-type"] != "application/json":
                return Response(said.content, said.status_code, media_type=said.headers["content-type"])
            body = loads(said.content)
            change(request.method, creates[-1], body)
            return Response(dumps(body), said.status_code, media_type="application/json")

        app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "DELETE"])])
        async with serve(app) as url:
            yield url


async def asked(it, each, task_id):
    return (await it.http.get(path_of(each, "get", task_id))).json()


async def followed(it, each, **more):
    """The answer about a task of the compatible API that has ended."""
    receipt = each.surface.read_receipt((await it.post(path_of(each), minimal(each) | more)).json())

    async def look():
        return await asked(it, each, receipt.gateway_task_id)

    return await it.until(look, lambda body: each.surface.read_task(body).status.terminal)


@EVERY_SURFACE
async def test_what_nobody_knows_reaches_the_caller(tmp_path, each):
    async with chatty(each.dialect.name) as url:
        gateway = replace(GATEWAY, base_url=url, surface=each.surface.name)
        async with hub(tmp_path, each.dialect.name, gateway=gateway) as it:
            body = await followed(it, each)
            assert body["brand_new"] == {"a": [1, None]}


async def test_what_only_the_gateway_knows_is_not_made_up_once_it_has_said_it(tmp_path):
    each = next(each for each in SPOKEN if each.dialect.name == "easyrouter")
    async with chatty("easyrouter") as url, hub(tmp_path, gateway=replace(GATEWAY, base_url=url)) as it:
        data = (await followed(it, each))["data"]
        assert (data["channel_id"], data["newer"]) == (42, "x")
        assert data["task_id"] != data["data"]["id"]


async def test_what_nobody_knows_reaches_the_callers_callback(tmp_path):
    each = next(each for each in SPOKEN if each.dialect.name == "seedance2")
    async with (
        chatty("seedance2") as url,
        Sink().open() as sink,
        hub(tmp_path, "seedance2", gateway=replace(GATEWAY, base_url=url)) as it,
    ):
        await it.post(path_of(each), minimal(each) | {"webhookUrl": sink.url})
        (request,) = await sink.wait_for(lambda requests: requests)
        assert loads(request.body)["brand_new"] == {"a": [1, None]}


async def test_what_nobody_knows_is_not_told_in_the_native_words(tmp_path):
    async with chatty("seedance2") as url, hub(tmp_path, "seedance2", gateway=replace(GATEWAY, base_url=url)) as it:
        assert "brand_new" not in str(await it.ended(await it.submit()))


def tell_callback(surface: Surface) -> Callable[[str, Json, Json], None]:
    """A gateway that tells back where it was asked to call: where it was asked to, and in other words too."""

    def change(method: str, asked: Json, body: Json) -> None:
        url = pick(asked, surface.callback_path)
        place(body, surface.callback_path, url)
        body["request"] = {"hook": url, "query": "to=" + quote(url, safe=""), "raw": url.replace("/", "\\/")}
        body["said"] = f"calling back to {url} soon"

    return change


@EVERY_SURFACE
@pytest.mark.parametrize("own", ["https://example.com/mine", None])
async def test_a_callers_callback_is_his_own_and_never_ours(tmp_path, each, own):
    async with chatty(each.dialect.name, tell_callback(each.surface)) as url:
        gateway = replace(GATEWAY, base_url=url, surface=each.surface.name, callbacks=True)
        async with hub(tmp_path, each.dialect.name, gateway=gateway) as it:
            more = minimal(each)
            if own:
                place(more, each.surface.callback_path, own)
            body = await followed(it, each, **more)
            assert pick(body, each.surface.callback_path) == own
            assert body["said"].startswith(f"calling back to {it.base_url}/callbacks/"), "the rest of it is told"
            token = it.services.tokens.issue(each.dialect.name, stored_id(each, body)).split(".")[0]
            assert token not in str(body)


def stored_id(each, body):
    return task_id(each.surface.read_task(body).gateway_task_id, each.surface)
