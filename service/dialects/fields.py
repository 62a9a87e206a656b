"""Requests by table: take every field out of a body, checked, and put every field where it belongs."""

from dataclasses import dataclass
from typing import Any

from service.errors import Problem, invalid
from service.model import VideoRequest
from service.wire import Json, Path, fill, kind_of, pick, place, take, without_nulls


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One plain parameter: its canonical `name` and where it stands on the wire, with what the gateway allows.

    kind: the JSON type. allowed: the values, where the documentation lists them. low, high: the range, inclusive.
    required: it must be there, and not blank.
    """

    name: str
    path: Path
    kind: type[int] | type[str] | type[bool]
    allowed: tuple[Any, ...] = ()
    low: int | None = None
    high: int | None = None
    required: bool = False


def names_of(fields: tuple[Field, ...]) -> frozenset[str]:
    return frozenset(field.name for field in fields)


def spelling_of(fields: tuple[Field, ...]) -> dict[str, str]:
    """What a caller of this surface calls each canonical field."""
    return {field.name: ".".join(field.path) for field in fields}


def opened(body: Json) -> Json:
    """A copy of a request body to `take` from, with null members absent: the official SDKs send null for "not said"."""
    copy: Json = without_nulls(body)
    return copy


def read_fields(rest: Json, fields: tuple[Field, ...]) -> Json:
    """Take every field of the table out of a body, checked; the values by canonical name."""
    values = {field.name: checked(take(rest, field.path), field, ".".join(field.path)) for field in fields}
    return {name: value for name, value in values.items() if value is not None}


def write_fields(body: Json, request: VideoRequest, fields: tuple[Field, ...]) -> None:
    """Put every field of the table that the request says where it belongs."""
    for field in fields:
        value = getattr(request, field.name)
        if value is not None:
            place(body, field.path, value)


def check_fields(request: VideoRequest, fields: tuple[Field, ...]) -> None:
    """The same limits for a request that came in by another way, under its canonical names."""
    for field in fields:
        checked(getattr(request, field.name), field, field.name)


def complete(body: Json, request: VideoRequest, callback: Path, callback_url: str | None) -> Json:
    """The last step of every write_create: our callback, then what the caller wants passed as it is."""
    if callback_url is not None:
        place(body, callback, callback_url)
    fill(body, request.extra)
    return body


def checked(value: Any, field: Field, where: str) -> Any:
    """The value, if the table allows it; a Problem that names the field and the allowed values otherwise."""
    blank = isinstance(value, str) and not value.strip()
    if field.required and (value is None or blank):
        raise missing(where)
    if value is None:
        return None
    if not isinstance(value, field.kind) or (field.kind is int and isinstance(value, bool)):
        wanted = {int: "an integer", str: "a string", bool: "true or false"}[field.kind]
        raise invalid(where, f"must be {wanted}, not {kind_of(value)}")
    if field.allowed and value not in field.allowed:
        raise invalid(where, f"must be one of {', '.join(map(str, field.allowed))}")
    if isinstance(value, int) and not _within(value, field):
        raise invalid(where, f"must be from {field.low} to {field.high}")
    return value


def _within(value: int, field: Field) -> bool:
    return (field.low is None or field.low <= value) and (field.high is None or value <= field.high)


def missing(where: str) -> Problem:
    """In the words of easyrouter.txt 5.1: "prompt is required"."""
    return Problem("invalid_request", f"{where} is required", field=where)


def read_text(rest: Json, path: Path) -> str | None:
    value = take(rest, path)
    if value is not None and not isinstance(value, str):
        raise invalid(".".join(path), f"must be a string, not {kind_of(value)}")
    return value


def read_url(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise invalid(where, f"must be a URL, not {kind_of(value)}")
    if not value:
        raise invalid(where, "must be a URL, not an empty string")
    return value


def read_list(rest: Json, path: Path) -> list[Any]:
    value = take(rest, path)
    if value is None:
        return []
    if not isinstance(value, list):
        raise invalid(".".join(path), f"must be an array, not {kind_of(value)}")
    return value


def check_object(rest: Json, name: str) -> None:
    """Refuse a member that should be an object and is not."""
    value = rest.get(name)
    if value is not None and not isinstance(value, dict):
        raise invalid(name, f"must be an object, not {kind_of(value)}")


def read_lengths(rest: Json) -> tuple[int | None, int | None, int | None]:
    """Take the three places of a duration: `duration`, `seconds` (a string of digits), metadata.duration."""
    top = take(rest, ("duration",))
    seconds = take(rest, ("seconds",))
    inner = take(rest, ("metadata", "duration"))
    for value, where in ((top, "duration"), (inner, "metadata.duration")):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise invalid(where, f"must be an integer, not {kind_of(value)}")
    if seconds is None:
        return top, None, inner
    if not (isinstance(seconds, str) and seconds.isascii() and seconds.isdigit() and len(seconds) < 6):
        raise invalid("seconds", 'must be a string of digits, such as "5"')
    return top, int(seconds), inner


def check_duration(duration: int | None, low: int, high: int, *, auto: bool) -> None:
    """auto: whether -1, "let the model choose", is allowed."""
    if duration is None or low <= duration <= high or (auto and duration == -1):
        return
    raise invalid("duration", f"must be {low} to {high} seconds" + (", or -1 to let the model choose" if auto else ""))


def check_extra(rest: Json, fields: tuple[Field, ...]) -> None:
    """Check documented parameters that have no canonical name, and leave them where they stand."""
    for field in fields:
        checked(pick(rest, field.path), field, ".".join(field.path))
