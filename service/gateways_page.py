"""What can be done with each gateway, read off the dialects: the tables of docs/gateways.md.

A cell says what the dialect does when it is asked, so that the page cannot promise more than the code. What a gateway's
documentation does not mention is called undocumented: then our client does not ask for it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from service.dialects import DIALECTS
from service.dialects.shape import Dialect, Operation, Surface
from service.errors import Problem
from service.model import TERMINAL, Media, Snapshot, Status, VideoRequest, View
from service.wire import Json

UNDOCUMENTED = "undocumented"
NEVER = "–"
# What our client asks a gateway for, besides what it reads; the rest of a surface's routes is for callers of ours.
ASKED: tuple[Operation, ...] = ("create", "get", "cancel", "content", "list", "delete")

IMAGE, ASSET = "https://example.com/image.png", "asset://image"
# A wish of a caller, and what it is in the words of the model; the second reading is tried where the first is refused.
WISHES: Mapping[str, Sequence[Json]] = {
    "prompt": ({"prompt": "a cat"},),
    "duration": ({"duration": 5},),
    "duration -1, the model's choice": ({"duration": -1},),
    "ratio": ({"ratio": "16:9"},),
    "resolution": ({"resolution": "720p"},),
    "seed": ({"seed": 7},),
    "camera_fixed": ({"camera_fixed": True}, {"camera_fixed": False}),
    "watermark": ({"watermark": True},),
    "generate_audio": ({"generate_audio": True},),
    "return_last_frame": ({"return_last_frame": True},),
    "service_tier": ({"service_tier": "default"},),
    "execution_expires_after": ({"execution_expires_after": 7200},),
    "asset_group_id": ({"asset_group_id": "group-1"},),
    "an image": tuple({"media": (Media(type="image", url=url),)} for url in (IMAGE, ASSET)),
    "an inline image": ({"media": (Media(type="image", url="data:image/png;base64,AA=="),)},),
    "first and last frame": tuple(
        {"media": tuple(Media(type="image", url=url, role=role) for role in ("first_frame", "last_frame"))}
        for url in (IMAGE, ASSET)
    ),
    "a reference image": tuple(
        {"media": (Media(type="image", url=url, role="reference_image"),)} for url in (IMAGE, ASSET)
    ),
    "a reference video": ({"media": (Media(type="video", url="https://example.com/video.mp4"),)},),
    "a video and an audio": (
        {
            "media": (
                Media(type="video", url="https://example.com/video.mp4"),
                Media(type="audio", url="https://example.com/audio.mp3"),
            )
        },
    ),
    "metadata of the caller": ({"metadata": {"order": "17"}},),
}
HEAD = """## Tables

Made by `reelhook gateways` from what the code does; `reelhook gateways --json` is for scripts.
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the page. note: what stands above it; rows: each as long as columns."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables() -> tuple[Table, ...]:
    """All of them, in the order of the page."""
    return (_abilities(), _routes(), _wishes(), _words(), _refusals())


def page() -> str:
    """The tables as Markdown: the end of the page, from its heading on."""
    return "\n".join((HEAD, *map(_markdown, tables())))


def values() -> list[Json]:
    """The same for scripts: each table with its rows as objects."""
    return [
        {"title": table.title, "rows": [dict(zip(table.columns, row, strict=True)) for row in table.rows]}
        for table in tables()
    ]


def _markdown(table: Table) -> str:
    lines = (table.columns, ("---",) * len(table.columns), *table.rows)
    return f"### {table.title}\n\n{table.note}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _abilities() -> Table:
    rows: Mapping[str, Callable[[Dialect], str]] = {
        "documentation": lambda each: each.documentation,
        "base URL": lambda each: each.base_url or f"{UNDOCUMENTED}; `base_url` in the settings",
        "models": _models,
        "calls back": _calls_back,
        "callers of ours are called back about": lambda each: _statuses(each.called_back),
        "least pause between questions about a task": lambda each: f"{each.min_interval_ms / 1000:g} s",
        "many tasks by one question": _lists,
        "result": lambda each: "a link that needs the key" if each.result_needs_key else "a link",
        "cancel": _cancels,
        "images before the create": _images,
        "a task without a video": lambda each: "counts as free" if each.refunds else "stays charged",
    }
    return Table(
        "What there is",
        f'"{UNDOCUMENTED.capitalize()}": the gateway\'s documentation does not mention it, and we do not ask for it.',
        ("what", *DIALECTS),
        tuple((name, *(cell(each) for each in DIALECTS.values())) for name, cell in rows.items()),
    )


def _models(dialect: Dialect) -> str:
    return ", ".join(f"`{model}`" for model in dialect.models) + (", any other" if dialect.open_models else "")


def _calls_back(dialect: Dialect) -> str:
    if not dialect.calls_back:
        return UNDOCUMENTED
    return "at each change" if dialect.callback_per_status else "at the end"


def _statuses(statuses: Sequence[Status]) -> str:
    return "the four ends" if tuple(statuses) == TERMINAL else ", ".join(statuses)


def _lists(dialect: Dialect) -> str:
    lists = dialect.surfaces[0].lists
    return f"up to {lists.most}, by id" if lists else UNDOCUMENTED


def _cancels(dialect: Dialect) -> str:
    surface = dialect.surfaces[0]
    if surface.route("cancel"):
        return "yes"
    return "while it is queued, by DELETE" if surface.delete_cancels else UNDOCUMENTED


def _images(dialect: Dialect) -> str:
    library = dialect.library
    if library is None:
        return "as they are"
    what = "uploaded into a group" if library.groups else "moderated"
    return f"{what}, where the settings ask for it" if library.on_request else f"{what}, always"


