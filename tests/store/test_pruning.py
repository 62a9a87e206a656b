"""Pruning: what has been kept for long enough goes, with what belongs to it; what is not over stays."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.clock import DAY
from service.model import Event, Media, Task, VideoRequest, new_id
from service.pruning import KINDS, Pruning
from service.settings import RetentionSettings, Span
from service.store.archived import Archived
from service.store.expunging import expunge_event, expunge_task
from service.store.reads import Reads
from service.store.rows import Callback, Dispatch, Window
from service.store.sqlite import SqliteDatabase
from service.store.statements import Database, Rows, Transaction, run, statements
from service.store.tasks import freeze_answer, insert_callback
from service.store.telling import (
    add_subscription,
    claim_deliveries,
    insert_deliveries,
    insert_event,
    pause_subscription,
)
from tests.store.given import (
    BROKEN_RULE,
    LEASE,
    MINUTE,
    NOW,
    a_dispatch,
    a_subscription,
    accepted_task,
    an_event,
    an_outcome,
    current,
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


async def a_pending_one_shot(database: Database, task: Task) -> None:
    event = await a_told_event(database, task_id=task.id)
    await a_delivery(database, event, ended_at=None, task_id=task.id)


async def an_unanswered_key(database: Database, task: Task) -> None:
    await database.write(
        run_one, "insert_idempotency_key", owner="ann", key="k", fingerprint="f", task_id=task.id, now=NOW
    )


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
    told, untold, anothers = [await a_told_event(database, at=LONG_AGO + at, owner=who) for at, who in OWNED]
    await an_open_replay(database, position=told.id)
    await prune(database)
    assert [row["id"] for row in await rows(database, "events")] == [untold.id]


OWNED = ((0, "ann"), (1, "ann"), (2, "bob"))


# --- payloads


async def test_bodies_go_before_their_rows(database: Database) -> None:
    event = await a_told_event(database, at=NOW - 11 * DAY)
    await an_attempt(database, await a_delivery(database, event, ended_at=NOW - 11 * DAY + 1))
    await prune(database, EMPTIED)
    (told,), (sent,), (tried,) = [await rows(database, table) for table in ("events", "deliveries", "attempts")]
    assert (told["body"], told["expunged_at"]) == ("", NOW)
    assert (sent["body"], sent["headers"], sent["status"], sent["expunged_at"]) == ("", "{}", "delivered", NOW)
    assert (tried["response"], tried["request_headers"], tried["response_headers"]) == ("", "{}", "{}")
    assert tried["status"] == 200


async def test_bodies_are_kept_until_then(database: Database) -> None:
    event = await a_told_event(database, at=NOW - 9 * DAY)
    await a_delivery(database, event, ended_at=NOW - 9 * DAY)
    task = await an_ended_task(database, at=NOW - 9 * DAY)
    await prune(database, EMPTIED)
    assert [(await rows(database, table))[0]["expunged_at"] for table in ("events", "deliveries", "tasks")] == [
        None
    ] * 3
    assert (await current(database, task)).request.prompt


async def test_a_body_that_is_still_to_be_sent_is_kept(database: Database) -> None:
    event = await a_told_event(database)
    await a_delivery(database, event, ended_at=None)
    done = await a_delivery(database, event, ended_at=LONG_AGO)
    await prune(database, EMPTIED)
    assert (await rows(database, "events"))[0]["body"] == event.body
    (kept,) = await rows(database, "deliveries", f"id = '{done.delivery_id}'")
    assert kept["expunged_at"] is None


async def test_a_body_that_a_replay_has_still_to_tell_is_kept(database: Database) -> None:
    event = await a_told_event(database)
    await an_open_replay(database)
    await prune(database, EMPTIED)
    assert (await rows(database, "events"))[0]["body"] == event.body


async def test_of_a_task_what_was_asked_and_called_back_goes_and_its_links_stay(database: Database) -> None:
    task = await an_ended_task(database, at=NOW - 11 * DAY)
    await a_callback(database, task)
    await prune(database, EMPTIED)
    now = await current(database, task)
    assert (now.request, now.expunged_at) == (VideoRequest(model="seedance-2"), NOW)
    assert now.video_url == task.video_url
    assert [row["body"] for row in await rows(database, "callbacks")] == [""]


async def test_an_expunged_event_leaves_no_gap_in_its_feed(database: Database, reads: Reads) -> None:
    await a_told_event(database)
    await prune(database, EMPTIED)
    assert await reads.pruned_in_feed("ann") == 0


async def test_without_a_span_for_payloads_nothing_is_emptied(database: Database) -> None:
    await a_told_event(database, at=NOW - 29 * DAY)
    await prune(database)
    assert (await rows(database, "events"))[0]["body"]


# --- by call


async def test_an_expunged_task_keeps_its_ids_and_costs_and_nothing_that_was_said(
    database: Database, reads: Reads
) -> None:
    secret = "a very particular cat"
    request = VideoRequest(
        model="m",
        prompt=secret,
        duration=5,
        media=(Media(type="image", url=f"https://a/{secret}"),),
        metadata={"k": secret},
        extra={"k": secret},
        external_id="order-7",
        webhook_url=f"https://a/{secret}",
    )
    task = await an_ended_task(database, request=request)
    said = {"video_url": secret, "answer": {"k": secret}, "details": {"k": secret}, "cost": {"amount": "1"}}
    await database.write(
        sql,
        "UPDATE tasks SET result = :result, error = :error, assets = :assets, request = :request WHERE id = :id",
        id=task.id,
        result=json.dumps(said),
        error=json.dumps({"code": "task_failed", "message": secret, "gateway_code": "x"}),
        assets=json.dumps({"urls": {secret: "asset"}}),
        request=(await rows(database, "tasks"))[0]["request"],
    )
    await a_callback(database, task)
    event = await a_told_event(database, task_id=task.id, body=json.dumps({"data": secret}))
    await an_attempt(database, await a_delivery(database, event, ended_at=NOW))
    expunged = await database.write(expunge_task, task.id, "ann", NOW)
    assert expunged is not None and expunged == await reads.task(task.id, "ann")
    assert expunged.request == VideoRequest(model="m", duration=5, external_id="order-7")
    assert (expunged.result, expunged.expunged_at) == ({"cost": {"amount": "1"}}, NOW)
    assert expunged.error is not None and (expunged.error.code, expunged.error.gateway_code) == ("task_failed", "x")
    for table in ("tasks", "callbacks", "events", "deliveries", "attempts"):
        assert "cat" not in str(await rows(database, table)), table


async def test_a_repeated_submit_is_not_told_what_was_expunged(database: Database, reads: Reads) -> None:
    task = await an_ended_task(database)
    await an_unanswered_key(database, task)
    await database.write(freeze_answer, task)
    await database.write(expunge_task, task.id, None, NOW)
    replay = await reads.replay("ann", "k")
    assert replay is not None and replay.answer is not None
    assert (replay.answer.id, replay.answer.request.prompt, replay.answer.video_url) == (task.id, None, None)


async def test_expunged_twice_it_was_expunged_the_first_time(database: Database) -> None:
    task = await an_ended_task(database)
    event = await a_told_event(database)
    for now in (NOW, NOW + 1):
        emptied, told = [
            await database.write(expunge_task, task.id, "ann", now),
            await database.write(expunge_event, event.id, "ann", now),
        ]
        assert emptied is not None and told is not None and (emptied.expunged_at, told.expunged_at) == (NOW, NOW)


async def test_what_was_still_to_be_sent_is_cancelled(database: Database, reads: Reads) -> None:
    event = await a_told_event(database)
    dispatch = await a_delivery(database, event, ended_at=None)
    await database.write(expunge_event, event.id, "ann", NOW)
    delivery = await reads.delivery(dispatch.delivery_id, "ann")
    assert delivery is not None and delivery.last_error is not None
    assert (delivery.status.value, delivery.body, "expunged" in delivery.last_error) == ("cancelled", "", True)


async def test_nothing_of_anothers_can_be_expunged(database: Database) -> None:
    task, event = await an_ended_task(database), await a_told_event(database)
    assert await database.write(expunge_task, task.id, "bob", NOW) is None
    assert await database.write(expunge_event, event.id, "bob", NOW) is None
    assert [(await rows(database, table))[0]["expunged_at"] for table in ("tasks", "events")] == [None, None]


async def test_an_archived_result_of_an_expunged_task_is_given_up(database: Database, reads: Reads) -> None:
    task = await an_ended_task(database)
    await a_kept_result(database, task)
    await database.write(expunge_task, task.id, "ann", NOW)
    assert [row["key"] for row in await reads.expired_archived(NOW, 10)] == ["k"]


@pytest.mark.parametrize("gone", ["UPDATE events SET body = ''", "DELETE FROM events"])
async def test_a_delivery_without_a_body_is_cancelled_and_not_sent(database: Database, reads: Reads, gone: str) -> None:
    """As it stands where somebody had an event told again in the moment in which it went."""
    event = await a_told_event(database)
    dispatch = await a_delivery(database, event, ended_at=None)
    await database.write(sql, gone)
    due_at = NOW + MINUTE
    assert await database.write(claim_deliveries, due_at, due_at + MINUTE, LEASE, 10) == []
    delivery = await reads.delivery(dispatch.delivery_id, "ann")
    assert delivery is not None and (delivery.status.value, delivery.next_at) == ("cancelled", None)


@pytest.mark.parametrize(
    "text",
    [
        "UPDATE tasks SET expunged_at = 1",
        "UPDATE deliveries SET expunged_at = 1",
        "UPDATE deliveries SET expunged_at = 1, body = ''",
        "UPDATE events SET expunged_at = 1",
        "UPDATE feeds SET pruned = last + 1",
    ],
)
async def test_nothing_is_called_expunged_that_is_not_over_or_not_empty(database: Database, text: str) -> None:
    task = await accepted_task(database)
    event = await a_told_event(database, task_id=task.id)
    await a_delivery(database, event, ended_at=None)
    with pytest.raises(BROKEN_RULE):
        await database.write(sql, text)


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


def run_one(name: str, /, **params: Any) -> Transaction[Rows]:
    return (yield run(name, **params))


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
        params = dict.fromkeys(
            (
                "after",
                "last",
                "until",
                "before",
                "now",
                "limit",
                "id",
                "owner",
                "seq",
                "task_id",
                "event_id",
                "request",
                "result",
                "error",
                "answer",
                "key",
                "reason",
            )
        )
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", params)]
    assert [step for step in plan if step.startswith("SCAN") and "replays_due" not in step] == []
    assert "USE TEMP B-TREE" not in " ".join(plan)


def test_every_span_of_the_settings_is_used() -> None:
    spans = RetentionSettings(tasks=Span(1), events=Span(2), deliveries=Span(3), payloads=Span(4))
    assert {kind.kept_ms(spans) for kind in KINDS} == {1, 2, 3, 4}
