"""What the tests of the store begin with: values, and the short way to store them."""

import sqlite3
from dataclasses import replace
from itertools import count
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from service.model import (
    TERMINAL_EVENTS,
    Event,
    Media,
    Status,
    Submission,
    Task,
    VideoRequest,
    new_id,
)
from service.store.rows import Dispatch
from service.store.statements import Database, Params, Rows, Transaction, run, run_many
from service.store.tasks import find_task, insert_task, step
from service.store.telling import add_subscription, insert_deliveries, insert_event
from service.subscriptions import Subscription

NOW = 1_790_000_000_000
MINUTE = 60_000
LEASE = "lease_1"

BROKEN_RULE = (sqlite3.IntegrityError, asyncpg.IntegrityConstraintViolationError)
FAILED = (sqlite3.Error, asyncpg.PostgresError)

_instants = count(NOW - 1_000_000)  # so that ids sort in the order in which they were made


def fresh_id(prefix: str) -> str:
    return new_id(prefix, next(_instants))


def sql(text: str, /, **params: Any) -> Transaction[Rows]:
    """Any text as a transaction of its own."""
    return (yield run(text, **params))


def each(name: str, many: list[Params]) -> Transaction[None]:
    yield run_many(name, many)


def a_task(**changes: Any) -> Task:
    request = VideoRequest(
        model="seedance-2", prompt="Ein Käfer 🐞", media=(Media(type="image", url="https://a/b.png"),)
    )
    task = Task(
        id=fresh_id("task"),
        owner="ann",
        gateway="north",
        dialect="videos",
        surface="videos",
        request=request,
        status=Status.QUEUED,
        submission=Submission.SENDING,
        when_full="queue",
        created_at=NOW,
        updated_at=NOW,
        deadline_at=NOW + 60 * MINUTE,
        next_at=NOW + MINUTE,
        lease=LEASE,
    )
    return replace(task, **changes | {"updated_at": changes.get("created_at", NOW)})


def a_subscription(**changes: Any) -> Subscription:
    subscription = Subscription(
        id=fresh_id("sub"),
        owner="ann",
        url="https://example.com/hook",
        events=TERMINAL_EVENTS,
        format="standard",
        secret="whsec_1",
        created_at=NOW,
    )
    return replace(subscription, **changes)


def an_event(**changes: Any) -> Event:
    event = Event(
        id=fresh_id("evt"), owner="ann", task_id="task_1", type="task.succeeded", created_at=NOW, body='{"ü": 1}'
    )
    return replace(event, **changes)


def a_dispatch(event: Event, subscription: Subscription, **changes: Any) -> Dispatch:
    dispatch = Dispatch(
        delivery_id=fresh_id("dlv"),
        event_id=event.id,
        event_type=event.type,
        subscription=subscription,
        created_at=event.created_at,
        begun_at=event.created_at,
        body=event.body,
        format=subscription.format,
        lease=LEASE,
        leased_until=NOW + MINUTE,
    )
    return replace(dispatch, **changes)


async def stored_task(database: Database, **changes: Any) -> Task:
    """A task whose create is under way."""
    task = a_task(**changes)
    await database.write(insert_task, task, None, None)
    return task


async def unsent_task(database: Database, *, next_at: int = NOW, **changes: Any) -> Task:
    """A task whose create has to wait."""
    task = await stored_task(database, **changes)
    return await stepped(
        database, "postpone_create", id=task.id, lease=task.lease, error=None, next_at=next_at, now=NOW
    )


async def accepted_task(database: Database, *, next_at: int = NOW, **changes: Any) -> Task:
    """A task that the gateway has."""
    task = await stored_task(database, **changes)
    return await stepped(
        database,
        "accept_task",
        id=task.id,
        gateway_task_id=f"cgt-{task.id}",
        next_at=next_at,
        deadline_at=NOW,
        result="{}",
        now=NOW,
    )


async def doubted_task(database: Database) -> Task:
    """A task of which nobody knows whether the gateway has it."""
    task = await stored_task(database)
    at = task.deadline_at
    return await stepped(
        database, "doubt_create", id=task.id, lease=task.lease, error=None, next_at=at, deadline_at=at, now=NOW
    )


async def settled_task(database: Database, task: Task, status: Status = Status.SUCCEEDED, at: int = NOW) -> Task:
    return await stepped(database, "settle_task", **settlement(task, status, at))


def settlement(task: Task, status: Status = Status.SUCCEEDED, at: int = NOW) -> dict[str, Any]:
    return {
        "id": task.id,
        "status": status.value,
        "submission": task.submission.value,
        "gateway_task_id": task.gateway_task_id,
        "result": '{"video_url":"https://a/v.mp4"}',
        "error": None,
        "settled_by": "sweep",
        "took_ms": at - task.accepted_at if task.accepted_at is not None else None,
        "now": at,
    }


def a_look(task: Task, **changes: Any) -> dict[str, Any]:
    """The parameters of `note_look`: asked at NOW, answered a second later."""
    return {
        "id": task.id,
        "lease": task.lease,
        "status": "queued",
        "progress": 10,
        "result": "{}",
        "unknown_word": None,
        "misses": 0,
        "alone": 0,
        "hints": task.hints,
        "now": NOW + 1_000,
        "next_at": NOW + 10 * MINUTE,
        "hinted_next_at": NOW + 2_000,
    } | changes


async def stepped(database: Database, name: str, /, **params: Any) -> Task:
    """A step that must succeed."""
    task = await database.write(step, name, **params)
    assert task is not None, f"{name} changed nothing"
    return task


async def current(database: Database, task: Task) -> Task:
    found = await database.write(find_task, task.id)
    assert found is not None
    return found


async def stored_delivery(database: Database, *, leased: bool = False, **changes: Any) -> Dispatch:
    """A delivery of an event of its own to a subscription of its own."""
    event = an_event(id=fresh_id("evt"), task_id=fresh_id("task"), **changes)
    subscription = a_subscription(owner=event.owner)
    dispatch = a_dispatch(event, subscription)
    await database.write(add_subscription, subscription)
    await database.write(insert_event, event)
    await database.write(insert_deliveries, event, [dispatch], leased=leased)
    return dispatch


def an_outcome(dispatch: Dispatch, **changes: Any) -> dict[str, Any]:
    """The parameters of `record_outcome`: delivered at the first attempt."""
    return {
        "id": dispatch.delivery_id,
        "lease": dispatch.lease,
        "status": "delivered",
        "attempts": 1,
        "last_status": 204,
        "last_error": None,
        "finished_at": NOW,
        "next_at": None,
        "level": 0,
        "replays": 0,
        "base": 0,
        "unsent": 0,
    } | changes
