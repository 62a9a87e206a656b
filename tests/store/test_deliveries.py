"""Subscriptions, events, and the deliveries between them."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from service.clock import HOUR
from service.store.reads import Reads
from service.store.recording import Decision, Outcome, Return, record_attempts
from service.store.releasing import APART_MS, release
from service.store.rows import CUT_OFF, Dispatch
from service.store.statements import Database, Transaction
from service.store.telling import (
    AT_ONCE,
    PART,
    add_subscription,
    add_within,
    change_subscription,
    claim_deliveries,
    delete_subscription,
    disable_subscription,
    insert_deliveries,
    insert_event,
    pause_subscription,
    resume_subscription,
    subscriptions_to_tell,
)
from service.subscriptions import Attempt, DeliveryStatus, Subscription
from tests.store.given import (
    BROKEN_RULE,
    MINUTE,
    NOW,
    a_dispatch,
    a_subscription,
    an_event,
    an_outcome,
    each,
    fresh_id,
    sql,
    stored_delivery,
)

# --- events


async def test_an_event_is_read_back_byte_for_byte(database: Database, reads: Reads) -> None:
    event = an_event(body='{"b": 1,  "a": "ü🐞"}\n')
    assert await database.write(insert_event, event)
    assert await reads.event(event.id, None) == replace(event, seq=1)


async def test_a_task_tells_each_event_once(database: Database, reads: Reads) -> None:
    first, second = an_event(type="task.running"), an_event(type="task.running")
    assert await database.write(insert_event, first)
    assert not await database.write(insert_event, second)
    assert await reads.event(second.id, None) is None


async def test_a_task_tells_one_end(database: Database) -> None:
    assert await database.write(insert_event, an_event(type="task.expired"))
    assert not await database.write(insert_event, an_event(type="task.succeeded"))


async def test_of_many_tellers_at_once_one_is_heard(database: Database, another: Database) -> None:
    events = [an_event(type=f"task.{word}") for word in ("succeeded", "failed", "expired", "succeeded") * 5]
    told = await asyncio.gather(
        *((database, another)[number % 2].write(insert_event, event) for number, event in enumerate(events))
    )
    assert sum(told) == 1


async def test_tasks_tell_their_events_independently(database: Database) -> None:
    assert await database.write(insert_event, an_event(task_id="task_1"))
    assert await database.write(insert_event, an_event(task_id="task_2"))


# --- subscriptions


async def to_tell(database: Database, event_type: str = "task.succeeded") -> list[Subscription]:
    return await database.write(subscriptions_to_tell, an_event(type=event_type), {})


async def test_a_subscription_is_read_back_as_it_was_stored(database: Database, reads: Reads) -> None:
    subscription = a_subscription(events=("task.running", "task.failed"), description="büro", task_id="task_1")
    await database.write(add_subscription, subscription)
    assert await reads.subscription(subscription.id, None) == subscription


async def test_an_event_is_told_to_the_owners_subscriptions_and_to_the_tasks_own(database: Database) -> None:
    wanted = [a_subscription(), a_subscription(task_id="task_1")]
    others = [
        a_subscription(owner="bob"),
        a_subscription(task_id="task_2"),
        a_subscription(owner="bob", task_id="task_1"),
    ]
    for subscription in wanted + others:
        await database.write(add_subscription, subscription)
    assert sorted(await to_tell(database), key=lambda found: found.id) == wanted


async def test_an_event_is_told_to_those_who_asked_for_its_type(database: Database) -> None:
    await database.write(add_subscription, a_subscription(events=("task.running",)))
    assert [len(await to_tell(database, word)) for word in ("task.running", "task.succeeded")] == [1, 0]


async def test_who_hears_everybody_hears_his_own_events_once(database: Database) -> None:
    await database.write(add_subscription, a_subscription(everyone=1))
    assert len(await to_tell(database)) == 1


async def test_an_event_is_told_to_all_of_very_many_who_want_it(database: Database) -> None:
    def store() -> Transaction[None]:
        for _ in range(2 * AT_ONCE + 1):
            yield from add_subscription(a_subscription())

    await database.write(store)
    assert len({found.id for found in await to_tell(database)}) == 2 * AT_ONCE + 1


async def test_what_a_subscription_does_not_want_reads_none_of_what_it_confides(database: Database) -> None:
    wanting = a_subscription(sealed="x", filters={"gateway": ["north"]})
    for subscription in (wanting, a_subscription(sealed="y", filters={"gateway": ["south"]})):
        await database.write(add_subscription, subscription)
    seen: list[Any] = []

    def watched() -> Transaction[list[Subscription]]:
        telling = subscriptions_to_tell(an_event(), {"task": {"gateway": "north"}})
        statement = next(telling)
        while True:
            rows = yield statement
            seen.extend(row["sealed"] for row in rows if "sealed" in row)
            try:
                statement = telling.send(rows)
            except StopIteration as end:
                return list(end.value)

    assert await database.write(watched) == [wanting]
    assert seen == ["x"]


async def test_those_who_subscribe_at_once_have_no_more_than_one_after_the_other(
    database: Database, another: Database
) -> None:
    sides = (database, another) * 8
    added = await asyncio.gather(*(side.write(add_within, a_subscription(), 3) for side in sides))
    assert sum(added) == 3


async def test_a_disabled_subscription_is_told_nothing_and_says_why(database: Database, reads: Reads) -> None:
    subscription = a_subscription()
    await database.write(add_subscription, subscription)
    assert await database.write(disable_subscription, subscription.id, "410 Gone", NOW)
    assert await to_tell(database) == []
    disabled = await reads.subscription(subscription.id, None)
    assert disabled is not None and (disabled.disabled_at, disabled.disabled_reason) == (NOW, "410 Gone")


async def test_a_subscription_is_disabled_once(database: Database, reads: Reads) -> None:
    subscription = a_subscription()
    await database.write(add_subscription, subscription)
    assert await database.write(disable_subscription, subscription.id, "first", NOW)
    assert not await database.write(disable_subscription, subscription.id, "second", NOW + 1)
    disabled = await reads.subscription(subscription.id, None)
    assert disabled is not None and disabled.disabled_reason == "first"


@pytest.mark.parametrize("end", ["delete", "disable"])
async def test_what_a_subscription_waited_for_is_cancelled_when_it_ends(database: Database, reads: Reads, end) -> None:
    dispatch = await stored_delivery(database, leased=True)
    if end == "delete":
        assert await database.write(delete_subscription, dispatch.subscription.id, "ann", NOW + 5)
    else:
        assert await database.write(disable_subscription, dispatch.subscription.id, "gone", NOW + 5)
    delivery = await reads.delivery(dispatch.delivery_id, None)
    assert delivery is not None and (delivery.status, delivery.next_at) == (DeliveryStatus.CANCELLED, None)
    assert (delivery.finished_at, await reads.next_at("next_delivery")) == (NOW + 5, None)


async def test_what_was_delivered_stays_delivered_when_the_subscription_ends(database: Database, reads: Reads) -> None:
    dispatch = await stored_delivery(database, leased=True)
    await database.write(each, "record_outcome", [an_outcome(dispatch)])
    await database.write(delete_subscription, dispatch.subscription.id, None, NOW + 5)
    delivery = await reads.delivery(dispatch.delivery_id, None)
    assert delivery is not None and delivery.status is DeliveryStatus.DELIVERED


async def test_a_subscription_that_ends_while_it_is_told_something_leaves_nothing_due(
    database: Database, another: Database
) -> None:
    def tell(number: int) -> Transaction[None]:
        event = an_event(task_id=f"task_{number}")
        yield from insert_event(event)
        found = yield from subscriptions_to_tell(event, {})
        yield from insert_deliveries(event, [a_dispatch(event, subscription) for subscription in found], leased=False)

    for number in range(15):
        subscription = a_subscription()
        await database.write(add_subscription, subscription)
        tells = [database.write(tell, 10 * number + part) for part in range(4)]
        await asyncio.gather(*tells, another.write(delete_subscription, subscription.id, "ann", NOW))
    assert await database.write(sql, "SELECT * FROM deliveries WHERE status = 'pending'") == []


# --- deliveries


async def test_an_event_is_delivered_to_a_subscription_once(database: Database) -> None:
    await stored_delivery(database)
    with pytest.raises(BROKEN_RULE):
        await database.write(
            sql,
            "INSERT INTO deliveries (id, owner, event_id, event_type, subscription_id, status, attempts, created_at,"
            " next_at) SELECT 'dlv_2', owner, event_id, event_type, subscription_id, status, attempts, created_at,"
            " next_at FROM deliveries",
        )


@pytest.mark.parametrize("change", ["next_at = NULL", "status = 'delivered'", "status = 'lost'"])
async def test_a_delivery_that_is_not_over_has_a_next_time(database: Database, change: str) -> None:
    await stored_delivery(database)
    with pytest.raises(BROKEN_RULE):
        await database.write(sql, f"UPDATE deliveries SET {change}")


async def test_an_outcome_is_recorded(database: Database, reads: Reads) -> None:
    dispatch = await stored_delivery(database, leased=True)
    again = an_outcome(
        dispatch, status="pending", last_status=503, last_error="busy", finished_at=None, next_at=NOW + MINUTE
    )
    await database.write(each, "record_outcome", [again])
    delivery = await reads.delivery(dispatch.delivery_id, None)
    assert delivery is not None
    assert (delivery.status, delivery.attempts, delivery.next_at) == (DeliveryStatus.PENDING, 1, NOW + MINUTE)
    assert (delivery.last_status, delivery.last_error, delivery.finished_at) == (503, "busy", None)


@pytest.mark.parametrize(
    ("statement", "changes"), [("record_outcome", {"status": "exhausted"}), ("return_delivery", {"next_at": NOW + 1})]
)
async def test_who_lost_the_lease_does_not_overwrite_the_outcome(
    database: Database, reads: Reads, statement, changes
) -> None:
    dispatch = await stored_delivery(database, leased=True)
    [claimed] = await database.write(claim_deliveries, dispatch.leased_until, NOW + 5 * MINUTE, "lease_2", 1)
    before = await reads.delivery(dispatch.delivery_id, None)
    await database.write(each, statement, [an_outcome(dispatch, **changes)])
    assert await reads.delivery(dispatch.delivery_id, None) == before
    await database.write(each, statement, [an_outcome(claimed, **changes)])
    assert await reads.delivery(dispatch.delivery_id, None) != before


async def test_a_failure_that_comes_after_the_subscriptions_end_changes_nothing(
    database: Database, reads: Reads
) -> None:
    dispatch = await stored_delivery(database, leased=True)
    await database.write(delete_subscription, dispatch.subscription.id, None, NOW)
    failed = an_outcome(dispatch, status="pending", last_status=500, finished_at=None, next_at=NOW + 1)
    await database.write(each, "record_outcome", [failed, failed | {"status": "exhausted", "next_at": None}])
    delivery = await reads.delivery(dispatch.delivery_id, None)
    assert delivery is not None and delivery.status is DeliveryStatus.CANCELLED


async def test_a_delivery_that_is_given_back_is_due_for_anybody(database: Database) -> None:
    dispatch = await stored_delivery(database, leased=True)
    await database.write(each, "return_delivery", [an_outcome(dispatch, next_at=NOW + 7)])
    assert await database.write(claim_deliveries, NOW + 6, NOW + 9, "lease_2", 9) == []
    assert len(await database.write(claim_deliveries, NOW + 7, NOW + 9, "lease_2", 9)) == 1


def outcome_of(dispatch: Dispatch, answer: int, **decision: Any) -> Outcome:
    return Outcome(dispatch=dispatch, attempt=attempt_of(dispatch, answer), decision=Decision(**decision))


async def test_a_batch_of_outcomes_is_recorded_with_its_attempts_and_returns(database: Database, reads: Reads) -> None:
    sent, failed, unsent = [await stored_delivery(database, leased=True) for _ in range(3)]
    outcomes = [
        outcome_of(sent, 204, status=DeliveryStatus.DELIVERED),
        outcome_of(failed, 503, status=DeliveryStatus.PENDING, next_at=NOW + MINUTE),
    ]
    await database.write(record_attempts, outcomes, [Return(unsent, NOW + 7)], NOW)
    found = [await reads.delivery(each.delivery_id, None) for each in (sent, failed, unsent)]
    assert [(each.status, each.next_at, each.attempts) for each in found if each] == [
        (DeliveryStatus.DELIVERED, None, 1),
        (DeliveryStatus.PENDING, NOW + MINUTE, 1),
        (DeliveryStatus.PENDING, NOW + 7, 0),
    ]
    assert await reads.attempts(failed.delivery_id) == [attempt_of(failed, 503)]


async def test_a_test_that_was_left_behind_is_over_and_nobody_is_told(database: Database, reads: Reads) -> None:
    event, subscription = an_event(test=1), a_subscription()
    dispatch = a_dispatch(event, subscription)
    await database.write(add_subscription, subscription)
    await database.write(insert_event, event)
    await database.write(insert_deliveries, event, [dispatch], leased=True, once=True)
    assert await database.write(claim_deliveries, dispatch.leased_until, NOW + 5 * MINUTE, "lease_2", 9) == []
    delivery = await reads.delivery(dispatch.delivery_id, None)
    assert delivery is not None
    assert (delivery.status, delivery.last_error) == (DeliveryStatus.EXHAUSTED, "the test was broken off")
    [shown] = await database.write(sql, "SELECT failures FROM subscriptions")
    assert shown["failures"] == 0


def attempt_of(dispatch: Dispatch, status: int) -> Attempt:
    return Attempt(
        delivery_id=dispatch.delivery_id,
        number=dispatch.attempts + 1,
        started_at=NOW,
        duration_ms=12,
        status=status,
        error=None,
        ambiguous=False,
        response="",
    )


# --- attempts


def an_attempt(number: int, **changes: object) -> dict[str, object]:
    return {
        "delivery_id": "dlv_1",
        "number": number,
        "started_at": NOW,
        "duration_ms": 12,
        "status": None,
        "error": "no route",
        "hint": None,
        "ambiguous": 1,
        "level": 0,
        "request_headers": '{"a":"b"}',
        "response_headers": "{}",
        "response": "",
        "timings": '{"connect":1.5}',
        "next_at": NOW + 1,
        "cut_off": CUT_OFF,
    } | changes


async def test_attempts_are_read_back_in_order(database: Database, reads: Reads) -> None:
    await database.write(each, "insert_attempt", [an_attempt(number) for number in (2, 10, 1)])
    assert [attempt.number for attempt in await reads.attempts("dlv_1")] == [1, 2, 10]


async def test_an_attempt_is_read_back_as_it_was_stored(database: Database, reads: Reads) -> None:
    await database.write(each, "insert_attempt", [an_attempt(1)])
    attempt = Attempt(
        delivery_id="dlv_1",
        number=1,
        started_at=NOW,
        duration_ms=12,
        status=None,
        error="no route",
        ambiguous=True,
        request_headers={"a": "b"},
        timings={"connect": 1.5},
        next_at=NOW + 1,
    )
    assert await reads.attempts("dlv_1") == [attempt]


async def test_an_attempt_that_is_recorded_again_stays_as_it_was(database: Database, reads: Reads) -> None:
    await database.write(each, "insert_attempt", [an_attempt(1), an_attempt(1, error="other")])
    assert [attempt.error for attempt in await reads.attempts("dlv_1")] == ["no route"]


async def test_the_events_of_an_owner_are_numbered_in_the_order_of_their_commits(
    database: Database, another: Database
) -> None:
    writers = [database, another] * 10
    await asyncio.gather(*(writer.write(insert_event, an_event(task_id=fresh_id("task"))) for writer in writers))
    rows = await database.read("events_after", owner="ann", after=0, limit=50)
    assert [row["seq"] for row in rows] == list(range(1, 21))


async def test_each_owner_has_a_feed_of_his_own(database: Database, reads: Reads) -> None:
    for owner in ("ann", "bob"):
        event = an_event(owner=owner, task_id=fresh_id("task"))
        await database.write(insert_event, event)
        assert await reads.event(event.id, None) == replace(event, seq=1)


async def test_what_is_due_for_a_paused_subscription_waits_until_it_is_resumed(database: Database) -> None:
    dispatch = await stored_delivery(database)
    await database.write(pause_subscription, dispatch.subscription.id, "ann", NOW)
    assert await database.write(claim_deliveries, NOW + 1, NOW + MINUTE, "lease_2", 10) == []
    await database.write(resume_subscription, dispatch.subscription.id, "ann", NOW + 2)
    claimed = await database.write(claim_deliveries, NOW + 3, NOW + MINUTE, "lease_3", 10)
    assert [each.delivery_id for each in claimed] == [dispatch.delivery_id]


async def test_a_subscription_is_changed_once_from_what_was_read(database: Database) -> None:
    subscription = a_subscription()
    await database.write(add_subscription, subscription)
    changed = replace(subscription, description="new")
    assert await database.write(change_subscription, changed, "ann") is not None
    assert await database.write(change_subscription, changed, "ann") is None


async def gathered(database: Database, count: int) -> Subscription:
    """A subscription that so many deliveries wait for, due one after the other from NOW on."""
    subscription = a_subscription()
    await database.write(add_subscription, subscription)

    def store() -> Transaction[None]:
        for number in range(count):
            event = an_event(id=fresh_id("evt"), task_id=fresh_id("task"))
            yield from insert_event(event)
            due_at = NOW + number
            yield from insert_deliveries(event, [a_dispatch(event, subscription)], leased=False, due_at=due_at)

    await database.write(store)
    return subscription


async def stand(database: Database) -> list[tuple[str, int | None, str | None]]:
    rows = await database.write(sql, "SELECT status, next_at, last_error FROM deliveries ORDER BY id")
    return [(row["status"], row["next_at"], row["last_error"]) for row in rows]


async def test_a_pause_touches_no_delivery(database: Database) -> None:
    subscription = await gathered(database, 3)
    before = await stand(database)
    await database.write(pause_subscription, subscription.id, "ann", NOW)
    assert await stand(database) == before


async def test_what_comes_due_in_a_pause_is_looked_at_again_within_the_hour(database: Database) -> None:
    subscription = await gathered(database, 1)
    await database.write(pause_subscription, subscription.id, "ann", NOW)
    assert await database.write(claim_deliveries, NOW + 1, NOW + MINUTE, "lease_2", 10) == []
    assert await stand(database) == [("pending", NOW + 1 + HOUR, None)]


async def test_what_has_gathered_is_released_part_by_part(database: Database) -> None:
    subscription = await gathered(database, 2 * PART + 1)
    await database.write(pause_subscription, subscription.id, "ann", NOW)
    await database.write(sql, f"UPDATE deliveries SET next_at = {NOW + HOUR}")
    await database.write(resume_subscription, subscription.id, "ann", NOW)
    await release(database, subscription.id, lambda: NOW)
    due = [next_at for _, next_at, _ in await stand(database)]
    assert {at: due.count(at) for at in due} == {NOW: PART, NOW + APART_MS: PART, NOW + 2 * APART_MS: 1}


async def test_a_pause_ends_the_release_of_what_has_gathered(database: Database) -> None:
    subscription = await gathered(database, 1)
    await database.write(sql, f"UPDATE deliveries SET next_at = {NOW + HOUR}")
    await database.write(pause_subscription, subscription.id, "ann", NOW)
    await release(database, subscription.id, lambda: NOW)
    assert await stand(database) == [("pending", NOW + HOUR, None)]


@pytest.mark.parametrize(("end", "reason"), [("delete", "the subscription was deleted"), ("disable", "gone")])
async def test_the_end_of_a_subscription_cancels_a_part_and_claims_cancel_the_rest(
    database: Database, end: str, reason: str
) -> None:
    subscription = await gathered(database, PART + 1)
    if end == "delete":
        await database.write(delete_subscription, subscription.id, "ann", NOW)
    else:
        await database.write(disable_subscription, subscription.id, reason, NOW)
    assert [status for status, _, _ in await stand(database)].count("pending") == 1
    assert await database.write(claim_deliveries, NOW + MINUTE, NOW + HOUR, "lease_2", 10) == []
    assert set(await stand(database)) == {("cancelled", None, reason)}


async def test_another_url_has_asked_for_no_pause(database: Database) -> None:
    subscription = a_subscription(held_until=NOW + HOUR)
    await database.write(add_subscription, subscription)
    same = await database.write(change_subscription, replace(subscription, description="new"), "ann")
    assert same is not None and same.held_until == NOW + HOUR
    moved = await database.write(change_subscription, replace(same, url="https://elsewhere.example/"), "ann")
    assert moved is not None and moved.held_until == 0


async def test_what_a_stopped_process_may_have_sent_is_in_the_log(database: Database, reads: Reads) -> None:
    dispatch = await stored_delivery(database, leased=True)
    [claimed] = await database.write(claim_deliveries, NOW + MINUTE, NOW + 2 * MINUTE, "lease_2", 10)
    [attempt] = await reads.attempts(dispatch.delivery_id)
    assert (claimed.attempts, claimed.base, attempt.ambiguous, attempt.error) == (1, 0, True, CUT_OFF)


async def test_what_was_given_back_was_not_sent(database: Database, reads: Reads) -> None:
    dispatch = await stored_delivery(database, leased=True)
    await database.write(record_attempts, [], [Return(dispatch, NOW)], NOW)
    [claimed] = await database.write(claim_deliveries, NOW, NOW + MINUTE, "lease_2", 10)
    assert (claimed.attempts, await reads.attempts(dispatch.delivery_id)) == (0, [])


async def test_a_late_2xx_ends_what_somebody_else_has_leased(database: Database, reads: Reads) -> None:
    dispatch = await stored_delivery(database, leased=True)
    await database.write(claim_deliveries, NOW + MINUTE, NOW + 2 * MINUTE, "lease_2", 10)
    late = outcome_of(dispatch, 204, status=DeliveryStatus.DELIVERED)
    await database.write(record_attempts, [late], [], NOW + MINUTE)
    delivery = await reads.delivery(dispatch.delivery_id, None)
    [attempt] = await reads.attempts(dispatch.delivery_id)
    assert delivery is not None and (delivery.status, attempt.status) == (DeliveryStatus.DELIVERED, 204)


async def test_a_2xx_of_before_a_replay_does_not_end_the_replay(database: Database, reads: Reads) -> None:
    dispatch = await stored_delivery(database, leased=True)
    await database.write(each, "record_outcome", [an_outcome(dispatch, status="exhausted")])
    await database.write(sql, "UPDATE deliveries SET status = 'pending', next_at = 1, finished_at = NULL, replays = 1")
    await database.write(record_attempts, [outcome_of(dispatch, 204, status=DeliveryStatus.DELIVERED)], [], NOW)
    delivery = await reads.delivery(dispatch.delivery_id, None)
    assert delivery is not None and delivery.status is DeliveryStatus.PENDING
