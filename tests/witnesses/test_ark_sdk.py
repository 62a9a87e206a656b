"""The official Ark SDK of Volcengine against the APIs that we serve, unmodified but for its base URL and key."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from service.settings import Span
from tests.dropping import broken_wire
from tests.hub import SANDBOX, SETTINGS, Hub, hub
from tests.store.given import sql

ark = pytest.importorskip("volcenginesdkarkruntime", reason="the witness extra is not installed")
errors = pytest.importorskip("volcenginesdkarkruntime._exceptions")

TEXT: Any = [{"type": "text", "text": "a cat"}]
MODEL = "doubao-seedance-2-0-260128"
LONG = replace(SANDBOX, queue_ms=(60_000, 60_000))
RUNNING = replace(SANDBOX, run_ms=(60_000, 60_000))
SETTLED = ("succeeded", "failed", "cancelled", "expired")
PATIENT = replace(SETTINGS, submit=replace(SETTINGS.submit, timeout=Span(8_000)))


@asynccontextmanager
async def sdk(it: Hub, base_url: str | None = None) -> AsyncIterator[Any]:
    """The tasks of the SDK's client, as the caller of a hub."""
    key = it.http.headers["authorization"].removeprefix("Bearer ")
    async with ark.AsyncArk(base_url=f"{base_url or it.base_url}/{it.dialect.name}/api/v3", api_key=key) as client:
        yield client.content_generation.tasks


async def ended(it: Hub, tasks: Any, task_id: str) -> Any:
    return await it.until(lambda: tasks.get(task_id=task_id), lambda task: task.status in SETTLED)


@pytest.mark.parametrize(
    ("dialect", "model"),
    [("ark", MODEL), ("worldrouter", "seedance-2.0"), ("cubicspaces", "doubao-seedance-2.0")],
)
async def test_a_task_is_created_and_followed_to_its_video(tmp_path, dialect, model):
    async with hub(tmp_path, dialect) as it, sdk(it) as tasks:
        created = await tasks.create(model=model, content=TEXT, duration=5)
        task = await ended(it, tasks, created.id)
        assert (task.id, task.model, task.status) == (created.id, model, "succeeded")
        assert task.content.video_url


async def test_every_parameter_that_it_can_send_is_taken(tmp_path):
    async with hub(tmp_path, "ark", sandbox=LONG) as it, sdk(it) as tasks:
        frame: Any = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}, "role": "first_frame"}
        created = await tasks.create(
            model=MODEL,
            content=[*TEXT, frame],
            safety_identifier="me",
            callback_url=f"{it.base_url}/callbacks/mine/x",
            return_last_frame=True,
            service_tier="default",
            execution_expires_after=3_600,
            priority=3,
            generate_audio=True,
            draft=False,
            camera_fixed=False,
            watermark=True,
            seed=7,
            resolution="720p",
            ratio="16:9",
            duration=5,
            tools=[{"type": "web_search"}],
            output_format="mp4",
        )
        assert created.safety_identifier == "me"
        task = await tasks.get(task_id=created.id)
        said = (task.seed, task.resolution, task.ratio, task.duration, task.priority, task.execution_expires_after)
        assert said == (7, "720p", "16:9", 5, 3, 3_600)


async def test_a_failed_task_shows_its_error(tmp_path):
    async with hub(tmp_path, "ark") as it, sdk(it) as tasks:
        content = [{"type": "text", "text": "[fail OutputVideoSensitiveContentDetected]"}]
        task = await ended(it, tasks, (await tasks.create(model=MODEL, content=content)).id)
        assert (task.status, task.error.code) == ("failed", "OutputVideoSensitiveContentDetected")


async def test_tasks_are_listed_by_page_and_by_id(tmp_path):
    async with hub(tmp_path, "ark", sandbox=LONG) as it, sdk(it) as tasks:
        ids = [(await tasks.create(model=MODEL, content=TEXT)).id for _ in range(3)][::-1]
        page = await tasks.list(page_num=2, page_size=2)
        assert (page.total, [task.id for task in page.items]) == (3, ids[2:])
        some = await tasks.list(task_ids=ids[:2], status="queued", model=MODEL, service_tier="default")
        assert (some.total, [task.id for task in some.items]) == (2, ids[:2])


async def test_a_queued_task_is_cancelled_by_delete(tmp_path):
    async with hub(tmp_path, "ark", sandbox=LONG) as it, sdk(it) as tasks:
        created = await tasks.create(model=MODEL, content=TEXT)
        await tasks.delete(created.id)
        assert (await tasks.get(task_id=created.id)).status == "cancelled"


async def test_a_finished_task_is_gone_after_delete(tmp_path):
    async with hub(tmp_path, "ark") as it, sdk(it) as tasks:
        created = await tasks.create(model=MODEL, content=TEXT)
        await ended(it, tasks, created.id)
        await tasks.delete(created.id)
        with pytest.raises(errors.ArkNotFoundError):
            await tasks.get(task_id=created.id)


async def test_a_running_task_is_refused_once_and_not_tried_again(tmp_path):
    async with hub(tmp_path, "ark", sandbox=RUNNING, worker=False) as it, sdk(it) as tasks:
        created = await tasks.create(model=MODEL, content=TEXT)
        with pytest.raises(errors.ArkConflictError) as caught:
            await tasks.delete(created.id)
        assert caught.value.code == "InvalidAction.RunningTaskDeletion"
        assert it.sandbox.log.gets_by_task.total() == 1


async def test_a_bad_request_is_told_in_its_own_words(tmp_path):
    async with hub(tmp_path, "ark") as it, sdk(it) as tasks:
        with pytest.raises(errors.ArkBadRequestError) as caught:
            await tasks.create(model=MODEL, content=TEXT, duration=99)
        assert (caught.value.code, caught.value.param, it.made()) == ("InvalidParameter", "duration", 0)


async def test_a_create_whose_reply_is_lost_twice_is_one_task(tmp_path):
    """gateways.md section 2, measured: "server reads the POST and drops the connection: 3 paid tasks"."""
    async with hub(tmp_path, "ark", settings=PATIENT) as it:

        async def made() -> None:
            await it.until(lambda: it.listed("/v1/tasks"), len)

        async def taken() -> None:  # by the second attempt
            await it.until(lambda: waiting(it), len)

        async with broken_wire(it.base_url, made, taken) as base_url, sdk(it, base_url) as tasks:
            content = [{"type": "text", "text": "[slow create 3500ms]"}]
            created = await tasks.create(model=MODEL, content=content)
            assert [task["id"] for task in await it.listed("/v1/tasks")] == [created.id.replace("cgt-", "task_")]
            assert it.made() == 1


async def waiting(it: Hub) -> Any:
    """The creates that are noted as unanswered and whose callers are there."""
    return await it.services.database.write(sql, "SELECT task_id FROM unanswered_creates WHERE gone_at IS NULL")


async def test_a_create_in_doubt_is_not_tried_again(tmp_path):
    async with hub(tmp_path, "ark") as it, sdk(it) as tasks:
        with pytest.raises(errors.ArkAPIStatusError) as caught:
            await tasks.create(model=MODEL, content=[{"type": "text", "text": "[drop] [lost]"}])
        assert (caught.value.status_code, it.made()) == (504, 1)