def _routes() -> Table:
    """The first route of an operation is our client's; aliases and the rest are for callers only."""
    rows = []
    for dialect, surface in _surfaces():
        for route in surface.routes:
            asked = route is surface.route(route.operation) and route.operation in ASKED
            asked = asked and (route.operation != "delete" or surface.delete_cancels)
            served = f"`{route.method} /{dialect.name}{route.path}`"
            rows.append((_named(dialect, surface), _operation(route.operation), served, "yes" if asked else NEVER))
    for dialect in DIALECTS.values():
        library = dialect.library
        for way in library.routes if library else ():
            served = f"`{way.method} /{dialect.name}{way.path}`"
            asked = library is not None and way is library.route(way.operation)
            rows.append((dialect.name, f"images: {way.operation}", served, "yes" if asked else NEVER))
    return Table(
        "Routes",
        "Where callers find each operation here, with the gateway's name in front; the rest of the path is the "
        "gateway's own, and our client asks there for what says yes. What is declined is answered with a 400.",
        ("API", "operation", "served at", "asked for by our client"),
        tuple(rows),
    )


def _operation(operation: Operation) -> str:
    return {"page": "list", "models": "list of models", "decline": "declined"}.get(operation, operation)


def _wishes() -> Table:
    surfaces = _surfaces()
    rows = [(wish, *(_written(*each, readings) for each in surfaces)) for wish, readings in WISHES.items()]
    return Table(
        "Parameters",
        "What a native submit may say, and where it goes. A dash: refused by name before anything is sent, but for "
        "`metadata`, which is then kept here. (asset): an `asset://` URL; see above for which images are uploaded for "
        "you. A callback in brackets is undocumented, and asked for only with `callbacks = true`.",
        ("what", *(_named(*each) for each in surfaces)),
        (*rows, ("our callback URL", *(_callback(*each) for each in surfaces))),
    )


def _written(dialect: Dialect, surface: Surface, readings: Sequence[Json]) -> str:
    for wish in readings:
        said: Json = {"model": dialect.models[0], "prompt": "a cat"} | wish
        request = VideoRequest(**said)
        if set(wish) <= surface.accepts and _passes(surface, request):
            bare = VideoRequest(model=request.model, prompt=None if "prompt" in wish else "a cat")
            box = surface.callback_path[0] if len(surface.callback_path) > 1 else None
            places = _differences(surface.write_create(bare, None), surface.write_create(request, None), box)
            only_asset = any(item.url == ASSET for item in request.media)
            return ", ".join(f"`{place}`" for place in places) + (" (asset)" if only_asset else "")
    return NEVER


def _passes(surface: Surface, request: VideoRequest) -> bool:
    try:
        surface.check(request)
    except Problem:
        return False
    return True


def _differences(before: Json, after: Json, box: str | None) -> list[str]:
    """Where the second says something that the first does not. box: the object that holds parameters."""
    found = []
    for name, value in after.items():
        if name == box:
            found += [f"{name}.{inner}" for inner in _differences(before.get(name, {}), value, None)]
        elif before.get(name) != value:
            found.append(name)
    return found


def _callback(dialect: Dialect, surface: Surface) -> str:
    place = f"`{'.'.join(surface.callback_path)}`"
    return place if dialect.calls_back else f"({place})"


def _words() -> Table:
    surfaces = _surfaces()
    rows = [("receipt", *(_word(each.read_receipt(each.write_receipt(_view(of, each)))) for of, each in surfaces))]
    for status in Status:
        rows.append(
            (status, *(_word(each.read_task(each.write_task(_view(of, each, status)))) for of, each in surfaces))
        )
    return Table(
        "Status words",
        "What callers of each API are told. We read any word of any gateway, in any case; one that nobody knows ends "
        "nothing. A word for several ends goes with an error code or a reason that says which.",
        ("what", *(_named(*each) for each in surfaces)),
        tuple(rows),
    )


def _view(dialect: Dialect, surface: Surface, status: Status = Status.QUEUED) -> View:
    return View(
        id=f"{surface.id_prefix}1",
        request=VideoRequest(model=dialect.models[0], prompt="a cat"),
        snapshot=Snapshot(status=status),
        created_at=0,
        updated_at=0,
    )


def _word(snapshot: Snapshot) -> str:
    return f"`{snapshot.word}`" if snapshot.word else "none"


def _refusals() -> Table:
    kinds = {
        "a bad parameter": "invalid_request",
        "a wrong key": "unauthorized",
        "no credit": "insufficient_credit",
        "an unknown task": "not_found",
        "too many pending tasks": "too_many_pending",
        "a provider that failed": "upstream_failed",
        "an unknown outcome": "outcome_unknown",
    }
    rows = [
        (kind, *(str(each.write_error(Problem(code, "no"))[0]) for each in DIALECTS.values()))
        for kind, code in kinds.items()
    ]
    return Table(
        "HTTP statuses of refusals",
        "What callers of each API are told; the body is the gateway's own shape. 200 means an error object under "
        "HTTP 200, as that gateway documents it.",
        ("what", *DIALECTS),
        tuple(rows),
    )


def _surfaces() -> list[tuple[Dialect, Surface]]:
    return [(dialect, surface) for dialect in DIALECTS.values() for surface in dialect.surfaces]


def _named(dialect: Dialect, surface: Surface) -> str:
    return dialect.name if len(dialect.surfaces) == 1 else f"{dialect.name} {surface.name}"
