"""Archiving: a result is kept before its task ends, so that the link in the event does not die with the gateway's.

A success that a gateway announces makes its task wait here (`errand = archive`). Whoever claims it downloads what it
has into the archive, each result on its own, and then settles the task with those that are kept. Where that does not
succeed within the patience of the settings, the task ends all the same, with the gateway's links: a late event is worse
than a link that says when it dies. Where the settings name no archive (any more), whatever waits for one ends at once.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from service.archive import Archive
from service.archive.pieces import TooLarge
from service.byte_ranges import Part
from service.claiming import IDLE_MS, claim_for_ever
from service.clock import DAY, HOUR, MINUTE, SECOND
from service.content import Content
from service.events import Publisher
from service.hub import Hub
from service.links import ENDINGS, VARIANTS
from service.model import Status, Task, new_id
from service.running import Running, leased
from service.schedule import back_off
from service.settling import End, Settled, settle
from service.store import archived
from service.store.archived import Archived
from service.store.reads import Reads
from service.store.statements import Row, Transaction
from service.store.tasks import claim_tasks, find_task, give_back, renew_lease
from service.wire import Json

log = logging.getLogger("reelhook.archive")

LEASE_MS = 60 * SECOND
LONGEST_PAUSE_MS = 5 * MINUTE
DRAIN_MS = 20 * SECOND
PRUNE_AT_ONCE = 100
UNDELETED_PAUSE_MS = HOUR  # until a file that could not be deleted is tried again
ABANDONED_AFTER_MS = 7 * DAY  # what is stored for a task that ended some other way, and that nobody has given up


class Unkept(Exception):
    """Not just now: others take the room, or somebody else has the task."""


class Archiver:
    """This process's archiving. archive None: nothing is kept, and nothing waits."""

    def __init__(
        self, *, hub: Hub, reads: Reads, archive: Archive | None, content: Content, chance: Callable[[], float]
    ) -> None:
        self._hub = hub
        self._reads = reads
        self._archive = archive
        self._content = content
        self._settings = hub.settings.archive
        self._clock = hub.clock
        self._chance = chance

    async def run(self) -> None:
        """Archive until cancelled; downloads under way are let finish for a while."""
        woken = asyncio.Event()
        running = Running(self.archive, woken, self._try_again)

        async def until_due() -> int:
            if len(running) >= self._settings.concurrency:
                return IDLE_MS
            due_at = await self._reads.next_at("next_to_archive")
            return IDLE_MS if due_at is None else due_at - self._clock()

        async def claim() -> list[Sequence[Task]]:
            return [(task,) for task in await self._claim(self._settings.concurrency - len(running))]

        async def give_back_all(claimed: list[Sequence[Task]]) -> None:
            tasks = [task for tasks in claimed for task in tasks]
            await self._hub.database.write(give_back, tasks, self._clock(), 0)

        try:
            await claim_for_ever(
                "archive",
                until_due=until_due,
                claim=claim,
                start=running.start,
                give_back=give_back_all,
                woken=woken,
            )
        finally:
            await running.drain(DRAIN_MS)

    async def _claim(self, free: int) -> list[Task]:
        now = self._clock()
        return await self._hub.database.write(
            claim_tasks,
            "claim_tasks_to_archive",
            now=now,
            until=now + LEASE_MS,
            lease=new_id("lease", now),
            limit=free,
        )

    async def archive(self, tasks: Sequence[Task]) -> None:
        """Keep the results of a claimed task and settle it; or put it off; or, out of patience, settle it as it is."""
        (task,) = tasks
        if self._archive is None:
            return await self._settle(task)

        async def renew() -> None:
            await self._hub.database.write(renew_lease, task.id, task.lease, self._clock() + LEASE_MS)

        errors = await leased(self._keep_all(task, self._archive), renew, LEASE_MS)
        if not errors or all(isinstance(error, TooLarge) for error in errors):  # which they will be next time too
            return await self._settle(task)
        return await self._try_again(task)

    async def _keep_all(self, task: Task, archive: Archive) -> list[Exception]:
        """Why what is not kept is not. One that cannot be had loses nothing of the other."""
        kept = {row.variant for row in await self._hub.database.write(archived.of_task, task.id) if row.state == "kept"}
        errors: list[Exception] = []
        for variant in VARIANTS:
            if task.result.get(f"{variant}_url") and variant not in kept:
                try:
                    await self._keep(task, variant, archive)
                except Exception as error:  # whatever it is: the task waits for it no longer than its patience lasts
                    log.warning("archive.not_kept task=%s variant=%s reason=%r", task.id, variant, error)
                    errors.append(error)
        return errors

    async def _keep(self, task: Task, variant: str, archive: Archive) -> None:
        ended = replace(task, status=Status.SUCCEEDED)  # as it will be
        key = key_of(task, variant)
        async with self._content.open(ended, variant, None) as part:
            reserved = await self._reserve(task, variant, key, part)
            size = await archive.put(key, part.media_type, part.chunks, reserved)
        now = self._clock()
        if await self._hub.database.write(
            archived.keep, task, variant, size, now=now, expires_at=now + self._settings.keep
        ):
            log.info("archive.kept task=%s variant=%s bytes=%d", task.id, variant, size)
            return
        if variant not in {row.variant for row in await self._hub.database.write(archived.of_task, task.id)}:
            await archive.delete(key)  # the task was over, and this has been deleted before
        raise Unkept("the task is somebody else's by now")

    async def _reserve(self, task: Task, variant: str, key: str, part: Part) -> int:
        """How many bytes the file may have: as many as it says; as many as any may where it does not say."""
        most, now = self._settings.max_bytes, self._clock()
        size = min(self._settings.max_file, most) if part.total is None else part.total
        if size > self._settings.max_file:
            raise TooLarge(self._settings.max_file)
        wanted = Archived(
            variant=variant,
            key=key,
            size=size,
            media_type=part.media_type,
            state="storing",
            expires_at=now + self._settings.patience + ABANDONED_AFTER_MS,
        )
        match await self._hub.database.write(archived.reserve, task, wanted, most, now):
            case "full":
                raise TooLarge(most)
            case "crowded":
                raise Unkept("there is no room until others are through")
            case "lost":
                raise Unkept("the task is somebody else's by now")
        return size

    async def _try_again(self, task: Task) -> None:
        """Later; or never, when the patience is over, whatever it was that failed."""
        now = self._clock()
        if now >= task.result.get("announced_at", 0) + self._settings.patience:
            log.warning("archive.given_up task=%s misses=%d", task.id, task.misses)
            return await self._settle(task)
        log.warning("archive.put_off task=%s misses=%d", task.id, task.misses + 1)
        next_at = now + back_off(task.misses + 1, self._chance(), longest=LONGEST_PAUSE_MS)
        next_at = min(next_at, task.result.get("announced_at", 0) + self._settings.patience)
        await self._hub.database.write(archived.postpone, task, next_at)
        return None

    async def _settle(self, task: Task) -> None:
        archiving = self._archive is not None
        settling = self._hub.commit(settle_archived, task, self._hub.publisher, self._clock(), archiving=archiving)
        settled = await asyncio.shield(asyncio.ensure_future(settling))
        if settled is not None:
            log.info("task.settled task=%s status=%s by=%s", task.id, settled.task.status, settled.task.settled_by)
        await self._delete(await self._reads.expired_archived(self._clock(), PRUNE_AT_ONCE, task_id=task.id))

    async def prune(self) -> None:
        """Delete what has been kept for long enough, and what has been given up: the file first, so that none is left
        that nobody knows of. One that cannot be deleted is left for the next time, and keeps no other."""
        while self._archive and (expired := await self._reads.expired_archived(self._clock(), PRUNE_AT_ONCE)):
            await self._delete(expired)

    async def _delete(self, rows: Sequence[Row]) -> None:
        if self._archive is None or not rows:
            return
        failed = [row for row in rows if not await self._deleted(row, self._archive)]
        deleted = [row for row in rows if row not in failed]
        await self._hub.database.write(archived.forget, deleted, failed, self._clock() + UNDELETED_PAUSE_MS)
        log.info("archive.pruned files=%d failed=%d", len(deleted), len(failed))

    async def _deleted(self, row: Row, archive: Archive) -> bool:
        try:
            await archive.delete(row["key"])
        except Exception as error:  # whatever it is, the others are deleted
            log.error("archive.undeleted task=%s key=%s reason=%r", row["task_id"], row["key"], error)  # noqa: TRY400
            return False
        return True


def key_of(task: Task, variant: str) -> str:
    """Under which name a result is kept: the same however often it is tried."""
    return f"{datetime.fromtimestamp(task.created_at / 1000, UTC):%Y-%m}/{task.id}.{ENDINGS[variant]}"


def settle_archived(task: Task, publisher: Publisher, now: int, *, archiving: bool) -> Transaction[Settled | None]:
    """End a task whose result was waited for, with what is kept of it; None when that is for somebody else, or done.
    What is stored and not told of is given up."""
    current = yield from find_task(task.id)
    if current is None or (not current.status.terminal and current.lease != task.lease):
        return None
    rows = yield from archived.of_task(task.id)
    kept = {row.variant: _shown(row) for row in rows if archiving and row.state == "kept"}
    end = End(status=Status.SUCCEEDED, by=current.result.get("ends_by", "sweep"), archive=kept)
    told = current.result.get("archive", {}) if current.status.terminal else kept
    if lost := [row.variant for row in rows if row.variant not in told]:
        yield from archived.give_up(task.id, lost, now)
    return (yield from settle(task.id, end, publisher, now))


def _shown(kept: Archived) -> Json:
    return {"key": kept.key, "size": kept.size, "media_type": kept.media_type, "expires_at": kept.expires_at}
