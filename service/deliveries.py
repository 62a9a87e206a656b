"""Deliveries: claim, attempt, judge, record.

Fresh deliveries come straight from the commit that made them, already leased; those of other processes, of retries and
of resumption are claimed. Each subscription has a lane of its own: an endpoint that hangs fills its lane and nobody
else's. Outcomes are recorded in batches, as they come in while the last batch is being committed.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from service import __version__
from service.clock import SECOND, Clock, woken_or_after
from service.egress import Egress, Lost, NotSent
from service.events import Lease
from service.model import Attempt, DeliveryStatus, new_id
from service.schedule import retry_at
from service.settings import DeliverySettings
from service.signing import sign
from service.store.statements import Database, Params, Transaction, run_many
from service.store.store import Dispatch, Reads, claim_deliveries, disable_subscription
from service.wire import HttpAnswer, HttpRequest

log = logging.getLogger("reelhook.deliveries")

LEASE_MARGIN_MS = 5 * SECOND
CLAIM = 100  # more at a time take far longer in large tables (facts: 15 ms for 500 at a million rows)
IDLE_MS = 250
WAITING_MOST = 20_000  # leased and waiting, of all lanes together
LANE_MOST = 100  # of one subscription; the rest is given back, so that one cannot fill the house
LANES_MOST = 10_000  # remembered at once
POSTPONE_MS, LONGEST_POSTPONE_MS = 2 * SECOND, 600 * SECOND
MISSES_TRUSTED = 3  # attempts in a row without an answer, after which an endpoint gets one sender only
RESPONSE_KEPT = 2_048  # bytes of an answer that the log shows
DRAIN_MS = 20 * SECOND


@dataclass(slots=True)
class _Lane:
    waiting: deque[Dispatch] = field(default_factory=deque)
    active: int = 0
    in_line: bool = False
    misses: int = 0

    @property
    def idle(self) -> bool:
        return not self.waiting and not self.active


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt. gone: the endpoint wants nothing any more."""

    dispatch: Dispatch
    attempt: Attempt
    status: DeliveryStatus
    next_at: int | None
    gone: bool = False


