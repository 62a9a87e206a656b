"""gateways.md section 3: what is particular to OpenAI's dialect."""

from typing import Any

import pytest

from service.dialects import DIALECTS
from service.dialects.openai_sizes import SIZES
from service.errors import CODES, Problem
from service.model import Media, Status, VideoRequest
from service.wire import Json, dump_text
from tests.dialects.contract import GatewayContract, Stated
from tests.dialects.given import BY_NAME, view
from tests.golden import golden

OPENAI = DIALECTS["openai"]
SURFACE = OPENAI.surfaces[0]
EACH = BY_NAME["openai-openai"]
PICTURE = "https://example.com/first-frame.png"


def read(**body: Any) -> VideoRequest:
    return SURFACE.read_create({"model": "sora-2", "prompt": "a cat"} | body)


def refused(**body: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        read(**body)
    return caught.value


class TestOpenAI(GatewayContract):
    gateway = "openai"
    base_url = None
    models = "sora-2 sora-2-pro"
    calls_back = False
    at_each_change = False
    pause_ms = 1_000
    result_needs_key = True
    shows_messages = True
    surfaces = (
        Stated(
            name="openai",
            routes=(
                "POST /v1/videos",
                "GET /v1/videos",
                "GET /v1/videos/{id}",
                "GET /v1/videos/{id}/content",
                "DELETE /v1/videos/{id}",
                "GET /v1/models",
                "POST /v1/videos/{id}/remix",
                "POST /v1/videos/edits",
                "POST /v1/videos/extensions",
                "POST /v1/videos/characters",
            ),
            ids="video_",
            words="queued queued in_progress completed failed failed failed",
        ),
    )


# --- the request


@pytest.mark.parametrize("size", SIZES)
def test_a_size_is_a_ratio_and_a_resolution(size: str) -> None:
    request = read(size=size)
    assert (request.ratio, request.resolution) == SIZES[size]
    assert SURFACE.write_create(request, None)["size"] == size


def test_no_two_sizes_mean_the_same() -> None:
    assert len(set(SIZES.values())) == len(SIZES)


@pytest.mark.parametrize("said", [{"ratio": "16:9"}, {"resolution": "720p"}, {"ratio": "adaptive", "resolution": "4k"}])
def test_what_no_size_says_stands_in_metadata(said: Json) -> None:
    written = SURFACE.write_create(VideoRequest(model="sora-2", prompt="a cat", **said), None)
    assert (written.get("size"), written["metadata"]) == (None, said)


def test_a_size_that_is_no_ratio_is_passed_on_to_who_may_know_it() -> None:
    assert SURFACE.write_create(read(size="1792x1024"), None)["size"] == "1792x1024"


@pytest.mark.parametrize("size", ["large", "", "1280", "1280x", "0x0", "1280X720", 720, ["1280x720"]])
def test_what_is_no_size_is_refused(size: Any) -> None:
    assert refused(size=size).field == "size"


def test_a_size_and_metadata_that_contradict_each_other_are_refused() -> None:
    assert refused(size="1280x720", metadata={"ratio": "9:16"}).field == "metadata.ratio"


def test_a_size_and_metadata_that_agree_are_one() -> None:
    assert read(size="1280x720", metadata={"ratio": "16:9"}).extra == {}


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"seconds": "8"}, 8),
        ({"seconds": 8}, 8),
        ({"duration": 5}, 5),
        ({"duration": "5"}, 5),
        ({"metadata": {"duration": "-1"}}, -1),
        ({"duration": 5, "seconds": "8", "metadata": {"duration": 6}}, 5),
    ],
)
def test_a_length_may_stand_in_three_places_and_be_a_number_or_digits(body: Json, seconds: int) -> None:
    assert read(**body).duration == seconds


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("seed", "7", 7), ("watermark", "false", False), ("generate_audio", "True", True), ("service_tier", "5", "5")],
)
def test_what_a_form_can_only_spell_is_read_as_what_it_is(name: str, text: str, value: Any) -> None:
    assert getattr(read(metadata={name: text}), name) == value


@pytest.mark.parametrize(("name", "text"), [("seed", "seven"), ("watermark", "maybe"), ("seed", "7.5")])
def test_what_is_not_spelled_right_is_refused(name: str, text: str) -> None:
    assert refused(metadata={name: text}).field == f"metadata.{name}"


def test_metadata_may_be_json_in_one_field() -> None:
    request = read(metadata=' {"seed": 7, "callback_url": "https://app.example/done", "other": null}')
    assert (request.seed, request.webhook_url, request.extra) == (7, "https://app.example/done", {})


@pytest.mark.parametrize("metadata", ["{", "seed=7", "", "[1]", 5, [1]])
def test_metadata_that_is_no_object_is_refused(metadata: Any) -> None:
    assert refused(metadata=metadata).field == "metadata"


