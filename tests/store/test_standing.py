"""What attempts mean for a subscription: warnings in stages, disabling, and who hears of it."""

import asyncio
from typing import Any, cast

import pytest

from service.clock import DAY, HOUR
from service.events import Publisher
from service.links import Links
from service.settings import DeliverySettings
from service.standing import record
from service.store.reads import Reads
from service.store.recording import Decision, Outcome
from service.store.rows import Dispatch, Window
from service.store.statements import Database
from service.store.telling import (
    add_subscription,
    claim_deliveries,
    insert_deliveries,
    insert_event,
    pause_subscription,
)
from service.subscriptions import Attempt, DeliveryStatus, Subscription
from service.wire import loads
from tests.store.given import MINUTE, NOW, a_dispatch, a_subscription, an_event, fresh_id

SETTINGS = DeliverySettings()
PUBLISHER = Publisher(cast(Links, None), lambda: None)
WINDOW = DAY * 5


async def subscribed(database: Database, **changes: Any) -> Subscription:
    subscription = a_subscription(**changes)
    await database.write(add_subscription, subscription)
    return subscription


async def leased(database: Database, subscription: Subscription, **changes: Any) -> Dispatch:
    event = an_event(id=fresh_id("evt"), task_id=fresh_id("task"), owner=subscription.owner, **changes)
    dispatch = a_dispatch(event, subscription)
    await database.write(insert_event, event)
    await database.write(insert_deliveries, event, [dispatch], leased=True)
    return dispatch


def outcome(dispatch: Dispatch, at: int, **decision: Any) -> Outcome:
    delivered = decision.get("status") is DeliveryStatus.DELIVERED
    attempt = Attempt(
        delivery_id=dispatch.delivery_id,
        number=dispatch.attempts + 1,
        started_at=at,
        duration_ms=1,
        status=200 if delivered else 500,
        error=None if delivered else "the endpoint answered HTTP 500",
    )
    over: dict[str, Any] = {"status": DeliveryStatus.PENDING, "next_at": at + MINUTE}
    return Outcome(dispatch=dispatch, attempt=attempt, decision=Decision(**over | decision))


DELIVERED: dict[str, Any] = {"status": DeliveryStatus.DELIVERED, "next_at": None}
EXHAUSTED: dict[str, Any] = {"status": DeliveryStatus.EXHAUSTED, "next_at": None}


async def fail(database: Database, subscription: Subscription, at: int, times: int = 1, **decision: Any) -> None:
    """A batch of failures, each of a delivery of its own."""
    outcomes = [outcome(await leased(database, subscription), at, **decision) for _ in range(times)]
    await database.write(record, outcomes, [], PUBLISHER, SETTINGS, at)


async def announced(reads: Reads, owner: str = "ann") -> list[tuple[str, int]]:
    """(type, percent) of the operational events, oldest first."""
    events = await reads.events(owner, Window(limit=200), task_id=None, event_type=None)
    told = [event for event in reversed(events) if event.task_id is None]
    return [(event.type, loads(event.body)["data"]["subscription"]["percent"]) for event in told]


async def heard(reads: Reads, subscription: Subscription) -> list[str]:
    """The types of the operational events that a subscription is told."""
    found = await reads.deliveries(None, Window(limit=200), status=None, event_id=None, subscription_id=subscription.id)
    return [one.event_type for one in reversed(found) if not one.event_type.startswith("task.")]


