"""gateways.md F7: one canonical request, written for each gateway; and the checks of requests that no wire brought."""

from typing import Any

import pytest

from service.errors import Problem
from service.model import Media, VideoRequest
from service.wire import Json
from tests.dialects.given import BY_NAME, SPOKEN, Spoken

FIRST = Media(type="image", url="https://example.com/1.png", role="first_frame")
LAST = Media(type="image", url="https://example.com/2.png", role="last_frame")
REFERENCE = Media(type="image", url="asset://image-1", role="reference_image")
PLAIN = Media(type="image", url="https://example.com/1.png")


TEXT: Json = {"type": "text", "text": "a cat"}


def item(media: Media) -> Json:
    return {"type": "image_url", "image_url": {"url": media.url}, "role": media.role}


# surface -> how a prompt is written there
PROMPTS: dict[str, Json] = {
    "worldrouter-official": {"content": [TEXT]},
    "easyrouter-unified": {"prompt": "a cat"},
    "cubicspaces-official": {"content": [TEXT]},
    "cubicspaces-unified": {"prompt": "a cat"},
    "videos-videos": {"prompt": "a cat"},
    "seedance2-open": {"prompt": "a cat"},
    "ark-official": {"content": [TEXT]},
    "openai-openai": {"prompt": "a cat"},
}
CALLBACK = "https://reelhook.example/callbacks/g/t"
# row -> (what the caller wants, surface -> what is written besides the model and the prompt). A surface that is not
# there refuses the wish.
ROWS: dict[str, tuple[Json, dict[str, Json]]] = {
    "prompt": ({}, {name: {} for name in PROMPTS}),
    "duration n": (
        {"duration": 5},
        {
            "worldrouter-official": {"duration": 5},
            "easyrouter-unified": {"duration": 5},
            "cubicspaces-unified": {"seconds": "5"},
            "cubicspaces-official": {"duration": 5},
            "videos-videos": {"duration": 5},
            "seedance2-open": {"duration": 5},
            "ark-official": {"duration": 5},
            "openai-openai": {"seconds": "5"},
        },
    ),
    "duration auto": (
        {"duration": -1},
        {
            "easyrouter-unified": {"metadata": {"duration": -1}},
            "cubicspaces-unified": {"metadata": {"duration": -1}},
            "cubicspaces-official": {"duration": -1},
            "videos-videos": {"duration": -1},
            "ark-official": {"duration": -1},
            "openai-openai": {"metadata": {"duration": -1}},
        },
    ),
    "ratio": (
        {"ratio": "16:9"},
        {
            "easyrouter-unified": {"metadata": {"ratio": "16:9"}},
            "cubicspaces-unified": {"metadata": {"ratio": "16:9"}},
            "cubicspaces-official": {"ratio": "16:9"},
            "videos-videos": {"metadata": {"ratio": "16:9"}},
            "seedance2-open": {"aspectRatio": "16:9"},
            "ark-official": {"ratio": "16:9"},
            "openai-openai": {"metadata": {"ratio": "16:9"}},
        },
    ),
    "resolution": (
        {"resolution": "720p"},
        {
            "worldrouter-official": {"resolution": "720p"},
            "easyrouter-unified": {"metadata": {"resolution": "720p"}},
            "cubicspaces-unified": {"metadata": {"resolution": "720p"}},
            "cubicspaces-official": {"resolution": "720p"},
            "videos-videos": {"metadata": {"resolution": "720p"}},
            "seedance2-open": {"resolution": "720p"},
            "ark-official": {"resolution": "720p"},
            "openai-openai": {"metadata": {"resolution": "720p"}},
        },
    ),
    "first frame": (
        {"media": (PLAIN,)},
        {
            "easyrouter-unified": {"image": PLAIN.url},
            "cubicspaces-unified": {"image": PLAIN.url},
            "cubicspaces-official": {"content": [{"type": "image_url", "image_url": {"url": PLAIN.url}}]},
            "videos-videos": {"image": PLAIN.url},
            "seedance2-open": {"mediaUrls": [PLAIN.url]},
            "ark-official": {"content": [{"type": "image_url", "image_url": {"url": PLAIN.url}}]},
            "openai-openai": {"input_reference": {"image_url": PLAIN.url}},
        },
    ),
    "first+last": (
        {"media": (FIRST, LAST)},
        {
            "easyrouter-unified": {"metadata": {"content": [item(FIRST), item(LAST)]}},
            "cubicspaces-unified": {"metadata": {"content": [item(FIRST), item(LAST)]}},
            "cubicspaces-official": {"content": [item(FIRST), item(LAST)]},
            "videos-videos": {"metadata": {"content": [item(FIRST), item(LAST)]}},
            "seedance2-open": {"mediaUrls": [FIRST.url, LAST.url]},
            "ark-official": {"content": [item(FIRST), item(LAST)]},
            "openai-openai": {"metadata": {"content": [item(FIRST), item(LAST)]}},
        },
    ),
    "references": (
        {"media": (REFERENCE,)},
        {
            "worldrouter-official": {"content": [item(REFERENCE)]},
            "easyrouter-unified": {"metadata": {"content": [item(REFERENCE)]}},
            "cubicspaces-unified": {"metadata": {"content": [item(REFERENCE)]}},
            "cubicspaces-official": {"content": [item(REFERENCE)]},
            "videos-videos": {"metadata": {"content": [item(REFERENCE)]}},
            "seedance2-open": {"mediaUrls": [REFERENCE.url]},
            "ark-official": {"content": [item(REFERENCE)]},
            "openai-openai": {"metadata": {"content": [item(REFERENCE)]}},
        },
    ),
    "callback": (
        {},
        {
            "worldrouter-official": {"callback_url": CALLBACK},
            "easyrouter-unified": {"metadata": {"callback_url": CALLBACK}},
            "cubicspaces-unified": {"metadata": {"callback_url": CALLBACK}},
            "cubicspaces-official": {"callback_url": CALLBACK},
            "videos-videos": {"metadata": {"callback_url": CALLBACK}},
            "seedance2-open": {"webhookUrl": CALLBACK},
            "ark-official": {"callback_url": CALLBACK},
            "openai-openai": {"metadata": {"callback_url": CALLBACK}},
        },
    ),
    "caller metadata": (
        {"metadata": {"order": 7}},
        {
            "worldrouter-official": {},
            "easyrouter-unified": {},
            "cubicspaces-unified": {},
            "cubicspaces-official": {},
            "videos-videos": {},
            "seedance2-open": {"metadata": {"order": 7}},
            "ark-official": {},
            "openai-openai": {},
        },
    ),
}
CASES = [(name, surface) for name, (_, written) in ROWS.items() for surface in written]
UNWRITTEN = [(name, surface) for name, (_, written) in ROWS.items() for surface in BY_NAME if surface not in written]


