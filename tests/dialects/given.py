"""What the suites run over: every surface of every dialect, and requests, tasks and JSON for it."""

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from service.dialects import DIALECTS
from service.dialects.shape import Dialect, Surface
from service.errors import Problem
from service.model import Media, Snapshot, Status, VideoRequest, View
from service.wire import Json, dumps, loads

CALLBACK = "https://reelhook.example/callbacks/g/token"
RESULT = "https://media.example.com/output.mp4"


@dataclass(frozen=True, slots=True)
class Spoken:
    """A surface with its dialect."""

    dialect: Dialect
    surface: Surface

    def __str__(self) -> str:
        return f"{self.dialect.name}-{self.surface.name}"


SPOKEN = [Spoken(dialect, surface) for dialect in DIALECTS.values() for surface in dialect.surfaces]
BY_NAME = {str(each): each for each in SPOKEN}


def spoken(gateway: str, path: str) -> Spoken:
    """The surface on which a create request to this path arrives."""
    return next(
        each
        for each in SPOKEN
        if each.dialect.name == gateway
        and any(route.operation == "create" and route.path == path for route in each.surface.routes)
    )


def wired(body: Json) -> Any:
    """A body as the other side gets it: through bytes."""
    return loads(dumps(body))


MINIMAL: dict[str, Json] = {
    "worldrouter-official": {"model": "seedance-2.0", "content": [{"type": "text", "text": "a cat"}]},
    "easyrouter-unified": {"model": "dreamina-seedance-2-0", "prompt": "a cat"},
    "cubicspaces-official": {"model": "doubao-seedance-2.0", "content": [{"type": "text", "text": "a cat"}]},
    "cubicspaces-unified": {"model": "doubao-seedance-2.0", "prompt": "a cat"},
    "videos-videos": {"model": "seedance-2.0", "prompt": "a cat"},
    "seedance2-open": {"model": "seedance-2.0", "prompt": "a cat"},
    "ark-official": {"model": "doubao-seedance-2-0-260128", "content": [{"type": "text", "text": "a cat"}]},
    "openai-openai": {"model": "sora-2", "prompt": "a cat"},
}


def minimal(each: Spoken) -> Json:
    """The smallest create request that a surface takes."""
    assert str(each) in MINIMAL, f"tests/dialects/given.py: MINIMAL needs the smallest create request of {each}"
    return dict(MINIMAL[str(each)])


def said_at(place: str, value: Any) -> Json:
    """A body that says something at a place such as metadata.seed."""
    *outer, name = place.split(".")
    body: Json = {name: value}
    for holder in reversed(outer):
        body = {holder: body}
    return body


def view(each: Spoken, status: Status, **more: Any) -> View:
    """A task in a status, with the result or the error that belongs to it."""
    error = Problem("gateway_error", "it went wrong", gateway_code="oops") if status is Status.FAILED else None
    url = RESULT if status is Status.SUCCEEDED else None
    request = VideoRequest(model=each.dialect.models[0], prompt="a cat", duration=5, ratio="16:9")
    settings: dict[str, Any] = {
        "id": each.surface.id_prefix + "abc",
        "request": request,
        "snapshot": Snapshot(status=status, video_url=url, error=error),
        "created_at": 1_770_000_000_000,
        "updated_at": 1_770_000_030_000,
    }
    return View(**settings | more)


# The surfaces whose create has a content array somewhere.
WITH_CONTENT = [
    each for each in SPOKEN if "content" in MINIMAL.get(str(each), {}) or each.surface.callback_path[0] == "metadata"
]

