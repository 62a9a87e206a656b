"""Deliveries: claim them, let them be attempted, record what became of them.

Fresh deliveries come straight from the commit that made them, already leased; those of other processes, of retries and
of resumption are claimed. Who may send next is decided by `lanes`, one for each endpoint, and by `breakers`, one for
each host. Outcomes are recorded in batches, as they come in while the last batch is being committed.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

from service.attempting import Attempting
from service.breakers import HOSTS_MOST, Breakers, Broken
from service.claiming import IDLE_MS, claim_for_ever
from service.clock import DAY, SECOND, Clock
from service.endpoints import UNSENT_MS, Endpoint, Endpoints
from service.events import Lease, Publisher, claim_as_wished
from service.lanes import Lane, Lanes
from service.model import new_id
from service.settings import DeliverySettings
from service.standing import record
from service.store.reads import Reads
from service.store.recording import Outcome, Return, bare
from service.store.rows import Dispatch
from service.store.statements import Database, Transaction, run, run_many
from service.subscriptions import Subscription

log = logging.getLogger("reelhook.deliveries")

LEASE_MARGIN_MS = 5 * SECOND
RECORD_MS = SECOND  # between the end of an attempt and its commit
CLAIM = 100  # more at a time take far longer in large tables (facts: 15 ms for 500 at a million rows)
WAITING_MOST = 20_000  # leased and waiting, of all lanes together
SLOW_MS = SECOND  # attempts that take longer are slow; where the deadline is short, a quarter of it is
HELD_MOST = 10_000  # subscriptions whose pause this process remembers
STALE_MS = 200  # what has waited for longer is sent as its subscription wishes by now, if at all
REMEMBERED_MS = DAY  # after which a host's breaker says nothing about it any more
RECORD_AGAIN_S = 1
DATABASE_DOWN = 3  # outcomes that could not be written, and none that could
RECORD_DRAIN_S = 10


class Deliveries:
    """This process's senders. news: tells those who follow an owner's feed that there may be more in it."""

    def __init__(
        self,
        *,
        database: Database,
        reads: Reads,
        attempting: Attempting,
        endpoints: Endpoints,
        publisher: Publisher,
        news: Callable[[str], None],
        settings: DeliverySettings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._reads = reads
        self._attempting = attempting
        self._endpoints = endpoints
        self._publisher = publisher
        self._news = news
        self._settings = settings
        self._clock = clock
        self._breakers = Breakers()
        self._held: dict[tuple[str, int], int] = {}  # subscription, revision -> when it may be sent to again
        self._read: dict[str, tuple[int, Subscription | None]] = {}  # subscription -> when it was read, and as what
        self._alarm: asyncio.TimerHandle | None = None
        self._unrecorded = False  # the last batch of outcomes could not be written
        # two deadlines: one to wait for a free sender, one for the attempt
        self._lease_ms = 2 * settings.timeout + LEASE_MARGIN_MS
        self._lanes: Lanes[Dispatch] = Lanes(
            senders=settings.concurrency,
            share=settings.per_subscription,
            places=WAITING_MOST,
            slow_ms=min(SLOW_MS, settings.timeout // 4),
            in_time_ms=self._lease_ms - settings.timeout - 2 * RECORD_MS,
        )
        self._attempts: set[asyncio.Task[None]] = set()
        self._outcomes: list[Outcome] = []
        self._returns: list[Return] = []
        self._recording: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._leases = count()
        self._running = False
        self._process = new_id("lease", clock())

    # --- taking work

    def lease(self) -> Lease | None:
        """A lease for deliveries about to be committed; None when nobody is sending here, or there is no room."""
        if not self._running or self._lanes.waiting >= WAITING_MOST:
            return None
        return self._new_lease()

    def take_over(self, dispatches: list[Dispatch]) -> None:
        """Send leased deliveries. What its lane has no room for is given back, due when there will be."""
        for dispatch in dispatches:
            endpoint = self._endpoints.of(dispatch.subscription)
            if not self._running:
                self._give_back(dispatch, self._clock())
            elif not self._lanes.add(
                endpoint.lane,
                dispatch,
                owner=dispatch.subscription.owner,
                doubtful=dispatch.attempts > dispatch.cut_off,
                share=endpoint.share,
                spacing_ms=endpoint.spacing_ms,
            ):
                self._give_back(dispatch, self._lanes.room_at(endpoint.lane, self._clock()))
        self._start_attempts()

    async def run(self) -> None:
        """Send until cancelled; then finish the attempts under way, record them, and give the rest back."""
        await self._restore_breakers()
        self._running = True
        try:
            await claim_for_ever(
                "deliveries",
                until_due=self._until_due,
                claim=self._claim,
                start=self.take_over,
                give_back=self._give_back_now,
                woken=self._woken,
            )
        finally:
            self._running = False
            await self._drain()

    async def _restore_breakers(self) -> None:
        """Of hosts that somebody has asked lately; the rest is forgotten."""
        since = self._clock() - REMEMBERED_MS
        await self._database.write(_forget_breakers, since)
        self._breakers.restore(Broken(**row) for row in await self._reads.breakers(since, HOSTS_MOST))

    async def _until_due(self) -> int:
        if self._lanes.waiting > WAITING_MOST - CLAIM or self._unrecorded:
            return IDLE_MS  # what was sent and is not written down yet would be claimed and sent again
        due_at = await self._reads.next_at("next_delivery")
        return IDLE_MS if due_at is None else due_at - self._clock()

    async def _claim(self) -> list[Dispatch]:
        lease = self._new_lease()
        return await self._database.write(claim_as_wished, self._clock(), lease.until, lease.token, CLAIM)

    def _new_lease(self) -> Lease:
        return Lease(f"{self._process}.{next(self._leases)}", self._clock() + self._lease_ms)

    def _give_back(self, dispatch: Dispatch, at: int) -> None:
        self._returns.append(Return(dispatch, at))
        self._record_soon()

    async def _give_back_now(self, dispatches: list[Dispatch]) -> None:
        now = self._clock()
        for dispatch in dispatches:
            self._give_back(dispatch, now)

    async def _drain(self) -> None:
        """Nothing new begins. What is under way is over by its own deadline, and what came of it is worth waiting for:
        an endpoint that has said 2xx must not hear the same again."""
        if self._alarm is not None:
            self._alarm.cancel()
        await self._give_back_now(self._lanes.clear())
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=(self._settings.timeout + RECORD_MS) / 1000)
        if self._recording is not None:
            await asyncio.wait({self._recording}, timeout=RECORD_DRAIN_S)
        if self._recording is not None or self._attempts:
            log.error(
                "deliveries.unrecorded outcomes=%d returns=%d attempts=%d note=%r",
                *(len(self._outcomes), len(self._returns), len(self._attempts)),
                "they are due again when their leases end",
            )

    # --- attempts

    def _start_attempts(self) -> None:
        while (started := self._lanes.start(self._clock())) is not None:
            lane, dispatch = started
            attempt = asyncio.create_task(self._attempt(lane, dispatch), name=f"deliver {dispatch.delivery_id}")
            self._attempts.add(attempt)
            attempt.add_done_callback(self._ended)
        self._set_alarm()

    def _set_alarm(self) -> None:
        """For the next lane that rests between two of its attempts."""
        if self._alarm is not None:
            self._alarm.cancel()
        ready_at = self._lanes.ready_at
        if ready_at is None:
            self._alarm = None
        else:
            pause_s = max(1, ready_at - self._clock()) / 1000
            self._alarm = asyncio.get_running_loop().call_later(pause_s, self._start_attempts)

    def _ended(self, attempt: "asyncio.Task[None]") -> None:
        self._attempts.discard(attempt)
        self._start_attempts()

    async def _attempt(self, lane: Lane[Dispatch], dispatch: Dispatch) -> None:
        took_ms, answered = None, True
        endpoint = None
        try:
            subscription = await self._by_now(dispatch, self._clock())
            now = self._clock()
            if now + self._settings.timeout + RECORD_MS >= dispatch.leased_until:
                return self._give_back(dispatch, now)  # the lease would end before the attempt is recorded
            if subscription is None or subscription.format != dispatch.subscription.format:
                return self._give_back(dispatch, now)  # whoever claims it sees what has become of its subscription
            dispatch = replace(dispatch, subscription=subscription)
            if (not_before := self._held_until(subscription)) > now:
                return self._give_back(dispatch, not_before)
            endpoint = self._endpoints.of(subscription)
            if (not_before := self._not_before(endpoint, lane, dispatch, now)) > now:
                return self._give_back(dispatch, not_before)
            outcome = await self._attempting.attempt(dispatch)
            took_ms, answered = outcome.attempt.duration_ms, outcome.attempt.status is not None
            self._learn(endpoint, outcome, answered)
            self._outcomes.append(outcome)
            self._record_soon()
        except Exception:  # its lease ends, and it is tried again
            if endpoint is not None:
                self._breakers.cancel(endpoint.host, endpoint.lane)
            log.exception("delivery.failed delivery=%s", dispatch.delivery_id)
        finally:
            self._lanes.end(lane, took_ms, answered=answered)

    async def _by_now(self, dispatch: Dispatch, now: int) -> Subscription | None:
        """Its subscription; read anew where it has waited since it was leased. None where nothing may be sent to it any
        more, or for now, or this is not to be sent: it was expunged, or is another's by now."""
        if now - (dispatch.leased_until - self._lease_ms) < STALE_MS:
            return dispatch.subscription
        if not await self._reads.holds(dispatch.delivery_id, dispatch.lease):
            return None
        name = dispatch.subscription.id
        at, found = self._read.get(name, (0, None))
        if now - at >= STALE_MS:
            found = await self._reads.subscription(name, None)
            if len(self._read) >= HELD_MOST:
                self._read.clear()
            self._read[name] = (now, found)
        return found if found is not None and found.status == "active" else None

    def _held_until(self, subscription: Subscription) -> int:
        """Until when the endpoint wants a pause (unix ms), as far as this process has heard."""
        return max(subscription.held_until, self._held.get((subscription.id, subscription.revision), 0))

    def _not_before(self, endpoint: Endpoint, lane: Lane[Dispatch], dispatch: Dispatch, now: int) -> int:
        """When this may be sent: not while its host does not answer. What is older than its schedule is sent in any
        case, so that it comes to its end."""
        subscription = dispatch.subscription
        admitted_at = self._breakers.admit(
            endpoint.host,
            endpoint.lane,
            now,
            owner=subscription.owner,
            trusted=lane.trusted,
            failing=subscription.failing_since is not None,
        )
        overdue = now - dispatch.begun_at > max(sum(endpoint.pauses), UNSENT_MS if endpoint.sparing else 0)
        return now if admitted_at is None or overdue else admitted_at

    def _learn(self, endpoint: Endpoint, outcome: Outcome, answered: bool) -> None:
        if endpoint.problem is None:
            self._breakers.note(endpoint.host, endpoint.lane, self._clock(), answered=answered)
        else:  # nobody was asked
            self._breakers.cancel(endpoint.host, endpoint.lane)
        subscription, until = outcome.dispatch.subscription, outcome.decision.held_until
        key = subscription.id, subscription.revision
        if until:
            self._held[key] = max(until, self._held.get(key, 0))
        elif outcome.delivered:
            self._held.pop(key, None)
        if len(self._held) > HELD_MOST:
            now = self._clock()
            self._held = {key: until for key, until in self._held.items() if until > now}

    # --- recording

    def _record_soon(self) -> None:
        if self._recording is None:
            self._recording = asyncio.create_task(self._record_all(), name="record deliveries")

    async def _record_all(self) -> None:
        """Until nothing is left to record: what comes in during a commit goes into the next one."""
        try:
            while self._outcomes or self._returns:
                try:
                    await self._record()
                    self._unrecorded = False
                except Exception:  # kept and tried again: the attempt was made, and that must not be forgotten
                    self._unrecorded = True
                    log.exception("deliveries.record_failed outcomes=%d", len(self._outcomes))
                    await self._record_apart()
                    self._unrecorded = bool(self._outcomes)
                    await asyncio.sleep(RECORD_AGAIN_S)
        finally:
            self._recording = None

    async def _record_apart(self) -> None:
        """Each outcome in a transaction of its own: one that cannot be written must not keep the others from it, and is
        written with less in it. Where nothing at all can be written, everything is kept."""
        outcomes, self._outcomes = self._outcomes, []
        refused: list[Outcome] = []
        for number, outcome in enumerate(outcomes, 1):
            stripped = replace(outcome, attempt=bare(outcome.attempt))
            if not (await self._written(outcome) or await self._written(stripped)):
                refused.append(outcome)
            if len(refused) == number == min(DATABASE_DOWN, len(outcomes)):  # so it is the database
                self._outcomes = outcomes[number:] + refused + self._outcomes
                return
        for outcome in refused:
            log.critical("delivery.unrecordable delivery=%s", outcome.dispatch.delivery_id)

    async def _written(self, outcome: Outcome) -> bool:
        try:
            self.take_over(await self._database.write(self._batch, [outcome], [], [], [], self._clock()))
        except Exception:
            log.exception("delivery.not_recorded delivery=%s", outcome.dispatch.delivery_id)
            return False
        return True

    async def _record(self) -> None:
        outcomes, self._outcomes = self._outcomes, []
        returns, self._returns = self._returns, []
        broken, mended = self._breakers.take_changes()
        now = self._clock()
        try:
            told = await self._database.write(self._batch, outcomes, returns, broken, mended, now)
        except BaseException:
            self._outcomes = outcomes + self._outcomes
            self._returns = returns + self._returns
            self._breakers.put_back(broken, mended)
            raise
        self.take_over(told)
        for owner in {outcome.dispatch.subscription.owner for outcome in outcomes if not outcome.delivered}:
            self._news(owner)  # there may be an operational event
        due_at = (*(each.decision.next_at for each in outcomes), *(each.next_at for each in returns))
        if any(at is not None and at < now + IDLE_MS for at in due_at):
            self._woken.set()

    def _batch(
        self,
        outcomes: Sequence[Outcome],
        returns: Sequence[Return],
        broken: Sequence[Broken],
        mended: Sequence[str],
        now: int,
    ) -> Transaction[list[Dispatch]]:
        told = yield from record(outcomes, returns, self._publisher, self._settings, now)
        kept = [{"host": each.host, "opened": each.opened, "open_until": each.open_until} for each in broken]
        yield run_many("keep_breaker", kept)
        yield run_many("close_breaker", [{"host": host} for host in mended])
        return told


def _forget_breakers(before: int) -> Transaction[None]:
    yield run("prune_breakers", before=before)
