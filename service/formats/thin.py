"""Which event, about what, and where to ask for the rest: less than 500 bytes (subscribers.md, sections 0 and f)."""

from service.formats.shape import Format, Rendered, Telling
from service.wire import Json, dump_text, dumps, pick

LONGEST = 499  # bytes


def render(telling: Telling, options: Json) -> Rendered:
    body = thin(telling.envelope)
    task = body["data"].get("task") or {}
    name = str(task.get("external_id") or "")[:LONGEST]  # the caller's own name for it: all here that may be long
    while len(dumps(body)) > LONGEST and name:
        name = name[:-1]
        task["external_id"] = name + "…"
    return Rendered(body=dump_text(body))


FORMAT = Format(
    name="thin",
    title="thin: ids, and where to ask for the rest",
    source="subscribers.md, sections 0 and f",
    render=render,
)


def thin(envelope: Json) -> Json:
    """The envelope with the ids of its data alone."""
    kept = {name: envelope[name] for name in ("id", "type", "timestamp", "api_version", "test") if name in envelope}
    about = {name: value for name, value in envelope["data"].items() if isinstance(value, dict) and "id" in value}
    shown = {name: {"id": value["id"]} for name, value in about.items()}
    if "task" in about:
        task = about["task"]
        names = ("id", "status", "external_id")
        shown["task"] = {name: task.get(name) for name in names} | {"links": {"self": pick(task, ("links", "self"))}}
    return kept | {"data": shown}
