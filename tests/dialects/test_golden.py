"""The documented examples, word for word, through both halves of every dialect."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from service.model import Snapshot, Status, VideoRequest, View
from service.wire import Json, pick
from tests.dialects.given import Spoken, spoken
from tests.golden import Golden, golden, goldens

CREATES = goldens("create-*.request")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A documented answer to a documented request.

    reads: what our client must see in it. ours: the places where our server says something else, each for a reason.
    """

    gateway: str
    name: str
    request: str
    reads: Json
    message: str = "task"
    ours: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.gateway}/{self.name}"


RIVER = "https://pub-your-bucket.r2.dev/open-api-results/req_1234567890.mp4"
CGT = "cgt-20260401123456-abcde"
TOS = "https://ark-acg-...volces.com/xxx.mp4?X-Tos-..."

ANSWERS = [
    Answer(
        gateway="worldrouter",
        name="create",
        request="create-text",
        message="receipt",
        reads={"status": Status.QUEUED, "gateway_task_id": "task-123"},
    ),
    Answer(
        gateway="worldrouter",
        name="get-succeeded",
        request="create-text",
        reads={
            "status": Status.SUCCEEDED,
            "word": "succeeded",
            "gateway_task_id": "task-123",
            "video_url": "https://media.example.com/seedance/output.mp4",
            "usage": {"output_tokens": 7522},
            "details": {"resolution": "720p", "duration": 5},
        },
    ),
    Answer(
        gateway="easyrouter",
        name="create",
        request="create-text",
        message="receipt",
        reads={"status": Status.QUEUED, "word": "queued", "gateway_task_id": "task_xxxxxxxxxxxxx", "progress": 0},
    ),
    Answer(
        gateway="easyrouter",
        name="get-succeeded",
        request="create-text",
        reads={
            "status": Status.SUCCEEDED,
            "word": "SUCCESS",
            "gateway_task_id": "task_jEctEHDF1vefS2L3HND2JnzXPslnAYby",
            "progress": 100,
            "video_url": TOS,
            "usage": {"total_tokens": 108900, "completion_tokens": 108900, "quota": 818125},
            "details": {
                "duration": 5,
                "resolution": "720p",
                "ratio": "16:9",
                "seed": 42,
                "draft": False,
                "framespersecond": 24,
                "generate_audio": True,
                "service_tier": "default",
                "execution_expires_after": 172800,
            },
        },
        ours={
            "data.id": "the gateway's own row number",
            "data.channel_id": "the gateway's own",
            "data.properties.upstream_model_name": "nothing tells us",
            "data.data.model": "nothing tells us",
            "data.data.id": "Ark's own",
            "data.data.updated_at": "a task has one time of change here",
        },
    ),
    Answer(
        gateway="cubicspaces",
        name="create-unified",
        request="create-unified-text",
        message="receipt",
        reads={"status": Status.QUEUED, "word": "queued", "gateway_task_id": "video_xxx", "progress": 0},
    ),
    Answer(
        gateway="cubicspaces",
        name="create-official",
        request="create-official-text",
        message="receipt",
        reads={
            "status": Status.RUNNING,
            "word": "running",
            "gateway_task_id": "task_xxx",
            "details": {"service_tier": "default", "execution_expires_after": 172800},
        },
    ),
    Answer(
        gateway="cubicspaces",
        name="get-official-running",
        request="create-official-text",
        reads={"status": Status.RUNNING, "word": "running", "gateway_task_id": "task_xxx"},
    ),
    Answer(
        gateway="cubicspaces",
        name="get-official-succeeded",
        request="create-official-text",
        reads={
            "status": Status.SUCCEEDED,
            "word": "succeeded",
            "gateway_task_id": "task_xxx",
            "video_url": "https://example.com/generated-video.mp4",
        },
    ),
    Answer(
        gateway="cubicspaces",
        name="get-official-failed",
        request="create-official-text",
        reads={
            "status": Status.FAILED,
            "word": "failed",
            "gateway_task_id": "task_xxx",
            "error": (
                "task_failed",
                "The request failed because the output video may be related to policy restrictions.",
            ),
        },
    ),
    Answer(
        gateway="seedance2",
        name="create",
        request="create-text",
        message="receipt",
        reads={
            "status": Status.QUEUED,
            "word": "queued",
            "gateway_task_id": "req_1234567890",
            "usage": {"creditsCharged": 40},
        },
    ),
    Answer(
        gateway="seedance2",
        name="get-succeeded",
        request="create-text",
        reads={
            "status": Status.SUCCEEDED,
            "word": "succeeded",
            "gateway_task_id": "req_1234567890",
            "video_url": RIVER,
            "details": {"duration": 5, "ratio": "16:9"},
        },
    ),
    Answer(
        gateway="seedance2",
        name="get-processing",
        request="create-text",
        reads={
            "status": Status.RUNNING,
            "word": "processing",
            "gateway_task_id": "req_1234567890",
            "details": {"duration": 5, "ratio": "16:9"},
        },
    ),
    Answer(
        gateway="seedance2",
        name="get-failed",
        request="create-text",
        reads={
            "status": Status.FAILED,
            "word": "failed",
            "gateway_task_id": "req_1234567890",
            "error": ("provider_error", "Video generation failed upstream"),
            "details": {"duration": 5, "ratio": "16:9"},
        },
    ),
    Answer(
        gateway="seedance2",
        name="cancel",
        request="create-text",
        message="cancelled",
        reads={"status": Status.CANCELLED, "word": "cancelled", "gateway_task_id": "req_1234567890"},
    ),
    Answer(
        gateway="ark",
        name="create",
        request="create-text",
        message="receipt",
        reads={"status": Status.QUEUED, "gateway_task_id": CGT},
    ),
    Answer(
        gateway="ark",
        name="get-running",
        request="create-text",
        reads={
            "status": Status.RUNNING,
            "word": "running",
            "gateway_task_id": CGT,
            "details": {"service_tier": "default", "execution_expires_after": 172800},
        },
    ),
    Answer(
        gateway="ark",
        name="get-succeeded",
        request="create-text",
        reads={
            "status": Status.SUCCEEDED,
            "word": "succeeded",
            "gateway_task_id": CGT,
            "video_url": "https://ark-content.example.com/video.mp4?X-Tos-Expires=86400",
            "last_frame_url": "https://ark-content.example.com/last.png?X-Tos-Expires=86400",
            "usage": {"completion_tokens": 108900, "total_tokens": 108900, "tool_usage": {"web_search": 0}},
            "details": {
                "duration": 5,
                "resolution": "720p",
                "ratio": "16:9",
                "seed": 58944,
                "framespersecond": 24,
                "generate_audio": True,
                "draft": False,
                "priority": 0,
                "service_tier": "default",
                "execution_expires_after": 172800,
            },
        },
    ),
    Answer(
        gateway="ark",
        name="get-failed",
        request="create-text",
        reads={
            "status": Status.FAILED,
            "word": "failed",
            "gateway_task_id": CGT,
            "error": (
                "OutputVideoSensitiveContentDetected",
                "The request failed because the output video may contain sensitive information.",
            ),
            "details": {"service_tier": "default", "execution_expires_after": 172800},
        },
    ),
]


