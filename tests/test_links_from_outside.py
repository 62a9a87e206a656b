"""Links that gateways, image hosts and redirects send: whatever they are, they are judged, never taken apart raw."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from service.clock import system_clock
from service.dialects import DIALECTS
from service.egress import Lost, NotSent, open_egress
from service.formats.gateway import task_id
from service.gateways import Gateway
from service.guard import LONGEST_TOLD, Guard, origin_of
from service.links import LATEST, link_expiry
from service.model import Snapshot, Status, iso
from service.settings import ArchiveSettings
from service.wire import HttpRequest, with_texts
from tests.calling_back import SLOW, TRUSTING, called
from tests.hub import ENDED, GATEWAY, SETTINGS, hub, smallest
from tests.servers import serve
from tests.test_unknown_answers import chatty

BAD = (
    *("https://[cdn/v.mp4", "http://[oops", "https://cdn.example.com:99999/v.mp4", "https://cdn.example.com:0/v.mp4"),
    *("ftp://cdn.example.com/v.mp4", "javascript:alert(1)", "v.mp4", "", " ", "https://", "https://a b/v.mp4"),
    *("https://me:secret@cdn.example.com/v.mp4", "https://cdn.example.com/" + "v" * LONGEST_TOLD),
    *("https://a\u2100b/", "https://\u200d.example.com:\u0661/"),
)
PARTS = ("http", "https", ":", "//", "[", "]", "::1", "@", "%", "%zz", "?", "#", "=", "&", "/", "\\", ".", "..", "0")
URLISH = st.one_of(
    st.text(),
    st.builds("".join, st.lists(st.sampled_from((*PARTS, "a", "99999", "x-amz-date", "\udc80", "\u2100", "\u0661")))),
    st.builds("https://{}".format, st.text()),
)
INSTANTS = st.datetimes().map(lambda at: at.strftime("%Y%m%dT%H%M%SZ"))


@given(url=URLISH)
@example(url="https://[cdn/v.mp4")
@example(url="https://cdn:99999/")
def test_an_origin_can_be_asked_of_any_text(url: str) -> None:
    assert isinstance(origin_of(url), str)


@given(url=URLISH, made_at=st.integers(0, 2**42))
@example(url="https://[cdn/v.mp4", made_at=0)
@example(url="https://c/?x-tos-date=99991231T235959Z&x-tos-expires=9999999", made_at=0)
def test_an_expiry_can_be_asked_of_any_text(url: str, made_at: int) -> None:
    assert iso(link_expiry(url, made_at))


@given(name=st.sampled_from(["x-tos", "X-Amz"]), at=INSTANTS, span=st.text("0123456789\u0661", max_size=8))
def test_the_expiry_of_a_presigned_link_is_a_date_that_can_be_shown(name: str, at: str, span: str) -> None:
    expires_at = link_expiry(f"https://c.example.com/v?{name}-Date={at}&{name}-Expires={span}", 0)
    assert expires_at <= LATEST
    assert iso(expires_at)


def test_a_presigned_link_says_itself_when_it_dies() -> None:
    signed = datetime(2026, 5, 4, tzinfo=UTC)
    url = "https://c.example.com/v?X-Amz-Date=20260504T000000Z&X-Amz-Expires=60"
    assert link_expiry(url, 0) == (signed.timestamp() + 60) * 1000


@asynccontextmanager
async def redirecting(location: bytes) -> AsyncIterator[str]:
    """A server that redirects all but /end to what is given, byte by byte."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        head = b"200 OK" if asked.startswith(b"GET /end") else b"302 Found\r\nlocation: " + location
        writer.write(b"HTTP/1.1 " + head + b"\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class NoNames(AbstractResolver):
    """A name server that knows nobody, at once."""

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[Any]:
        raise OSError(f"{host} is not known")

    async def close(self) -> None:
        pass


async def fetched(url: str) -> int | Exception:
    async with open_egress(Guard(["127.0.0.1/32"]), "test", NoNames) as egress:
        try:
            async with egress.fetch(HttpRequest(method="GET", url=url), idle_ms=2_000) as download:
                return download.status
        except (NotSent, Lost) as error:
            assert str(error).encode(), "it can be written into an answer"
            return error


@pytest.mark.parametrize("target", [bad for bad in BAD if bad.startswith(("http", "ftp", "java")) and bad.isascii()])
async def test_a_redirect_to_what_is_no_url_is_lost(target: str) -> None:
    async with redirecting(target.encode()) as url:
        assert isinstance(await fetched(url), Lost)


@given(target=st.one_of(st.binary(), URLISH.map(lambda text: text.encode("utf-8", "surrogateescape"))))
@example(target=b"http://[oops/x.mp4")
@example(target=b"https://a\xe2\x84\x80b\x80/")
@example(target=b"//\xff\xfe:0")
async def test_any_redirect_at_all_is_lost_or_not_sent_or_answered(target: bytes) -> None:
    async with redirecting(target) as url:
        assert await fetched(url)


@pytest.mark.parametrize("target", BAD)
async def test_a_download_from_what_is_no_url_was_not_sent(target: str) -> None:
    assert isinstance(await fetched(target), NotSent | Lost)


async def test_a_redirect_with_a_session_token_is_followed() -> None:
    long = "/end?token=" + "t" * (LONGEST_TOLD - 100)
    async with redirecting(long.encode()) as url:
        assert await fetched(url) == 200


def linking(end: str, link: str) -> Any:
    """A change of what a gateway says: its links that end so are another one."""

    def change(method: str, asked: Any, body: Any) -> None:
        body |= with_texts(body, lambda text: link if text.endswith((end, "/content")) else text)

    return change


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if not DIALECTS[name].surfaces[0].route("content")])
async def test_a_success_with_a_link_that_cannot_be_is_one_without_its_result(tmp_path: Path, dialect: str) -> None:
    async with (
        chatty(dialect, linking(".mp4", "https://[cdn/v.mp4")) as url,
        hub(tmp_path, dialect, gateway=replace(GATEWAY, base_url=url)) as it,
    ):
        task = await it.ended(await it.submit())
        assert (task["status"], task["error"]["gateway_code"]) == ("failed", "no_result")


