"""Where results come from: servers that break off, know no ranges, redirect, stall, or answer with something else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from service.byte_ranges import ByteRange, read_content_range, read_range
from service.clock import system_clock
from service.content import Content
from service.egress import Lost, open_egress
from service.errors import Problem
from service.guard import Guard
from service.model import Status, Submission, Task, VideoRequest
from service.settings import ContentSettings, Settings, Span
from service.web.ranges import file_answer
from tests.servers import serve

VIDEO = bytes(range(256)) * 4_000
SETTINGS = Settings(content=ContentSettings(idle=Span(300)))


def task_at(url: str) -> Task:
    return Task(
        id="task_1",
        owner="anna",
        gateway="gone",
        dialect="seedance2",
        surface="open",
        request=VideoRequest(model="m"),
        status=Status.SUCCEEDED,
        submission=Submission.ACCEPTED,
        when_full="queue",
        created_at=0,
        updated_at=0,
        deadline_at=0,
        next_at=None,
        gateway_task_id="req_1",
        result={"video_url": url},
    )


class Untouched:
    """A database that nothing here has to do with."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the database was asked to {name}")


class Source:
    """A server of one video, of whatever manners. asked: the Range headers that it saw."""

    def __init__(self, *, breaks_after: int | None = None, breaks: int = 1, ranges: bool = True) -> None:
        self.asked: list[str | None] = []
        self.headers: list[Any] = []
        self._breaks_after = breaks_after
        self._breaks = breaks
        self._ranges = ranges

    async def answer(self, request: Request) -> Response:
        asked = request.headers.get("range")
        self.asked.append(asked)
        self.headers.append(request.headers)
        if self._breaks_after is not None and self._breaks:
            self._breaks -= 1
            return self._broken(asked)
        return file_answer(request, VIDEO, "video/mp4") if self._ranges else Response(VIDEO, media_type="video/mp4")

    def _broken(self, asked: str | None) -> Response:
        wanted = read_range(asked) if self._ranges else None
        start, stop = (wanted.within(len(VIDEO)) if wanted else None) or (0, len(VIDEO))
        headers = {"content-length": str(stop - start)}
        if wanted:
            headers["content-range"] = f"bytes {start}-{stop - 1}/{len(VIDEO)}"

        async def some() -> AsyncIterator[bytes]:
            yield VIDEO[start : start + (self._breaks_after or 0)]
            raise ConnectionResetError("the server breaks off")

        return StreamingResponse(some(), 206 if wanted else 200, headers, "video/mp4")


@asynccontextmanager
async def opened(
    app: Any, settings: Settings = SETTINGS, allow: tuple[str, ...] = ("127.0.0.0/8",)
) -> AsyncIterator[tuple[Content, Task]]:
    if not isinstance(app, Starlette):
        app = Starlette(routes=[Route("/{path:path}", app)])
    async with serve(app) as base_url, open_egress(Guard(allow), "test") as egress:
        content = Content(
            database=Untouched(), gateways={}, egress=egress, archive=None, settings=settings, clock=system_clock
        )
        yield content, task_at(f"{base_url}/video.mp4")


async def read(content: Content, task: Task, asked: ByteRange | None = None) -> bytes:
    async with content.open(task, "video", asked) as part:
        return b"".join([chunk async for chunk in part.chunks])


async def begin(content: Content, task: Task) -> None:
    async with content.read(task, "video", None):
        pass


async def test_a_download_that_breaks_off_is_resumed_where_it_was() -> None:
    source = Source(breaks_after=100_000)
    async with opened(source.answer) as (content, task):
        assert await read(content, task) == VIDEO
    assert source.asked == [None, f"bytes=100000-{len(VIDEO) - 1}"]


async def test_a_range_that_breaks_off_is_resumed_within_it() -> None:
    source = Source(breaks_after=1_000, breaks=3)
    async with opened(source.answer) as (content, task):
        assert await read(content, task, ByteRange(50, 9_999)) == VIDEO[50:10_000]
    assert source.asked[-1] == "bytes=3050-9999"


async def test_a_download_that_always_breaks_off_is_given_up() -> None:
    source = Source(breaks_after=10, breaks=1_000)
    async with opened(source.answer) as (content, task):
        with pytest.raises(Lost):
            await read(content, task)
    assert len(source.asked) < 10


async def test_what_cannot_be_resumed_is_broken_off_and_never_cut_short_in_silence() -> None:
    async with opened(Source(breaks_after=100_000, ranges=False).answer) as (content, task):
        with pytest.raises(Lost, match="cannot be had"):
            await read(content, task)


@pytest.mark.parametrize("asked", ["bytes=0-0", "bytes=1000-", "bytes=777-99999", "bytes=-5"])
async def test_a_range_is_exact_where_the_source_knows_none(asked: str) -> None:
    wanted = read_range(asked)
    assert wanted is not None
    window = wanted.within(len(VIDEO))
    assert window is not None
    async with opened(Source(ranges=False).answer) as (content, task):
        assert await read(content, task, wanted) == VIDEO[window[0] : window[1]]


