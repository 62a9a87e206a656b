"""What a caller wishes of a subscription, read field by field.

A change is read as the whole wish anew, the old one with what is given laid over it: so nothing can come about by a
change that could not have been made in one go.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.clock import DAY, SECOND
from service.endpoints import SIGNATURES
from service.errors import Problem, invalid
from service.formats import FORMATS, OFFERED
from service.formats.shape import Format, Target, read_options
from service.handshakes import HANDSHAKES
from service.keys import Caller
from service.model import EVENT_TYPES, TERMINAL_EVENTS, Status
from service.settings import DeliverySettings
from service.subscriptions import FILTERS, Subscription, type_matches
from service.tls import check_texts
from service.wire import Json, kind_of

KNOWN = (
    *("url", "events", "format", "format_options", "filters", "headers", "rate_per_minute", "concurrency"),
    *("timeout_seconds", "retry_seconds", "signatures", "tls", "handshake", "description", "tags", "owner"),
)
TLS_KNOWN = ("ca", "certificate", "key")
HEADERS_MOST, HEADER_LONGEST = 20, 2_000
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
# What the sender or HTTP itself decides.
RESERVED = re.compile(
    r"(webhook-.*|x-reelhook-.*|ce-.*|x-hub-signature-256|x-hook-secret|content-.*|host|connection|keep-alive|te|trailer"
    r"|transfer-encoding|upgrade|expect|date|proxy-.*|accept-encoding|cookie)",
    re.IGNORECASE,
)
VALUES_MOST, KEYS_MOST, TAGS_MOST, RETRIES_MOST = 50, 10, 20, 20
RATE_MOST = 60_000
FILTER_LONGEST = 200  # characters of a key, or of a value


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is wished. confided: {headers, options, tls}, what is encrypted at rest, without what is empty."""

    url: str
    shape: Format
    events: tuple[str, ...]
    filters: Json
    options: Json
    sending: Json
    description: str | None
    tags: tuple[str, ...]
    everyone: int
    handshake: str | None
    confided: Json = field(repr=False)


def read_wish(body: Json, caller: Caller, settings: DeliverySettings) -> Wish:
    """A subscription as it is asked for; a Problem that names the field otherwise. Without `events` it hears the four
    ways in which a task can end."""
    for name in body:
        if name not in KNOWN:
            raise invalid(name, f"is no parameter here; known: {', '.join(KNOWN)}")
    given: Json = {name: value for name, value in body.items() if value is not None}
    url = given.get("url")
    if not isinstance(url, str):
        raise invalid("url", f"must be a URL, not {kind_of(url)}" if url is not None else "is required")
    shape = _read_format(given.get("format", "standard"))
    options = read_options(shape, given.get("format_options"))
    shape.check(Target(url=url, options=options))
    secret = {each.name for each in shape.options if each.secret}
    confided = {
        "headers": _read_headers(given.get("headers", {}), shape),
        "options": {name: value for name, value in options.items() if name in secret and value is not None},
        "tls": _read_tls(given.get("tls", {}), url, shape),
    }
    return Wish(
        url=url,
        shape=shape,
        events=read_patterns(given.get("events"), "events"),
        filters=_read_filters(given.get("filters", {})),
        options={name: value for name, value in options.items() if name not in secret},
        sending=_read_sending(given, settings),
        description=_read_text(given.get("description"), "description", 500),
        tags=tuple(dict.fromkeys(_read_tags(given.get("tags", [])))),
        everyone=_read_owner(given.get("owner"), caller),
        handshake=_read_word(given.get("handshake"), "handshake", HANDSHAKES),
        confided={name: value for name, value in confided.items() if value},
    )