class Deliveries:
    """This process's senders."""

    def __init__(
        self,
        *,
        database: Database,
        reads: Reads,
        egress: Egress,
        settings: DeliverySettings,
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self._database = database
        self._reads = reads
        self._egress = egress
        self._settings = settings
        self._clock = clock
        self._chance = chance
        self._lanes: dict[str, _Lane] = {}
        self._ready: deque[str] = deque()
        self._waiting = 0
        self._active: set[asyncio.Task[None]] = set()
        self._outcomes: list[Outcome] = []
        self._returned: list[Params] = []
        self._woken = asyncio.Event()
        self._to_record = asyncio.Event()
        self._leases = count()
        self._running = False
        # two deadlines: one to wait for a free sender, one for the attempt
        self._lease_ms = 2 * settings.timeout + LEASE_MARGIN_MS
        self._process = new_id("lease", clock())

    # --- taking work

    def lease(self) -> Lease | None:
        """A lease for deliveries about to be committed; None when nobody is sending here, or there is no room."""
        if not self._running or self._waiting >= WAITING_MOST:
            return None
        return Lease(f"{self._process}.{next(self._leases)}", self._clock() + self._lease_ms)

    def accept(self, dispatches: list[Dispatch]) -> None:
        """Take leased deliveries. What its lane has no room for is given back, due a little later."""
        if len(self._lanes) > LANES_MOST:
            self._lanes = {name: lane for name, lane in self._lanes.items() if not lane.idle}
        for dispatch in dispatches:
            lane = self._lanes.setdefault(dispatch.subscription_id, _Lane())
            if len(lane.waiting) >= LANE_MOST or not self._running:
                self._give_back(dispatch, lane)
                continue
            lane.waiting.append(dispatch)
            self._waiting += 1
            self._line_up(dispatch.subscription_id, lane)
        self._start_attempts()

    async def run(self) -> None:
        """Send until cancelled; then finish the attempts under way, record them, and give the rest back."""
        recorder = asyncio.create_task(self._record_for_ever(), name="record deliveries")
        self._running = True
        try:
            while True:
                self._woken.clear()
                wait_ms = IDLE_MS
                try:
                    due_ms = await self._until_due()
                    if due_ms > 0:
                        wait_ms = due_ms
                    elif await self._claim():
                        continue
                except Exception:  # the database may be busy or full: sending goes on when it is not
                    log.exception("deliveries.claim_failed")
                await woken_or_after(self._woken, wait_ms)
        finally:
            self._running = False
            await self._drain()
            recorder.cancel()
            await asyncio.gather(recorder, return_exceptions=True)
            await self._record()

    async def _until_due(self) -> int:
        if self._waiting > WAITING_MOST - CLAIM:
            return IDLE_MS
        due_at = await self._reads.next_at("next_delivery")
        return IDLE_MS if due_at is None else min(IDLE_MS, due_at - self._clock())

    async def _claim(self) -> bool:
        """Whether there was anything to claim."""
        lease = Lease(f"{self._process}.{next(self._leases)}", self._clock() + self._lease_ms)
        claimed = await self._database.write(claim_deliveries, self._clock(), lease.until, lease.token, CLAIM)
        self.accept(claimed)
        return bool(claimed)

    async def _drain(self) -> None:
        for lane in self._lanes.values():
            for dispatch in lane.waiting:
                self._returned.append({"id": dispatch.delivery_id, "lease": dispatch.lease, "next_at": self._clock()})
            lane.waiting.clear()
            lane.in_line = False
        self._ready.clear()
        self._waiting = 0
        if self._active:
            await asyncio.wait(self._active, timeout=DRAIN_MS / 1000)

    def _give_back(self, dispatch: Dispatch, lane: _Lane) -> None:
        pause = min(LONGEST_POSTPONE_MS, POSTPONE_MS << min(lane.misses, 10))
        at = self._clock() + round(pause * (0.5 + self._chance()))
        self._returned.append({"id": dispatch.delivery_id, "lease": dispatch.lease, "next_at": at})
        self._to_record.set()

    # --- attempts

    def _line_up(self, subscription_id: str, lane: _Lane) -> None:
        """A lane stands in line once, while it has something to send and may send it. An endpoint that does not answer
        holds one sender at a time, so that many of them do not hold them all."""
        share = self._settings.per_subscription if lane.misses < MISSES_TRUSTED else 1
        if lane.waiting and not lane.in_line and lane.active < share:
            lane.in_line = True
            self._ready.append(subscription_id)

    def _start_attempts(self) -> None:
        """One delivery of each lane in turn, for as long as there is a free sender."""
        while self._ready and len(self._active) < self._settings.concurrency:
            subscription_id = self._ready.popleft()
            lane = self._lanes[subscription_id]
            lane.in_line = False
            lane.active += 1
            self._waiting -= 1
            dispatch = lane.waiting.popleft()
            attempt = asyncio.create_task(self._attempt(dispatch), name=f"deliver {dispatch.delivery_id}")
            self._active.add(attempt)
            attempt.add_done_callback(partial(self._ended, subscription_id))
            self._line_up(subscription_id, lane)

    def _ended(self, subscription_id: str, attempt: "asyncio.Task[None]") -> None:
        self._active.discard(attempt)
        lane = self._lanes[subscription_id]
        lane.active -= 1
        self._line_up(subscription_id, lane)
        if lane.idle and not lane.misses:
            del self._lanes[subscription_id]
        self._start_attempts()
        self._woken.set()

    async def _attempt(self, dispatch: Dispatch) -> None:
        if self._clock() + self._settings.timeout >= dispatch.leased_until:
            return  # the lease would end before the attempt: it is due again, for whoever claims it
        try:
            outcome = await self.attempt(dispatch)  # before `_outcomes` is looked up: the recorder swaps the list
            self._outcomes.append(outcome)
            lane = self._lanes[dispatch.subscription_id]
            lane.misses = lane.misses + 1 if outcome.attempt.status is None else 0
            self._to_record.set()
        except Exception:  # its lease ends, and it is tried again
            log.exception("delivery.failed delivery=%s", dispatch.delivery_id)

    async def attempt(self, dispatch: Dispatch) -> Outcome:
        """One signed POST, and what to make of its answer."""
        started_at = self._clock()
        status, error, ambiguous, answer = await self._post(dispatch, started_at)
        now = self._clock()
        number = dispatch.attempts + 1
        delivered = status is not None and 200 <= status < 300
        retry_after_ms = answer.retry_after_ms(now) if answer else None
        next_at = None if delivered else retry_at(number, now, self._chance(), retry_after_ms, self._settings.retries)
        gone = status == 410
        attempt = Attempt(
            delivery_id=dispatch.delivery_id,
            number=number,
            started_at=started_at,
            duration_ms=now - started_at,
            status=status,
            error=error,
            ambiguous=ambiguous,
            response=_shown(answer),
        )
        log.info(
            "delivery.attempt delivery=%s event=%s type=%s subscription=%s number=%d status=%s error=%r ms=%d",
            *(dispatch.delivery_id, dispatch.event_id, dispatch.event_type, dispatch.subscription_id),
            *(number, status, error, attempt.duration_ms),
        )
        if delivered:
            return Outcome(dispatch, attempt, DeliveryStatus.DELIVERED, None)
        if gone or next_at is None:
            return Outcome(dispatch, attempt, DeliveryStatus.EXHAUSTED, None, gone)
        return Outcome(dispatch, attempt, DeliveryStatus.PENDING, next_at)

    async def _post(self, dispatch: Dispatch, now: int) -> tuple[int | None, str | None, bool, HttpAnswer | None]:
        """(status, error in words, ambiguous, answer)."""
        body = dispatch.body.encode()
        headers = {
            "content-type": "application/json",
            "user-agent": f"Reelhook/{__version__}",
            "x-reelhook-delivery": dispatch.delivery_id,
            "x-reelhook-attempt": str(dispatch.attempts + 1),
            "x-reelhook-event": dispatch.event_type,
            **sign(dispatch.secret, dispatch.event_id, now // 1000, body),
        }
        request = HttpRequest(method="POST", url=dispatch.url, headers=headers, body=body)
        try:
            answer = await self._egress.deliver(
                request, timeout_ms=self._settings.timeout, cap=self._settings.answer_cap
            )
        except NotSent as error:
            return None, str(error), False, None
        except Lost as error:
            return None, f"{error}; it may have been received", True, None
        if 200 <= answer.status < 300:
            return answer.status, None, False, answer
        note = "; redirects are not followed" if 300 <= answer.status < 400 else ""
        return answer.status, f"the endpoint answered HTTP {answer.status}{note}", False, answer

    # --- recording

    async def _record_for_ever(self) -> None:
        while True:
            await self._to_record.wait()
            self._to_record.clear()
            try:
                await asyncio.shield(self._record())
            except Exception:  # kept in memory and tried again: the attempt was made, and that must not be forgotten
                log.exception("deliveries.record_failed outcomes=%d", len(self._outcomes))
                await asyncio.sleep(1)
                self._to_record.set()

    async def _record(self) -> None:
        outcomes, self._outcomes = self._outcomes, []
        returned, self._returned = self._returned, []
        if not outcomes and not returned:
            return
        try:
            await self._database.write(record, outcomes, returned, self._clock())
        except Exception:
            self._outcomes = outcomes + self._outcomes
            self._returned = returned + self._returned
            raise
        self._woken.set()


def record(outcomes: list[Outcome], returned: list[Params], now: int) -> Transaction[None]:
    """Write down a batch of attempts and what they mean for their deliveries, each fenced by its lease."""
    yield run_many("insert_attempt", [_attempt_row(outcome.attempt) for outcome in outcomes])
    yield run_many("record_outcome", [_outcome_row(outcome, now) for outcome in outcomes])
    yield run_many("return_delivery", returned)
    for subscription_id in {outcome.dispatch.subscription_id for outcome in outcomes if outcome.gone}:
        yield from disable_subscription(subscription_id, "the endpoint answered 410 Gone", now)


def _attempt_row(attempt: Attempt) -> Params:
    row = {name: getattr(attempt, name) for name in Attempt.__dataclass_fields__}
    return row | {"ambiguous": int(attempt.ambiguous)}


def _outcome_row(outcome: Outcome, now: int) -> Params:
    return {
        "id": outcome.dispatch.delivery_id,
        "lease": outcome.dispatch.lease,
        "status": outcome.status.value,
        "attempts": outcome.attempt.number,
        "last_status": outcome.attempt.status,
        "last_error": outcome.attempt.error,
        "finished_at": None if outcome.status is DeliveryStatus.PENDING else now,
        "next_at": outcome.next_at,
    }


def _shown(answer: HttpAnswer | None) -> str:
    return answer.body[:RESPONSE_KEPT].decode("utf-8", "replace").replace("\x00", "\ufffd") if answer else ""
