"""Deliveries: claim, attempt, judge, record.

Fresh deliveries come straight from the commit that made them, already leased; those of other processes, of retries and
of resumption are claimed. Who may send next is decided by `lanes`, one for each endpoint. Outcomes are recorded in
batches, as they come in while the last batch is being committed.
"""

import asyncio
import logging
from collections.abc import Callable
from itertools import count

from service import __version__
from service.claiming import IDLE_MS, claim_for_ever
from service.clock import SECOND, Clock
from service.egress import Egress, Lost, NotSent
from service.events import Lease
from service.lanes import Lane, Lanes
from service.model import new_id
from service.schedule import retry_at
from service.settings import DeliverySettings
from service.signing import sign
from service.store.reads import Reads
from service.store.recording import Outcome, Return, record_attempts
from service.store.rows import Dispatch
from service.store.statements import Database
from service.store.telling import claim_deliveries
from service.subscriptions import Attempt, DeliveryStatus
from service.wire import HttpAnswer, HttpRequest

log = logging.getLogger("reelhook.deliveries")

LEASE_MARGIN_MS = 5 * SECOND
RECORD_MS = SECOND  # between the end of an attempt and its commit
CLAIM = 100  # more at a time take far longer in large tables (facts: 15 ms for 500 at a million rows)
WAITING_MOST = 20_000  # leased and waiting, of all lanes together
SLOW_MS = SECOND  # attempts that take longer are slow; where the deadline is short, a quarter of it is
RESPONSE_KEPT = 2_048  # bytes of an answer that the log shows
RECORD_AGAIN_S = 1
RECORD_DRAIN_S = 10


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
            lane = _lane_of(dispatch)
            if not self._running:
                self._give_back(dispatch, self._clock())
            elif not self._lanes.add(lane, dispatch, doubtful=dispatch.attempts > 0):
                self._give_back(dispatch, self._lanes.room_at(lane, self._clock()))
        self._start_attempts()

    async def run(self) -> None:
        """Send until cancelled; then finish the attempts under way, record them, and give the rest back."""
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

    async def _until_due(self) -> int:
        if self._lanes.waiting > WAITING_MOST - CLAIM:
            return IDLE_MS
        due_at = await self._reads.next_at("next_delivery")
        return IDLE_MS if due_at is None else due_at - self._clock()

    async def _claim(self) -> list[Dispatch]:
        lease = self._new_lease()
        return await self._database.write(claim_deliveries, self._clock(), lease.until, lease.token, CLAIM)

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
        while (started := self._lanes.start()) is not None:
            lane, dispatch = started
            attempt = asyncio.create_task(self._attempt(lane, dispatch), name=f"deliver {dispatch.delivery_id}")
            self._attempts.add(attempt)
            attempt.add_done_callback(self._ended)

    def _ended(self, attempt: "asyncio.Task[None]") -> None:
        self._attempts.discard(attempt)
        self._start_attempts()

    async def _attempt(self, lane: Lane[Dispatch], dispatch: Dispatch) -> None:
        took_ms, answered = None, True
        try:
            if self._clock() + self._settings.timeout + RECORD_MS >= dispatch.leased_until:
                return self._give_back(dispatch, self._clock())  # the lease would end before the attempt is recorded
            outcome = await self.attempt(dispatch)
            took_ms, answered = outcome.attempt.duration_ms, outcome.attempt.status is not None
            self._outcomes.append(outcome)
            self._record_soon()
        except Exception:  # its lease ends, and it is tried again
            log.exception("delivery.failed delivery=%s", dispatch.delivery_id)
        finally:
            self._lanes.end(lane, took_ms, answered=answered)

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
            *(dispatch.delivery_id, dispatch.event_id, dispatch.event_type, dispatch.subscription.id),
            *(number, status, error, attempt.duration_ms),
        )
        if delivered:
            return Outcome(dispatch=dispatch, attempt=attempt, status=DeliveryStatus.DELIVERED)
        if gone or next_at is None:
            return Outcome(dispatch=dispatch, attempt=attempt, status=DeliveryStatus.EXHAUSTED, gone=gone)
        return Outcome(dispatch=dispatch, attempt=attempt, status=DeliveryStatus.PENDING, next_at=next_at)

    async def _post(self, dispatch: Dispatch, now: int) -> tuple[int | None, str | None, bool, HttpAnswer | None]:
        """(status, error in words, ambiguous, answer)."""
        body = dispatch.body.encode()
        headers = {
            "content-type": "application/json",
            "user-agent": f"Reelhook/{__version__}",
            "x-reelhook-delivery": dispatch.delivery_id,
            "x-reelhook-attempt": str(dispatch.attempts + 1),
            "x-reelhook-event": dispatch.event_type,
            **sign(dispatch.subscription.secret, dispatch.event_id, now // 1000, body),
        }
        request = HttpRequest(method="POST", url=dispatch.subscription.url, headers=headers, body=body)
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

    def _record_soon(self) -> None:
        if self._recording is None:
            self._recording = asyncio.create_task(self._record_all(), name="record deliveries")

    async def _record_all(self) -> None:
        """Until nothing is left to record: what comes in during a commit goes into the next one."""
        try:
            while self._outcomes or self._returns:
                try:
                    await self._record()
                except Exception:  # kept and tried again: the attempt was made, and that must not be forgotten
                    log.exception("deliveries.record_failed outcomes=%d", len(self._outcomes))
                    await asyncio.sleep(RECORD_AGAIN_S)
        finally:
            self._recording = None

    async def _record(self) -> None:
        outcomes, self._outcomes = self._outcomes, []
        returns, self._returns = self._returns, []
        now = self._clock()
        try:
            await self._database.write(record_attempts, outcomes, returns, now)
        except BaseException:
            self._outcomes = outcomes + self._outcomes
            self._returns = returns + self._returns
            raise
        due_at = (*(each.next_at for each in outcomes), *(each.next_at for each in returns))
        if any(at is not None and at < now + IDLE_MS for at in due_at):
            self._woken.set()


def _lane_of(dispatch: Dispatch) -> tuple[str, str]:
    """Whose lane: the secret stands for the subscription. The one-shot subscriptions of an owner share his secret, so
    that what is known of his endpoint is known of it for the next task too."""
    return dispatch.subscription.secret, dispatch.subscription.url.partition("?")[0]


def _shown(answer: HttpAnswer | None) -> str:
    return answer.body[:RESPONSE_KEPT].decode("utf-8", "replace").replace("\x00", "\ufffd") if answer else ""
