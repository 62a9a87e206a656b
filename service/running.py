"""What has been claimed and is being done: each piece of work in a task of its own, up to its end.

Work that fails is handed to whoever may give it up, whatever the failure was: nothing is tried for ever.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from service.model import Task

log = logging.getLogger("reelhook.running")

T = TypeVar("T")


class Running:
    """Work under way. work: does a piece, which is one task or several. woken: set when a place becomes free. failed:
    told of each task of a piece that has raised."""

    def __init__(
        self,
        work: Callable[[Sequence[Task]], Awaitable[None]],
        woken: asyncio.Event,
        failed: Callable[[Task], Awaitable[None]],
    ) -> None:
        self._work = work
        self._woken = woken
        self._failed = failed
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, claimed: list[Sequence[Task]]) -> None:
        for tasks in claimed:
            started = asyncio.create_task(self._guarded(tasks), name=f"{self._work.__name__} {tasks[0].id}")
            self._tasks.add(started)
            started.add_done_callback(self._ended)

    async def drain(self, timeout_ms: int) -> None:
        """Wait for what is under way."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_ms / 1000)

    def _ended(self, done: "asyncio.Task[None]") -> None:
        self._tasks.discard(done)
        self._woken.set()

    async def _guarded(self, tasks: Sequence[Task]) -> None:
        what = self._work.__name__.strip("_")
        try:
            await self._work(tasks)
        except Exception:  # their lease ends, and they come up again, though not for ever
            log.exception("running.failed what=%s task=%s gateway=%s", what, tasks[0].id, tasks[0].gateway)
            for task in tasks:
                await self._give_up(what, task)

    async def _give_up(self, what: str, task: Task) -> None:
        try:
            await self._failed(task)
        except Exception:  # the database may be busy or full: when its lease has ended it comes up again
            log.exception("running.not_given_up what=%s task=%s", what, task.id)


async def leased(work: Coroutine[Any, Any, T], renew: Callable[[], Awaitable[None]], lease_ms: int) -> T:
    """What the work returns; its lease is renewed for as long as it takes, so that nobody else begins it meanwhile."""
    working = asyncio.create_task(work)
    try:
        while True:
            done, _ = await asyncio.wait({working}, timeout=lease_ms / 3000)
            if done:
                return working.result()
            try:
                await renew()
            except Exception:  # at worst others take it up too early; to break the work off would be worse
                log.exception("running.lease_unrenewed")
    finally:
        working.cancel()
