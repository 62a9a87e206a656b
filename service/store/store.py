"""Every rule of persistence, once: rows as values, and the steps that transactions are made of."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from service.errors import Problem
from service.model import (
    Attempt,
    Delivery,
    DeliveryStatus,
    Event,
    ListQuery,
    Status,
    Submission,
    Subscription,
    Task,
    first_id,
    request_from_json,
    request_to_json,
)
from service.store.statements import Database, Row, Rows, Transaction, run, run_many
from service.wire import Json, dump_text, loads

BEFORE_ALL = "~"  # sorts after every id: the first page
FOR_EVER = 2**62
TASK_ID_LENGTH = len("task_") + 26


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
class Replay:
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
    """A leased delivery with all that an attempt needs. attempts: how many were made before."""

    delivery_id: str
    event_id: str
    event_type: str
    subscription_id: str
    attempts: int
    created_at: int
    url: str
    secret: str
    body: str
    lease: str
    leased_until: int


# --- tasks


def insert_task(
    task: Task,
    key: IdempotencyKey | None,
    subscription: Subscription | None,
    repeatable: Repeatable | None = None,
) -> Transaction[Replay | None]:
    """Store a task that is about to be prepared or sent, with the caller's one-shot subscription; or, when the
    idempotency key is known already, or the same create was left by a caller who was not answered, store nothing and
    say which task it stands for."""
    if key is not None:
        won = yield run(
            "insert_idempotency_key",
            owner=task.owner,
            key=key.key,
            fingerprint=key.fingerprint,
            task_id=task.id,
            now=task.created_at,
        )
        if not won:
            rows = yield run("idempotency_key", owner=task.owner, key=key.key)
            return _replay(rows[0])
    if repeatable is not None:
        taken = yield run(
            "take_unanswered", owner=task.owner, fingerprint=repeatable.fingerprint, since=repeatable.since
        )
        if taken:
            return Replay(task_id=taken[0]["task_id"], fingerprint=repeatable.fingerprint, answer=None)
        yield run(
            "insert_unanswered",
            task_id=task.id,
            owner=task.owner,
            fingerprint=repeatable.fingerprint,
            now=task.created_at,
        )
    yield run(
        "insert_task",
        id=task.id,
        owner=task.owner,
        gateway=task.gateway,
        dialect=task.dialect,
        surface=task.surface,
        model=task.request.model,
        service_tier=task.request.service_tier or "default",
        request=dump_text(request_to_json(task.request)),
        when_full=task.when_full,
        submission=task.submission.value,
        preparing=task.preparing,
        now=task.created_at,
        deadline_at=task.deadline_at,
        next_at=task.next_at,
        lease=task.lease,
        mount=task.mount,
        caller_dialect=task.caller_dialect,
        caller_surface=task.caller_surface,
        caller_model=task.caller_model,
    )
    if subscription is not None:
        yield from add_subscription(subscription)
    return None


def freeze_answer(task: Task) -> Transaction[None]:
    """Remember the task as its caller is told about it now, for a repeated submit."""
    if (yield run("key_of_task", task_id=task.id)):
        yield run("freeze_answer", task_id=task.id, answer=dump_text(task_to_json(task)))


def step(name: str, /, **params: Any) -> Transaction[Task | None]:
    """Run one conditional update of a task; the task as it is now, or None when the condition did not hold."""
    rows = yield run(name, **params)
    return task_from_row(rows[0]) if rows else None


def renew_create(task_id: str, lease: str | None, until: int) -> Transaction[None]:
    yield run("renew_create", id=task_id, lease=lease, until=until)


def renew_lease(task_id: str, lease: str | None, until: int) -> Transaction[None]:
    yield run("renew_lease", id=task_id, lease=lease, until=until)


def give_back(task_id: str, lease: str | None, now: int, unsent: int) -> Transaction[None]:
    """Undo a claim that nobody will work on. unsent: 1 for a create that has not begun."""
    yield run("return_task", id=task_id, lease=lease, now=now, unsent=unsent)


def find_task(task_id: str) -> Transaction[Task | None]:
    return (yield from step("task", id=task_id))


def claim_tasks(name: str, /, **params: Any) -> Transaction[list[Task]]:
    rows = yield run(name, **params)
    return [task_from_row(row) for row in rows]


def insert_callback(callback: Callback) -> Transaction[None]:
    yield run("insert_callback", **_columns(callback) | {"digest": _digest(callback.body)})


def callback_bodies(task_id: str) -> Transaction[list[str]]:
    """In the order in which they came."""
    return [row["body"] for row in (yield run("callback_bodies", task_id=task_id))]


def callback_seen(task_id: str, body: str) -> Transaction[bool]:
    """Whether the same bytes have come before."""
    return bool((yield run("callback_seen", task_id=task_id, digest=_digest(body))))


# --- events, subscriptions, deliveries


def insert_event(event: Event) -> Transaction[bool]:
    """False when the task has told this before."""
    return bool((yield run("insert_event", **_columns(event))))


def subscriptions_to_tell(owner: str, task_id: str, event_type: str) -> Transaction[list[Subscription]]:
    rows = yield run("subscriptions_to_tell", owner=owner, task_id=task_id)
    return [subscription_from_row(row) for row in rows if event_type in _event_types(row["events"])]


def insert_deliveries(event: Event, dispatches: Sequence[Dispatch], *, leased: bool) -> Transaction[None]:
    """leased: they go to this process's own senders at once; otherwise they are due for anybody."""
    yield run_many(
        "insert_delivery",
        [
            {
                "id": dispatch.delivery_id,
                "owner": event.owner,
                "event_id": event.id,
                "event_type": event.type,
                "subscription_id": dispatch.subscription_id,
                "body": None if dispatch.body == event.body else dispatch.body,
                "now": dispatch.created_at,
                "next_at": dispatch.leased_until if leased else dispatch.created_at,
                "lease": dispatch.lease if leased else None,
            }
            for dispatch in dispatches
        ],
    )


