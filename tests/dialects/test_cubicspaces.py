"""CubicSpaces: gateways.md F1 and F4, cubicspaces.txt."""

import pytest

from service.dialects import DIALECTS
from service.model import Status
from service.wire import Json
from tests.dialects.contract import GatewayContract, Stated
from tests.dialects.given import BY_NAME, RESULT, view

EACH = BY_NAME["cubicspaces-official"]


class TestCubicSpaces(GatewayContract):
    gateway = "cubicspaces"
    base_url = "https://cubicspaces.cloud"
    models = "doubao-seedance-2.0"
    calls_back = False
    at_each_change = False
    pause_ms = 1_000
    result_needs_key = False
    shows_messages = True
    surfaces = (
        Stated(
            name="official",
            routes=(
                "POST /api/v3/contents/generations/tasks",
                "GET /api/v3/contents/generations/tasks/{id}",
            ),
            ids="task_",
            words="queued queued running succeeded failed failed failed",
        ),
        Stated(
            name="unified",
            routes=(
                "POST /v1/video/generations",
                "GET /v1/video/generations/{id}",
            ),
            ids="video_",
            words="queued queued in_progress completed failed failed failed",
        ),
    )


def test_f4_the_official_surface_is_the_one_that_our_client_uses() -> None:
    assert [surface.name for surface in DIALECTS["cubicspaces"].surfaces] == ["official", "unified"]


CUBIC: list[Json] = [
    {"id": "video_1", "object": "video", "status": "completed", "metadata": {"url": RESULT}},
    {"id": "video_1", "status": "succeeded", "content": {"video_url": RESULT}},
    {"code": "success", "message": "", "data": {"task_id": "video_1", "status": "SUCCESS", "result_url": RESULT}},
    {"code": "success", "data": {"id": "video_1", "status": "completed", "metadata": {"url": RESULT}}},
]


@pytest.mark.parametrize("body", CUBIC, ids=["openai", "ark", "new-api", "wrapped"])
def test_f4_the_answer_that_is_not_shown_is_read_in_any_shape(body: Json) -> None:
    """F4: "GET body is not shown"."""
    snapshot = BY_NAME["cubicspaces-unified"].surface.read_task(body)
    assert (snapshot.gateway_task_id, snapshot.status, snapshot.video_url) == ("video_1", Status.SUCCEEDED, RESULT)


def test_f4_the_video_url_is_read_from_metadata() -> None:
    """cubicspaces.txt "read the video URL from metadata.url"."""
    each = BY_NAME["cubicspaces-unified"]
    assert each.surface.write_task(view(each, Status.SUCCEEDED))["metadata"] == {"url": RESULT}


@pytest.mark.parametrize("word", ["cancelled", "expired"])
def test_f4_words_beyond_the_four_are_read(word: str) -> None:
    """F4 Status table: "accept cancelled/expired"."""
    assert EACH.surface.read_task({"id": "task_1", "status": word}).status == word


def test_f4_the_official_receipt_echoes_the_service_fields_of_the_request() -> None:
    """F4 official Create answer."""
    request = EACH.surface.read_create(
        {"model": "doubao-seedance-2.0", "content": [{"type": "text", "text": "a cat"}], "service_tier": "flex"}
    )
    receipt = EACH.surface.write_receipt(view(EACH, Status.RUNNING, request=request))
    assert (receipt["service_tier"], receipt["execution_expires_after"]) == ("flex", 172_800)


@pytest.mark.parametrize("name", ["worldrouter-official", "cubicspaces-official", "cubicspaces-unified"])
def test_f1_a_wish_for_a_callback_is_read_where_none_is_documented(name: str) -> None:
    """F1: callback field SILENT; an operator may switch it on."""
    each = BY_NAME[name]
    assert not each.dialect.calls_back
    assert each.surface.callback_path[-1] == "callback_url"
