"""Telling again: one delivery, one event to everybody who wants it, or all that a subscription has missed.

What is told again has the same id and the same bytes. A delivery that is over begins anew, and its attempts go on
counting; where there never was one it is made from the event as it was told then. A replay of many events is a row with
a position: each step is one transaction that moves it on, so that it can be followed, stopped, and taken up by any
process, and no faster than it is allowed.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from service.claiming import IDLE_MS, claim_for_ever
from service.clock import SECOND, Clock
from service.errors import Problem, invalid
from service.events import Publisher
from service.formats import FORMATS
from service.formats.shape import Telling
from service.model import Event, new_id
from service.store.reads import Reads
from service.store.replays import Replay, due_replay, end_replay, events_to_replay, insert_replay
from service.store.rows import delivery_from_row, subscription_from_row
from service.store.statements import Database, Transaction, run
from service.store.tasks import find_task
from service.store.telling import may_hear, subscriptions_to_tell
from service.subscriptions import Delivery, Subscription, wants
from service.wire import Json, loads

MISSING = "missing"  # no delivery was ever made: the subscription was disabled, or came later
OVER = ("delivered", "exhausted", "cancelled")
MISSED = (MISSING, "exhausted", "cancelled")
STEP = 100  # events in one transaction
REST_MS = 50  # after each step: others write too
PER_SECOND, PER_SECOND_MOST = 10, 1_000


class Replaying:
    """Replays, by call and one after the other. remembered_ms: for how long deliveries are kept at least."""

    def __init__(
        self, *, database: Database, reads: Reads, publisher: Publisher, clock: Clock, remembered_ms: int
    ) -> None:
        self._database = database
        self._reads = reads
        self._publisher = publisher
        self._clock = clock
        self._remembered_ms = remembered_ms
        self._woken = asyncio.Event()

    async def delivery(self, delivery: Delivery) -> Delivery:
        """Begin a delivery again, or now where it waits anyway; a Problem where nothing can be sent."""
        again: Delivery | None = await self._database.write(_replay_delivery, delivery, self._clock())
        if again is None:
            raise Problem("conflict", "this delivery is being attempted just now: look again in a moment")
        return again

    async def event(self, event: Event, subscription: Subscription | None, *, of_others: bool = False) -> list[str]:
        """Tell an event again to one subscription, or to all that want it now; the ids of the deliveries. of_others:
        those of other owners, who hear everybody's events, are told again too."""
        _check_told(event)
        if subscription is not None:
            _check_open(subscription)
            if not may_hear(subscription, event, loads(event.body)["data"]):
                raise invalid(
                    "subscription", f"{subscription.id} is not for this event: it is another's, or about itself"
                )
        return await self._database.write(self._replay_event, event, subscription, self._clock(), of_others)

    async def begin(
        self, subscription: Subscription, since: int, until: int, statuses: Sequence[str], per_second: int
    ) -> Replay:
        """A replay of a subscription's events, stored; its loop works on it."""
        _check_open(subscription)
        now = self._clock()
        replay = Replay(
            id=new_id("rpl", now),
            owner=subscription.owner,
            subscription_id=subscription.id,
            since=since,
            until=min(until, now),
            statuses=tuple(statuses),
            spacing_ms=SECOND // per_second,
            created_at=now,
        )
        if not await self._database.write(insert_replay, replay):
            raise Problem("conflict", "a replay of this subscription is under way: wait for its end, or cancel it")
        self._woken.set()
        return replay

    async def cancel(self, replay: Replay) -> Replay:
        """No more of it; what it has begun goes on. One that has ended stays as it is."""
        ended: Replay | None = await self._database.write(end_replay, replay.id, "cancelled", None, self._clock())
        return ended or replay

    async def run(self) -> None:
        """Work on replays until cancelled."""
        await claim_for_ever(
            "replays",
            until_due=self._until_due,
            claim=self._step,
            start=lambda steps: None,
            give_back=self._give_back,
            woken=self._woken,
        )

    async def _until_due(self) -> int:
        due_at = await self._reads.next_at("next_replay")
        return IDLE_MS if due_at is None else due_at - self._clock()

    async def _step(self) -> list[str]:
        """One step of one replay: a transaction, which is all there is to it."""
        return await self._database.write(self._advance, self._clock())

    async def _give_back(self, steps: list[str]) -> None:
        """A step is done once it is committed."""

    def _advance(self, now: int) -> Transaction[list[str]]:
        replay = yield from due_replay(now)
        if replay is None:
            return []
        found = yield run("subscription_to_tell", id=replay.subscription_id)
        subscription = subscription_from_row(found[0]) if found else None
        if subscription is None or subscription.disabled_at is not None:
            yield from end_replay(replay.id, "failed", "the subscription was deleted or disabled meanwhile", now)
            return [replay.id]
        owner = None if subscription.everyone else subscription.owner
        events = yield from events_to_replay(replay, owner, STEP)
        replayed = 0
        for event in events:
            due_at = now + replayed * replay.spacing_ms
            replayed += yield from self._retell(event, subscription, replay.statuses, now, due_at)
        if events:
            yield run(
                "advance_replay",
                id=replay.id,
                position=events[-1].id,
                scanned=len(events),
                replayed=replayed,
                next_at=now + max(REST_MS, replayed * replay.spacing_ms),
            )
        if len(events) < STEP:
            yield from end_replay(replay.id, "finished", None, now)
        return [replay.id]

    def _retell(
        self, event: Event, subscription: Subscription, statuses: Sequence[str], now: int, due_at: int
    ) -> Transaction[bool]:
        """Whether an event is told again, or for the first time. What was expunged cannot be."""
        if event.test or not event.body:
            return False
        envelope: Json = loads(event.body)
        data = envelope["data"]
        if not (may_hear(subscription, event, data) and wants(subscription, event.type, data)):
            return False
        rows = yield run("deliveries_to_subscription", subscription_id=subscription.id, event_id=event.id)
        if rows:
            if rows[0]["status"] not in statuses:
                return False
            at = max(due_at, subscription.may_be_told_at(now))
            return bool((yield run("replay_delivery", id=rows[0]["id"], next_at=at)))
        if MISSING not in statuses or event.created_at <= now - self._remembered_ms:
            return False  # what is older may have been delivered, and nobody would know it any more
        telling = yield from self._telling(event, subscription)
        yield from self._publisher.deliver(telling, [subscription], now, due_at=due_at)
        return True

    def _telling(self, event: Event, subscription: Subscription) -> Transaction[Telling]:
        """An event as it was told then; in a gateway's own words only its task as it stands now can be shown."""
        envelope: Json = loads(event.body)
        if FORMATS[subscription.format].offered or event.task_id is None:
            return Telling(event=event, envelope=envelope)
        task = yield from find_task(event.task_id)
        return Telling(event=event, envelope=envelope, task=task, links=self._publisher.links)

    def _replay_event(
        self, event: Event, subscription: Subscription | None, now: int, of_others: bool
    ) -> Transaction[list[str]]:
        data: Json = loads(event.body)["data"]
        wanted = [subscription] if subscription is not None else (yield from subscriptions_to_tell(event, data))
        wanted = [each for each in wanted if of_others or each.owner == event.owner or each is subscription]
        told = []
        for each in wanted:
            rows = yield run("deliveries_to_subscription", subscription_id=each.id, event_id=event.id)
            if rows:
                again = yield from _replay_delivery(delivery_from_row(rows[0]), now)
                told += [again.id] if again else []
            else:
                telling = yield from self._telling(event, each)
                yield from self._publisher.deliver(telling, [each], now, due_at=now)
                made = yield run("deliveries_to_subscription", subscription_id=each.id, event_id=event.id)
                told += [row["id"] for row in made]
        return told