def claim_deliveries(now: int, until: int, lease: str, limit: int) -> Transaction[list[Dispatch]]:
    rows = yield run("due_deliveries", now=now, limit=limit)
    yield run_many("lease_delivery", [{"id": row["id"], "until": until, "lease": lease} for row in rows])
    return [_dispatch(row, lease, until) for row in rows]


def add_subscription(subscription: Subscription) -> Transaction[None]:
    yield run("insert_subscription", **_columns(subscription) | {"events": dump_text(list(subscription.events))})


def delete_subscription(subscription_id: str, owner: str | None, now: int) -> Transaction[bool]:
    """End a subscription, and with it what it still waited for."""
    rows = yield run("delete_subscription", id=subscription_id, owner=owner)
    if rows:
        reason = "the subscription was deleted"
        yield run("cancel_deliveries", subscription_id=subscription_id, now=now, reason=reason)
    return bool(rows)


def disable_subscription(subscription_id: str, reason: str, now: int) -> Transaction[bool]:
    rows = yield run("disable_subscription", id=subscription_id, reason=reason, now=now)
    yield run("cancel_deliveries", subscription_id=subscription_id, now=now, reason=reason)
    return bool(rows)


# --- reads


class Reads:
    """What may be asked. owner None: the admin, who sees everybody's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def task(self, task_id: str, owner: str | None) -> Task | None:
        rows = await self._database.read("task_of_owner", id=task_id, owner=owner)
        return task_from_row(rows[0]) if rows else None

    async def tasks(self, owner: str | None, window: Window, *, status: str | None, gateway: str | None) -> list[Task]:
        rows = await self._database.read("tasks_page", owner=owner, status=status, gateway=gateway, **window.params())
        return [task_from_row(row) for row in rows]

    async def task_of_mount(self, task_id: str, owner: str | None, mount: str) -> Task | None:
        """As the callers of a compatible API see it: not once it is deleted there."""
        rows = await self._database.read("task_of_mount", id=task_id, owner=owner, mount=mount)
        return task_from_row(rows[0]) if rows else None

    async def tasks_of_mount(
        self, owner: str | None, mount: str, *, after: str | None, limit: int, oldest_first: bool
    ) -> list[Task]:
        """The tasks that follow `after`, in the order of their ids, which is that of time."""
        name = "mount_page_oldest_first" if oldest_first else "mount_page"
        after = after if after is not None else "" if oldest_first else BEFORE_ALL
        rows = await self._database.read(name, owner=owner, mount=mount, after=after, limit=limit)
        return [task_from_row(row) for row in rows]

    async def listed(self, owner: str | None, mount: str, query: ListQuery, *, since: int) -> tuple[int, list[Task]]:
        """(how many there are, those of the page), newest first: the tasks of one gateway's API that were not deleted
        there. query.ids: our own; those that cannot be ours are none."""
        params: Json = {
            "owner": owner,
            "mount": mount,
            "status": query.status and query.status.value,
            "model": query.model,
            "service_tier": query.service_tier,
            "since": since,
            "first": first_id("task", since),
        }
        name = "listed_tasks"
        if query.ids:
            name = "listed_tasks_by_id"
            params["ids"] = "".join(sorted({task_id for task_id in query.ids if len(task_id) == TASK_ID_LENGTH}))
        rows = await self._database.read(name, limit=query.limit, offset=query.offset, **params)
        counted = rows
        if not rows and query.offset:  # a page past the end
            counted = await self._database.read(name, limit=1, offset=0, **params)
        return counted[0]["total"] if counted else 0, [task_from_row(row) for row in rows]

    async def callbacks(self, task_id: str, window: Window) -> list[Callback]:
        rows = await self._database.read("callbacks_page", task_id=task_id, before=window.before, limit=window.limit)
        return [Callback(**row) for row in rows]

    async def event(self, event_id: str, owner: str | None) -> Event | None:
        rows = await self._database.read("event", id=event_id, owner=owner)
        return Event(**rows[0]) if rows else None

    async def events(
        self, owner: str | None, window: Window, *, task_id: str | None, event_type: str | None
    ) -> list[Event]:
        rows = await self._database.read(
            "events_page", owner=owner, task_id=task_id, type=event_type, **window.params()
        )
        return [Event(**row) for row in rows]

    async def subscription(self, subscription_id: str, owner: str | None) -> Subscription | None:
        rows = await self._database.read("subscription", id=subscription_id, owner=owner)
        return subscription_from_row(rows[0]) if rows else None

    async def subscriptions(self, owner: str | None, window: Window) -> list[Subscription]:
        rows = await self._database.read("subscriptions_page", owner=owner, before=window.before, limit=window.limit)
        return [subscription_from_row(row) for row in rows]

    async def delivery(self, delivery_id: str, owner: str | None) -> Delivery | None:
        rows = await self._database.read("delivery", id=delivery_id, owner=owner)
        return delivery_from_row(rows[0]) if rows else None

    async def deliveries(
        self,
        owner: str | None,
        window: Window,
        *,
        status: str | None,
        event_id: str | None,
        subscription_id: str | None,
    ) -> list[Delivery]:
        rows = await self._database.read(
            "deliveries_page",
            owner=owner,
            status=status,
            event_id=event_id,
            subscription_id=subscription_id,
            **window.params(),
        )
        return [delivery_from_row(row) for row in rows]

    async def attempts(self, delivery_id: str) -> list[Attempt]:
        rows = await self._database.read("attempts", delivery_id=delivery_id)
        return [Attempt(**dict(row) | {"ambiguous": bool(row["ambiguous"])}) for row in rows]

    async def durations(self, gateway: str, model: str, limit: int) -> list[int]:
        rows = await self._database.read("recent_durations", gateway=gateway, model=model, limit=limit)
        return [row["duration_ms"] for row in rows]

    async def gateways_with_open_tasks(self) -> set[str]:
        return {row["gateway"] for row in await self._database.read("gateways_with_open_tasks")}

    async def archived_size(self) -> int:
        """How many bytes the archive keeps."""
        return int((await self._database.read("archived_size"))[0]["size"])

    async def expired_archived(self, now: int, limit: int) -> Rows:
        """{task_id, variant, key} of what need not be kept any longer."""
        return await self._database.read("expired_archived", now=now, limit=limit)

    async def next_at(self, name: str, /, **params: Any) -> int | None:
        """The earliest due time that a `next_…` statement finds."""
        rows: Rows = await self._database.read(name, **params)
        at: int | None = rows[0]["next_at"]
        return at


# --- rows as values, values as rows


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def _columns(value: Any) -> Json:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


_TASK_COLUMNS = tuple(
    name
    for name in Task.__dataclass_fields__
    if name not in ("request", "status", "submission", "result", "assets", "error")
)


# Columns that answers frozen by an earlier version do not have.
_SINCE_ADDED: Json = {"preparing": 0, "assets": "{}"}


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


def subscription_from_row(row: Row) -> Subscription:
    return Subscription(**dict(row) | {"events": _event_types(row["events"])})


@lru_cache(maxsize=256)
def _event_types(stored: str) -> tuple[str, ...]:
    """A few lists serve all subscriptions, and each event is matched against every one of its owner."""
    return tuple(loads(stored))


def delivery_from_row(row: Row) -> Delivery:
    names = [name for name in Delivery.__dataclass_fields__ if name != "status"]
    return Delivery(status=DeliveryStatus(row["status"]), **{name: row[name] for name in names})


def _problem(body: Json) -> Problem:
    return Problem(**{name: value for name, value in body.items() if name != "retryable"})


def _replay(row: Row) -> Replay:
    # an answer that was kept before a column came has nothing to say in it
    answer = (
        task_from_row(dict.fromkeys(_TASK_COLUMNS) | _SINCE_ADDED | loads(row["answer"])) if row["answer"] else None
    )
    return Replay(task_id=row["task_id"], fingerprint=row["fingerprint"], answer=answer)


def _dispatch(row: Row, lease: str, until: int) -> Dispatch:
    names = ("event_id", "event_type", "subscription_id", "attempts", "created_at", "url", "secret", "body")
    return Dispatch(delivery_id=row["id"], lease=lease, leased_until=until, **{name: row[name] for name in names})
