"""gateways.md F1 to F6 and F8: where each gateway is, what it can do, and the quirks of its answers."""

from typing import Any

import pytest

from service.dialects import DIALECTS
from service.model import Status
from service.wire import Json
from tests.dialects.given import RESULT, SPOKEN, view

BY_NAME = {str(each): each for each in SPOKEN}
ARK = "/api/v3/contents/generations/tasks"
UNIFIED = "/v1/video/generations"
CONTENT = "GET /v1/videos/{id}/content"
INK = "/api/open/v1/video/generations"

ROUTES = {
    "worldrouter-official": [f"POST {ARK}", f"GET {ARK}/{{id}}"],
    "easyrouter-unified": [f"POST {UNIFIED}", f"GET {UNIFIED}/{{id}}", CONTENT],
    "cubicspaces-official": [f"POST {ARK}", f"GET {ARK}/{{id}}"],
    "cubicspaces-unified": [f"POST {UNIFIED}", f"GET {UNIFIED}/{{id}}"],
    "videos-videos": ["POST /v1/videos", "GET /v1/videos/{id}", CONTENT, f"POST {UNIFIED}", f"GET {UNIFIED}/{{id}}"],
    "ark-official": [f"POST {ARK}", f"GET {ARK}/{{id}}", f"GET {ARK}", f"DELETE {ARK}/{{id}}"],
    "seedance2-open": [
        f"POST {INK}",
        f"GET {INK}/{{id}}",
        f"POST {INK}/{{id}}/cancel",
        "GET /api/open/v1/models",
    ],
    "openai-openai": [
        "POST /v1/videos",
        "GET /v1/videos",
        "GET /v1/videos/{id}",
        CONTENT,
        "DELETE /v1/videos/{id}",
        "GET /v1/models",
        "POST /v1/videos/{id}/remix",
        "POST /v1/videos/edits",
        "POST /v1/videos/extensions",
        "POST /v1/videos/characters",
    ],
}

# dialect -> base URL, models, calls back, at every change, shortest interval in ms, result needs the key
FACTS: dict[str, tuple[str | None, str, bool, bool, int, bool]] = {
    "worldrouter": (
        "https://inference-api-pre-d80ca3.worldrouter.ai",
        "seedance-2.0 seedance-2.0-fast",
        False,
        False,
        1_000,
        False,
    ),
    "easyrouter": (
        "https://easyrouter.io",
        "dreamina-seedance-2-0 dreamina-seedance-2-0-fast",
        True,
        True,
        1_000,
        False,
    ),
    "cubicspaces": ("https://cubicspaces.cloud", "doubao-seedance-2.0", False, False, 1_000, False),
    "videos": (None, "seedance-2.0 seedance-2.0-fast", True, False, 5_000, True),
    "seedance2": (
        "https://www.seedance2.ink",
        "seedance-2.0 seedance-2.0-fast seedance-1.5-pro",
        True,
        False,
        1_000,
        False,
    ),
    "ark": (
        "https://ark.cn-beijing.volces.com",
        "doubao-seedance-2-0-260128 doubao-seedance-2-0-fast-260128 doubao-seedance-2-0-mini-260615 "
        "doubao-seedance-2-5-260628 dreamina-seedance-2-0-260128",
        True,
        True,
        1_000,
        False,
    ),
    "openai": (None, "sora-2 sora-2-pro", False, False, 1_000, True),
}


@pytest.mark.parametrize("name", ROUTES)
def test_f1_every_documented_route_is_there_and_the_primary_one_first(name: str) -> None:
    """F1: the rows create, get, content, cancel and other; section 3, the table of calls."""
    assert [f"{route.method} {route.path}" for route in BY_NAME[name].surface.routes] == ROUTES[name]


@pytest.mark.parametrize("name", FACTS)
def test_f1_a_dialect_knows_the_facts_of_its_gateway(name: str) -> None:
    """F1: the rows base, models and callback field; F5 "NEVER below 5 s"; F1 result URL."""
    one = DIALECTS[name]
    facts = one.calls_back, one.callback_per_status, one.min_interval_ms, one.result_needs_key
    assert (one.base_url, " ".join(one.models), *facts) == FACTS[name]


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("worldrouter-official", "task-"),
        ("easyrouter-unified", "task_"),
        ("cubicspaces-official", "task_"),
        ("cubicspaces-unified", "video_"),
        ("videos-videos", "task_"),
        ("seedance2-open", "req_"),
        ("ark-official", "cgt-"),
    ],
)
def test_f1_ids_start_as_those_of_the_gateway_do(name: str, prefix: str) -> None:
    """F1: the row id."""
    assert BY_NAME[name].surface.id_prefix == prefix


def test_f4_the_official_surface_is_the_one_that_our_client_uses() -> None:
    assert [surface.name for surface in DIALECTS["cubicspaces"].surfaces] == ["official", "unified"]


