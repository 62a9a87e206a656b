"""How images are given to a gateway first: the documented messages through both halves, and the documented limits."""

from typing import Any, cast

import pytest
from hypothesis import given

from service.assets import Asset, AssetGroup, Upload, Uploaded
from service.dialects import DIALECTS
from service.dialects.cubicspaces_moderation import EXTENSIONS
from service.dialects.library import Groups, Library
from service.errors import Problem
from service.image_size import Size
from service.wire import Json
from tests.dialects.given import ANY_OBJECT
from tests.golden import golden

LIBRARIES = {name: dialect.library for name, dialect in DIALECTS.items() if dialect.library is not None}
WORLDROUTER, CUBICSPACES = LIBRARIES["worldrouter"], LIBRARIES["cubicspaces"]
GROUPS = cast(Groups, WORLDROUTER.groups)
EVERY_LIBRARY = pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
PNG = "https://example.com/product.png"


def body_of(gateway: str, name: str) -> Any:
    return golden(gateway, name).json


# --- the documented messages


def test_our_client_writes_the_documented_group_request() -> None:
    body = body_of("worldrouter", "asset-group-create.request")
    assert GROUPS.write_request(GROUPS.read_request(body)) == body


def test_our_client_reads_the_documented_group() -> None:
    group = GROUPS.read_group(body_of("worldrouter", "asset-group-create.response"))
    assert group == AssetGroup(
        id="group-1", name="seedance-demo-group", description="reference assets for a Seedance run"
    )


def test_our_server_writes_the_documented_group_but_for_its_request_id() -> None:
    body = body_of("worldrouter", "asset-group-create.response")
    assert GROUPS.write_group(GROUPS.read_group(body)) == body | {"requestId": "req-1"}


@pytest.mark.parametrize(("gateway", "name"), [("worldrouter", "asset-upload"), ("cubicspaces", "moderation")])
def test_our_client_writes_the_documented_upload_request(gateway: str, name: str) -> None:
    body = body_of(gateway, f"{name}.request")
    assert LIBRARIES[gateway].write_request(LIBRARIES[gateway].read_request(body)) == body


def test_our_client_reads_the_documented_asset() -> None:
    (asset,) = WORLDROUTER.read_uploaded(body_of("worldrouter", "asset-upload.response")).assets
    assert asset == Asset(
        source="https://example.com/reference.png",
        url="asset://asset-1",
        group_id="group-1",
        name="reference-image",
        description="main character reference",
    )


def test_our_client_reads_the_documented_moderation() -> None:
    assert CUBICSPACES.read_uploaded(body_of("cubicspaces", "moderation.response")) == Uploaded(
        assets=(Asset(source=PNG, url="asset://reviewed-image-asset-id"),),
        batch_id="review-batch-id",
        job_id="moderation-task-id",
    )


@pytest.mark.parametrize(
    ("gateway", "name", "ours"),
    [("worldrouter", "asset-upload", {"requestId": "req-1"}), ("cubicspaces", "moderation", {})],
)
def test_our_server_writes_the_documented_answer(gateway: str, name: str, ours: Json) -> None:
    library = LIBRARIES[gateway]
    body = body_of(gateway, f"{name}.response")
    upload = library.read_request(body_of(gateway, f"{name}.request"))
    assert library.write_uploaded(upload, library.read_uploaded(body)) == body | ours


@pytest.mark.parametrize(
    ("gateway", "name"),
    [("worldrouter", "asset-group-create"), ("worldrouter", "asset-upload"), ("cubicspaces", "moderation")],
)
def test_a_documented_request_goes_to_a_route_of_its_library(gateway: str, name: str) -> None:
    request = golden(gateway, f"{name}.request")
    assert request.path in [route.path.replace("{id}", "group-1") for route in LIBRARIES[gateway].routes]


def test_the_alias_of_the_moderation_is_served() -> None:
    """cubicspaces.txt: "/v1/assets/moderations uses the same moderation handler"."""
    assert [route.path for route in CUBICSPACES.routes] == ["/v1/images/moderations", "/v1/assets/moderations"]


@pytest.mark.parametrize(("gateway", "name"), [("worldrouter", "asset-upload"), ("cubicspaces", "moderation")])
def test_a_documented_answer_is_no_error(gateway: str, name: str) -> None:
    read = LIBRARIES[gateway].read_error or DIALECTS[gateway].read_error
    assert read(200, body_of(gateway, f"{name}.response")) is None


# --- requests


def test_worldrouter_takes_images_only() -> None:
    with pytest.raises(Problem, match="type: must be one of image"):
        WORLDROUTER.read_request({"type": "video", "url": PNG})


@pytest.mark.parametrize("body", [{}, {"url": None}, {"url": 5}, {"url": ""}, {"url": "data:image/png;base64,aGk="}])
def test_an_upload_needs_a_public_url(body: Json) -> None:
    with pytest.raises(Problem) as caught:
        WORLDROUTER.read_request(body)
    assert (caught.value.code, caught.value.field) == ("invalid_request", "url")


@pytest.mark.parametrize("body", [{}, {"name": " "}, {"name": 5}, {"name": "a", "description": []}])
def test_a_bad_group_is_refused(body: Json) -> None:
    with pytest.raises(Problem) as caught:
        GROUPS.read_request(body)
    assert caught.value.code == "invalid_request"


@pytest.mark.parametrize("name", ["images", "image_urls"])
def test_the_two_arrays_of_a_moderation_mean_the_same(name: str) -> None:
    assert CUBICSPACES.read_request({"model": "m", name: [PNG]}).sources == (PNG,)