SCALARS = (
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
LETTERS = st.text("abcdefghij", min_size=1, max_size=8)


def _grown(leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
    )


# Names that readers look for, so that odd values turn up where they hurt.
NAMES = (
    "id task_id requestId status code message data error success content metadata model prompt image images type "
    "text image_url video_url url role duration seconds progress result_url fail_reason output usage"
)
KNOWN_NAMES = st.sampled_from(NAMES.split())
ANY_JSON = _grown(SCALARS | st.none(), KNOWN_NAMES | LETTERS)
ANY_OBJECT = st.dictionaries(KNOWN_NAMES | LETTERS, ANY_JSON, max_size=6)
SAID_JSON = _grown(SCALARS, LETTERS)  # without null, which means "not said"


def places(body: Any) -> list[tuple[Any, Any]]:
    """Every (holder, key) inside a JSON value."""
    pairs = list(body.items()) if isinstance(body, dict) else list(enumerate(body)) if isinstance(body, list) else []
    return [(body, key) for key, _ in pairs] + [place for _, inner in pairs for place in places(inner)]


@st.composite
def spoiled(draw: st.DrawFn, body: Json) -> Json:
    """A message in which one or two values are something else."""
    copy: Json = wired(body)
    for _ in range(draw(st.integers(1, 2))):
        holder, key = draw(st.sampled_from(places(copy)))
        holder[key] = draw(ANY_JSON)
        if not places(copy):
            break
    return copy


IMAGE = Media(type="image", url="https://example.com/cat.png")
ARK_MODES: tuple[tuple[Media, ...], ...] = (  # they exclude each other
    (),
    (IMAGE,),
    (replace(IMAGE, role="first_frame"), replace(IMAGE, role="last_frame")),
    (replace(IMAGE, role="reference_image"), Media(type="video", url="asset://clip", role="reference_video")),
    (Media(type="video", url="https://example.com/cat.mp4"), Media(type="audio", url="https://example.com/cat.mp3")),
)


VIDEO = Media(type="video", url="https://example.com/cat.mp4")
AUDIO = Media(type="audio", url="https://example.com/cat.mp3")


def _roles(image: Media, most_bare: int) -> st.SearchStrategy[Any]:
    """Inputs of a content array: references of any kind, frames, or images without a role."""
    frames = [replace(image, role=role) for role in ("first_frame", "last_frame")]
    draft = Media(type="draft_task", extra={"draft_task": {"id": "cgt-1"}})
    reference = st.just(replace(image, role="reference_image"))
    references = st.lists(reference | st.sampled_from([VIDEO, draft]), max_size=3)
    heard = references.map(lambda media: [*media, AUDIO] if any(item.url for item in media) else media)
    bare = st.lists(st.just(image), max_size=most_bare)
    return (references | heard | bare | st.sampled_from([frames[:1], frames])).map(tuple)


# surface -> the inputs that a request can have besides its prompt; where nothing is said, none are tried.
MEDIA: dict[str, st.SearchStrategy[tuple[Media, ...]]] = {
    "worldrouter-official": _roles(replace(IMAGE, url="asset://image-1"), 1),
    "easyrouter-unified": _roles(IMAGE, 3),
    "cubicspaces-official": _roles(IMAGE, 1),
    "cubicspaces-unified": _roles(IMAGE, 3),
    "videos-videos": _roles(IMAGE, 3),
    "seedance2-open": st.lists(st.sampled_from([IMAGE, VIDEO, AUDIO]), max_size=5).map(tuple),  # no roles
    "ark-official": st.sampled_from(ARK_MODES),
    "openai-openai": _roles(IMAGE, 3),
}


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "duration": st.sampled_from([5, 10]),
    "ratio": st.sampled_from(["16:9", "9:16", "1:1"]),
    "resolution": st.sampled_from(["480p", "720p"]),
    "seed": st.integers(0, 2**31 - 1),
    "service_tier": st.sampled_from(["auto", "default", "priority"]),
    "execution_expires_after": st.integers(3600, 259_200),
    "asset_group_id": LETTERS,
    "metadata": st.dictionaries(LETTERS, SAID_JSON | st.none(), max_size=3),
    **dict.fromkeys(("camera_fixed", "watermark", "generate_audio", "return_last_frame"), st.booleans()),
}
# What another gateway's word or model rules out.
OWN_VALUES: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "ark": {"service_tier": st.just("default"), "camera_fixed": st.just(False)},
}


@st.composite
def requests(draw: st.DrawFn, each: Spoken) -> VideoRequest:
    """Any request that the surface can express, with unknown parameters besides."""
    known = VALUES | OWN_VALUES.get(each.dialect.name, {})
    values = {name: draw(known[name]) for name in sorted(each.surface.accepts & known.keys()) if draw(st.booleans())}
    extra = draw(st.dictionaries(LETTERS.map("x_{}".format), SAID_JSON, max_size=3))
    if each.surface.callback_path[0] == "metadata" and draw(st.booleans()):
        extra["metadata"] = {"x_inner": draw(SAID_JSON)}
    return VideoRequest(
        model=draw(st.sampled_from(each.dialect.models)),
        prompt=draw(st.text(min_size=1).filter(str.strip)),
        media=draw(MEDIA.get(str(each), st.just(()))),
        extra=extra,
        **values,
    )