def test_f8_times_are_unix_seconds() -> None:
    """F8.9: "seconds ASSUMED"."""
    assert BY_NAME["videos-videos"].surface.write_receipt(view(BY_NAME["videos-videos"], Status.QUEUED))[
        "created_at"
    ] == (1_770_000_000)


def test_f2_a_failed_task_has_an_error_object() -> None:
    """F2 "Failure object ? ASSUME error{code,message}"."""
    each = BY_NAME["worldrouter-official"]
    assert each.surface.write_task(view(each, Status.FAILED))["error"] == {"code": "oops", "message": "it went wrong"}


def test_f2_the_receipt_has_the_id_and_a_request_id_only() -> None:
    each = BY_NAME["worldrouter-official"]
    assert each.surface.write_receipt(view(each, Status.QUEUED)).keys() == {"id", "requestId"}


def easyrouter_answer(**task: Any) -> Json:
    return {"code": "success", "message": "", "data": {"task_id": "task_1", "status": "SUCCESS"} | task}


def test_f3_the_link_is_taken_from_the_raw_task_when_there_is_no_other() -> None:
    """F3 "Get answer": data.result_url / data.data.content.video_url."""
    body = easyrouter_answer(result_url="", data={"content": {"video_url": RESULT}})
    assert BY_NAME["easyrouter-unified"].surface.read_task(body).video_url == RESULT


def test_f3_text_in_result_url_of_a_failed_task_is_no_link() -> None:
    """F3 "Quirks"."""
    body = easyrouter_answer(status="FAILURE", result_url="upstream error", fail_reason="moderation")
    snapshot = BY_NAME["easyrouter-unified"].surface.read_task(body)
    assert (snapshot.video_url, snapshot.error and snapshot.error.message) == (None, "moderation")


def test_f3_the_word_of_the_gateway_counts_and_not_arks() -> None:
    """F3 "Quirks": data.data.status is Ark's word."""
    body = easyrouter_answer(status="IN_PROGRESS", data={"status": "succeeded"})
    assert BY_NAME["easyrouter-unified"].surface.read_task(body).status is Status.RUNNING


@pytest.mark.parametrize("word", ["cancelled", "expired"])
def test_f3_ark_tells_why_a_task_is_a_failure(word: str) -> None:
    body = easyrouter_answer(status="FAILURE", data={"status": word})
    assert BY_NAME["easyrouter-unified"].surface.read_task(body).status == word


def test_f3_the_last_frame_is_read_from_the_raw_task() -> None:
    content = {"video_url": RESULT, "last_frame_url": "https://media.example.com/last.png"}
    snapshot = BY_NAME["easyrouter-unified"].surface.read_task(easyrouter_answer(data={"content": content}))
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
    each = BY_NAME["easyrouter-unified"]
    assert each.surface.write_receipt(view(each, Status.RUNNING))["progress"] == 0


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
    """F4: "accept cancelled/expired"."""
    assert BY_NAME["cubicspaces-official"].surface.read_task({"id": "task_1", "status": word}).status == word


def test_f4_the_official_receipt_echoes_the_service_fields_of_the_request() -> None:
    each = BY_NAME["cubicspaces-official"]
    request = each.surface.read_create(
        {"model": "doubao-seedance-2.0", "content": [{"type": "text", "text": "a cat"}], "service_tier": "flex"}
    )
    receipt = each.surface.write_receipt(view(each, Status.RUNNING, request=request))
    assert (receipt["service_tier"], receipt["execution_expires_after"]) == ("flex", 172_800)


@pytest.mark.parametrize("wrapped", [False, True])
def test_f5_an_answer_is_read_flat_and_wrapped(wrapped: bool) -> None:
    """F5: "Wrapping ? accept flat and {code,message,data}"."""
    task = {"task_id": "task_1", "status": "IN_PROGRESS", "progress": "50%"}
    snapshot = BY_NAME["videos-videos"].surface.read_task({"code": "success", "data": task} if wrapped else task)
    assert (snapshot.gateway_task_id, snapshot.status, snapshot.progress) == ("task_1", Status.RUNNING, 50)


def test_f5_the_result_is_a_path_on_the_gateway() -> None:
    """videos.txt "result_url": "Has the form /v1/videos/{task_id}/content"."""
    each = BY_NAME["videos-videos"]
    assert each.surface.write_task(view(each, Status.SUCCEEDED))["result_url"] == "/v1/videos/task_abc/content"


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_f5_link_and_reason_are_there_at_the_end_only(status: Status) -> None:
    """videos.txt: "present when status is SUCCESS", "present when status is FAILURE"."""
    each = BY_NAME["videos-videos"]
    assert not {"result_url", "fail_reason"} & each.surface.write_task(view(each, status)).keys()


def test_f5_progress_is_a_number_at_create_and_a_percentage_at_get() -> None:
    """F1: the row progress."""
    each = BY_NAME["videos-videos"]
    task = view(each, Status.RUNNING)
    assert (each.surface.write_receipt(task)["progress"], each.surface.write_task(task)["progress"]) == (50, "50%")