@pytest.mark.parametrize(
    "reference",
    [PICTURE, {"image_url": PICTURE}, dump_text({"image_url": PICTURE}), {"image_url": PICTURE, "file_id": None}],
)
def test_a_reference_is_an_image(reference: Any) -> None:
    assert read(input_reference=reference).media == (Media(type="image", url=PICTURE),)


@pytest.mark.parametrize(
    ("reference", "field"),
    [
        ({"file_id": "file-1"}, "input_reference.file_id"),
        ({"image_url": PICTURE, "file_id": "file-1"}, "input_reference.file_id"),
        ({}, "input_reference"),
        ({"image_url": 5}, "input_reference.image_url"),
        (5, "input_reference"),
        ("", "input_reference"),
        ("{", "input_reference"),
    ],
)
def test_a_reference_that_is_no_image_is_refused_by_name(reference: Any, field: str) -> None:
    assert refused(input_reference=reference).field == field


def test_content_may_be_json_in_one_field_of_a_form() -> None:
    content = [{"type": "image_url", "image_url": {"url": PICTURE}, "role": "first_frame"}]
    request = read(metadata={"content": dump_text(content)})
    assert request.media == (Media(type="image", url=PICTURE, role="first_frame"),)


# --- the answers


@pytest.mark.parametrize("status", Status)
def test_every_field_that_the_type_requires_is_there(status: Status) -> None:
    """gateways.md section 3, "Video model"."""
    video = SURFACE.write_task(view(EACH, status))
    types = {name: type(video[name]) for name in ("id", "created_at", "model", "object", "progress", "seconds", "size")}
    assert list(types.values()) == [str, int, str, str, int, str, str]


@pytest.mark.parametrize(("status", "code"), [(Status.CANCELLED, "cancelled"), (Status.EXPIRED, "expired")])
def test_an_end_without_a_word_is_failed_with_a_code(status: Status, code: str) -> None:
    video = SURFACE.write_task(view(EACH, status))
    assert (video["status"], video["error"]["code"]) == ("failed", code)


@pytest.mark.parametrize("code", CODES)
def test_an_error_has_a_real_status_and_all_four_members(code: str) -> None:
    status, body = OPENAI.write_error(Problem(code, "it went wrong", field="size"))
    assert (status, list(body["error"]), body["error"]["param"]) == (
        CODES[code][0],
        ["message", "type", "param", "code"],
        "size",
    )


@pytest.mark.parametrize("code", CODES)
def test_an_error_is_read_as_it_was_written(code: str) -> None:
    read_back = OPENAI.read_error(*OPENAI.write_error(Problem(code, "it went wrong", field="size")))
    assert read_back is not None
    assert (read_back.code, read_back.message, read_back.field) == (code, "it went wrong", "size")


def test_the_documented_error_is_read() -> None:
    message = golden("openai", "error.response")
    problem = OPENAI.read_error(message.status, message.json)
    assert problem is not None
    assert (problem.code, problem.field) == ("invalid_request", "prompt")
    assert OPENAI.write_error(problem) == (message.status, message.json)


def test_credit_that_is_used_up_is_no_full_gateway() -> None:
    """OpenAI says it with a 429 too; a task that waited for room would wait for ever."""
    problem = OPENAI.read_error(429, {"error": {"message": "no credit", "code": "insufficient_quota"}})
    assert problem is not None
    assert problem.code == "insufficient_credit"


def test_the_documented_event_tells_that_a_video_is_completed() -> None:
    told = OPENAI.read_callback(golden("openai", "webhook.request").json)
    assert (told.status, told.gateway_task_id) == (Status.SUCCEEDED, "video_68d7512d07848190b3e45da0ecbebcde")


def test_an_event_has_the_members_of_the_documented_one() -> None:
    documented = golden("openai", "webhook.request").json
    written = OPENAI.write_callback(view(EACH, Status.SUCCEEDED))
    assert (list(written), written["type"], written["object"]) == (list(documented), "video.completed", "event")


# --- lists


def test_the_documented_empty_list_and_deletion_are_written() -> None:
    assert SURFACE.write_page is not None
    assert SURFACE.write_deleted is not None
    deleted = golden("openai", "delete.response").json
    assert SURFACE.write_page([], False) == golden("openai", "list.response").json
    assert SURFACE.write_deleted(view(EACH, Status.FAILED, id=deleted["id"])) == deleted


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": "٣"}, "limit"),
        ({"order": "random"}, "order"),
        ({"after": ""}, "after"),
        ({"after": "a\x00"}, "after"),
        ({"before": "video_1"}, "before"),
    ],
)
def test_a_bad_query_of_a_list_is_refused_by_name(query: dict[str, str], field: str) -> None:
    assert SURFACE.read_page is not None
    with pytest.raises(Problem) as caught:
        SURFACE.read_page(query)
    assert caught.value.field == field
