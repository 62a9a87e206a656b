"""Expunging, by policy and by call: what was said goes, and that it was said stays."""

import json

import pytest

from service.clock import DAY
from service.model import Media, VideoRequest
from service.store.expunging import expunge_event, expunge_task
from service.store.reads import Reads
from service.store.rows import attempt_columns
from service.store.statements import Database
from service.store.tasks import freeze_answer
from service.store.telling import (
    claim_deliveries,
)
from service.subscriptions import Attempt
from tests.store.aged import (
    EMPTIED,
    LONG_AGO,
    a_callback,
    a_delivery,
    a_kept_result,
    a_told_event,
    an_attempt,
    an_ended_task,
    an_open_replay,
    an_unanswered_key,
    prune,
    rows,
)
from tests.store.given import (
    BROKEN_RULE,
    LEASE,
    MINUTE,
    NOW,
    accepted_task,
    current,
    each,
    sql,
)

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
    database: Database,
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
    assert expunged is not None and expunged.id == task.id
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


async def test_what_an_attempt_brings_back_after_that_is_not_kept(database: Database, reads: Reads) -> None:
    event = await a_told_event(database)
    dispatch = await a_delivery(database, event, ended_at=None)
    await database.write(expunge_event, event.id, "ann", NOW)
    attempt = Attempt(
        delivery_id=dispatch.delivery_id,
        number=7,
        started_at=NOW,
        duration_ms=5,
        status=500,
        request_headers={"x-said": "a"},
        response_headers={"x-said": "b"},
        response="c",
    )
    await database.write(each, "insert_attempt", [attempt_columns(attempt)])
    *_, kept = await reads.attempts(dispatch.delivery_id)
    assert (kept.number, kept.status) == (7, 500)
    assert (kept.request_headers, kept.response_headers, kept.response) == ({}, {}, "")


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
