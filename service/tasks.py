"""Tasks: submit them, and receive what gateways call back.

A task is committed before its create is sent, and the create is sent again only when it provably never reached the
gateway or was turned away as one too many; every other doubt stays a doubt (`submission = unknown`).
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from service.assets import assets_named, with_assets
from service.egress import Egress
from service.errors import Problem
from service.gateways import Gateway, surface_of
from service.hearing import Hearing
from service.hub import Hub
from service.limits import TRY_AGAIN_MS, Limits
from service.model import (
    Status,
    Submission,
    Task,
    VideoRequest,
    new_id,
)
from service.orders import Order, check_order, fingerprint, one_shot
from service.outcomes import Accepted, Busy, CreateOutcome, Refused, Unknown, Unsent
from service.pace import Pace
from service.preparing import Preparing
from service.running import leased
from service.schedule import first_look
from service.settling import Settled
from service.signing import CallbackTokens
from service.store.assets import check_assets
from service.store.reads import Reads
from service.store.rows import IdempotencyKey, Repeat, Repeatable
from service.store.statements import Transaction
from service.store.tasks import renew_create

log = logging.getLogger("reelhook.tasks")

T = TypeVar("T")

RECORD_TRIES = 20
RECORD_PAUSE_S = 2


@dataclass(frozen=True, slots=True)
class Submitted:
    """A stored task, as its caller is told about it. replayed: its create was sent before."""

    task: Task
    replayed: bool = False


class Tasks:
    """Submits tasks, and receives what is called back about them."""

    def __init__(
        self,
        *,
        hub: Hub,
        reads: Reads,
        gateways: Mapping[str, Gateway],
        egress: Egress,
        pace: Pace,
        tokens: CallbackTokens,
        limits: Limits,
        hearing: Hearing,
        preparing: Preparing,
    ) -> None:
        self._hub = hub
        self._settings = hub.settings
        self._clock = hub.clock
        self._reads = reads
        self._gateways = gateways
        self._egress = egress
        self._pace = pace
        self._tokens = tokens
        self._limits = limits
        self._hearing = hearing
        self._preparing = preparing
        self._sending: dict[str, asyncio.Task[Task]] = {}

    # --- submit

    async def submit(
        self, order: Order, *, wait_ms: int | None, stored: Callable[[str], None] | None = None
    ) -> Submitted:
        """Store the task and send its create; the task as it stands when the gateway has answered, or after wait_ms.

        stored: is told the task's id as soon as that is committed, together with a note that its caller has not been
        answered, and sees to that note from then on. Without it, and with an idempotency key, there is no such note.

        Raises Problem, and nothing is stored, when the request cannot be what the gateway takes or the owner has
        reached his limits. A gateway's own refusal does not raise: it is the task's error. The create outlives a
        caller who goes away.
        """
        key = (
            IdempotencyKey(key=order.idempotency_key, fingerprint=fingerprint(order)) if order.idempotency_key else None
        )
        known = await self._reads.replay(order.owner, key.key) if key else None
        if known is not None:  # before anything is judged again: what the first one was told is the answer
            return await self._replay(known, key, order.owner, wait_ms)
        read = check_order(order)
        if order.request.webhook_url is not None:
            await self._egress.vet(order.request.webhook_url, order.webhook_field, must_resolve=False)
        task = self._new_task(order)
        started = await asyncio.shield(self._store_and_start(order, read, task, key, stored))
        if isinstance(started, Repeat):
            return await self._replay(started, key, order.owner, wait_ms)
        return Submitted(await self._within(started, task, wait_ms))

    async def _store_and_start(
        self,
        order: Order,
        read: VideoRequest,
        task: Task,
        key: IdempotencyKey | None,
        stored: Callable[[str], None] | None,
    ) -> "Repeat | asyncio.Task[Task]":
        """In one go: a caller who goes away between the two must not leave a stored task that nobody sends."""
        window_ms = self._settings.submit.repeat_window
        repeatable = None
        if stored is not None and key is None and window_ms:
            repeatable = Repeatable(fingerprint=fingerprint(order), since=task.created_at - window_ms)
        replay = await self._hub.database.write(self._store, order, read, task, key, repeatable)
        if stored is not None and repeatable is not None:
            stored(replay.task_id if replay else task.id)
        if replay is not None:
            return replay
        log.info("task.stored task=%s gateway=%s owner=%s", task.id, task.gateway, task.owner)
        return self.start(task)

    def _store(
        self, order: Order, read: VideoRequest, task: Task, key: IdempotencyKey | None, repeatable: Repeatable | None
    ) -> Transaction[Repeat | None]:
        """Store the task, unless its key is known, or it names what belongs to somebody else."""
        replay = yield from self._limits.store(task, key, one_shot(order, task), repeatable)
        if replay is None:
            named, group_id = assets_named(order.request), read.asset_group_id
            foreign = order.gateway.settings.foreign_assets
            yield from check_assets(order.owner, order.gateway.name, named, group_id, foreign=foreign)
        return replay

    async def _send(self, task: Task) -> Task:
        """Prepare a task, if there is anything to prepare; send the create when it is committed as `sending`; and
        record what came of it."""
        gateway = self._gateways[task.gateway]
        try:
            task = await self._reads.whole(task)
        except Exception:  # the database may be busy: nothing has left, and a doubt would be untrue
            log.exception("task.unread task=%s", task.id)
            unread = Unsent(Problem("internal", "the inline media of this task could not be read just now"))
            return await asyncio.shield(self._surely_record(task, gateway, unread))
        if task.preparing:
            prepared = await self._leased(task, self._preparing.prepare(task, gateway))
            done = await self._preparing.record(task, prepared)
            gateway.wake()
            if done.task.submission is not Submission.SENDING or done.task.lease != task.lease:
                return done.task  # it has to wait, or is over, or another process sends it
            task = replace(done.task, request=task.request)
        url = gateway.callback_url(self._tokens.issue(gateway.name, task.id))
        request = with_assets(task.request, task.assets.get("urls", {}), task.assets.get("group"))
        creating = gateway.create(request, surface_of(task), url, self._settings.submit.timeout)
        outcome = await self._leased(task, creating)
        return await asyncio.shield(self._surely_record(task, gateway, outcome))

    async def drain(self, timeout_ms: int) -> None:
        """Wait for the creates under way."""
        if self._sending:
            await asyncio.wait(list(self._sending.values()), timeout=timeout_ms / 1000)

    async def _leased(self, task: Task, work: Coroutine[Any, Any, T]) -> T:
        """Wait for a create, which with inline media can take minutes, or for what comes before it; and keep others
        from doubting or repeating it."""
        lease_ms = self._settings.submit.lease

        async def renew() -> None:
            await self._hub.database.write(renew_create, task.id, task.lease, self._clock() + lease_ms)

        return await leased(work, renew, lease_ms)

    def start(self, task: Task) -> asyncio.Task[Task]:
        """Send the create of a task in a task of its own, which `drain` waits for."""
        sending = asyncio.create_task(self._send(task), name=f"create {task.id}")
        self._sending[task.id] = sending
        sending.add_done_callback(lambda done: self._sent(task.id, done))
        return sending

    def _sent(self, task_id: str, done: "asyncio.Task[Task]") -> None:
        self._sending.pop(task_id, None)
        if not done.cancelled() and (error := done.exception()) is not None:
            log.error("task.create_unrecorded task=%s error=%r", task_id, error)

    async def sent(self, task: Task, wait_ms: int | None) -> Task:
        """A stored task as it stands when its create is through, where this process is sending it, or after wait_ms."""
        sending = self._sending.get(task.id)
        return await self._within(sending, task, wait_ms) if sending else task

    async def _within(self, sending: "asyncio.Task[Task]", task: Task, wait_ms: int | None) -> Task:
        """The task when its create is through; as it was stored when that takes too long or went wrong on our side:
        whoever is answered with an error here would send it again."""
        done, _ = await asyncio.wait({sending}, timeout=None if wait_ms is None else wait_ms / 1000)
        return sending.result() if done and not sending.cancelled() and sending.exception() is None else task

    async def _replay(self, replay: Repeat, key: IdempotencyKey | None, owner: str, wait_ms: int | None) -> Submitted:
        if key is not None and key.fingerprint != replay.fingerprint:
            raise Problem(
                "idempotency_conflict",
                "Idempotency-Key: this key was used for another request; use a new key for a new request",
                field="Idempotency-Key",
            )
        if replay.answer is not None:
            return Submitted(replay.answer, replayed=True)
        task = await self._reads.task(replay.task_id, owner)
        if task is None:
            raise Problem("internal", "the task of this create cannot be read")
        return Submitted(await self.sent(task, wait_ms), replayed=True)

    def _new_task(self, order: Order) -> Task:
        now, came_in = self._clock(), order.came_in
        preparing = bool(order.gateway.unprepared(order.request))
        return Task(
            id=new_id("task", now),
            owner=order.owner,
            gateway=order.gateway.name,
            dialect=order.gateway.dialect.name,
            surface=order.surface.name,
            request=order.request,
            status=Status.QUEUED,
            submission=Submission.UNSENT if preparing else Submission.SENDING,
            preparing=int(preparing),
            when_full=order.when_full,
            created_at=now,
            updated_at=now,
            deadline_at=now + self._hearing.lifetime_ms(order.request),
            next_at=now + self._settings.submit.lease,
            lease=new_id("lease", now),
            mount=came_in.mount.name if came_in else None,
            caller_dialect=came_in.mount.dialect.name if came_in else None,
            caller_surface=came_in.surface.name if came_in else None,
            caller_model=came_in.model if came_in else None,
            attempt=order.attempt,
            retry_of=order.retry_of,
        )

    async def _surely_record(self, task: Task, gateway: Gateway, outcome: CreateOutcome) -> Task:
        """What a gateway said about a create is worth waiting for: the id of a paid task is known to nobody else."""
        for _ in range(RECORD_TRIES):
            try:
                done = await self._record_create(task, gateway, outcome)
                break
            except Exception:  # the database may be busy or full
                log.exception("task.create_unrecorded task=%s outcome=%r", task.id, outcome)
                await asyncio.sleep(RECORD_PAUSE_S)
        else:
            done = await self._record_create(task, gateway, outcome)
        gateway.wake()
        return done.task

    async def _record_create(self, task: Task, gateway: Gateway, outcome: CreateOutcome) -> Settled:
        """Each of these may be tried again: acceptance and refusal are final, the others are fenced by lease."""
        log.info("task.create task=%s gateway=%s outcome=%s", task.id, gateway.name, type(outcome).__name__.lower())
        now = self._clock()
        match outcome:
            case Accepted(snapshot):
                usual_ms = await self._pace.usual_ms(gateway.name, task.request.model)
                look_at = now + first_look(usual_ms, callback_expected=gateway.calls_back)
                deadline_at = now + self._hearing.lifetime_ms(task.request)
                next_at = max(min(deadline_at, look_at), now + gateway.min_interval_ms)
                return await self._hub.commit(self._hearing.accept, task, snapshot, next_at, now)
            case Refused(problem):
                await self._preparing.doubt_assets(task, problem)
                return await self._hub.commit(self._hearing.refuse, task, problem, now)
            case Busy(problem) | Unsent(problem) if task.when_full == "refuse":
                # the caller will try again: he is told when, also where the gateway did not say (gateways.md F8.9)
                told = replace(problem, retry_after_ms=problem.retry_after_ms or TRY_AGAIN_MS)
                return await self._hub.commit(self._hearing.refuse, task, told, now)
            case Busy(problem) | Unsent(problem):
                return await self._hub.commit(self._hearing.postpone, task, problem, now)
            case Unknown(problem):
                return await self._hub.commit(self._hearing.doubt, task, gateway, problem, now)

    async def give_up_create(self, task: Task) -> None:
        """Doubt a create that a stopped process has left behind; nobody knows how far it came."""
        problem = Problem(
            "outcome_unknown", "Reelhook was stopped while this task was being sent; it is not sent again"
        )
        await self._hub.commit(self._hearing.doubt, task, self._gateways[task.gateway], problem, self._clock())
        log.warning("task.create_lost task=%s gateway=%s", task.id, task.gateway)

    # --- callbacks

    async def receive_callback(self, gateway: Gateway, token: str, headers: Mapping[str, str], body: bytes) -> str:
        """Take a callback in: what became of it, once that is committed. Forged when it is not to be believed.

        headers: names in lower case.
        """
        now = self._clock()
        task_id = self._tokens.read(gateway.name, token)
        if gateway.signature is not None:
            gateway.signature.check(headers, body, now)
        outcome, told = await self._hub.database.write(self._hearing.take_callback, gateway, task_id, body, now)
        log.info("callback.received task=%s gateway=%s outcome=%s", task_id, gateway.name, outcome)
        self._hub.announce(told)
        if outcome == "look":
            gateway.wake()
        return outcome
