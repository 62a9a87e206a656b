"""The sweeper: when to ask, whom to ask, and what the answer means.

Each gateway has two loops of its own, so that one that hangs delays nobody else: one asks about tasks whose time has
come, the other sends creates that had to wait. Claim in a short transaction, ask outside any, record under the lease.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from service.clock import SECOND, Clock, woken_or_after
from service.errors import Problem
from service.events import Publisher
from service.gateways import Gateway, surface_of
from service.model import Snapshot, Status, Submission, Task, new_id
from service.pace import Pace
from service.schedule import back_off, look_after_hint, next_look
from service.settings import Settings
from service.settling import End, end_of, merged, moved, progressed
from service.store.statements import Database, Transaction
from service.store.store import Dispatch, Reads, claim_tasks, give_back, step
from service.tasks import Tasks
from service.usage import book
from service.wire import dump_text

log = logging.getLogger("reelhook.sweeper")

LEASE_MARGIN_MS = 5 * SECOND
IDLE_MS = 250  # how soon work that another process left is noticed
DRAIN_MS = 10 * SECOND
ORPHANS_EVERY_S = 60
ORPHANS_AT_ONCE = 100


class Sweeper:
    """Follows every task of every gateway to its end."""

    def __init__(
        self,
        *,
        database: Database,
        reads: Reads,
        gateways: Mapping[str, Gateway],
        tasks: Tasks,
        pace: Pace,
        publisher: Publisher,
        settings: Settings,
        clock: Clock,
        chance: Callable[[], float],
        hand_over: Callable[[list[Dispatch]], None],
    ) -> None:
        self._database = database
        self._reads = reads
        self._gateways = gateways
        self._tasks = tasks
        self._pace = pace
        self._publisher = publisher
        self._settings = settings
        self._clock = clock
        self._chance = chance
        self._hand_over = hand_over

    async def run(self) -> None:
        """Sweep until cancelled; questions under way are let finish."""
        look_ms, send_ms = self._settings.sweep.timeout + LEASE_MARGIN_MS, self._settings.submit.lease
        loops = []
        for each in self._gateways.values():
            loops.append(self._loop(each, "next_to_ask", "claim_tasks_to_ask", self.look, each.to_ask, look_ms))
            loops.append(self._loop(each, "next_to_send", "claim_tasks_to_send", self._send, each.to_send, send_ms))
        await asyncio.gather(*loops, self._follow_orphans())

    async def _loop(
        self,
        gateway: Gateway,
        next_statement: str,
        claim_statement: str,
        work: Callable[[Task], Awaitable[None]],
        woken: asyncio.Event,
        lease_ms: int,
    ) -> None:
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                woken.clear()
                wait_ms = IDLE_MS
                try:
                    free = gateway.settings.concurrency - len(running)
                    due_ms = await self._until_due(gateway, next_statement, free)
                    if due_ms > 0:
                        wait_ms = due_ms
                    elif claimed := await self._claim(gateway.name, claim_statement, lease_ms, free):
                        for task in claimed:
                            started = asyncio.create_task(self._guarded(work, task), name=f"{work.__name__} {task.id}")
                            running.add(started)
                            started.add_done_callback(running.discard)
                            started.add_done_callback(lambda _: woken.set())
                        continue
                except Exception:  # the database may be busy or full: a loop that has ended would leave tasks stuck
                    log.exception("sweep.failed gateway=%s", gateway.name)
                await woken_or_after(woken, wait_ms)
        finally:
            if running:
                await asyncio.wait(running, timeout=DRAIN_MS / 1000)

    async def _until_due(self, gateway: Gateway, statement: str, free: int) -> int:
        """Milliseconds until there is something to claim and room for it; 0 or less: now."""
        now = self._clock()
        if free <= 0:
            return IDLE_MS
        paused_until = gateway.full_until if statement == "next_to_send" else gateway.paused_until
        if paused_until > now:
            return min(IDLE_MS, paused_until - now)
        due_at = await self._reads.next_at(statement, gateway=gateway.name)
        return IDLE_MS if due_at is None else min(IDLE_MS, due_at - now)

    async def _claim(self, gateway: str, statement: str, lease_ms: int, limit: int) -> list[Task]:
        now = self._clock()
        lease = new_id("lease", now)
        claiming = asyncio.ensure_future(
            self._database.write(
                claim_tasks, statement, gateway=gateway, now=now, until=now + lease_ms, lease=lease, limit=limit
            )
        )
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:  # the claim is made all the same: what nobody will work on goes back
            for task in await claiming:
                unsent = int(statement == "claim_tasks_to_send")
                await self._database.write(give_back, task.id, task.lease, now, unsent)
            raise

    async def _guarded(self, work: Callable[[Task], Awaitable[None]], task: Task) -> None:
        try:
            await work(task)
        except Exception:  # its lease ends, and it is looked at again, though not for ever
            log.exception("sweep.task_failed task=%s gateway=%s", task.id, task.gateway)
            if self._clock() >= task.deadline_at + self._settings.sweep.grace:
                await self._end(task.id, self._expired(task))

    async def _send(self, task: Task) -> None:
        if self._clock() >= task.deadline_at:
            await self._end(task.id, self._expired(task))
        else:
            await asyncio.shield(self._tasks.start(task))

    async def _follow_orphans(self) -> None:
        """Tasks of a gateway that is not in the settings: nobody here can ask, but they end by their deadline. Until
        then they are left to whoever knows the gateway."""
        while True:
            try:
                for name in await self._reads.gateways_with_open_tasks() - set(self._gateways):
                    log.warning(
                        "sweep.orphans gateway=%s note=%r", name, "it has open tasks and is not in the settings"
                    )
                    await self._end_orphans(name)
            except Exception:  # the database may be busy or full: a minute later it is tried again
                log.exception("sweep.orphans_failed")
            await asyncio.sleep(ORPHANS_EVERY_S)

    async def _end_orphans(self, gateway: str) -> None:
        for task in await self._claim(gateway, "claim_tasks_past_deadline", LEASE_MARGIN_MS, ORPHANS_AT_ONCE):
            await self._end(task.id, self._expired(task))

    # --- one look

    async def look(self, task: Task) -> None:
        """Do what a claimed task is due for: ask about it, give up a lost create, or end it."""
        gateway = self._gateways[task.gateway]
        now = self._clock()
        if task.submission is Submission.SENDING:
            await self._tasks.give_up_create(task)
        elif task.gateway_task_id is None:
            await self._wait_or_end(task)
        else:
            answer = await gateway.look(task.gateway_task_id, surface_of(task), self._settings.sweep.timeout)
            await asyncio.shield(self._heed(task, gateway, answer, started_at=now))

    async def _wait_or_end(self, task: Task) -> None:
        """A task about which nobody can be asked ends by its deadline."""
        if self._clock() >= task.deadline_at:
            await self._end(task.id, self._expired(task))
        else:
            await self._database.write(step, "put_off", id=task.id, lease=task.lease)

    async def _heed(self, task: Task, gateway: Gateway, answer: Snapshot | Problem, *, started_at: int) -> None:
        now = self._clock()
        if isinstance(answer, Problem):
            log.warning(
                "sweep.no_answer task=%s gateway=%s code=%s message=%r",
                task.id,
                gateway.name,
                answer.code,
                answer.message,
            )
            if now >= task.deadline_at + self._settings.sweep.grace:
                return await self._end(task.id, self._expired(task))
            pause = back_off(task.misses + 1, self._chance(), first=gateway.min_interval_ms)
            return await self._note(
                task, Snapshot(status=None), now, started_at, pause, gateway, misses=task.misses + 1
            )
        if answer.status is None:
            log.warning("sweep.unknown_status task=%s gateway=%s word=%r", task.id, gateway.name, answer.word)
        end = end_of(task, answer, "sweep", now, self._settings.sweep.result_grace)
        if end is not None:
            by = "callback" if task.hinted_at is not None and started_at - task.hinted_at < 60 * SECOND else "sweep"
            return await self._end(task.id, End(status=end.status, by=by, error=end.error, snapshot=end.snapshot))
        if now >= task.deadline_at:
            return await self._end(task.id, self._expired(task))
        return await self._note(task, answer, now, started_at, await self._pause(task, gateway, now), gateway, misses=0)

    async def _pause(self, task: Task, gateway: Gateway, now: int) -> int:
        if task.hinted_at is not None:
            soon = look_after_hint(now - task.hinted_at, gateway.min_interval_ms)
            if soon is not None:
                return soon
        usual_ms = await self._pace.usual_ms(gateway.name, task.request.model)
        pause = next_look(
            now - (task.accepted_at or task.created_at),
            usual_ms,
            shortest_ms=gateway.min_interval_ms,
            callback_expected=gateway.calls_back,
        )
        return round(pause * (0.9 + 0.2 * self._chance()))

    async def _note(
        self, task: Task, snapshot: Snapshot, now: int, started_at: int, pause: int, gateway: Gateway, *, misses: int
    ) -> None:
        dispatches = await self._database.write(
            self._noted,
            task,
            snapshot,
            now=now,
            started_at=started_at,
            next_at=_by_deadline(task, now, now + max(pause, gateway.min_interval_ms)),
            hinted_next_at=now + gateway.min_interval_ms,
            misses=misses,
        )
        self._hand_over(dispatches)

    def _noted(
        self,
        task: Task,
        snapshot: Snapshot,
        *,
        now: int,
        started_at: int,
        next_at: int,
        hinted_next_at: int,
        misses: int,
    ) -> Transaction[list[Dispatch]]:
        status = moved(task, snapshot)
        result = merged(task, snapshot)
        if snapshot.status is Status.SUCCEEDED:
            result = {"announced_at": now} | result
        noted = yield from step(
            "note_look",
            id=task.id,
            lease=task.lease,
            status=status.value,
            progress=progressed(task, snapshot),
            result=dump_text(result),
            unknown_word=snapshot.word if snapshot.status is None and snapshot.word else task.unknown_word,
            misses=misses,
            now=now,
            started_at=started_at,
            next_at=next_at,
            hinted_next_at=hinted_next_at,
        )
        if noted is None:
            return []
        dispatches: list[Dispatch] = []
        if noted.running_at is not None and task.status is not Status.RUNNING:
            dispatches = yield from self._publisher.publish(noted, "task.running", now)
        yield from book(task.result, noted, ended=False)
        return dispatches

    async def _end(self, task_id: str, end: End) -> None:
        await self._tasks.end(task_id, end)

    def _expired(self, task: Task) -> End:
        doubted = task.submission is not Submission.ACCEPTED
        error = (
            task.error if doubted and task.error else Problem("expired", "the task did not finish before its deadline")
        )
        return End(status=Status.EXPIRED, by="deadline", error=error)


def _by_deadline(task: Task, now: int, at: int) -> int:
    """A next look no later than the deadline, while that lies ahead."""
    return min(at, task.deadline_at) if task.deadline_at > now else at
