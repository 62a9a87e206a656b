"""Rows as values, and values as rows."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from service.errors import Problem
from service.model import (
    Status,
    Submission,
    Task,
    request_from_json,
    request_to_json,
)
from service.store.statements import Row
from service.subscriptions import Attempt, Delivery, DeliveryStatus, Subscription
from service.wire import Json, dump_text, loads

CUT_OFF = "Reelhook was stopped while this was under way, or waited for its turn; it may have been received"
BEFORE_ALL = "~"  # sorts after every id: the first page
FOR_EVER = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which part of a list: newest first, ids below `before`, created in [since, until)."""

    before: str = BEFORE_ALL
    since: int = 0
    until: int = FOR_EVER
    limit: int = 50

    def params(self) -> Json:
        return {"before": self.before, "since": self.since, "until": self.until, "limit": self.limit}


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """A caller's own name for one submit, with the fingerprint of what was submitted under it."""

    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeatable:
    """A create without a key that its caller may send again. since: how long ago (unix ms) somebody who has sent the
    same may have gone away without his answer."""

    fingerprint: str
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """The task of a create that was sent before, by the same key or by somebody who was not answered; answer: the task
    as its first caller was told, None before that."""

    task_id: str
    fingerprint: str
    answer: Task | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """One callback as it was received, with what became of it: look, noted, settled, duplicate or late."""

    id: str
    task_id: str
    received_at: int
    outcome: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """A leased delivery with all that an attempt needs. attempts: how many were made before; base: how many of them
    before it was last begun again, which has happened `replays` times; begun_at: when that was, or when it was made
    (unix ms); unsent: how many since then never left; cut_off: 1 where the last of them is only a guess. body, headers:
    as they are frozen; format: in which they are, None for the subscription's; level: how often something is left out
    of the body."""

    delivery_id: str
    event_id: str
    event_type: str
    subscription: Subscription
    created_at: int
    begun_at: int
    body: str
    lease: str
    leased_until: int
    headers: Mapping[str, str] = field(default_factory=dict)
    format: str | None = None
    attempts: int = 0
    cut_off: int = 0
    replays: int = 0
    base: int = 0
    unsent: int = 0
    level: int = 0


# --- rows as values, values as rows


def digest_of(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def columns_of(value: Any) -> Json:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


_TASK_COLUMNS = tuple(
    name
    for name in Task.__dataclass_fields__
    if name not in ("request", "status", "submission", "result", "assets", "error")
)


# What a row that was kept before these columns came would have said in them.
_SINCE_ADDED = {
    "alone": 0,
    "preparing": 0,
    "assets": "{}",
    "hints": 0,
    "told": 0,
    "slim": 0,
    "errand": "ask",
    "attempt": 1,
}


def task_from_row(row: Row) -> Task:
    return Task(
        request=request_from_json(loads(row["request"])),
        status=Status(row["status"]),
        submission=Submission(row["submission"]),
        result=loads(row["result"]),
        assets=loads(row["assets"]),
        error=_problem(loads(row["error"])) if row["error"] else None,
        **{name: row[name] for name in _TASK_COLUMNS},
    )


def task_to_json(task: Task) -> Json:
    """A task as a row again, for keeping it as it was."""
    columns: Json = {name: getattr(task, name) for name in _TASK_COLUMNS}
    return columns | {
        "request": dump_text(request_to_json(task.request)),
        "status": task.status.value,
        "submission": task.submission.value,
        "result": dump_text(task.result),
        "assets": dump_text(task.assets),
        "error": error_text(task.error),
    }


def error_text(problem: Problem | None) -> str | None:
    return None if problem is None else dump_text(problem.to_json())


_SUBSCRIPTION_JSON = ("events", "filters", "options", "sending", "tags", "previous")
REMEMBERED_LONGEST = 4_000  # characters of a row
_SUBSCRIPTION_LISTS = ("events", "tags", "previous")


def subscription_columns(subscription: Subscription) -> Json:
    columns = columns_of(subscription)
    return columns | {name: dump_text(columns[name]) for name in _SUBSCRIPTION_JSON}


def subscription_from_row(row: Row) -> Subscription:
    """Each event reads all subscriptions of its owner, and most of them are as they were for the last one: the same
    row is the same value, which nobody changes. A long one is read anew, so that what is remembered has an end."""
    names, values = tuple(row.keys()), tuple(row.values())
    size = sum(len(value) for value in values if isinstance(value, str))
    return (_subscription if size <= REMEMBERED_LONGEST else _subscription.__wrapped__)(names, values)


@lru_cache(maxsize=4096)
def _subscription(names: tuple[str, ...], values: tuple[Any, ...]) -> Subscription:
    row = dict(zip(names, values, strict=True))
    read: Json = {name: loads(row[name]) for name in _SUBSCRIPTION_JSON}
    return Subscription(**row | read | {name: tuple(read[name]) for name in _SUBSCRIPTION_LISTS})


def delivery_from_row(row: Row) -> Delivery:
    names = [name for name in Delivery.__dataclass_fields__ if name not in ("status", "headers")]
    return Delivery(
        status=DeliveryStatus(row["status"]), headers=loads(row["headers"]), **{name: row[name] for name in names}
    )


_ATTEMPT_JSON = ("request_headers", "response_headers", "timings")


def attempt_columns(attempt: Attempt) -> Json:
    columns = columns_of(attempt)
    return (
        columns
        | {name: dump_text(dict(columns[name])) for name in _ATTEMPT_JSON}
        | {"ambiguous": int(attempt.ambiguous), "cut_off": CUT_OFF}
    )


def attempt_from_row(row: Row) -> Attempt:
    read = {name: loads(row[name]) for name in _ATTEMPT_JSON}
    return Attempt(**dict(row) | read | {"ambiguous": bool(row["ambiguous"])})


def _problem(body: Json) -> Problem:
    return Problem(**{name: value for name, value in body.items() if name != "retryable"})


def repeat_from_row(row: Row) -> Repeat:
    # an answer that was kept before a column came has nothing to say in it
    answer = (
        task_from_row(dict.fromkeys(_TASK_COLUMNS) | _SINCE_ADDED | loads(row["answer"])) if row["answer"] else None
    )
    return Repeat(task_id=row["task_id"], fingerprint=row["fingerprint"], answer=answer)


def dispatch_from_row(row: Row, subscription: Subscription, lease: str, until: int, now: int) -> Dispatch:
    names = ("event_id", "event_type", "attempts", "base", "unsent", "level", "replays", "created_at", "body", "format")
    return Dispatch(
        delivery_id=row["id"],
        subscription=subscription,
        headers=loads(row["headers"]) if row["headers"] != "{}" else {},
        lease=lease,
        leased_until=until,
        begun_at=now if row["begun_at"] is None else row["begun_at"],
        **{name: row[name] for name in names},
    )
