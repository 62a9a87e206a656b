"""EasyRouter: gateways.md F1 and F3, easyrouter.txt."""

from typing import Any

import pytest

from service.dialects import DIALECTS
from service.model import Status
from service.wire import Json
from tests.dialects.contract import GatewayContract, Stated
from tests.dialects.given import BY_NAME, RESULT, view

EACH = BY_NAME["easyrouter-unified"]


class TestEasyRouter(GatewayContract):
    gateway = "easyrouter"
    base_url = "https://easyrouter.io"
    models = "dreamina-seedance-2-0 dreamina-seedance-2-0-fast"
    calls_back = True
    at_each_change = True
    pause_ms = 1_000
    result_needs_key = False
    shows_messages = True
    surfaces = (
        Stated(
            name="unified",
            routes=(
                "POST /v1/video/generations",
                "GET /v1/video/generations/{id}",
                "GET /v1/videos/{id}/content",
            ),
            ids="task_",
            words="SUBMITTED QUEUED IN_PROGRESS SUCCESS FAILURE FAILURE FAILURE",
        ),
    )


def easyrouter_answer(**task: Any) -> Json:
    return {"code": "success", "message": "", "data": {"task_id": "task_1", "status": "SUCCESS"} | task}


def test_f3_the_link_is_taken_from_the_raw_task_when_there_is_no_other() -> None:
    """F3 "Get answer": data.result_url / data.data.content.video_url."""
    body = easyrouter_answer(result_url="", data={"content": {"video_url": RESULT}})
    assert EACH.surface.read_task(body).video_url == RESULT


def test_f3_text_in_result_url_of_a_failed_task_is_no_link() -> None:
    """F3 "Quirks"."""
    body = easyrouter_answer(status="FAILURE", result_url="upstream error", fail_reason="moderation")
    snapshot = EACH.surface.read_task(body)
    assert (snapshot.video_url, snapshot.error and snapshot.error.message) == (None, "moderation")


def test_f3_the_word_of_the_gateway_counts_and_not_arks() -> None:
    """F3 "Quirks": data.data.status is Ark's word."""
    body = easyrouter_answer(status="IN_PROGRESS", data={"status": "succeeded"})
    assert EACH.surface.read_task(body).status is Status.RUNNING


@pytest.mark.parametrize("word", ["cancelled", "expired"])
def test_f3_ark_tells_why_a_task_is_a_failure(word: str) -> None:
    body = easyrouter_answer(status="FAILURE", data={"status": word})
    assert EACH.surface.read_task(body).status == word


def test_f3_the_last_frame_is_read_from_the_raw_task() -> None:
    content = {"video_url": RESULT, "last_frame_url": "https://media.example.com/last.png"}
    snapshot = EACH.surface.read_task(easyrouter_answer(data={"content": content}))
    assert snapshot.last_frame_url == "https://media.example.com/last.png"


@pytest.mark.parametrize("name", ["easyrouter", "videos"])
def test_f3_arks_own_id_in_a_callback_is_not_taken_for_the_gateways(name: str) -> None:
    """F3 "Callback": id = cgt-… unknown to us."""
    body = {"id": "cgt-20260508183637-m6gj8", "status": "succeeded", "content": {"video_url": RESULT}}
    snapshot = DIALECTS[name].read_callback(body)
    assert (snapshot.gateway_task_id, snapshot.status, snapshot.video_url) == (None, Status.SUCCEEDED, RESULT)


@pytest.mark.parametrize("name", ["easyrouter", "videos"])
def test_f3_a_callback_in_the_shape_of_a_query_is_read_too(name: str) -> None:
    snapshot = DIALECTS[name].read_callback(easyrouter_answer(result_url=RESULT))
    assert (snapshot.gateway_task_id, snapshot.status, snapshot.video_url) == ("task_1", Status.SUCCEEDED, RESULT)


def test_f3_the_receipt_is_at_0_whatever_is_known() -> None:
    """F3 "Create answer": progress 0."""
    assert EACH.surface.write_receipt(view(EACH, Status.RUNNING))["progress"] == 0