def _replay_delivery(delivery: Delivery, now: int) -> Transaction[Any]:
    rows = yield run("subscription_to_tell", id=delivery.subscription_id)
    if not rows:
        raise Problem("conflict", "its subscription was deleted: there is nowhere to send it any more")
    subscription = subscription_from_row(rows[0])
    _check_open(subscription)
    events = yield run("event", id=delivery.event_id, owner=None)
    if not events or delivery.expunged_at is not None or (not events[0]["body"] and not delivery.body):
        raise Problem("result_gone", "the payload of this event was expunged: it cannot be told again")
    at = max(now, subscription.may_be_told_at(now))
    again = yield run("replay_delivery", id=delivery.id, next_at=at)
    again = again or (yield run("hurry_delivery", id=delivery.id, next_at=at))
    again = again or (yield run("waiting_delivery", id=delivery.id, now=now))
    return delivery_from_row(again[0]) if again else None


def _check_open(subscription: Subscription) -> None:
    if subscription.disabled_at is not None:
        raise Problem(
            "conflict",
            f"the subscription is disabled ({subscription.disabled_reason}): bring it back first, by a successful "
            f"POST /v1/subscriptions/{subscription.id}/test",
        )


def _check_told(event: Event) -> None:
    if not event.body:
        raise Problem("result_gone", "the payload of this event was expunged: it cannot be told again")