@pytest.mark.parametrize("link", ["https://[cdn/v.mp4", "https://cdn.example.com:99999/v.mp4"])
async def test_a_link_that_cannot_be_holds_up_no_archive(tmp_path: Path, link: str) -> None:
    keeping = replace(SETTINGS, archive=ArchiveSettings(directory=str(tmp_path / "kept")))
    async with (
        chatty("worldrouter", linking(".mp4", link)) as url,
        hub(tmp_path, "worldrouter", gateway=replace(GATEWAY, base_url=url), settings=keeping) as it,
    ):
        task = await it.ended(await it.submit())
        assert (task["status"], task["error"]["gateway_code"]) == ("failed", "no_result")


@pytest.mark.parametrize("link", BAD)
async def test_a_link_that_cannot_be_is_not_told(link: str, caplog: pytest.LogCaptureFixture) -> None:
    async with open_egress(Guard(), "test", NoNames) as egress:
        gateway = Gateway("easyrouter", GATEWAY, egress, system_clock, callback_base=None)
    said = {"links": [link, "another"], "word": "done"}
    told = gateway.told(Snapshot(status=Status.SUCCEEDED, video_url=link, last_frame_url=link, answer=said))
    assert (told.video_url, told.last_frame_url) == (None, None)
    assert told.answer == {"links": [link, "another"] if not link else ["another"], "word": "done"}
    assert "gateway.bad_link" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("link", ["https://cdn.example.com/v.mp4", "http://127.0.0.1/v.mp4", "/v1/v.mp4"])
async def test_a_link_is_told_without_a_look_at_where_it_leads(link: str) -> None:
    async with open_egress(Guard(), "test", NoNames) as egress:
        gateway = Gateway("easyrouter", GATEWAY, egress, system_clock, callback_base=None)
    told = gateway.told(Snapshot(status=Status.SUCCEEDED, video_url=link))
    assert told.video_url == (gateway.base_url + link if link.startswith("/") else link)


