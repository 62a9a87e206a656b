"""Results that are kept: in a directory and in a bucket, before the event goes out, and for as long as was said."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from service.archive.directory import Directory
from service.archive.pieces import PIECE
from service.archiver import key_of
from service.dialects import DIALECTS
from service.model import Snapshot, Status
from service.settings import ArchiveSettings, Span
from service.settling import End
from service.store.archived import give_up
from service.store.tasks import claim_tasks
from service.worker import working
from tests.bucket import Bucket
from tests.hub import GATEWAY, SETTINGS, hub
from tests.servers import Sink, serve
from tests.store.given import a_task

LINKS = "worldrouter"  # a gateway that has results nowhere but at its links
EVERY_GATEWAY = pytest.mark.parametrize("dialect", list(DIALECTS))


@pytest.fixture(params=["directory", "bucket"])
def kind(request):
    return request.param


@asynccontextmanager
async def archiving(tmp_path, kind="directory", dialect="easyrouter", *, failing=0, gateway=GATEWAY, **more):
    """A hub that archives, and the bucket, where it is one."""
    bucket = Bucket(failing=failing) if kind == "bucket" else None
    async with bucket.open() if bucket else nullcontext() as place:
        archive = ArchiveSettings(bucket=place, directory=None if place else str(tmp_path / "kept"), **more)
        async with hub(tmp_path, dialect, gateway=gateway, settings=replace(SETTINGS, archive=archive)) as it:
            yield it, bucket


async def finished(it, prompt="a cat", **more):
    return await it.ended(await it.submit(prompt, **more))


def files(tmp_path):
    return [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]


@EVERY_GATEWAY
async def test_a_kept_result_outlives_its_gateway(tmp_path, kind, dialect):
    """F8.6: the archive."""
    async with archiving(tmp_path, kind, dialect) as (it, _):
        task = await finished(it)
        video = it.sandbox.video(task["gateway_task_id"])
        it.sandbox._tasks.clear()
        answer = await it.http.get(task["video"]["url"], headers={"authorization": ""})
        assert (answer.status_code, answer.content) == (200, video)


async def test_a_range_of_a_kept_result_is_exact(tmp_path, kind):
    async with archiving(tmp_path, kind) as (it, _):
        task = await finished(it)
        video = it.sandbox.video(task["gateway_task_id"])
        answer = await it.http.get(task["video"]["url"], headers={"range": "bytes=7-1000"})
        assert (answer.status_code, answer.content) == (206, video[7:1001])
        assert answer.headers["content-range"] == f"bytes 7-1000/{len(video)}"


async def test_a_range_beyond_a_kept_result_is_refused(tmp_path, kind):
    async with archiving(tmp_path, kind) as (it, _):
        task = await finished(it)
        assert (await it.http.get(task["video"]["url"], headers={"range": "bytes=9999999-"})).status_code == 416


async def test_the_last_frame_is_kept_too(tmp_path, kind):
    async with archiving(tmp_path, kind) as (it, _):
        task = await finished(it, return_last_frame=True)
        frame = it.sandbox.last_frame(task["gateway_task_id"])
        it.sandbox._tasks.clear()
        assert (await it.http.get(task["video"]["last_frame_url"])).content == frame


async def test_the_result_is_kept_before_the_event_goes_out(tmp_path):
    async with archiving(tmp_path) as (it, _), Sink().open() as sink:
        seen: list[str] = []
        await it.subscribe(sink.url)
        task = await it.submit()

        def heard(requests):
            if requests:
                seen.extend(path.name for path in files(tmp_path))
            return requests

        await sink.wait_for(heard)
        assert seen == [f"{task['id']}.mp4"]


async def test_the_event_says_where_the_result_is_and_until_when(tmp_path):
    async with archiving(tmp_path, keep=Span(3_600_000)) as (it, _):
        task = await finished(it)
        (event,) = await it.listed(f"/v1/events?task={task['id']}&type=task.succeeded")
        video = event["data"]["task"]["video"]
        (row,) = await it.services.reads.expired_archived(2**50, 9)
        assert (video["stored"], row["task_id"]) == ("archive", task["id"])
        assert video["url_expires_at"] > event["timestamp"]
        assert video["size_bytes"] == len(it.sandbox.video(task["gateway_task_id"]))


async def test_a_result_that_a_callback_brings_is_kept_too(tmp_path):
    trusting = replace(GATEWAY, trust="trust", min_interval=Span(60_000))
    async with archiving(tmp_path, gateway=trusting) as (it, _):
        task = await finished(it)
        assert (task["video"]["stored"], task["result_source"]) == ("archive", "callback")


async def test_a_result_that_is_announced_before_its_create_is_answered_is_kept(tmp_path):
    trusting = replace(GATEWAY, trust="trust", min_interval=Span(60_000))
    async with archiving(tmp_path, gateway=trusting) as (it, _):
        task = await finished(it, "[slow create 500ms] [take 0ms]")
        assert (task["video"]["stored"], task["submission"]) == ("archive", "accepted")


async def test_a_place_that_fails_for_a_while_is_tried_again(tmp_path):
    async with archiving(tmp_path, "bucket", failing=1) as (it, bucket):
        task = await finished(it)
        assert (task["video"]["stored"], len(bucket.objects)) == ("archive", 1)


async def test_a_place_that_stays_away_does_not_keep_the_event(tmp_path):
    async with archiving(tmp_path, "bucket", failing=1_000, patience=Span(0)) as (it, _):
        task = await finished(it)
        assert (task["status"], task["video"]["stored"]) == ("succeeded", "gateway")
        assert (await it.http.get(task["video"]["url"])).is_success


@pytest.mark.parametrize("limits", [{"max_bytes": 100}, {"max_file": 100}], ids=str)
async def test_what_there_is_no_room_for_stays_at_its_gateway(tmp_path, kind, limits):
    async with archiving(tmp_path, kind, **limits) as (it, bucket):
        task = await finished(it)
        assert (task["status"], task["video"]["stored"]) == ("succeeded", "gateway")
        assert not (bucket.objects if bucket else files(tmp_path))


async def test_what_has_been_kept_for_long_enough_is_deleted(tmp_path, kind):
    async with archiving(tmp_path, kind, keep=Span(1)) as (it, bucket):
        await finished(it)
        await it.services.archiver.prune()
        assert not (bucket.objects if bucket else files(tmp_path))
        assert await it.services.reads.archived_size() == 0


async def test_what_is_still_to_be_kept_is_not_deleted(tmp_path, kind):
    async with archiving(tmp_path, kind) as (it, _):
        task = await finished(it)
        await it.services.archiver.prune()
        assert (await it.http.get(task["video"]["url"])).is_success


async def test_a_kept_file_that_is_gone_is_fetched_from_the_gateway(tmp_path):
    async with archiving(tmp_path) as (it, _):
        task = await finished(it)
        files(tmp_path)[0].unlink()
        answer = await it.http.get(task["video"]["url"])
        assert answer.content == it.sandbox.video(task["gateway_task_id"])


async def test_what_a_stopped_process_was_archiving_is_archived_by_the_next(tmp_path):
    archive = ArchiveSettings(directory=str(tmp_path / "kept"))
    async with hub(tmp_path, settings=replace(SETTINGS, archive=archive), worker=False) as it:
        task = await it.submit("[take 0ms]")
        snapshot = Snapshot(
            status=Status.SUCCEEDED, video_url=f"{it.sandbox.base_url}/media/{task['gateway_task_id']}.mp4"
        )
        await it.services.hub.end(task["id"], End(status=Status.SUCCEEDED, by="sweep", snapshot=snapshot))
        now = it.services.clock()
        (lost,) = await it.services.database.write(
            claim_tasks, "claim_tasks_to_archive", now=now, until=now + 50, lease="a process that is killed", limit=1
        )
        async with working(it.services):
            ended = await it.ended(task)
        assert (lost.id, ended["video"]["stored"]) == (task["id"], "archive")


async def test_a_result_is_archived_once_whatever_callbacks_come(tmp_path):
    async with archiving(tmp_path) as (it, _):
        await finished(it, "[duplicate x3]")
        ended = await it.listed("/v1/events?type=task.succeeded")
        await asyncio.gather(*(finished(it, "[duplicate x3]") for _ in range(3)))
        assert (len(ended), len(files(tmp_path)), len(await it.listed("/v1/events?type=task.succeeded"))) == (1, 4, 4)


async def test_failures_are_not_archived(tmp_path):
    async with archiving(tmp_path) as (it, _):
        assert (await finished(it, "[fail]"))["status"] == "failed"
        assert not files(tmp_path)


# --- what goes wrong on the way


class Results:
    """A server of results that counts who asks. A path that is not there yet is a 404."""

    def __init__(self, **found: bytes) -> None:
        self.found = found
        self.asked: list[str] = []
        self.length = True
        self.begun, self.let = asyncio.Event(), asyncio.Event()
        self.let.set()

    def open(self):
        return serve(Starlette(routes=[Route("/{name}.{ending}", self._answer)]))

    async def _answer(self, request: Request) -> Response:
        name, ending = request.path_params["name"], request.path_params["ending"]
        self.asked.append(name)
        if name not in self.found:
            return Response(status_code=404)
        body, media_type = self.found[name], {"mp4": "video/mp4", "png": "image/png"}[ending]
        headers = {"content-length": str(len(body))} if self.length else {}
        return StreamingResponse(self._slowly(body), headers=headers, media_type=media_type)

    async def _slowly(self, body: bytes) -> AsyncIterator[bytes]:
        yield body[:1]
        self.begun.set()
        await self.let.wait()
        yield body[1:]


async def announced(it, url, *, frame=True):
    """A task of which the gateway has just said that it succeeded, with results at this server."""
    task = await it.submit("[take 1h]")
    snapshot = Snapshot(
        status=Status.SUCCEEDED,
        video_url=f"{url}/video.mp4",
        last_frame_url=f"{url}/frame.png" if frame else None,
    )
    await it.services.hub.end(task["id"], End(status=Status.SUCCEEDED, by="sweep", snapshot=snapshot))
    return task


def stored(task):
    """Where the video is, and where its last frame."""
    video = task["video"]
    return video["stored"], "archive" if "/content/" in video["last_frame_url"] else "gateway"


async def known(it):
    """(keys that rows know, the room they take)"""
    rows = await it.services.reads.expired_archived(2**50, 99)
    return [row["key"] for row in rows], await it.services.reads.archived_size()


async def test_a_last_frame_that_cannot_be_had_loses_nothing_of_the_video(tmp_path):
    results = Results(video=b"v" * 500)
    async with results.open() as url, archiving(tmp_path, dialect=LINKS, patience=Span(1_500)) as (it, _):
        task = await it.ended(await announced(it, url))
        assert stored(task) == ("archive", "gateway")
        assert (results.asked.count("video"), results.asked.count("frame") > 1) == (1, True)
        await it.until(lambda: known(it), lambda found: found[1] == 500)
        assert [f"{path.parent.name}/{path.name}" for path in files(tmp_path)] == (await known(it))[0]


async def test_a_last_frame_is_kept_though_the_video_cannot_be_had(tmp_path):
    results = Results(frame=b"f" * 50)
    async with results.open() as url, archiving(tmp_path, dialect=LINKS, patience=Span(0)) as (it, _):
        task = await it.ended(await announced(it, url))
        assert stored(task) == ("gateway", "archive")
        assert (await it.http.get(task["video"]["last_frame_url"])).content == b"f" * 50


class Broken:
    """A place that fails in a way that nobody has thought of, after it has taken what it was given."""

    def __init__(self, archive):
        self.archive = archive

    async def put(self, key, media_type, chunks, most):
        await self.archive.put(key, media_type, chunks, most)
        raise RuntimeError("the moon is full")

    def __getattr__(self, name):
        return getattr(self.archive, name)


async def test_no_failure_keeps_the_event_longer_than_the_patience_and_no_file_is_left(tmp_path, kind):
    async with archiving(tmp_path, kind, patience=Span(500)) as (it, bucket):
        it.services.archiver._archive = Broken(it.services.archiver._archive)
        task = await finished(it)
        assert (task["status"], task["video"]["stored"]) == ("succeeded", "gateway")
        assert await it.until(lambda: known(it), lambda found: found == ([], 0))
        assert not (bucket.objects if bucket else files(tmp_path))


async def test_what_waits_for_an_archive_that_is_no_more_ends_without_it(tmp_path):
    archive = ArchiveSettings(directory=str(tmp_path / "kept"))
    results = Results(video=b"v" * 500, frame=b"f" * 50)
    async with results.open() as url:
        async with hub(tmp_path, LINKS, settings=replace(SETTINGS, archive=archive), worker=False) as it:
            task = await announced(it, url)
        async with hub(tmp_path, LINKS) as it:
            ended = await it.ended(task)
            assert stored(ended) == ("gateway", "gateway")
            assert len(await it.listed(f"/v1/events?task={task['id']}&type=task.succeeded")) == 1


async def test_the_key_is_that_of_the_submit_however_late_it_is_tried():
    assert key_of(a_task(id="task_1", created_at=1_790_000_000_000), "video") == "2026-09/task_1.mp4"


@pytest.mark.parametrize("length", [True, False], ids=["told", "untold"])
async def test_many_at_once_do_not_exceed_what_may_be_kept(tmp_path, length):
    results = Results(video=b"v" * 400)
    results.length = length
    limits = {"max_bytes": 1_000, "max_file": 600, "patience": Span(4_000)}
    async with results.open() as url, archiving(tmp_path, dialect=LINKS, **limits) as (it, _):
        tasks = [await it.ended(each) for each in [await announced(it, url, frame=False) for _ in range(5)]]
        assert [task["video"]["stored"] for task in tasks].count("archive") == 2
        await it.until(lambda: known(it), lambda found: found[1] == 800)


async def test_a_result_of_untold_length_takes_the_room_of_the_largest_while_it_comes(tmp_path):
    results = Results(video=b"v" * 400)
    results.length = False
    results.let.clear()
    async with results.open() as url, archiving(tmp_path, dialect=LINKS, max_file=600) as (it, _):
        task = await announced(it, url, frame=False)
        await results.begun.wait()
        await it.until(it.services.reads.archived_size, lambda size: size == 600)
        results.let.set()
        await it.ended(task)
        assert await it.services.reads.archived_size() == 400


@pytest.mark.parametrize("asked", [{}, {"range": "bytes=100-"}], ids=["whole", "a part"])
async def test_a_kept_file_that_has_lost_bytes_is_fetched_from_the_gateway(tmp_path, asked):
    async with archiving(tmp_path) as (it, _):
        task = await finished(it)
        files(tmp_path)[0].write_bytes(b"torn")
        answer = await it.http.get(task["video"]["url"], headers=asked)
        video = it.sandbox.video(task["gateway_task_id"])
        assert answer.content == (video[100:] if asked else video)


async def test_a_file_that_cannot_be_deleted_keeps_no_other(tmp_path):
    async with archiving(tmp_path) as (it, _):
        tasks = [await finished(it) for _ in range(3)]
        for task in tasks:
            await it.services.database.write(give_up, task["id"], ["video"], 0)
        first = next(path for path in files(tmp_path) if tasks[0]["id"] in path.name)
        first.unlink()
        (first / "a folder in its place").mkdir(parents=True)
        await it.services.archiver.prune()
        keys, _ = await known(it)
        assert (files(tmp_path), keys) == ([], [f"{first.parent.name}/{first.name}"])


# --- a directory


async def read_back(directory, key):
    async with directory.read(key, "video/mp4", None) as part:
        return b"".join([chunk async for chunk in part.chunks])


async def test_of_two_writers_of_one_key_neither_gets_bytes_of_the_other(tmp_path):
    directory, went_on, begun = Directory(str(tmp_path)), asyncio.Event(), asyncio.Event()
    data = bytes(range(256)) * 16 * 1024  # more than one piece

    async def late():  # whose lease has run out in the middle
        yield data[: 2 * PIECE]
        begun.set()
        await went_on.wait()
        yield data[2 * PIECE :]

    async def once():
        yield data

    first = asyncio.create_task(directory.put("m/k.mp4", "video/mp4", late(), 2**30))
    await begun.wait()
    assert await directory.put("m/k.mp4", "video/mp4", once(), 2**30) == len(data)
    went_on.set()
    with pytest.raises(OSError, match=r"k\.mp4"):
        await first
    assert await read_back(directory, "m/k.mp4") == data


async def test_what_a_killed_process_had_begun_is_deleted_with_its_file(tmp_path):
    directory = Directory(str(tmp_path))
    begun = asyncio.Event()

    async def never_ending():
        yield b"x" * 2 * PIECE
        begun.set()
        await asyncio.Event().wait()

    killed = asyncio.create_task(directory.put("m/k.mp4", "video/mp4", never_ending(), 2**30))
    await begun.wait()
    assert [path for path in tmp_path.rglob("*") if path.is_file()]
    await directory.delete("m/k.mp4")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    killed.cancel()


async def test_without_its_archive_a_result_is_not_said_to_be_in_it(tmp_path):
    async with archiving(tmp_path) as (it, _):
        task = await finished(it)
    async with hub(tmp_path, worker=False) as it:
        assert (await it.task(task["id"]))["video"]["stored"] == "gateway"
