"""The sweeper: when to ask, and whom to ask.

Each gateway has two loops of its own, so that one that hangs delays nobody else: one asks about tasks whose time has
come, the other sends creates that had to wait. Claim in a short transaction, ask outside any, record under the lease.
What a look is and what its answer means is in looking.py.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from service.clock import SECOND, Clock, woken_or_after
from service.gateways import Gateway
from service.looking import Looks
from service.model import Task, new_id
from service.settings import Settings
from service.store.statements import Database
from service.store.store import Reads, claim_tasks, give_back
from service.tasks import Tasks

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
        looks: Looks,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._reads = reads
        self._gateways = gateways
        self._tasks = tasks
        self._looks = looks
        self._settings = settings
        self._clock = clock

    async def run(self) -> None:
        """Sweep until cancelled; questions under way are let finish."""
        loops = []
        for each in self._gateways.values():
            loops.append(self._loop(each, "next_to_ask", self._claim_to_ask, self._looks.look, each.to_ask))
            loops.append(self._loop(each, "next_to_send", self._claim_to_send, self._send, each.to_send))
        await asyncio.gather(*loops, self._follow_orphans())

    async def _loop(
        self,
        gateway: Gateway,
        next_statement: str,
        claim: Callable[[Gateway, int], Awaitable[list[Sequence[Task]]]],
        work: Callable[[Sequence[Task]], Awaitable[None]],
        woken: asyncio.Event,
    ) -> None:
        """claim: takes the gateway and how many requests may begin; the tasks that each of them is about."""
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
                    elif claimed := await claim(gateway, free):
                        for tasks in claimed:
                            started = asyncio.create_task(
                                self._guarded(work, tasks), name=f"{work.__name__} {tasks[0].id}"
                            )
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

    async def _claim_to_send(self, gateway: Gateway, free: int) -> list[Sequence[Task]]:
        lease_ms = self._settings.submit.lease
        return [(task,) for task in await self._claim(gateway.name, "claim_tasks_to_send", lease_ms, free)]

    async def _claim_to_ask(self, gateway: Gateway, free: int) -> list[Sequence[Task]]:
        """Where the gateway has a list one question is about many tasks; a task that a list has not shown, and
        whatever else is due, is looked at alone."""
        lease_ms = self._settings.sweep.timeout + LEASE_MARGIN_MS
        lists, spoken = gateway.surface.lists, {"dialect": gateway.dialect.name, "surface": gateway.surface.name}
        if lists is None:
            return [(task,) for task in await self._claim(gateway.name, "claim_tasks_to_ask", lease_ms, free)]
        together = await self._claim(gateway.name, "claim_tasks_to_list", lease_ms, lists.most, **spoken)
        questions: dict[str, list[Task]] = {}
        for task in together:
            questions.setdefault(lists.kind(task.request), []).append(task)
        room = max(1, free - len(questions))
        try:
            alone = await self._claim(gateway.name, "claim_tasks_to_ask_alone", lease_ms, room, **spoken)
        except asyncio.CancelledError:
            await self._give_back(together)
            raise
        return [*questions.values(), *((task,) for task in alone)]

    async def _claim(self, gateway: str, statement: str, lease_ms: int, limit: int, **spoken: str) -> list[Task]:
        now = self._clock()
        lease = new_id("lease", now)
        claiming = asyncio.ensure_future(
            self._database.write(
                claim_tasks,
                statement,
                gateway=gateway,
                now=now,
                until=now + lease_ms,
                lease=lease,
                limit=limit,
                **spoken,
            )
        )
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:  # the claim is made all the same: what nobody will work on goes back
            await self._give_back(await claiming, unsent=int(statement == "claim_tasks_to_send"))
            raise

    async def _give_back(self, tasks: Sequence[Task], *, unsent: int = 0) -> None:
        for task in tasks:
            await self._database.write(give_back, task.id, task.lease, self._clock(), unsent)

    async def _guarded(self, work: Callable[[Sequence[Task]], Awaitable[None]], tasks: Sequence[Task]) -> None:
        try:
            await work(tasks)
        except Exception:  # their lease ends, and they are looked at again, though not for ever
            log.exception("sweep.task_failed task=%s gateway=%s", tasks[0].id, tasks[0].gateway)
            for task in tasks:
                await self._looks.end_past_grace(task)

    async def _send(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            if self._clock() >= task.deadline_at:
                await self._looks.expire(task)
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
            await self._looks.expire(task)