async def test_each_stage_is_announced_once(database: Database, reads: Reads) -> None:
    ill = await subscribed(database)
    for percent in (0, 49, 50, 55, 69, 70, 70, 89, 90, 99):
        await fail(database, ill, NOW + WINDOW * percent // 100)
    assert await announced(reads) == [("subscription.failing", percent) for percent in (50, 70, 90)]


async def test_a_stage_that_was_never_seen_is_not_made_up_for(database: Database, reads: Reads) -> None:
    ill = await subscribed(database)
    for percent in (0, 75, 80):
        await fail(database, ill, NOW + WINDOW * percent // 100)
    assert await announced(reads) == [("subscription.failing", 70)]


async def test_of_two_processes_one_announces_a_stage(database: Database, another: Database, reads: Reads) -> None:
    ill = await subscribed(database)
    await fail(database, ill, NOW)
    at = NOW + WINDOW // 2
    await asyncio.gather(*(fail(each, ill, at) for each in (database, another) * 4))
    assert await announced(reads) == [("subscription.failing", 50)]


async def test_others_are_warned_and_never_the_one_it_is_about(database: Database, reads: Reads) -> None:
    ill = await subscribed(database, events=("*",))
    other = await subscribed(database, events=("subscription.*",))
    operator = await subscribed(database, owner="root", events=("*",), everyone=1)
    stranger = await subscribed(database, owner="bob", events=("*",))
    await fail(database, ill, NOW)
    await fail(database, ill, NOW + WINDOW // 2)
    told = [await heard(reads, each) for each in (ill, other, operator, stranger)]
    assert told == [[], ["subscription.failing"], ["subscription.failing"], []]


async def test_it_is_disabled_after_the_window_with_a_reason_and_nothing_pending(
    database: Database, reads: Reads
) -> None:
    ill = await subscribed(database)
    waiting = await leased(database, ill)
    await fail(database, ill, NOW, SETTINGS.disable_failures)
    await fail(database, ill, NOW + WINDOW)
    now = await reads.subscription(ill.id, None)
    assert now is not None and now.disabled_at == NOW + WINDOW
    assert "HTTP 500" in (now.disabled_reason or "") and "2026-" in (now.disabled_reason or "")
    assert await reads.next_at("next_delivery") is None
    delivery = await reads.delivery(waiting.delivery_id, None)
    assert delivery is not None and (delivery.status, delivery.last_error) == ("cancelled", now.disabled_reason)
    assert (await announced(reads))[-1] == ("subscription.disabled", 100)


async def test_too_few_failures_disable_nobody(database: Database, reads: Reads) -> None:
    ill = await subscribed(database)
    await fail(database, ill, NOW, SETTINGS.disable_failures - 2)
    await fail(database, ill, NOW + 2 * WINDOW)
    assert (await announced(reads))[-1] == ("subscription.failing", 90)
    await fail(database, ill, NOW + 2 * WINDOW + 1)
    assert (await announced(reads))[-1] == ("subscription.disabled", 100)


async def test_a_success_wipes_out_what_was_held_against_it(database: Database, reads: Reads) -> None:
    ill = await subscribed(database)
    await fail(database, ill, NOW, 20)
    await fail(database, ill, NOW + WINDOW // 2, held_until=NOW + WINDOW)
    await fail(database, ill, NOW + WINDOW // 2 + 1, **DELIVERED)
    assert await reads.subscription(ill.id, None) == ill
    await fail(database, ill, NOW + WINDOW)
    await fail(database, ill, NOW + WINDOW + WINDOW // 2)
    assert await announced(reads) == [("subscription.failing", 50)] * 2


async def test_a_success_in_the_same_batch_counts_from_where_it_stands(database: Database, reads: Reads) -> None:
    ill = await subscribed(database)
    await fail(database, ill, NOW, 20)
    failed, well, again = [await leased(database, ill) for _ in range(3)]
    at = NOW + WINDOW
    batch = [outcome(failed, at - 2), outcome(well, at - 1, **DELIVERED), outcome(again, at)]
    await database.write(record, batch, [], PUBLISHER, SETTINGS, at)
    now = await reads.subscription(ill.id, None)
    assert now is not None and (now.failures, now.failing_since, now.disabled_at) == (1, at, None)


async def test_what_is_given_up_is_announced_but_not_of_what_was_announced(database: Database, reads: Reads) -> None:
    ill = await subscribed(database, events=("*",))
    dispatches = [await leased(database, ill), await leased(database, ill, type="subscription.failing")]
    outcomes = [outcome(dispatch, NOW, **EXHAUSTED) for dispatch in dispatches]
    await database.write(record, outcomes, [], PUBLISHER, SETTINGS, NOW)
    events = await reads.events("ann", Window(), task_id=None, event_type="delivery.exhausted")
    assert [loads(event.body)["data"]["delivery"]["id"] for event in events] == [dispatches[0].delivery_id]


async def test_two_channels_that_fail_bring_no_flood_of_warnings(database: Database, reads: Reads) -> None:
    """Each of them is told of the other, and of nothing that comes of that."""
    ills = [await subscribed(database, events=("*",)) for _ in range(2)]
    for percent in range(0, 100, 5):
        at = NOW + WINDOW * percent // 100
        for ill in ills:
            await fail(database, ill, at)
        waiting = await database.write(claim_deliveries, at + HOUR, at + 2 * HOUR, "lease_2", 100)
        outcomes = [outcome(each, at, **EXHAUSTED) for each in waiting]
        await database.write(record, outcomes, [], PUBLISHER, SETTINGS, at)
    told = [kind for kind, _ in await announced(reads)]
    assert (told.count("subscription.failing"), told.count("delivery.exhausted")) == (2 * 3, 2 * 20)


async def test_nobody_announces_the_end_of_what_is_anothers_by_now(database: Database, reads: Reads) -> None:
    ill = await subscribed(database)
    dispatch = await leased(database, ill)
    await database.write(claim_deliveries, NOW + HOUR, NOW + 2 * HOUR, "lease_2", 1)
    await database.write(record, [outcome(dispatch, NOW, **EXHAUSTED)], [], PUBLISHER, SETTINGS, NOW)
    assert await announced(reads) == []


@pytest.mark.parametrize("decision", [{}, {**EXHAUSTED, "gone": "410 Gone"}], ids=["failed", "gone"])
async def test_a_failure_of_what_is_anothers_by_now_is_held_against_nobody(
    database: Database, reads: Reads, decision: dict[str, Any]
) -> None:
    ill = await subscribed(database)
    lost = await leased(database, ill)
    await database.write(claim_deliveries, NOW + HOUR, NOW + 2 * HOUR, "lease_2", 1)
    await database.write(record, [outcome(lost, NOW, **decision)], [], PUBLISHER, SETTINGS, NOW)
    assert await reads.subscription(ill.id, None) == ill


async def test_a_batch_that_is_recorded_again_is_counted_once(database: Database, reads: Reads) -> None:
    ill = await subscribed(database)
    batch = [outcome(await leased(database, ill), NOW) for _ in range(3)]
    for _ in range(2):
        await database.write(record, batch, [], PUBLISHER, SETTINGS, NOW)
    now = await reads.subscription(ill.id, None)
    assert now is not None and now.failures == 3


async def test_gone_ends_it_at_once_and_is_told_to_others(database: Database, reads: Reads) -> None:
    ill = await subscribed(database)
    other = await subscribed(database, events=("*",))
    await fail(database, ill, NOW, **EXHAUSTED, gone="the endpoint answered 410 Gone")
    now = await reads.subscription(ill.id, None)
    assert now is not None and now.disabled_reason == "the endpoint answered 410 Gone"
    assert await heard(reads, other) == ["subscription.disabled"]


async def test_a_pause_that_an_endpoint_asks_for_is_never_shortened(database: Database, reads: Reads) -> None:
    ill = await subscribed(database)
    await fail(database, ill, NOW, held_until=NOW + 10 * MINUTE)
    await fail(database, ill, NOW + 1, held_until=NOW + MINUTE)
    now = await reads.subscription(ill.id, None)
    assert now is not None and now.held_until == NOW + 10 * MINUTE


async def test_a_2xx_counts_though_the_subscription_was_disabled_meanwhile(database: Database, reads: Reads) -> None:
    """Else a replay of what was missed would send it again."""
    ill = await subscribed(database)
    under_way = await leased(database, ill)
    await fail(database, ill, NOW, **EXHAUSTED, gone="the endpoint answered 410 Gone")
    await database.write(record, [outcome(under_way, NOW, **DELIVERED)], [], PUBLISHER, SETTINGS, NOW + 1)
    delivery = await reads.delivery(under_way.delivery_id, None)
    assert delivery is not None and (delivery.status, delivery.next_at) == ("delivered", None)


@pytest.mark.parametrize("held", [False, True])
async def test_batches_pauses_and_new_events_of_two_processes_meet_without_harm(
    database: Database, another: Database, reads: Reads, held: bool
) -> None:
    """Recording takes feeds and subscriptions, telling takes them too, pausing and changing in another order."""
    many = [await subscribed(database, events=("*",)) for _ in range(4)]
    operator = await subscribed(database, owner="root", events=("*",), everyone=1)
    dispatches = [await leased(database, each) for each in many * 6]
    decision = {"held_until": NOW + 5} if held else {}

    def tell(number: int):
        data = {"task": {"id": f"t{number}"}}
        yield from PUBLISHER.announce("ann", "delivery.exhausted", data, NOW)

    def batch(part: int) -> list[Outcome]:
        return [
            outcome(each, NOW, **(DELIVERED if number % 3 == 0 else EXHAUSTED if number % 3 == 1 else decision))
            for number, each in enumerate(dispatches)
            if number % 4 == part
        ]

    sides = (database, another)
    await asyncio.gather(
        *(sides[part % 2].write(record, batch(part), [], PUBLISHER, SETTINGS, NOW) for part in range(4)),
        *(sides[number % 2].write(tell, number) for number in range(8)),
        *(sides[number % 2].write(pause_subscription, many[number].id, "ann", NOW) for number in range(4)),
    )
    kinds = [(await reads.delivery(each.delivery_id, None)) for each in dispatches]
    assert [kind.status for kind in kinds if kind] == ["delivered", "exhausted", "pending"] * 8
    told = await reads.events("ann", Window(limit=200), task_id=None, event_type="delivery.exhausted")
    assert len(told) == 8 + 8
    assert len(await heard(reads, operator)) == 8 + 8
    assert [event.seq for event in await reads.events_after("ann", 0, 500)] == list(range(1, 24 + 16 + 1))