SORA = "video_68d7512d07848190b3e45da0ecbebcde"
SORA_DETAILS = {"duration": 4, "ratio": "16:9", "resolution": "720p"}
ANSWERS += [
    Answer(
        gateway="openai",
        name="create",
        request="create-text",
        message="receipt",
        reads={
            "status": Status.QUEUED,
            "word": "queued",
            "gateway_task_id": SORA,
            "progress": 0,
            "details": SORA_DETAILS,
        },
    ),
    Answer(
        gateway="openai",
        name="get-in-progress",
        request="create-text",
        reads={
            "status": Status.RUNNING,
            "word": "in_progress",
            "gateway_task_id": SORA,
            "progress": 33,
            "details": SORA_DETAILS,
        },
    ),
    Answer(
        gateway="openai",
        name="get-completed",
        request="create-text",
        reads={
            "status": Status.SUCCEEDED,
            "word": "completed",
            "gateway_task_id": SORA,
            "progress": 100,
            "video_url": f"/v1/videos/{SORA}/content",
            "details": SORA_DETAILS,
        },
    ),
    Answer(
        gateway="openai",
        name="get-failed",
        request="create-text",
        reads={
            "status": Status.FAILED,
            "word": "failed",
            "gateway_task_id": SORA,
            "progress": 100,
            "error": ("moderation_blocked", "The output video may be related to policy restrictions."),
            "details": SORA_DETAILS,
        },
    ),
]


def surface_of(request: Golden) -> Spoken:
    return spoken(request.gateway, request.path)


def documented(answer: Answer) -> tuple[Spoken, VideoRequest, Json, Snapshot]:
    request = golden(answer.gateway, f"{answer.request}.request")
    each = surface_of(request)
    body = golden(answer.gateway, f"{answer.name}.response").json
    return each, each.surface.read_create(request.json), body, reader(each, answer.message)(body)


