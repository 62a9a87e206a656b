"""What a format is: how events are told to one kind of receiver, and what that receiver's answers mean.

A format is a value with a few functions, none of which does I/O or reads a clock. What it renders is frozen with the
delivery; how the frozen body becomes a request, and what is left out when the receiver cannot take all of it, are
functions of those bytes alone, so that every attempt sends the same.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from service.errors import invalid
from service.links import Links
from service.model import Event, Task
from service.wire import HttpAnswer, HttpRequest, Json, kind_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What is to be rendered: an event, with its body as a value. task, links: only at the moment when a task tells the
    event, for the one format that needs more than the event says (`gateway`)."""

    event: Event
    envelope: Json
    task: Task | None = None
    links: Links | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What is frozen with a delivery. headers: those that are made of the event, names in lower case."""

    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a delivery goes. options: of the subscription, as `read_options` made them, secret ones included."""

    url: str
    options: Json = field(default_factory=dict)


class Judgement(StrEnum):
    """What an answer means for its delivery."""

    DELIVERED = "delivered"
    RETRY = "retry"  # the same once more, later
    DEGRADE = "degrade"  # once more with less in it, at once; where nothing is left to drop, REFUSED
    REFUSED = "refused"  # this message will never be taken; the next one may be
    GONE = "gone"  # nobody is there any more: the subscription ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """error: why it is not delivered, in words for people. hint: what they can do about it. retry_after_ms: the pause
    that the receiver asks for. holds: the whole subscription waits, and not this delivery alone."""

    judgement: Judgement
    error: str | None = None
    hint: str | None = None
    retry_after_ms: int | None = None
    holds: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One format option. secret: encrypted at rest and never shown. longest: characters of a string."""

    name: str
    kind: type[str] | type[int] | type[bool]
    meaning: str
    default: Any = None
    required: bool = False
    secret: bool = False
    allowed: tuple[Any, ...] = ()
    low: int | None = None
    high: int | None = None
    longest: int = 500


DELIVERED = Verdict(judgement=Judgement.DELIVERED)


def by_status(answer: HttpAnswer, now: int) -> Verdict:
    """What a webhook receiver's answer means: 2xx alone is a success, 410 ends the subscription, 429 and 503 slow all
    of it down, and everything else is tried again. now: unix ms."""
    status = answer.status
    if 200 <= status < 300:
        return DELIVERED
    error = f"the endpoint answered HTTP {status}"
    if status == 410:
        return Verdict(judgement=Judgement.GONE, error="the endpoint answered 410 Gone")
    if 300 <= status < 400:
        error += "; redirects are not followed"
    return Verdict(
        judgement=Judgement.RETRY,
        error=error,
        retry_after_ms=answer.retry_after_ms(now),
        holds=status in (429, 503),
    )


def post_json(target: Target, body: str) -> HttpRequest:
    """The frozen body as it is, to the subscription's URL."""
    headers = {"content-type": "application/json"}
    return HttpRequest(method="POST", url=target.url, headers=headers, body=body.encode())


def any_target(target: Target) -> None:
    """Every URL that may be sent to will do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One way to tell events.

    title, source: for people, and the documentation that the wire facts are from. transport: http, webpush (the body is
    encrypted for the browser) or smtp (the URL is mailto:). check: refuses, by a Problem that names `url` or
    `format_options.<name>`, a target that this format cannot be sent to. degrade: the frozen body with less in it, None
    where nothing is left to drop. signed: by Standard Webhooks. secret_url: whoever has the URL can post there, so it
    is shown to nobody. pauses: between attempts (ms), where they are not those of the settings. spacing_ms: the least
    span between two requests to the same URL. offered: what a subscription may ask for.
    """

    name: str
    title: str
    source: str
    render: Callable[[Telling, Json], Rendered]
    options: tuple[Option, ...] = ()
    check: Callable[[Target], None] = any_target
    request: Callable[[Target, str], HttpRequest] = post_json
    judge: Callable[[HttpAnswer, int], Verdict] = by_status
    degrade: Callable[[str], str | None] | None = None
    transport: str = "http"
    signed: bool = True
    secret_url: bool = False
    pauses: tuple[int, ...] | None = None
    spacing_ms: int = 0
    offered: bool = True


def read_options(shape: Format, given: Any, at: str = "format_options") -> Json:
    """The options of a subscription, checked, defaults filled in; a Problem that names what is wrong otherwise."""
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise invalid(at, f"must be an object, not {kind_of(given)}")
    known = [option.name for option in shape.options]
    for name in given:
        if name not in known:
            names = ", ".join(known) or "none"
            raise invalid(f"{at}.{name}", f"is no option of the format {shape.name}; it knows {names}")
    return {each.name: _read_option(each, given.get(each.name), f"{at}.{each.name}") for each in shape.options}


def _read_option(option: Option, value: Any, at: str) -> Any:
    if value is None:
        if option.required:
            raise invalid(at, f"is required: {option.meaning}")
        return option.default
    if not isinstance(value, option.kind) or (option.kind is int and isinstance(value, bool)):
        wanted = {int: "an integer", str: "a string", bool: "true or false"}[option.kind]
        raise invalid(at, f"must be {wanted}, not {kind_of(value)}")
    if option.allowed and value not in option.allowed:
        raise invalid(at, f"must be one of {', '.join(map(str, option.allowed))}")
    if isinstance(value, str) and (len(value) > option.longest or not value.isprintable() or not value.strip()):
        raise invalid(at, f"must be 1 to {option.longest} printable characters")
    if isinstance(value, int) and not isinstance(value, bool):
        low, high = option.low, option.high
        if (low is not None and value < low) or (high is not None and value > high):
            raise invalid(at, f"must be from {low} to {high}")
    return value