async def test_a_redirect_is_followed() -> None:
    async def app(request: Request) -> Response:
        if request.url.path == "/video.mp4":
            return RedirectResponse("/elsewhere.mp4")
        return file_answer(request, VIDEO, "video/mp4")

    async with opened(app) as (content, task):
        assert await read(content, task) == VIDEO


async def test_a_redirect_to_a_private_address_is_not_followed() -> None:
    async def app(request: Request) -> Response:
        return RedirectResponse("http://127.0.0.2:9/secret.mp4")

    async with opened(app, allow=("127.0.0.1/32",)) as (content, task):
        with pytest.raises(Problem, match="not a public address"):
            await read(content, task)


async def test_redirects_that_never_end_are_given_up() -> None:
    async def app(request: Request) -> Response:
        return RedirectResponse(str(request.url))

    async with opened(app) as (content, task):
        with pytest.raises(Problem, match="redirected more than"):
            await read(content, task)


async def test_a_key_stays_behind_where_a_redirect_leads_elsewhere() -> None:
    source = Source()
    async with serve(Starlette(routes=[Route("/{path:path}", source.answer)])) as elsewhere:

        async def app(request: Request) -> Response:
            return RedirectResponse(f"{elsewhere}/x.mp4")

        async with opened(app) as (content, task):
            keyed = content_request(task, {"authorization": "Bearer secret"})
            async with content.fetch(keyed) as download:
                assert download.status == 200
    assert "authorization" not in source.headers[0]


def content_request(task: Task, headers: dict[str, str]) -> Any:
    from service.wire import HttpRequest

    return HttpRequest(method="GET", url=task.video_url or "", headers=headers)


@pytest.mark.parametrize("media_type", ["text/html", "application/json", "image/svg+xml", "application/javascript"])
async def test_a_page_is_no_video(media_type: str) -> None:
    async def app(request: Request) -> Response:
        return Response(b"<script>alert(1)</script>", media_type=media_type)

    async with opened(app) as (content, task):
        with pytest.raises(Problem) as refused:
            await read(content, task)
    assert refused.value.code == "gateway_error"


async def test_a_source_that_stalls_is_given_up() -> None:
    over = asyncio.Event()

    async def some() -> AsyncIterator[bytes]:
        yield VIDEO[:1000]
        await over.wait()

    async def app(request: Request) -> Response:
        return StreamingResponse(some(), 200, {"content-length": str(len(VIDEO))}, "video/mp4")

    async with opened(app) as (content, task):
        with pytest.raises(Lost):
            await read(content, task)
        over.set()


async def test_a_dead_source_says_so() -> None:
    async with opened(Source().answer) as (content, _):
        with pytest.raises(Problem, match="cannot connect"):
            await read(content, task_at("http://127.0.0.1:9/video.mp4"))


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_a_result_that_is_no_longer_there_is_gone(status: int) -> None:
    async def app(request: Request) -> Response:
        return Response(status_code=status)

    async with opened(app) as (content, task):
        with pytest.raises(Problem) as refused:
            await read(content, task)
    assert refused.value.code == "result_gone"


@pytest.mark.parametrize(
    ("limit", "another"),
    [("per_task", {}), ("per_owner", {"id": "task_2"}), ("concurrency", {"id": "task_2", "owner": "bert"})],
)
async def test_no_more_results_are_read_at_once_than_the_settings_allow(limit: str, another: Any) -> None:
    limits: Any = {limit: 2}
    settings = replace(SETTINGS, content=ContentSettings(**limits))
    async with opened(Source().answer, settings) as (content, task):
        for _ in range(3):
            async with content.read(task, "video", None), content.read(task, "video", None):
                with pytest.raises(Problem) as refused:  # the two give their places back
                    await begin(content, replace(task, **another))
    assert (refused.value.code, refused.value.retry_after_ms) == ("rate_limited", 2_000)


async def test_the_readers_of_one_link_keep_no_others_out() -> None:
    settings = replace(SETTINGS, content=replace(SETTINGS.content, per_task=1, per_owner=2, concurrency=3))
    async with opened(Source().answer, settings) as (content, task), content.read(task, "video", None):
        another, others = replace(task, id="task_2"), replace(task, id="task_3", owner="bert")
        async with content.read(another, "video", None), content.read(others, "video", None):
            pass


async def test_the_archive_waits_for_no_reader() -> None:
    settings = replace(SETTINGS, content=replace(SETTINGS.content, concurrency=1))
    async with opened(Source().answer, settings) as (content, task), content.read(task, "video", None):
        assert await read(content, task) == VIDEO


@pytest.mark.parametrize(
    "header", [None, "", "bytes 5-1/9", "bytes 0-9/9", "bytes 0-/9", "items 0-1/9", "bytes */9", "bytes 0-1"]
)
def test_a_content_range_that_says_nothing_is_none(header: str | None) -> None:
    assert read_content_range(header) is None
