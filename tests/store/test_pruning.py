"""Pruning: what has been kept for long enough goes, with what belongs to it; what is not over stays."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.clock import DAY
from service.errors import Problem
from service.feed import Feed
from service.model import Task, new_id
from service.pruning import KINDS, Pruning
from service.settings import RetentionSettings, Span, StreamSettings
from service.store.postgres import translate
from service.store.reads import Reads
from service.store.rows import Window
from service.store.sqlite import SqliteDatabase
from service.store.statements import Database, Transaction, statements
from service.store.telling import (
    add_subscription,
    insert_event,
    pause_subscription,
)
from tests.store.aged import (
    KEPT,
    LONG_AGO,
    a_callback,
    a_delivery,
    a_kept_result,
    a_told_event,
    an_attempt,
    an_ended_task,
    an_open_replay,
    an_unanswered_key,
    count,
    prune,
    rows,
    run_one,
)
from tests.store.given import (
    NOW,
    a_subscription,
    accepted_task,
    an_event,
    an_outcome,
    current,
    each,
    settled_task,
)

# --- tasks


async def test_an_old_task_goes_with_all_that_belongs_to_it(database: Database) -> None:
    task = await an_ended_task(database)
    await a_callback(database, task)
    await database.write(add_subscription, a_subscription(task_id=task.id))
    await database.write(run_one, "insert_request", task_id=task.id, body="{}")
    await prune(database)
    assert [await count(database, table) for table in ("tasks", "callbacks", "subscriptions", "requests")] == [0] * 4


async def test_a_task_is_kept_from_its_end_on(database: Database) -> None:
    at = NOW - 90 * DAY
    task = await accepted_task(database, id=new_id("task", LONG_AGO), created_at=LONG_AGO)
    await settled_task(database, task, at=at)
    await a_callback(database, task)
    await prune(database)
    assert [await count(database, table) for table in ("tasks", "callbacks")] == [1, 1]


async def test_what_belongs_to_others_stays(database: Database) -> None:
    gone = await an_ended_task(database)
    kept = await an_ended_task(database, at=NOW - DAY)
    for task in (gone, kept):
        await a_callback(database, task)
        await database.write(add_subscription, a_subscription(task_id=task.id))
    standing = a_subscription()
    await database.write(add_subscription, standing)
    await prune(database)
    assert {row["task_id"] for row in await rows(database, "callbacks")} == {kept.id}
    assert {row["task_id"] for row in await rows(database, "subscriptions")} == {kept.id, None}


async def test_a_task_that_is_not_over_is_kept_however_old_it_is(database: Database) -> None:
    task = await accepted_task(database, id=new_id("task", LONG_AGO), created_at=LONG_AGO)
    await prune(database)
    assert (await current(database, task)).id == task.id


async def a_pending_one_shot(database: Database, task: Task) -> None:
    event = await a_told_event(database, task_id=task.id)
    await a_delivery(database, event, ended_at=None, task_id=task.id)


async def an_unanswered_create(database: Database, task: Task) -> None:
    await database.write(run_one, "insert_unanswered", owner="ann", fingerprint="f", task_id=task.id, now=NOW)


@pytest.mark.parametrize("held", [a_kept_result, a_pending_one_shot, an_unanswered_key, an_unanswered_create])
async def test_a_task_that_somebody_is_still_referred_to_is_kept(database: Database, held: Callable[..., Any]) -> None:
    task = await an_ended_task(database)
    await held(database, task)
    await prune(database)
    assert (await current(database, task)).id == task.id


async def test_what_tasks_have_cost_stays_in_the_sums(database: Database) -> None:
    await an_ended_task(database)
    counts = dict.fromkeys(("succeeded", "failed", "cancelled", "expired", "tokens", "quota", "credits", "refunded"), 0)
    added = counts | {"tasks": 1, "succeeded": 1, "cost": 7}
    await database.write(run_one, "add_usage", owner="ann", day=1, gateway="north", model="m", currency="USD", **added)
    await prune(database)
    assert [row["cost"] for row in await rows(database, "usage_totals")] == [7]


# --- deliveries, replays, one-shot subscriptions


async def test_an_old_delivery_goes_with_its_attempts(database: Database) -> None:
    event = await a_told_event(database, at=NOW - DAY)
    old = await a_told_event(database, at=NOW - 40 * DAY)
    for one, ended_at in ((event, NOW), (old, NOW - 31 * DAY)):
        await an_attempt(database, await a_delivery(database, one, ended_at=ended_at))
    await prune(database)
    assert [row["event_id"] for row in await rows(database, "deliveries")] == [event.id]
    assert await count(database, "attempts") == 1


async def test_a_pending_delivery_keeps_itself_and_its_event(database: Database) -> None:
    await a_delivery(database, await a_told_event(database), ended_at=None)
    await prune(database)
    assert [await count(database, table) for table in ("deliveries", "events")] == [1, 1]


async def test_a_paused_subscription_is_told_in_the_end(database: Database) -> None:
    dispatch = await a_delivery(database, await a_told_event(database), ended_at=None)
    await database.write(pause_subscription, dispatch.subscription.id, "ann", NOW)
    await prune(database)
    assert await count(database, "deliveries") == 1


async def test_an_old_replay_goes_and_an_open_one_stays(database: Database) -> None:
    await an_open_replay(database)
    await an_open_replay(database, subscription_id="sub_2")
    (ended, open_one) = await rows(database, "replays")
    await database.write(run_one, "end_replay", id=ended["id"], ended="finished", note=None, now=NOW - 31 * DAY)
    await prune(database)
    assert [row["id"] for row in await rows(database, "replays")] == [open_one["id"]]


async def test_a_disabled_subscription_to_one_task_goes_before_its_task(database: Database) -> None:
    task = await an_ended_task(database, at=NOW - 40 * DAY)
    gone = a_subscription(task_id=task.id, disabled_at=NOW - 31 * DAY, disabled_reason="410")
    kept = a_subscription(disabled_at=NOW - 31 * DAY, disabled_reason="410")
    for subscription in (gone, kept):
        await database.write(add_subscription, subscription)
    await prune(database)
    assert [row["id"] for row in await rows(database, "subscriptions")] == [kept.id]
    assert await count(database, "tasks") == 1


# --- events and their feed


async def test_an_old_event_goes_and_its_feed_says_from_where_it_is_whole(database: Database, reads: Reads) -> None:
    for at in (LONG_AGO, LONG_AGO + 1, NOW - DAY):
        await a_told_event(database, at=at)
    await a_told_event(database, owner="bob", at=NOW - DAY)
    await prune(database)
    assert [row["seq"] for row in await rows(database, "events", "owner = 'ann'")] == [3]
    assert [await reads.pruned_in_feed(owner) for owner in ("ann", "bob", "nobody")] == [2, 0, 0]


async def test_whoever_reads_while_events_are_removed_is_told_that_he_has_missed_some(
    database: Database, reads: Reads
) -> None:
    """His cursor was good when he began."""
    feed = Feed(reads, StreamSettings())
    await a_told_event(database)
    after = await feed.position("ann", "0", "after")
    await prune(database)
    for reading in (feed.read("ann", after, 10), feed.after("ann", after, 10)):
        with pytest.raises(Problem, match="begin again with after=1"):
            await reading


async def test_an_event_outlives_what_its_log_shows(database: Database) -> None:
    event = await a_told_event(database, at=NOW - 31 * DAY)
    await a_delivery(database, event, ended_at=NOW - 29 * DAY)
    await prune(database)
    assert await count(database, "events") == 1
    await prune(database, now=NOW + 2 * DAY)
    assert await count(database, "events") == 0


async def test_the_event_of_an_open_task_is_kept(database: Database) -> None:
    """Or the task would tell it again."""
    task = await accepted_task(database)
    await a_told_event(database, task_id=task.id, type="task.accepted")
    await prune(database)
    assert await count(database, "events") == 1


async def test_what_an_open_replay_has_still_to_tell_is_kept(database: Database) -> None:
    told, untold = [await a_told_event(database, at=LONG_AGO + at) for at in (0, 1)]
    await a_told_event(database, owner="bob")
    await an_open_replay(database, position=told.id)
    await prune(database)
    assert [row["id"] for row in await rows(database, "events")] == [untold.id]


# --- a little at a time


def many_events(first: int, last: int) -> Transaction[None]:
    for number in range(first, last):
        yield from insert_event(
            an_event(id=new_id("evt", LONG_AGO + number), task_id=f"task_{number}", created_at=LONG_AGO + number)
        )


async def test_a_turn_does_so_much_and_the_next_process_goes_on(database: Database) -> None:
    await database.write(many_events, 0, 50)
    assert await prune(database, rows=10, parts=3)
    assert [row["seq"] for row in await rows(database, "events")] == list(range(31, 51))
    assert not await prune(database, rows=10)
    assert await count(database, "events") == 0


async def test_what_is_kept_does_not_stand_in_the_way_of_the_rest(database: Database) -> None:
    for number in range(5):
        await a_delivery(database, await a_told_event(database, at=LONG_AGO - 5 + number), ended_at=None)
    await database.write(many_events, 0, 20)
    await prune(database, rows=2)
    assert await count(database, "events") == 5


async def test_a_process_comes_back_to_what_was_not_over(database: Database) -> None:
    now = [NOW]
    pruning = Pruning(database, KEPT, lambda: now[0])
    dispatch = await a_delivery(database, await a_told_event(database), ended_at=None)
    await pruning.turn()
    await database.write(each, "record_outcome", [an_outcome(dispatch, finished_at=LONG_AGO)])
    now[0] += DAY
    await pruning.turn()
    assert [await count(database, table) for table in ("deliveries", "events")] == [0, 0]


async def test_many_may_prune_at_once_while_events_come_in(database: Database, another: Database) -> None:
    await database.write(many_events, 0, 200)
    fresh = [a_told_event(writer, at=NOW - DAY, owner=owner) for writer in (database, another) for owner in "ab" * 10]
    await asyncio.gather(*(prune(one, rows=7) for one in (database, another) * 2), *fresh)
    assert [row["pruned"] for row in await rows(database, "feeds", "owner = 'ann'")] == [200]
    assert await count(database, "events") == 40


async def test_the_list_of_events_is_that_of_those_which_are_kept(database: Database, reads: Reads) -> None:
    await a_told_event(database)
    kept = await a_told_event(database, at=NOW - DAY)
    await prune(database)
    found = await reads.events("ann", Window(), task_id=None, event_type=None)
    assert [event.id for event in found] == [kept.id]


# --- how it is found


def named(file: str) -> list[str]:
    text = (Path(__file__).parents[2] / "service/store/sql" / file).read_text()
    return [line.removeprefix("-- name: ") for line in text.splitlines() if line.startswith("-- name: ")]


@pytest.mark.parametrize("name", named("retention.sql"))
async def test_no_table_is_read_from_end_to_end(tmp_path: Path, name: str) -> None:
    """But for the open replays, which are few and have an index of their own."""
    database = await SqliteDatabase.open(tmp_path / "reelhook.db")
    await database.migrate()
    await database.close()
    with sqlite3.connect(tmp_path / "reelhook.db") as connection:
        text = statements()[name]
        params = dict.fromkeys(translate(text).names)
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", params)]
    assert [step for step in plan if step.startswith("SCAN") and "replays_due" not in step] == []


def test_every_span_of_the_settings_is_used() -> None:
    spans = RetentionSettings(tasks=Span(1), events=Span(2), deliveries=Span(3), payloads=Span(4))
    assert {kind.kept_ms(spans) for kind in KINDS} == {1, 2, 3, 4}
