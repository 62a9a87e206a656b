"""What is old: the values that pruning and expunging are tried with, and one turn of them."""

from typing import Any

from service.clock import DAY
from service.model import Event, Task, new_id
from service.pruning import Pruning
from service.settings import RetentionSettings, Span
from service.store.archived import Archived
from service.store.rows import Callback, Dispatch
from service.store.statements import Database, Rows, Transaction, run
from service.store.tasks import insert_callback
from service.store.telling import (
    add_subscription,
    insert_deliveries,
    insert_event,
)
from tests.store.given import (
    NOW,
    a_dispatch,
    a_subscription,
    accepted_task,
    an_event,
    an_outcome,
    each,
    settled_task,
    sql,
)

LONG_AGO = NOW - 100 * DAY
KEPT = RetentionSettings(tasks=Span(90 * DAY), events=Span(30 * DAY), deliveries=Span(30 * DAY))
EMPTIED = RetentionSettings(
    tasks=Span(900 * DAY), events=Span(900 * DAY), deliveries=Span(900 * DAY), payloads=Span(10 * DAY)
)


async def prune(database: Database, settings: RetentionSettings = KEPT, now: int = NOW, **limits: int) -> bool:
    """One turn of a process that has just started."""
    return await Pruning(database, settings, lambda: now, **limits).turn()


async def rows(database: Database, table: str, where: str = "TRUE") -> Rows:
    return await database.write(sql, f"SELECT * FROM {table} WHERE {where}")


async def count(database: Database, table: str) -> int:
    return len(await rows(database, table))


async def an_ended_task(database: Database, at: int = LONG_AGO, **changes: Any) -> Task:
    """That was made and ended at an instant."""
    task = await accepted_task(database, id=new_id("task", at), created_at=at, **changes)
    return await settled_task(database, task, at=at)


async def a_told_event(database: Database, at: int = LONG_AGO, **changes: Any) -> Event:
    event = an_event(**{"id": new_id("evt", at), "task_id": new_id("task", at), "created_at": at} | changes)
    assert await database.write(insert_event, event)
    return event


async def a_delivery(database: Database, event: Event, *, ended_at: int | None, **changes: Any) -> Dispatch:
    """ended_at None: it is pending."""
    subscription = a_subscription(**changes)
    dispatch = a_dispatch(event, subscription, delivery_id=new_id("dlv", event.created_at))
    await database.write(add_subscription, subscription)
    await database.write(insert_deliveries, event, [dispatch], leased=True)
    if ended_at is not None:
        await database.write(each, "record_outcome", [an_outcome(dispatch, finished_at=ended_at)])
    return dispatch


async def an_attempt(database: Database, dispatch: Dispatch) -> None:
    values = {
        "delivery_id": dispatch.delivery_id,
        "number": 1,
        "started_at": NOW,
        "duration_ms": 1,
        "status": 200,
        "error": None,
        "hint": None,
        "ambiguous": 0,
        "level": 0,
        "request_headers": '{"title": "a cat"}',
        "response_headers": '{"x-said": "a cat"}',
        "response": "thanks for the cat",
        "timings": "{}",
        "next_at": None,
        "cut_off": "",
    }
    await database.write(each, "insert_attempt", [values])


async def a_callback(database: Database, task: Task) -> None:
    callback = Callback(id=new_id("cb", NOW), task_id=task.id, received_at=NOW, outcome="look", body='{"a": "cat"}')
    await database.write(insert_callback, callback)


async def an_open_replay(database: Database, **changes: Any) -> None:
    values = {
        "id": new_id("rpl", LONG_AGO),
        "owner": "ann",
        "subscription_id": "sub_1",
        "since": 0,
        "until": NOW,
        "statuses": '["missing"]',
        "spacing_ms": 1,
        "position": "",
        "created_at": LONG_AGO,
    }
    await database.write(each, "insert_replay", [values | changes])


def run_one(name: str, /, **params: Any) -> Transaction[Rows]:
    return (yield run(name, **params))


async def a_kept_result(database: Database, task: Task) -> None:
    kept = Archived(variant="video", key="k", size=1, media_type="video/mp4", state="kept", expires_at=NOW + DAY)
    await database.write(
        run_one,
        "reserve_archived",
        task_id=task.id,
        variant=kept.variant,
        key=kept.key,
        size=kept.size,
        media_type=kept.media_type,
        now=NOW,
        expires_at=kept.expires_at,
    )


async def an_unanswered_key(database: Database, task: Task) -> None:
    await database.write(
        run_one, "insert_idempotency_key", owner="ann", key="k", fingerprint="f", task_id=task.id, now=NOW
    )