def as_wished(subscription: Subscription, confided: Json) -> Json:
    """A subscription as the body that would make it."""
    sending = subscription.sending
    retries = sending.get("retries_ms")
    return {
        "url": subscription.url,
        "events": list(subscription.events),
        "format": subscription.format,
        "format_options": subscription.options | confided.get("options", {}),
        "filters": subscription.filters,
        "headers": confided.get("headers"),
        "tls": confided.get("tls"),
        "rate_per_minute": sending.get("rate_per_minute"),
        "concurrency": sending.get("concurrency"),
        "timeout_seconds": sending["timeout_ms"] / SECOND if "timeout_ms" in sending else None,
        "retry_seconds": None if retries is None else [pause / SECOND for pause in retries],
        "signatures": sending.get("signatures"),
        "handshake": sending.get("handshake"),
        "description": subscription.description,
        "tags": list(subscription.tags),
        "owner": "*" if subscription.everyone else None,
    }


def read_patterns(value: Any, at: str) -> tuple[str, ...]:
    """Event types, `task.*` or `*`, as an array; without it the four ends of tasks."""
    if value is None:
        return TERMINAL_EVENTS
    if not isinstance(value, list) or not value:
        raise invalid(at, f"must be an array with one or more of {', '.join(EVENT_TYPES)}; task.* and * stand for many")
    for item in value:
        if not isinstance(item, str) or not any(type_matches(item, each) for each in EVENT_TYPES):
            raise invalid(at, f"must be made of {', '.join(EVENT_TYPES)}; task.* and * stand for many")
    return tuple(dict.fromkeys(value))


def _read_format(name: Any) -> Format:
    if name not in OFFERED:
        raise invalid("format", f"must be one of {', '.join(OFFERED)}")
    return FORMATS[name]


def _read_headers(given: Any, shape: Format) -> dict[str, str]:
    if not isinstance(given, dict):
        raise invalid("headers", f"must be an object of texts, not {kind_of(given)}")
    if given and shape.transport != "http":
        raise invalid("headers", f"the format {shape.name} has none")
    if len(given) > HEADERS_MOST:
        raise invalid("headers", f"must not be more than {HEADERS_MOST}")
    for name, value in given.items():
        at = f"headers.{name[:100]}"
        if not HEADER_NAME.fullmatch(name):
            raise invalid(at, "is no name of a header")
        if RESERVED.fullmatch(name):
            raise invalid(at, "is reserved: Reelhook or HTTP itself decides what it says")
        if not isinstance(value, str) or len(value) > HEADER_LONGEST or not (value.isascii() and value.isprintable()):
            raise invalid(at, f"must be a text of at most {HEADER_LONGEST} printable ASCII characters")
    if len({name.lower() for name in given}) < len(given):
        raise invalid("headers", "must name each header once, in capitals or not")
    headers: dict[str, str] = given
    return headers


def _read_tls(given: Any, url: str, shape: Format) -> dict[str, str]:
    if not isinstance(given, dict) or any(name not in TLS_KNOWN for name in given):
        raise invalid("tls", f"must be an object with {', '.join(TLS_KNOWN)}, each of them PEM")
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in given.items():
        if not isinstance(value, str):
            raise invalid(f"tls.{name}", f"must be PEM, not {kind_of(value)}")
    if given:
        if shape.transport != "http" or not url.startswith("https:"):
            raise invalid("tls", "needs a URL that begins with https://")
        check_texts(given.get("ca"), given.get("certificate"), given.get("key"))
    material: dict[str, str] = given
    return material


def _read_filters(given: Any) -> Json:
    """As they are stored: lists throughout."""
    if not isinstance(given, dict):
        raise invalid("filters", f"must be an object, not {kind_of(given)}")
    filters: Json = {}
    for name, value in given.items():
        if name not in FILTERS:
            raise invalid(f"filters.{name[:100]}", f"cannot be filtered by; known: {', '.join(FILTERS)}")
        if name == "metadata":
            filters[name] = _read_metadata_filter(value)
        else:
            filters[name] = _read_values(value, f"filters.{name}", (str,))
    for status in filters.get("status", []):
        if status not in list(Status):
            raise invalid("filters.status", f"must be made of {', '.join(Status)}")
    return filters


