"""A sample event as somebody wants it: made of a task that never was, with a few values changed."""

from typing import Any

from service.errors import invalid
from service.events import made_event
from service.formats.samples import sample_data
from service.formats.shape import Telling
from service.links import Links
from service.model import EVENT_TYPES
from service.wire import Json, kind_of

LONGEST = 200  # characters of a path


def sample_event(owner: str, event_type: Any, changes: Any, links: Links, now: int) -> Telling:
    """A test event of this type. changes: {"data.task.prompt": "x"}, None for none. A Problem that names `type` or the
    path when it cannot be. now: unix ms."""
    if event_type not in EVENT_TYPES:
        known = ", ".join(EVENT_TYPES)
        raise invalid("type", "is required: one of " + known if event_type is None else f"must be one of {known}")
    data = sample_data(event_type, links, now)
    change(data, changes)
    event, envelope = made_event(owner, event_type, data, now, test=True)
    return Telling(event=event, envelope=envelope)


def change(data: Json, changes: Any) -> None:
    """Set values that are there already, each to one of its own kind: a sample keeps the keys of live events."""
    if changes is None:
        return
    if not isinstance(changes, dict):
        raise invalid("set", f"must be an object of paths and values, not {kind_of(changes)}")
    for path, value in changes.items():
        try:
            _set(data, path, value)
        except KeyError as error:
            raise invalid(f"set.{path[:LONGEST]}", str(error.args[0])) from None


def _set(data: Json, path: str, value: Any) -> None:
    """KeyError with the reason."""
    first, *names = path.split(".")
    if first != "data" or not names:
        raise KeyError('a path begins with "data.", as in data.task.prompt')
    holder: Any = data
    for depth, name in enumerate(names):
        if not isinstance(holder, dict) or name not in holder:
            raise KeyError(_unknown(".".join([first, *names[:depth]]), name[:LONGEST], holder))
        if depth < len(names) - 1:
            holder = holder[name]
    old = holder[names[-1]]
    if old is not None and value is not None and _kind(old) != _kind(value):
        raise KeyError(f"must be {_kind(old)}, as in live events, not {_kind(value)}")
    holder[names[-1]] = value


def _unknown(parent: str, name: str, holder: Any) -> str:
    if not isinstance(holder, dict):
        return f"{parent} is {kind_of(holder)} in this event, and has nothing in it"
    return f"there is no {name} in {parent} of this event; there are {', '.join(holder) or 'no keys'}"


def _kind(value: Any) -> str:
    return "a number" if kind_of(value) in ("an integer", "a number") else kind_of(value)
