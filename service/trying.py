"""Trying out a subscription: one event that somebody asked for, one attempt, and its answer at once.

It is made under a lease of its own, apart from the deliveries, and never tried again, whatever the schedule says and
whatever becomes of this process. One of a subscription is made at a time: whoever waits for its answer needs no second
one meanwhile. A success brings a disabled subscription back, and ends a pause that its endpoint had asked for; a
failure is held against nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.asides import Asides
from service.attempting import Attempting
from service.clock import SECOND, Clock
from service.errors import Problem
from service.events import made_event
from service.formats import FORMATS
from service.formats.samples import sample_data
from service.formats.shape import Telling
from service.links import Links
from service.model import new_id
from service.store.recording import Outcome, record_attempts
from service.store.rows import Dispatch, attempt_columns
from service.store.statements import Database, Transaction, run, run_many
from service.store.telling import enable_subscription, insert_deliveries, insert_event
from service.subscriptions import DeliveryStatus, Subscription

LEASE_MS = 120 * SECOND  # longer than any attempt takes


@dataclass(frozen=True, slots=True)
class Tried:
    """enabled: it was disabled, and is not any more."""

    delivery_id: str
    enabled: bool


class Trying:
    """Sends test events."""

    def __init__(
        self, *, database: Database, attempting: Attempting, asides: Asides, links: Links, clock: Clock
    ) -> None:
        self._database = database
        self._attempting = attempting
        self._asides = asides
        self._under_way: set[str] = set()
        self._links = links
        self._clock = clock

    async def try_out(self, subscription: Subscription, event_type: str) -> Tried:
        """Send a sample of this type there, paused or disabled or not; its delivery is on disk afterwards. A Problem
        `conflict` while another test of it is under way, `rate_limited` while too many others are."""
        if not FORMATS[subscription.format].offered:
            raise Problem(
                "conflict", "it is told of its one task in its gateway's own words: there is no sample of those"
            )
        if subscription.id in self._under_way:
            raise Problem("conflict", "a test of this subscription is under way; wait for its answer")
        self._under_way.add(subscription.id)
        try:
            async with self._asides.place(subscription.owner):
                return await self._tried(subscription, event_type)
        finally:
            self._under_way.discard(subscription.id)

    async def _tried(self, subscription: Subscription, event_type: str) -> Tried:
        now = self._clock()
        data = sample_data(event_type, self._links, now)
        event, body = made_event(subscription.owner, event_type, data, now, test=True)
        telling = Telling(event=event, envelope=body)
        rendered = FORMATS[subscription.format].render(telling, subscription.options)
        dispatch = Dispatch(
            delivery_id=new_id("dlv", now),
            event_id=event.id,
            event_type=event_type,
            subscription=subscription,
            created_at=now,
            begun_at=now,
            body=rendered.body,
            headers=rendered.headers,
            format=subscription.format,
            lease=new_id("lease", now),
            leased_until=now + LEASE_MS,
        )

        def store() -> Transaction[None]:
            yield from insert_event(event)
            yield from insert_deliveries(event, [dispatch], leased=True, once=True)

        await self._database.write(store)
        outcomes = [await self._attempting.attempt(dispatch, apart=True)]
        while (decision := outcomes[-1].decision).level > dispatch.level:  # the same with less in it, at once
            dispatch = replace(dispatch, level=decision.level, base=decision.base, attempts=dispatch.attempts + 1)
            outcomes.append(await self._attempting.attempt(dispatch, apart=True))
        enabled = await self._database.write(_record, outcomes, self._clock())
        return Tried(dispatch.delivery_id, enabled)


def _record(outcomes: Sequence[Outcome], now: int) -> Transaction[bool]:
    *before, outcome = outcomes
    yield run_many("insert_attempt", [attempt_columns(each.attempt) for each in before])
    if not outcome.delivered:
        ended = replace(outcome.decision, status=DeliveryStatus.EXHAUSTED, next_at=None)
        outcome = replace(outcome, attempt=replace(outcome.attempt, next_at=None), decision=ended)
    yield from record_attempts([outcome], [], now)
    if not outcome.delivered:
        return False
    subscription = outcome.dispatch.subscription
    yield run("reset_standing", id=subscription.id)
    return subscription.disabled_at is not None and (yield from enable_subscription(subscription.id, now))
