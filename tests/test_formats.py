"""The envelope: every key always there, whatever became of the task."""

import pytest

from tests.hub import hub

TASK = {
    *("id", "status", "title", "prompt", "gateway", "model", "video", "error", "cost", "created_at", "submitted_at"),
    *(
        "finished_at",
        "elapsed_seconds",
        "attempt",
        "fallback_from",
        "external_id",
        "result_source",
        "metadata",
        "links",
    ),
}
VIDEO = {
    *("url", "url_expires_at", "thumbnail_url", "preview_url", "duration_seconds", "width", "height", "aspect_ratio"),
    *("has_audio", "size_bytes", "mime_type"),
}


async def event_of(tmp_path, prompt):
    async with hub(tmp_path) as it:
        task = await it.ended(await it.submit(prompt))
        (event,) = await it.listed(f"/v1/events?task={task['id']}&type=task.{task['status']}")
        return event


@pytest.mark.parametrize("prompt", ["a cat", "[fail]", "[expire]", "[cancel]"])
async def test_an_event_has_all_the_keys_of_its_contract(tmp_path, prompt):
    event = await event_of(tmp_path, prompt)
    assert (set(event), TASK - set(event["data"]["task"])) == (
        {"id", "type", "timestamp", "api_version", "data"},
        set(),
    )


async def test_a_success_and_a_failure_have_the_same_keys(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    success, failure = await event_of(tmp_path / "a", "a cat"), await event_of(tmp_path / "b", "[fail]")
    assert set(success["data"]["task"]) == set(failure["data"]["task"])


async def test_a_video_has_all_the_keys_of_its_contract(tmp_path):
    event = await event_of(tmp_path, "a cat")
    assert VIDEO - set(event["data"]["task"]["video"]) == set()


async def test_an_error_has_all_the_keys_of_its_contract(tmp_path):
    event = await event_of(tmp_path, "[fail oops]")
    assert {"code", "message", "retryable", "gateway_code"} - set(event["data"]["task"]["error"]) == set()
