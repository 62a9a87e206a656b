"""JSON and HTTP messages as plain values, and how to reach into them by path."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from service.errors import Problem, invalid

Json = dict[str, Any]
Path = tuple[str, ...]

NO_HEADERS: Mapping[str, str] = {}

# orjson reads 1024 levels and writes 254: what was read must be writable again, with all that is wrapped around it.
DEEPEST = 100
# What is read is walked several times, in Python: a body of millions of small values would hold up everybody else for
# seconds. Media come as one long text each, so this says nothing about how large a body may be.
MOST_VALUES = 50_000
COUNT_MOST = 10**12


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One outgoing request, complete but for the connection."""

    method: str
    url: str
    headers: Mapping[str, str] = attribute(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """What came back: header names in lower case, the body cut at the cap of the sender."""

    status: int
    headers: Mapping[str, str] = attribute(default_factory=dict)
    body: bytes = b""

    def retry_after_ms(self, now: int) -> int | None:
        """Retry-After, in seconds or as a date (RFC 9110, 10.2.3), as a span from now (unix ms); None without one."""
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit() and len(value) < 9:
            return int(value) * 1000
        try:
            return max(0, round(parsedate_to_datetime(value).timestamp() * 1000) - now)
        except (ValueError, OverflowError):
            return None


def dumps(value: Any) -> bytes:
    return orjson.dumps(value)


def canonical(value: Any) -> bytes:
    """The same bytes for the same JSON, in whatever order its members stand."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def dump_text(value: Any) -> str:
    return orjson.dumps(value).decode()


def loads(data: bytes | str) -> Any:
    """JSON as the standard has it: no NaN, no lone surrogates. ValueError when it is not, is nested too deeply, or has
    too many values."""
    text = data.encode() if isinstance(data, str) else data
    value = orjson.loads(text)
    brackets = text.count(b"[") + text.count(b"{")
    if brackets + text.count(b",") > MOST_VALUES and _values_exceed(value, MOST_VALUES):
        raise ValueError(f"it has more than {MOST_VALUES} values")
    if brackets > DEEPEST and _levels_exceed(value, DEEPEST):
        raise ValueError(f"it is nested more than {DEEPEST} levels deep")
    return value


def _values_exceed(value: Any, limit: int) -> bool:
    """Stops counting where it is too many: commas and brackets may stand in a text as well."""
    waiting, seen = [value], 0
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict | list):
            seen += len(inner)
            if seen > limit:
                return True
            waiting.extend(inner.values() if isinstance(inner, dict) else inner)
    return False


def _levels_exceed(value: Any, limit: int) -> bool:
    """Level by level, not by recursion: this guards against bodies that exhaust the stack."""
    level = [value]
    for _ in range(limit + 1):
        holders = [inner for inner in level if isinstance(inner, dict | list)]
        level = [inner for holder in holders for inner in (holder.values() if isinstance(holder, dict) else holder)]
        if not level:
            return False
    return True


def read_object(data: bytes, *, what: str = "the body") -> Json:
    """A request body as a JSON object; a Problem that says what is wrong otherwise."""
    try:
        value = loads(data)
    except ValueError as error:
        raise Problem("invalid_request", f"{what} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise Problem("invalid_request", f"{what} must be a JSON object, not {kind_of(value)}")
    return value


def pick(body: Any, path: Path) -> Any:
    """The value at a path, or None: absent and null mean the same."""
    for key in path:
        if not isinstance(body, dict):
            return None
        body = body.get(key)
    return body


def take(body: Json, path: Path) -> Any:
    """pick, and remove it, with the objects that it leaves empty: what remains is what the reader did not know."""
    key, *inner = path
    if not inner:
        return body.pop(key, None)
    holder = body.get(key)
    if not isinstance(holder, dict):
        return None
    value = take(holder, tuple(inner))
    if value is not None and not holder:
        del body[key]
    return value


def place(body: Json, path: Path, value: Any) -> None:
    *parents, last = path
    for key in parents:
        body = body.setdefault(key, {})
    body[last] = value


def fill(body: Json, extra: Json, at: str = "extra") -> None:
    """Add what `extra` has and `body` has not; a collision is refused by name, never decided silently."""
    for key, value in extra.items():
        where = f"{at}.{key}"
        if key not in body:
            body[key] = value
        elif isinstance(body[key], dict) and isinstance(value, dict):
            fill(body[key], value, where)
        elif body[key] != value:
            raise invalid(where, "is already set by another field of the request; give it once")


def carry(body: Json, source: Json) -> None:
    """Add what `source` has and `body` has not, at any depth; what both have stays as `body` has it."""
    for key, value in source.items():
        if key not in body:
            body[key] = value
        elif isinstance(body[key], dict) and isinstance(value, dict):
            carry(body[key], value)


def without_nulls(value: Any) -> Any:
    """A copy in which a null member is absent, at any depth."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_nulls(inner) for inner in value]
    return value


def with_texts(value: Any, change: Callable[[str], str | None]) -> Any:
    """A copy in which every text is changed, at any depth; where that makes None of it, it is absent."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        changed = ((key, inner, with_texts(inner, change)) for key, inner in value.items())
        return {key: new for key, inner, new in changed if new is not None or inner is None}
    if isinstance(value, list):
        return [new for inner in value if (new := with_texts(inner, change)) is not None or inner is None]
    return value


def count_or_none(value: Any) -> int | None:
    """A whole number of things, from nothing to a million millions; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= COUNT_MOST:
        return None
    return int(value) if value == int(value) else None


def kind_of(value: Any) -> str:
    """A JSON value's type in the words of JSON."""
    kinds: Sequence[tuple[type | tuple[type, ...], str]] = (
        (bool, "a boolean"),
        (int, "an integer"),
        (float, "a number"),
        (str, "a string"),
        (list, "an array"),
        (dict, "an object"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")