def test_a_moderation_of_a_single_image_has_a_field_of_its_own() -> None:
    assert CUBICSPACES.read_request({"model": "m", "image_url": PNG}).sources == (PNG,)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({}, "images, image_urls or image_url"),
        ({"images": []}, "images"),
        ({"images": PNG}, "images"),
        ({"images": [PNG] * 51}, "images"),
        ({"images": [PNG, 5]}, "images[1]"),
        ({"images": [PNG, "data:image/png;base64,aGk="]}, "images[1]"),
        ({"image_urls": ["ftp://example.com/a.png"]}, "image_urls[0]"),
        ({"image_url": "https://example.com/a.svg"}, "image_url"),
        ({"image_url": "https://example.com/?a.png"}, "image_url"),
        ({"images": [PNG], "asset_type": "Video"}, "asset_type"),
        ({"images": [PNG], "model": None}, "model"),
    ],
)
def test_what_a_moderation_cannot_be_is_refused_by_name(said: Json, field: str) -> None:
    with pytest.raises(Problem) as caught:
        CUBICSPACES.read_request({"model": "doubao-seedance-2.0"} | said)
    assert (caught.value.code, caught.value.field) == ("invalid_request", field)


def test_fifty_images_are_moderated_at_once() -> None:
    assert len(CUBICSPACES.read_request({"model": "m", "images": [PNG] * 50}).sources) == 50


@pytest.mark.parametrize("ending", [*(name[1:] for name in EXTENSIONS), "PNG", "jpg?signed=1"])
def test_every_documented_extension_is_taken(ending: str) -> None:
    CUBICSPACES.check_source(f"https://example.com/a.{ending}", "images[0]")


@EVERY_LIBRARY
def test_what_is_not_known_of_an_upload_is_passed_on(library: Library) -> None:
    body = (
        {"model": "m", "image_url": PNG, "brand_new": [1]} if library is CUBICSPACES else {"url": PNG, "brand_new": [1]}
    )
    assert library.write_request(library.read_request(body))["brand_new"] == [1]


@EVERY_LIBRARY
@given(body=ANY_OBJECT)
def test_any_json_is_read_or_refused(library: Library, body: Json) -> None:
    try:
        library.read_request(body)
    except Problem as problem:
        assert problem.status == 400


@EVERY_LIBRARY
@given(body=ANY_OBJECT)
def test_any_answer_can_be_read(library: Library, body: Json) -> None:
    library.read_uploaded(body)


# --- what is seen of an image


def check(size: Size | None, length: int | None = 1_000) -> None:
    assert CUBICSPACES.check_image is not None
    CUBICSPACES.check_image(size, length, "images[0]")


@pytest.mark.parametrize("size", [(300, 300), (6000, 6000), (300, 750), (750, 300), (1280, 720)])
def test_an_image_within_the_documented_limits_passes(size: tuple[int, int]) -> None:
    check(Size(*size))


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((299, 400), "from 300 to 6000"),
        ((400, 299), "from 300 to 6000"),
        ((6001, 6000), "from 300 to 6000"),
        ((300, 751), "from 0.4 to 2.5"),
        ((751, 300), "from 0.4 to 2.5"),
    ],
)
def test_an_image_beyond_them_is_refused(size: tuple[int, int], words: str) -> None:
    with pytest.raises(Problem, match=words) as caught:
        check(Size(*size))
    assert caught.value.field == "images[0]"


def test_an_image_of_thirty_megabytes_is_refused() -> None:
    with pytest.raises(Problem, match="below 30 MB"):
        check(None, 30_000_000)


def test_an_image_just_below_thirty_megabytes_passes() -> None:
    check(None, 29_999_999)


def test_what_is_not_to_be_seen_is_left_to_the_gateway() -> None:
    check(None, None)


# --- approved


@pytest.mark.parametrize(
    ("said", "approved"),
    [
        ({}, True),
        ({"passed": False}, False),
        ({"passed": "true"}, False),
        ({"submit_review_status": 2}, False),
        ({"submit_review_status": True}, False),
        ({"submit_review_status": None}, False),
        ({"asset_url": ""}, False),
    ],
)
def test_an_image_is_approved_when_it_passed_with_status_1(said: Json, approved: bool) -> None:
    item = {"source_url": PNG, "asset_url": "asset://a", "submit_review_status": 1, "passed": True} | said
    (asset,) = CUBICSPACES.read_uploaded({"code": "success", "data": {"items": [item]}}).assets
    assert asset.approved is approved


def test_a_rejected_image_is_read_as_it_was_written() -> None:
    uploaded = Uploaded(assets=(Asset(source=PNG, url="", approved=False),), batch_id="b", job_id="j")
    written = CUBICSPACES.write_uploaded(Upload(sources=(PNG,), places=("images[0]",)), uploaded)
    assert (CUBICSPACES.read_uploaded(written), written["data"]["status"]) == (uploaded, "rejected")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (504, {}),
        (408, {"error": {"message": "try later"}}),
        (200, {"code": "timeout", "message": "moderation is still running"}),
        (500, {"error": {"message": "moderation timed out", "type": "new_api_error", "code": "x"}}),
    ],
)
def test_a_moderation_that_was_not_ready_is_told_from_a_fault(status: int, body: Json) -> None:
    assert CUBICSPACES.read_error is not None
    problem = CUBICSPACES.read_error(status, body)
    assert problem is not None
    assert (problem.code, problem.status, problem.retryable) == ("moderation_delayed", 504, True)


def test_a_delay_is_written_as_one() -> None:
    assert CUBICSPACES.read_error is not None
    read = CUBICSPACES.read_error(*DIALECTS["cubicspaces"].write_error(Problem("moderation_delayed", "not ready yet")))
    assert read is not None
    assert (read.code, read.message) == ("moderation_delayed", "not ready yet")
