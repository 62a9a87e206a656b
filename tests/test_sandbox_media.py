"""What the sandbox serves as a result: the video and its last frame, whole and in parts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from service.byte_ranges import read_range
from tests.dialects.given import Spoken
from tests.sandbox_caller import EASYROUTER, VIDEOS, bearer, listening, simulated


async def test_the_link_of_videos_is_relative_and_needs_the_key() -> None:
    async with simulated(VIDEOS) as caller:
        link = (await caller.look(await caller.made(), after_ms=5_000)).video_url or ""
        answer = await caller.http.get(link, headers=bearer("wrong"))
    assert link.startswith("/v1/videos/")
    assert answer.status_code == 401


async def test_the_last_frame_is_there_when_it_was_asked_for() -> None:
    async with simulated(EASYROUTER) as caller:
        link = (await caller.look(await caller.made(return_last_frame=True), after_ms=5_000)).last_frame_url
        answer = await caller.http.get(link or "")
    assert answer.content.startswith(b"\x89PNG")


async def test_the_last_frame_is_not_there_when_nobody_asked() -> None:
    async with simulated(EASYROUTER) as caller:
        assert (await caller.look(await caller.made(), after_ms=5_000)).last_frame_url is None


async def test_an_unfinished_task_has_no_media() -> None:
    async with simulated(EASYROUTER) as caller:
        answer = await caller.http.get(f"/media/{await caller.made()}.mp4")
    assert caller.refusal(answer).code == "not_found"


@pytest.mark.parametrize(
    ("asked", "window"),
    [
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=90-500", (90, 100)),
        ("bytes=-7", (93, 100)),
        ("bytes=-700", (0, 100)),
        ("bytes=100-", None),
        ("bytes=-0", None),
        ("bytes=9-3", (0, 100)),
        ("bytes=0-1,5-6", (0, 100)),
        ("lines=1-2", (0, 100)),
        ("bytes=-", (0, 100)),
    ],
)
def test_a_range_is_read_as_the_standard_has_it(asked: str, window: tuple[int, int] | None) -> None:
    wanted = read_range(asked)
    assert (wanted.within(100) if wanted else (0, 100)) == window


@asynccontextmanager
async def finished(each: Spoken = VIDEOS) -> AsyncIterator[tuple[httpx.AsyncClient, str, bytes]]:
    """A finished task: the client, the path of its result and the bytes of it."""
    async with simulated(each) as caller:
        path = f"/v1/videos/{await caller.made()}/content"
        caller.clock.now += 5_000
        yield caller.http, path, (await caller.http.get(path)).content


async def test_a_part_of_the_result_can_be_had() -> None:
    async with finished() as (http, path, whole):
        answer = await http.get(path, headers={"range": "bytes=100-199"})
    assert (answer.status_code, answer.content) == (206, whole[100:200])
    assert answer.headers["content-range"] == f"bytes 100-199/{len(whole)}"
    assert answer.headers["content-length"] == "100"


async def test_a_part_that_does_not_exist_is_refused() -> None:
    async with finished() as (http, path, whole):
        answer = await http.get(path, headers={"range": f"bytes={len(whole)}-"})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(whole)}")


async def test_the_whole_is_sent_when_it_is_no_longer_what_the_part_belongs_to() -> None:
    async with finished() as (http, path, whole):
        answer = await http.get(path, headers={"range": "bytes=0-9", "if-range": '"other"'})
    assert (answer.status_code, len(answer.content)) == (200, len(whole))


async def test_an_unchanged_result_is_not_sent_again() -> None:
    async with finished() as (http, path, _):
        etag = (await http.get(path)).headers["etag"]
        assert (await http.get(path, headers={"if-none-match": etag})).status_code == 304


async def test_a_head_request_has_the_length_and_no_body() -> None:
    async with listening(EASYROUTER) as caller:
        path = f"/media/{await caller.made('[take 0ms]')}.mp4"
        head, whole = await caller.http.head(path), await caller.http.get(path)
    assert (head.headers["content-length"], head.content) == (str(len(whole.content)), b"")
