"""gateways.md section 2, "THREE MUTUALLY EXCLUSIVE MODES", where content is Ark's; and prompts that
name assets (cubicspaces.txt)."""

from typing import Any

import pytest

from service.errors import Problem
from service.model import Media, VideoRequest
from tests.dialects.given import SPOKEN, Spoken
from tests.golden import goldens

BY_NAME = {str(each): each for each in SPOKEN}
ARK = [BY_NAME[name] for name in ("worldrouter-official", "cubicspaces-official")]
LOOSE = [BY_NAME[name] for name in ("easyrouter-unified", "cubicspaces-unified")]

PLAIN = Media(type="image", url="asset://image-0")
FIRST = Media(type="image", url="asset://image-1", role="first_frame")
LAST = Media(type="image", url="asset://image-2", role="last_frame")
REFERENCE = Media(type="image", url="asset://image-3", role="reference_image")
VIDEO = Media(type="video", url="https://example.com/v.mp4")
AUDIO = Media(type="audio", url="https://example.com/a.mp3")

ALLOWED = [
    (PLAIN,),
    (FIRST,),
    (FIRST, LAST),
    (LAST, FIRST),
    (REFERENCE,) * 9,
    (VIDEO,),
    (REFERENCE, VIDEO, VIDEO, VIDEO, AUDIO, AUDIO, AUDIO),
]
# (media, what the refusal says)
REFUSED = [
    ((FIRST, REFERENCE), "cannot be mixed"),
    ((FIRST, LAST, VIDEO), "cannot be mixed"),
    ((PLAIN, REFERENCE), "an image without a role counts as the first frame"),
    ((PLAIN, VIDEO), "an image without a role counts as the first frame"),
    ((PLAIN, PLAIN), "several images need a role each"),
    ((FIRST, FIRST), "more than one first_frame"),
    ((LAST,), "without a first_frame"),
    ((REFERENCE,) * 10, "at most 9"),
    ((VIDEO,) * 4, "at most 3"),
    ((REFERENCE, *(AUDIO,) * 4), "at most 3"),
    ((AUDIO,), "audio alone"),
]


def wanted(each: Spoken, media: tuple[Media, ...], prompt: str = "a cat") -> VideoRequest:
    return VideoRequest(model=each.dialect.models[0], prompt=prompt, media=media)


@pytest.mark.parametrize("each", ARK, ids=str)
@pytest.mark.parametrize("media", ALLOWED)
def test_each_of_the_three_modes_is_allowed(each: Spoken, media: tuple[Media, ...]) -> None:
    each.surface.check(wanted(each, media))


@pytest.mark.parametrize("each", ARK, ids=str)
@pytest.mark.parametrize(("media", "words"), REFUSED)
def test_a_mixture_is_refused_by_name(each: Spoken, media: tuple[Media, ...], words: str) -> None:
    with pytest.raises(Problem, match=words) as caught:
        each.surface.check(wanted(each, media))
    assert (caught.value.code, caught.value.field) == ("invalid_request", "media")


@pytest.mark.parametrize("each", ARK, ids=str)
def test_on_the_gateways_own_api_a_mixture_is_told_of_its_content(each: Spoken) -> None:
    body = each.surface.write_create(wanted(each, (FIRST, REFERENCE)), None)
    with pytest.raises(Problem) as caught:
        each.surface.read_create(body)
    assert caught.value.field == "content"


@pytest.mark.parametrize("each", LOOSE, ids=str)
def test_images_without_a_role_may_be_references_where_the_gateway_says_so(each: Spoken) -> None:
    each.surface.check(wanted(each, (PLAIN, PLAIN, VIDEO)))


@pytest.mark.parametrize("each", LOOSE, ids=str)
@pytest.mark.parametrize("media", [(FIRST, REFERENCE), (FIRST, FIRST), (PLAIN, LAST, LAST)])
def test_roles_that_contradict_each_other_are_refused(each: Spoken, media: tuple[Media, ...]) -> None:
    with pytest.raises(Problem, match="allowed: one image as first_frame"):
        each.surface.check(wanted(each, media))


# --- prompts


@pytest.mark.parametrize("each", [BY_NAME["cubicspaces-official"], BY_NAME["cubicspaces-unified"]], ids=str)
@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("Let image-3 dance", 'write "image 1" instead'),
        ("Let (image-3) dance", 'write "image 1" instead'),
        ("Let asset://image-3 dance", 'write "image 1" instead'),
        ("Let Asset://somebody-else dance", "must not hold asset:// URLs"),
    ],
)
def test_a_prompt_that_names_an_asset_is_refused(each: Spoken, prompt: str, words: str) -> None:
    with pytest.raises(Problem, match=words) as caught:
        each.surface.check(wanted(each, (REFERENCE,), prompt))
    assert caught.value.field == "prompt"


def test_more_assets_than_any_gateway_takes_are_refused() -> None:
    each = BY_NAME["cubicspaces-unified"]
    media = tuple(Media(type="image", url=f"asset://a-{number}") for number in range(51))
    with pytest.raises(Problem, match="at most 50"):
        each.surface.check(wanted(each, media))


@pytest.mark.parametrize("prompt", ["Use image 1", "my-image-3d", "image-30 of them"])
def test_other_words_of_a_prompt_are_left_alone(prompt: str) -> None:
    each = BY_NAME["cubicspaces-official"]
    each.surface.check(wanted(each, (REFERENCE,), prompt))


def test_an_id_that_is_a_word_of_the_language_may_stand_in_a_prompt() -> None:
    each = BY_NAME["cubicspaces-official"]
    each.surface.check(wanted(each, (Media(type="image", url="asset://cat", role="reference_image"),), "a cat"))


@pytest.mark.parametrize("request_", goldens("create-*.request"), ids=str)
def test_every_documented_create_passes(request_: Any) -> None:
    each = next(
        each
        for each in SPOKEN
        if each.dialect.name == request_.gateway
        and any(route.operation == "create" and route.path == request_.path for route in each.surface.routes)
    )
    each.surface.check(each.surface.read_create(request_.json))