def wanted(each: Spoken, wish: Json) -> VideoRequest:
    return VideoRequest(model=each.dialect.models[0], prompt="a cat", **wish)


def with_prompt(each: Spoken, written: Json) -> Json:
    """The model and the prompt where the surface has them."""
    prompt = PROMPTS[str(each)]
    body: Json = {"model": each.dialect.models[0]} | prompt | written
    return body | {"content": prompt["content"] + written.get("content", [])} if "content" in prompt else body


@pytest.mark.parametrize(("row", "surface"), CASES, ids=[f"F7 {row}, {surface}" for row, surface in CASES])
def test_f7_a_wish_is_written_where_the_gateway_has_it(row: str, surface: str) -> None:
    """F1 ratio field too."""
    each, (wish, written) = BY_NAME[surface], ROWS[row]
    callback = CALLBACK if row == "callback" else None
    assert each.surface.write_create(wanted(each, wish), callback) == with_prompt(each, written[surface])


@pytest.mark.parametrize(("row", "surface"), UNWRITTEN)
def test_f7_a_wish_that_a_gateway_cannot_express_is_refused_before_anything_is_sent(row: str, surface: str) -> None:
    each, wish = BY_NAME[surface], ROWS[row][0]
    if set(wish) <= each.surface.accepts:
        with pytest.raises(Problem):
            each.surface.check(wanted(each, wish))


@pytest.mark.parametrize(
    ("surface", "wish", "field"),
    [
        ("worldrouter-official", {"media": (PLAIN,)}, "media[0].url"),
        ("worldrouter-official", {"model": "seedance-2.0-asset"}, "model"),
        ("worldrouter-official", {"prompt": None}, "prompt"),
        ("easyrouter-unified", {"prompt": None}, "prompt"),
        ("easyrouter-unified", {"resolution": "4k"}, "resolution"),
        ("easyrouter-unified", {"media": (REFERENCE, Media(type="image", url="x", role="hero"))}, "media[1].role"),
        ("cubicspaces-official", {"media": (Media(type="image", url="data:image/png;base64,AA"),)}, "media[0].url"),
        ("cubicspaces-unified", {"media": (Media(type="audio", url="data:audio/mp3;base64,AA"),)}, "media[0].url"),
        ("videos-videos", {"duration": 16}, "duration"),
        ("videos-videos", {"model": "seedance-2.0-fast", "resolution": "1080p"}, "resolution"),
        ("videos-videos", {"media": (FIRST, PLAIN)}, "media[].role"),
        ("videos-videos", {"prompt": None}, "prompt"),
        ("ark-official", {"media": (FIRST, REFERENCE)}, "media"),
        ("ark-official", {"media": (PLAIN, Media(type="audio", url="https://x/a", role="hero"))}, "media[1].role"),
        ("ark-official", {"extra": {"frames": 30}}, "frames"),
        ("ark-official", {"prompt": None}, "prompt"),
        ("seedance2-open", {"media": (PLAIN,) * 6}, "media"),
        ("seedance2-open", {"media": (REFERENCE,)}, "media[0].url"),
        ("seedance2-open", {"model": "seedance-1.5-pro", "duration": 7}, "duration"),
    ],
)
def test_a_request_that_no_wire_brought_is_refused_by_its_canonical_name(surface: str, wish: Json, field: str) -> None:
    each = BY_NAME[surface]
    said: Json = {"model": each.dialect.models[0], "prompt": "a cat"} | wish
    with pytest.raises(Problem) as caught:
        each.surface.check(VideoRequest(**said))
    assert caught.value.field == field


@pytest.mark.parametrize("each", SPOKEN, ids=str)
def test_an_extra_that_collides_with_a_field_is_refused(each: Spoken) -> None:
    request = VideoRequest(model=each.dialect.models[0], prompt="a cat", extra={"model": "another"})
    with pytest.raises(Problem, match=r"extra\.model"):
        each.surface.write_create(request, None)


@pytest.mark.parametrize("each", SPOKEN, ids=str)
def test_an_extra_that_collides_with_our_callback_is_refused(each: Spoken) -> None:
    *parents, last = each.surface.callback_path
    extra: Any = {last: "https://caller/"}
    for name in reversed(parents):
        extra = {name: extra}
    request = VideoRequest(model=each.dialect.models[0], prompt="a cat", extra=extra)
    with pytest.raises(Problem, match=last):
        each.surface.write_create(request, CALLBACK)
