"""Results that are kept: in a directory and in a bucket, before the event goes out, and for as long as was said."""

import asyncio
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace

import pytest

from service.dialects import DIALECTS
from service.model import Snapshot, Status
from service.settings import ArchiveSettings, Span
from service.settling import End
from service.store.tasks import claim_tasks
from service.worker import working
from tests.bucket import Bucket
from tests.hub import GATEWAY, SETTINGS, hub
from tests.servers import Sink

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
        (row,) = await it.services.database.read("expired_archived", now=2**50, limit=9)
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
