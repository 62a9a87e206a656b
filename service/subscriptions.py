"""Subscriptions, deliveries and attempts as values, and which events a subscription wants.

Event types are matched by pattern: `*` stands for any type, `task.*` for all of one kind. Filters are equalities on
what an event says of its task; what an event does not say never matches.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

from service.clock import HOUR
from service.wire import Json, loads

PAUSED_MS = HOUR  # for which what waits for a paused subscription is put off; never for ever, so nothing is forgotten
REMEMBERED_LONGEST = 2_000  # characters of what a subscription wants
FILTERS = ("gateway", "model", "status", "external_id", "metadata")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Who wants which events, where, in which format.

    task_id: only that task's (one-shot). everyone: 1 where it hears the events of all owners. filters: as stored,
    {field: [values], "metadata": {key: [values]}}. options: of the format, but for the secret ones. sending: how it is
    sent to (see `Sending`). sealed: what is encrypted at rest: custom headers, secret options, TLS material.
    previous: older secrets that are signed with too, [{"secret", "until"}]. made_by: `api` or `hook`. revision: counts
    changes. held_until: nothing is sent before (unix ms), because the endpoint has asked for a pause. failing_since:
    the first failure after the last success; warned: how far on the way to disabling its owner was told it is (%).
    """

    id: str
    owner: str
    url: str
    events: tuple[str, ...]
    format: str
    secret: str
    created_at: int
    task_id: str | None = None
    description: str | None = None
    filters: Json = field(default_factory=dict)
    options: Json = field(default_factory=dict)
    sending: Json = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    sealed: str | None = None
    previous: tuple[Json, ...] = ()
    everyone: int = 0
    made_by: str = "api"
    revision: int = 1
    paused_at: int | None = None
    held_until: int = 0
    failing_since: int | None = None
    failures: int = 0
    warned: int = 0
    disabled_at: int | None = None
    disabled_reason: str | None = None

    @property
    def status(self) -> str:
        return "disabled" if self.disabled_at is not None else "paused" if self.paused_at is not None else "active"

    def may_be_told_at(self, now: int) -> int:
        """The first instant at which something may be sent there (unix ms); for a paused one, when to look again."""
        return max(now + PAUSED_MS, self.held_until) if self.paused_at is not None else self.held_until


class DeliveryStatus(StrEnum):
    """pending until a 2xx (delivered), the end of the schedule (exhausted) or of the subscription (cancelled)."""

    PENDING = "pending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event for one subscription. next_at: when the next attempt is due; None exactly when it is over.

    body: the frozen bytes, None where they are the event's own. headers: those that were made of the event. level: how
    often something was left out of the body for the receiver to take it. replays: how often it was begun again; base:
    how many attempts there had been then. expunged_at: when its body, "" since then, was removed.
    """

    id: str
    owner: str
    event_id: str
    event_type: str
    subscription_id: str
    status: DeliveryStatus
    created_at: int
    next_at: int | None
    attempts: int = 0
    finished_at: int | None = None
    last_status: int | None = None
    last_error: str | None = None
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    level: int = 0
    base: int = 0
    replays: int = 0
    expunged_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request of a delivery. ambiguous: it was sent, and nobody knows whether it was received.

    level: how often something had been left out of the body. request_headers: as sent, secrets blanked. timings: ms by
    phase. hint: what can be done about the error. next_at: when the next one was due, None where there is none.
    """

    delivery_id: str
    number: int
    started_at: int
    duration_ms: int
    status: int | None
    error: str | None = None
    hint: str | None = None
    ambiguous: bool = False
    level: int = 0
    request_headers: Mapping[str, str] = field(default_factory=dict)
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)
    next_at: int | None = None


def type_matches(pattern: str, event_type: str) -> bool:
    """`*`, `task.*`, or the type itself."""
    return pattern in ("*", event_type) or (pattern.endswith(".*") and event_type.startswith(pattern[:-1]))


def wants(subscription: Subscription, event_type: str, data: Json) -> bool:
    """Whether a subscription wants an event. data: the envelope's."""
    named = any(type_matches(pattern, event_type) for pattern in subscription.events)
    return named and passes(subscription.filters, data) and not is_about(subscription.id, data)


def is_about(subscription_id: str, data: Json) -> bool:
    """Whether an event is about this subscription, which never hears of itself: that it cannot be told is what the
    event says."""
    about = data.get("subscription")
    return isinstance(about, dict) and about.get("id") == subscription_id


def passes(filters: Json, data: Json) -> bool:
    """Whether an event passes filters as they are stored; what it does not say never does."""
    if not filters:
        return True
    said = data.get("task")
    if not isinstance(said, dict):
        return False
    metadata = said.get("metadata")
    for name, wanted in filters.items():
        if name == "metadata":
            held = metadata if isinstance(metadata, dict) else {}
            for key, values in wanted.items():
                if not _is_one_of(held.get(key), values):
                    return False
        elif not _is_one_of(said.get(name), wanted):
            return False
    return True


def _is_one_of(value: Any, wanted: list[Any]) -> bool:
    """Equal in kind as well as in value: 1 is neither true nor "1", and nothing is equal to null."""
    kind = type(value)
    for each in wanted:  # a loop, because each event asks it of every subscription
        if type(each) is kind and each == value:
            return value is not None
    return False


Matcher = Callable[[str, Json], bool]


def matcher(events: str, filters: str) -> Matcher:
    """What the stored texts of a subscription want: (event type, data) -> bool. Each event is matched against every
    subscription of its owner, and most of those share their texts; long ones are read anew, so that what is remembered
    has an end."""
    return (_matcher if len(events) + len(filters) <= REMEMBERED_LONGEST else _matcher.__wrapped__)(events, filters)


@lru_cache(maxsize=8192)  # fewer than an owner has would all be forgotten before they come round again
def _matcher(events: str, filters: str) -> Matcher:
    patterns, read = tuple(loads(events)), loads(filters)
    every_type = "*" in patterns

    def wanted(event_type: str, data: Json) -> bool:
        named = every_type or any(type_matches(pattern, event_type) for pattern in patterns)
        return named and passes(read, data)

    return wanted