def test_f5_the_receipt_is_not_wrapped() -> None:
    """videos.txt "Response": "no data wrapper"."""
    each = BY_NAME["videos-videos"]
    assert each.surface.write_receipt(view(each, Status.QUEUED)) == {
        "id": "task_abc",
        "task_id": "task_abc",
        "object": "video",
        "model": "seedance-2.0",
        "status": "QUEUED",
        "progress": 0,
        "created_at": 1_770_000_000,
    }


@pytest.mark.parametrize("status", list(Status))
def test_f6_a_failed_task_is_a_successful_query(status: Status) -> None:
    """F6: "A FAILED task still has success:true"."""
    each = BY_NAME["seedance2-open"]
    assert each.surface.write_task(view(each, status))["success"] is True


def test_f6_resolution_and_metadata_are_not_echoed() -> None:
    """F6: "resolution/metadata not echoed"."""
    each = BY_NAME["seedance2-open"]
    request = each.surface.read_create(
        {"model": "seedance-2.0", "prompt": "a cat", "resolution": "720p", "metadata": {"secret": "of the caller"}}
    )
    for write in (each.surface.write_receipt, each.surface.write_task, each.dialect.write_callback):
        body = write(view(each, Status.SUCCEEDED, request=request))
        assert not {"resolution", "metadata"} & body.keys()


@pytest.mark.parametrize("envelope", [None, "event", "type"])
def test_f6_a_webhook_is_read_with_and_without_an_envelope(envelope: str | None) -> None:
    """F6 "Webhook body ?": accept {event|type, data:{…}} too."""
    task: Json = {"success": True, "requestId": "req_1", "status": "succeeded", "output": {"url": RESULT}}
    body = {envelope: "video.completed", "data": task} if envelope else task
    snapshot = DIALECTS["seedance2"].read_callback(body)
    assert (snapshot.gateway_task_id, snapshot.status, snapshot.video_url) == ("req_1", Status.SUCCEEDED, RESULT)


@pytest.mark.parametrize("name", ["worldrouter-official", "cubicspaces-official", "cubicspaces-unified"])
def test_f1_a_wish_for_a_callback_is_read_where_none_is_documented(name: str) -> None:
    """F1: callback field SILENT; an operator may switch it on."""
    each = BY_NAME[name]
    assert not each.dialect.calls_back
    assert each.surface.callback_path[-1] == "callback_url"


# --- the official Ark API: gateways.md section 2

OFFICIAL_ARK = BY_NAME["ark-official"]


def test_ark_answers_a_create_with_the_id_and_the_identifier_of_the_caller() -> None:
    """Section 2 "create": "(+ safety_identifier echo) nothing else; no status"."""
    request = OFFICIAL_ARK.surface.read_create(
        {"model": "ep-1", "content": [{"type": "text", "text": "a cat"}], "safety_identifier": "me"}
    )
    write = OFFICIAL_ARK.surface.write_receipt
    assert write(view(OFFICIAL_ARK, Status.QUEUED, request=request)) == {"id": "cgt-abc", "safety_identifier": "me"}
    assert write(view(OFFICIAL_ARK, Status.QUEUED)) == {"id": "cgt-abc"}


@pytest.mark.parametrize("status", list(Status))
def test_ark_has_an_error_object_or_null(status: Status) -> None:
    """Section 2 "task object": "error (null or {code,message})"."""
    error = OFFICIAL_ARK.surface.write_task(view(OFFICIAL_ARK, status))["error"]
    assert error == ({"code": "oops", "message": "it went wrong"} if status is Status.FAILED else None)


def test_ark_shows_a_duration_or_frames_and_not_both() -> None:
    """Section 2 "task object": "duration XOR frames"."""
    body = {"model": "ep-1", "content": [{"type": "text", "text": "a cat"}], "frames": 121, "duration": 5}
    task = OFFICIAL_ARK.surface.write_task(
        view(OFFICIAL_ARK, Status.RUNNING, request=OFFICIAL_ARK.surface.read_create(body))
    )
    assert (task["frames"], "duration" in task) == (121, False)


def test_ark_shows_the_tier_and_the_expiry_that_a_task_has_by_default() -> None:
    task = OFFICIAL_ARK.surface.write_task(view(OFFICIAL_ARK, Status.QUEUED))
    assert (task["service_tier"], task["execution_expires_after"]) == ("default", 172_800)


def test_ark_calls_back_about_every_status_but_cancelled() -> None:
    """Section 2 "callback_url contract": "`cancelled` is NOT listed"."""
    assert set(Status) - set(DIALECTS["ark"].called_back) == {Status.CANCELLED}


def test_ark_takes_models_and_endpoints_that_it_does_not_list() -> None:
    """Section 2 "model": "model id or ep-…"."""
    assert [name for name, dialect in DIALECTS.items() if dialect.open_models] == ["ark"]
