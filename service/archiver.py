"""Archiving: a result is kept before its task ends, so that the link in the event does not die with the gateway's.

A success that a gateway announces makes its task wait here (`errand = archive`). Whoever claims it downloads the result
into the archive and then settles the task. Where that does not succeed within the patience of the settings, the task
ends all the same, with the gateway's link: a late event is worse than a link that says when it dies.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from service.archive import Archive
from service.archive.pieces import TooLarge
from service.claiming import IDLE_MS, claim_for_ever
from service.clock import MINUTE, SECOND
from service.content import Content
from service.egress import Lost
from service.errors import Problem
from service.events import Publisher
from service.hub import Hub
from service.links import VARIANTS
from service.model import Status, Task, new_id
from service.schedule import back_off
from service.settling import End, Settled, settle
from service.store.reads import Reads
from service.store.statements import Transaction, run
from service.store.tasks import claim_tasks, give_back, renew_lease, step
from service.wire import Json

log = logging.getLogger("reelhook.archive")

LEASE_MS = 60 * SECOND
LONGEST_PAUSE_MS = 5 * MINUTE
DRAIN_MS = 20 * SECOND
PRUNE_AT_ONCE = 100
ENDINGS = {"video": ("mp4", "video/mp4"), "last_frame": ("png", "image/png")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A result in the archive. expires_at: unix ms."""

    variant: str
    key: str
    size: int
    media_type: str
    stored_at: int
    expires_at: int


