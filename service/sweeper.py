"""The sweeper: when to ask, and whom to ask.

Each gateway has two loops of its own, so that one that hangs delays nobody else: one asks about tasks whose time has
come, the other sends creates that had to wait. Claim in a short transaction, ask outside any, record under the lease.
What a look is and what its answer means is in looking.py.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from service.claiming import IDLE_MS, claim_for_ever
from service.clock import SECOND
from service.gateways import Gateway
from service.hub import Hub
from service.looking import Looks
from service.model import Task, new_id
from service.running import Running
from service.store.reads import Reads
from service.store.tasks import claim_tasks, give_back
from service.tasks import Tasks

log = logging.getLogger("reelhook.sweeper")

LEASE_MARGIN_MS = 5 * SECOND
DRAIN_MS = 10 * SECOND
ORPHANS_EVERY_S = 60
ORPHANS_AT_ONCE = 100


class Sweeper:
    """Follows every task of every gateway to its end."""

    def __init__(self, *, hub: Hub, reads: Reads, gateways: Mapping[str, Gateway], tasks: Tasks, looks: Looks) -> None:
        self._database = hub.database
        self._settings = hub.settings
        self._clock = hub.clock
        self._reads = reads
        self._gateways = gateways
        self._tasks = tasks
        self._looks = looks

    async def run(self) -> None:
        """Sweep until cancelled; questions under way are let finish."""
        async with asyncio.TaskGroup() as loops:  # which waits for all of them, unlike gather
            for each in self._gateways.values():
                loops.create_task(self._ask_for_ever(each), name=f"ask {each.name}")
                loops.create_task(self._send_for_ever(each), name=f"send to {each.name}")
            loops.create_task(self._follow_orphans(), name="orphans")

    async def _ask_for_ever(self, gateway: Gateway) -> None:
        running = Running(self._looks.look, gateway.to_ask, self._looks.end_past_grace)
        at_once = min(gateway.settings.concurrency, gateway.settings.rate * LEASE_MARGIN_MS // SECOND)

        async def until_due() -> int:
            return await self._until_due(gateway, "next_to_ask", gateway.paused_until, at_once - len(running))

        async def claim() -> list[Sequence[Task]]:
            return await self._claim_to_ask(gateway, at_once - len(running))

        await self._claim_for_ever(f"ask {gateway.name}", until_due, claim, running, gateway.to_ask, unsent=False)

    async def _send_for_ever(self, gateway: Gateway) -> None:
        running = Running(self._send, gateway.to_send, self._looks.end_past_grace)

        async def until_due() -> int:
            free = gateway.settings.concurrency - len(running)
            return await self._until_due(gateway, "next_to_send", gateway.full_until, free)

        async def claim() -> list[Sequence[Task]]:
            return await self._claim_to_send(gateway, gateway.settings.concurrency - len(running))

        await self._claim_for_ever(f"send to {gateway.name}", until_due, claim, running, gateway.to_send, unsent=True)

    async def _claim_for_ever(
        self,
        what: str,
        until_due: Callable[[], Awaitable[int]],
        claim: Callable[[], Awaitable[list[Sequence[Task]]]],
        running: Running,
        woken: asyncio.Event,
        *,
        unsent: bool,
    ) -> None:
        async def give_back(claimed: list[Sequence[Task]]) -> None:
            await self._give_back([task for tasks in claimed for task in tasks], unsent=unsent)

        try:
            await claim_for_ever(
                what, until_due=until_due, claim=claim, start=running.start, give_back=give_back, woken=woken
            )
        finally:
            await running.drain(DRAIN_MS)

    async def _until_due(self, gateway: Gateway, statement: str, paused_until: int, free: int) -> int:
        """Milliseconds until there is something to claim and room for it; 0 or less: now."""
        if free <= 0:
            return IDLE_MS
        now = self._clock()
        if paused_until > now:
            return paused_until - now
        due_at = await self._reads.next_at(statement, gateway=gateway.name)
        return IDLE_MS if due_at is None else due_at - now

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
        except Exception:
            await self._give_back(together, unsent=False)
            raise
        return [*questions.values(), *((task,) for task in alone)]

    async def _claim(self, gateway: str, statement: str, lease_ms: int, limit: int, **spoken: str) -> list[Task]:
        now = self._clock()
        return await self._database.write(
            claim_tasks,
            statement,
            gateway=gateway,
            now=now,
            until=now + lease_ms,
            lease=new_id("lease", now),
            limit=limit,
            **spoken,
        )

    async def _give_back(self, tasks: Sequence[Task], *, unsent: bool) -> None:
        await self._database.write(give_back, tasks, self._clock(), int(unsent))

    async def _send(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            if self._clock() >= task.deadline_at:
                await self._looks.expire(task, unsent=True)
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
