"""The gateway without a name: gateways.md F1 and F5, videos.txt."""

import pytest

from service.model import Status
from tests.dialects.contract import GatewayContract, Stated
from tests.dialects.given import BY_NAME, view

EACH = BY_NAME["videos-videos"]


class TestVideos(GatewayContract):
    gateway = "videos"
    base_url = None
    models = "seedance-2.0 seedance-2.0-fast"
    calls_back = True
    at_each_change = False
    pause_ms = 5_000
    result_needs_key = True
    shows_messages = False
    surfaces = (
        Stated(
            name="videos",
            routes=(
                "POST /v1/videos",
                "GET /v1/videos/{id}",
                "GET /v1/videos/{id}/content",
                "POST /v1/video/generations",
                "GET /v1/video/generations/{id}",
            ),
            ids="task_",
            words="SUBMITTED QUEUED IN_PROGRESS SUCCESS FAILURE FAILURE FAILURE",
        ),
    )


@pytest.mark.parametrize("wrapped", [False, True])
def test_f5_an_answer_is_read_flat_and_wrapped(wrapped: bool) -> None:
    """F5 GET: "Wrapping ? accept flat and {code,message,data}"."""
    task = {"task_id": "task_1", "status": "IN_PROGRESS", "progress": "50%"}
    snapshot = EACH.surface.read_task({"code": "success", "data": task} if wrapped else task)
    assert (snapshot.gateway_task_id, snapshot.status, snapshot.progress) == ("task_1", Status.RUNNING, 50)


def test_f5_the_result_is_a_path_on_the_gateway() -> None:
    """F5 GET; videos.txt "result_url": "Has the form /v1/videos/{task_id}/content"."""
    assert EACH.surface.write_task(view(EACH, Status.SUCCEEDED))["result_url"] == "/v1/videos/task_abc/content"


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_f5_link_and_reason_are_there_at_the_end_only(status: Status) -> None:
    """videos.txt: "present when status is SUCCESS", "present when status is FAILURE"."""
    assert not {"result_url", "fail_reason"} & EACH.surface.write_task(view(EACH, status)).keys()


def test_f5_progress_is_a_number_at_create_and_a_percentage_at_get() -> None:
    """F1 progress."""
    task = view(EACH, Status.RUNNING)
    assert (EACH.surface.write_receipt(task)["progress"], EACH.surface.write_task(task)["progress"]) == (50, "50%")


def test_f5_the_receipt_is_not_wrapped() -> None:
    """F5 Create answer; videos.txt "Response": "no data wrapper"."""
    assert EACH.surface.write_receipt(view(EACH, Status.QUEUED)) == {
        "id": "task_abc",
        "task_id": "task_abc",
        "object": "video",
        "model": "seedance-2.0",
        "status": "QUEUED",
        "progress": 0,
        "created_at": 1_770_000_000,
    }


def test_f8_times_are_unix_seconds() -> None:
    """F8.9: "seconds ASSUMED"."""
    assert EACH.surface.write_receipt(view(EACH, Status.QUEUED))["created_at"] == (1_770_000_000)