@pytest.mark.parametrize("archiving", [True, False])
async def test_a_last_frame_that_cannot_be_is_left_out(tmp_path: Path, archiving: bool) -> None:
    kept = ArchiveSettings(directory=str(tmp_path / "kept") if archiving else None)
    async with (
        chatty("worldrouter", linking(".png", "https://[cdn/v.png")) as url,
        hub(
            tmp_path,
            "worldrouter",
            gateway=replace(GATEWAY, base_url=url),
            settings=replace(SETTINGS, archive=kept),
        ) as it,
    ):
        path, body = smallest("worldrouter")
        made = (await it.post(path, body | {"return_last_frame": True})).json()
        task = await it.ended({"id": task_id(made["id"], DIALECTS["worldrouter"].surfaces[0])})
        assert (task["status"], task["video"]["last_frame_url"]) == ("succeeded", None)
        assert "[cdn" not in (await it.http.get(f"{path}/{made['id']}")).text


@pytest.mark.parametrize("link", ["https://[cdn/v.mp4", "https://cdn.example.com:99999/v.mp4", "v.mp4"])
async def test_a_trusted_callback_with_a_link_that_cannot_be_ends_nothing(tmp_path: Path, link: str) -> None:
    async with hub(tmp_path, sandbox=SLOW, gateway=TRUSTING) as it:
        task = await it.submit()
        told = {"id": "cgt-1", "status": "succeeded", "content": {"video_url": link}}
        assert (await called(it, task, told)).status_code == 200
        assert (await it.task(task["id"]))["status"] not in ENDED


async def test_a_presigned_link_with_a_session_token_is_a_result(tmp_path: Path) -> None:
    long = "https://cdn.example.com/v.mp4?token=" + "t" * (LONGEST_TOLD - 100)
    async with hub(tmp_path, sandbox=SLOW, gateway=TRUSTING) as it:
        task = await it.submit()
        await called(it, task, {"id": "cgt-1", "status": "succeeded", "content": {"video_url": long}})
        assert (await it.task(task["id"]))["video"]["url"] == long


async def test_an_image_that_is_redirected_to_what_is_no_url_is_left_to_the_gateway(tmp_path: Path) -> None:
    async with redirecting(b"http://[oops/x.png") as url, hub(tmp_path, "cubicspaces", worker=False) as it:
        body = {"model": "doubao-seedance-2.0", "images": [url + "/cat.png"]}
        answer = await it.post("/cubicspaces/v1/images/moderations", body)
        assert answer.status_code == 200, answer.text


async def test_a_result_that_is_redirected_to_what_is_no_url_cannot_be_had_just_now(tmp_path: Path) -> None:
    async with (
        redirecting(b"http://[oops/x.mp4") as source,
        chatty("worldrouter", linking(".mp4", source + "/v.mp4")) as url,
        hub(tmp_path, "worldrouter", gateway=replace(GATEWAY, base_url=url)) as it,
    ):
        task = await it.ended(await it.submit())
        answer = await it.http.get(f"/v1/tasks/{task['id']}/content")
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "gateway_error")


async def test_a_result_of_unknown_size_is_not_read_by_whoever_has_it(tmp_path: Path) -> None:
    over, pieces = asyncio.Event(), 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal pieces
        while not over.is_set():
            pieces += 1
            yield b"v" * 65_536

    async def source(request: Request) -> Response:
        return StreamingResponse(endless(), media_type="video/mp4")

    async with (
        serve(Starlette(routes=[Route("/v.mp4", source)])) as media,
        chatty("worldrouter", linking(".mp4", f"{media}/v.mp4")) as url,
        hub(tmp_path, "worldrouter", gateway=replace(GATEWAY, base_url=url)) as it,
    ):
        task = await it.ended(await it.submit())
        answer = await it.http.get(f"/v1/tasks/{task['id']}/content", headers={"if-none-match": "*"})
        assert (answer.status_code, answer.content) == (304, b"")
        over.set()
    assert pieces < 1_000, "no more than what lay in the pipe"