def reader(each: Spoken, message: str) -> Any:
    return getattr(each.surface, f"read_{message}")


def view_of(request: VideoRequest, body: Json, snapshot: Snapshot) -> View:
    """The task that a documented answer is about."""
    times = pick(body, ("data",)) or body
    seconds = {"created_at": 1_770_000_000, "updated_at": 1_770_000_030} | times
    return View(
        id=str(snapshot.gateway_task_id),
        request=request,
        snapshot=snapshot,
        created_at=seconds["created_at"] * 1000,
        updated_at=seconds["updated_at"] * 1000,
        started_at=seconds.get("start_time", 0) * 1000,
        finished_at=(seconds.get("finish_time") or seconds.get("completed_at") or 0) * 1000,
    )


def differences(written: Any, shown: Any, at: str = "") -> dict[str, str]:
    """Where what we write is not what the documentation shows; what we write besides is no difference."""
    if type(written) is not type(shown):
        return {at: "type"}
    if not isinstance(shown, dict):
        return {} if written == shown else {at: "value"}
    found: dict[str, str] = {}
    for key, inner in shown.items():
        where = f"{at}.{key}".lstrip(".")
        found |= differences(written[key], inner, where) if key in written else {where: "missing"}
    return found


@pytest.mark.parametrize("request_", CREATES, ids=str)
def test_our_client_writes_exactly_the_documented_create_request(request_: Golden) -> None:
    surface = surface_of(request_).surface
    callback = pick(request_.json, surface.callback_path)
    assert surface.write_create(surface.read_create(request_.json), callback) == request_.json


@pytest.mark.parametrize("request_", CREATES, ids=str)
def test_a_documented_create_request_goes_to_a_route_of_its_dialect(request_: Golden) -> None:
    each = surface_of(request_)
    assert request_.json["model"] in each.dialect.models or each.dialect.open_models


@pytest.mark.parametrize("request_", CREATES, ids=str)
def test_a_documented_callback_url_is_read_as_the_wish_of_the_caller(request_: Golden) -> None:
    surface = surface_of(request_).surface
    assert surface.read_create(request_.json).webhook_url == pick(request_.json, surface.callback_path)


@pytest.mark.parametrize("request_", goldens("get*.request") + goldens("cancel.request"), ids=str)
def test_a_documented_get_or_cancel_goes_to_a_route_of_its_dialect(request_: Golden) -> None:
    operation = "cancel" if "cancel" in request_.name else "get"
    routes = [
        route
        for answer in CREATES
        if answer.gateway == request_.gateway
        for route in surface_of(answer).surface.routes
        if route.operation == operation and route.method == request_.method
    ]
    stems = [route.path.split("{id}") for route in routes]
    assert any(request_.path.startswith(head) and request_.path.endswith(tail) for head, tail in stems)


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
def test_our_client_reads_what_the_documented_answer_says(answer: Answer) -> None:
    """F2 Create answer, F2 Get answer, F3 Create answer, F3 Get answer, F4 Answer, F4 official Create answer,
    F4 official GET, F4 Status table, F6 Create, F6 Get, F6 Cancel: to the letter."""
    _, _, _, snapshot = documented(answer)
    seen = {name: getattr(snapshot, name) for name in Snapshot.__dataclass_fields__}
    error = snapshot.error
    seen["error"] = error and (error.gateway_code, error.message)
    assert {name: value for name, value in seen.items() if value not in (None, "", {})} == answer.reads


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
def test_our_server_writes_what_the_documented_answer_shows(answer: Answer) -> None:
    """The same rows, from the other side."""
    each, request, body, snapshot = documented(answer)
    written = getattr(each.surface, f"write_{answer.message}")(view_of(request, body, snapshot))
    assert differences(written, body) == dict.fromkeys(answer.ours, "value")


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
def test_a_documented_answer_is_no_error(answer: Answer) -> None:
    each, _, body, _ = documented(answer)
    assert each.dialect.read_error(200, body) is None


def test_every_documented_answer_about_a_task_is_read_here() -> None:
    about_tasks = [str(each) for name in ("create*", "get*", "cancel") for each in goldens(f"{name}.response")]
    assert sorted(about_tasks) == sorted(f"{answer}.response" for answer in ANSWERS)


@pytest.mark.parametrize("message", goldens("*"), ids=str)
def test_a_golden_message_names_its_source(message: Golden) -> None:
    assert message.source.startswith((f"{message.gateway}.txt, ", "gateways.md, section "))