def _read_metadata_filter(value: Any) -> Json:
    if not isinstance(value, dict) or not value or len(value) > KEYS_MOST:
        raise invalid("filters.metadata", f"must be an object of 1 to {KEYS_MOST} keys")
    if any(len(key) > FILTER_LONGEST for key in value):
        raise invalid("filters.metadata", f"must have keys of at most {FILTER_LONGEST} characters")
    return {key: _read_values(each, f"filters.metadata.{key}", (str, int, float, bool)) for key, each in value.items()}


def _read_values(value: Any, at: str, kinds: tuple[type, ...]) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    if not 0 < len(values) <= VALUES_MOST or not all(type(each) in kinds for each in values):
        wanted = "a text" if kinds == (str,) else "a text, a number or a truth value"
        raise invalid(at, f"must be {wanted}, or 1 to {VALUES_MOST} of them in an array")
    if any(len(str(each)) > FILTER_LONGEST for each in values):  # each event reads all of its owner's filters
        raise invalid(at, f"must be made of values of at most {FILTER_LONGEST} characters")
    return values


def _read_sending(given: Mapping[str, Any], settings: DeliverySettings) -> Json:
    timeout_s = settings.timeout / SECOND
    read = {
        "rate_per_minute": _read_number(given, "rate_per_minute", 1, RATE_MOST, whole=True),
        "concurrency": _read_number(given, "concurrency", 1, settings.per_subscription, whole=True),
        "timeout_ms": _ms(_read_number(given, "timeout_seconds", min(0.1, timeout_s), timeout_s)),
        "retries_ms": _read_retries(given.get("retry_seconds")),
        "signatures": _read_signatures(given.get("signatures")),
        "handshake": given.get("handshake"),
    }
    return {name: value for name, value in read.items() if value is not None}


def _read_number(given: Mapping[str, Any], name: str, low: float, high: float, *, whole: bool = False) -> Any:
    value = given.get(name)
    if value is None:
        return None
    kinds = (int,) if whole else (int, float)
    if type(value) not in kinds or not low <= value <= high:
        raise invalid(name, f"must be {'a whole number' if whole else 'a number'} from {low:g} to {high:g}")
    return value


def _read_retries(value: Any) -> list[int] | None:
    if value is None:
        return None
    longest = 7 * DAY // SECOND
    good = isinstance(value, list) and len(value) <= RETRIES_MOST
    if not good or not all(type(each) in (int, float) and 0 <= each <= longest for each in value):
        raise invalid("retry_seconds", f"must be an array of at most {RETRIES_MOST} pauses from 0 to {longest} seconds")
    return [round(each * SECOND) for each in value]


def _read_signatures(value: Any) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or "v1" not in value or any(each not in SIGNATURES for each in value):
        raise invalid("signatures", f"must be an array of {', '.join(SIGNATURES)}; v1 is always one of them")
    return list(dict.fromkeys(value))


def _read_text(value: Any, at: str, longest: int) -> str | None:
    if value is not None and (not isinstance(value, str) or len(value) > longest or "\x00" in value):
        raise invalid(at, f"must be a text of at most {longest} characters")
    return value


def _read_tags(value: Any) -> list[str]:
    good = isinstance(value, list) and len(value) <= TAGS_MOST
    if not good or not all(isinstance(each, str) and 0 < len(each) <= 50 and each.isprintable() for each in value):
        raise invalid("tags", f"must be an array of at most {TAGS_MOST} texts of 1 to 50 characters")
    return list(value)


def _read_owner(value: Any, caller: Caller) -> int:
    if value is None or value == caller.name:
        return 0
    if value != "*":
        raise invalid("owner", "must be left out, or * for the events of everybody")
    if not caller.admin:
        raise Problem("forbidden", "owner: the events of everybody are for an admin's key", field="owner")
    return 1


def _read_word(value: Any, at: str, allowed: tuple[str, ...]) -> str | None:
    if value is not None and value not in allowed:
        raise invalid(at, f"must be one of {', '.join(allowed)}")
    word: str | None = value
    return word


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * SECOND)