class Archiver:
    """This process's archiving."""

    def __init__(
        self, *, hub: Hub, reads: Reads, archive: Archive, content: Content, chance: Callable[[], float]
    ) -> None:
        self._hub = hub
        self._reads = reads
        self._archive = archive
        self._content = content
        self._settings = hub.settings.archive
        self._clock = hub.clock
        self._chance = chance
        self._running: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Archive until cancelled; downloads under way are let finish for a while."""
        try:
            await claim_for_ever(
                "archive",
                until_due=self._until_due,
                claim=self._claim,
                start=self._start,
                give_back=self._give_back,
                woken=self._woken,
            )
        finally:
            if self._running:
                await asyncio.wait(self._running, timeout=DRAIN_MS / 1000)

    async def _until_due(self) -> int:
        if len(self._running) >= self._settings.concurrency:
            return IDLE_MS
        due_at = await self._reads.next_at("next_to_archive")
        return IDLE_MS if due_at is None else due_at - self._clock()

    async def _claim(self) -> list[Task]:
        now = self._clock()
        free = self._settings.concurrency - len(self._running)
        return await self._hub.database.write(
            claim_tasks,
            "claim_tasks_to_archive",
            now=now,
            until=now + LEASE_MS,
            lease=new_id("lease", now),
            limit=free,
        )

    def _start(self, tasks: list[Task]) -> None:
        for task in tasks:
            started = asyncio.create_task(self._guarded(task), name=f"archive {task.id}")
            self._running.add(started)
            started.add_done_callback(self._ended)

    async def _give_back(self, tasks: list[Task]) -> None:
        await self._hub.database.write(give_back, tasks, self._clock(), 0)

    def _ended(self, done: "asyncio.Task[None]") -> None:
        self._running.discard(done)
        self._woken.set()

    async def _guarded(self, task: Task) -> None:
        try:
            await self.archive(task)
        except Exception:  # its lease ends, and it is tried again
            log.exception("archive.failed task=%s", task.id)

    async def archive(self, task: Task) -> None:
        """Keep the results of a claimed task and settle it; or put it off; or, out of patience, settle it as it is."""
        try:
            async with self._leased(task):
                kept = [await self._keep(task, variant) for variant in VARIANTS if task.result.get(f"{variant}_url")]
        except TooLarge as error:
            log.warning("archive.too_large task=%s reason=%s", task.id, error)
            return await self._settle(task, [])
        except (Problem, Lost, OSError) as error:
            return await self._put_off(task, error)
        log.info("archive.kept task=%s bytes=%d", task.id, sum(each.size for each in kept))
        return await self._settle(task, kept)

    async def _keep(self, task: Task, variant: str) -> Kept:
        ended = replace(task, status=Status.SUCCEEDED)  # as it will be
        room = self._settings.max_bytes - await self._reads.archived_size()
        now = self._clock()
        ending, _ = ENDINGS[variant]
        key = f"{datetime.fromtimestamp(now / 1000, UTC):%Y-%m}/{task.id}.{ending}"
        async with self._content.open(ended, variant, None) as part:
            most = min(self._settings.max_file, room)
            if part.total is not None and part.total > most:
                raise TooLarge(most)
            size = await self._archive.put(key, part.media_type, part.chunks, most)
        return Kept(
            variant=variant,
            key=key,
            size=size,
            media_type=part.media_type,
            stored_at=now,
            expires_at=now + self._settings.keep,
        )

    @asynccontextmanager
    async def _leased(self, task: Task) -> AsyncIterator[None]:
        """Nobody else begins it while a large result is on its way."""
        renewing = asyncio.create_task(self._renew(task), name=f"renew the lease of {task.id}")
        try:
            yield
        finally:
            renewing.cancel()

    async def _renew(self, task: Task) -> None:
        while True:
            await asyncio.sleep(LEASE_MS / 3000)
            try:
                await self._hub.database.write(renew_lease, task.id, task.lease, self._clock() + LEASE_MS)
            except Exception:  # at worst another process does the same work
                log.exception("archive.lease_unrenewed task=%s", task.id)

    async def _put_off(self, task: Task, error: Exception) -> None:
        now = self._clock()
        if now >= task.result["announced_at"] + self._settings.patience:
            log.warning("archive.given_up task=%s reason=%s", task.id, error)
            return await self._settle(task, [])
        log.warning("archive.put_off task=%s misses=%d reason=%s", task.id, task.misses + 1, error)
        next_at = now + back_off(task.misses + 1, self._chance(), longest=LONGEST_PAUSE_MS)
        await self._hub.database.write(step, "postpone_archive", id=task.id, lease=task.lease, next_at=next_at)
        return None

    async def _settle(self, task: Task, kept: list[Kept]) -> None:
        settling = self._hub.commit(settle_archived, task, kept, self._hub.publisher, self._clock())
        settled = await asyncio.shield(asyncio.ensure_future(settling))
        if settled is not None:
            log.info("task.settled task=%s status=%s by=%s", task.id, settled.task.status, settled.task.settled_by)

    async def prune(self) -> None:
        """Delete what has been kept for long enough: the file first, so that none is left that nobody knows of."""
        while expired := await self._reads.expired_archived(self._clock(), PRUNE_AT_ONCE):
            for row in expired:
                await self._archive.delete(row["key"])
            await self._hub.database.write(
                _forget, [{"task_id": row["task_id"], "variant": row["variant"]} for row in expired]
            )
            log.info("archive.pruned files=%d", len(expired))


def settle_archived(task: Task, kept: list[Kept], publisher: Publisher, now: int) -> Transaction[Settled | None]:
    """End a task whose result was waited for, with what is kept of it."""
    end = End(status=Status.SUCCEEDED, by=task.result["ends_by"], archive={each.variant: _shown(each) for each in kept})
    settled = yield from settle(task.id, end, publisher, now)
    if settled is not None:
        for each in kept:
            yield run(
                "insert_archived",
                task_id=task.id,
                variant=each.variant,
                key=each.key,
                size=each.size,
                stored_at=each.stored_at,
                expires_at=each.expires_at,
            )
    return settled


def _shown(kept: Kept) -> Json:
    return {"key": kept.key, "size": kept.size, "media_type": kept.media_type, "expires_at": kept.expires_at}


def _forget(rows: list[Json]) -> Transaction[None]:
    for row in rows:
        yield run("delete_archived", **row)
