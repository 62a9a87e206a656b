"""Cancelling a task: how each gateway can be asked to, and what it says then.

Where a gateway deletes instead (Ark, gateways.md section 2), one call cancels a task that is queued, is refused for
one that runs, and deletes the record of one that is over, its result with it. So it is sent only for a task that the
gateway has just called queued, and what really happened is asked for afterwards.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace

from service.dialects.shape import Surface
from service.errors import Problem
from service.gateways import Gateway, surface_of
from service.hearing import Hearing
from service.hub import Hub
from service.model import Snapshot, Status, Submission, Task
from service.settling import End, Settled, settle
from service.store.reads import Reads
from service.store.statements import Transaction
from service.store.tasks import find_task, step

log = logging.getLogger("reelhook.tasks")

DELETED = Problem(
    "task_failed",
    "the gateway ended this task while it was being cancelled, and deleted what it knew of it",
    gateway_code="deleted",
)


class Cancelling:
    """Cancels tasks."""

    def __init__(self, *, hub: Hub, reads: Reads, gateways: Mapping[str, Gateway], hearing: Hearing) -> None:
        self._hub = hub
        self._reads = reads
        self._gateways = gateways
        self._hearing = hearing

    async def cancel(self, task: Task) -> Task:
        """Cancel a task; a Problem `not_cancellable` when that cannot be. To cancel a cancelled one changes nothing."""
        if task.status is Status.CANCELLED:
            return task
        if task.status.terminal:
            raise Problem("not_cancellable", f"the task has already {task.status}")
        gateway = self._gateways.get(task.gateway)
        if task.submission is Submission.UNSENT:
            return await self._cancel_unsent(task)
        if task.gateway_task_id is None or gateway is None:
            raise Problem(
                "not_cancellable", "the gateway has not confirmed this task, so it cannot be asked to cancel it"
            )
        surface = surface_of(task)
        if surface.delete_cancels:
            return await self._cancel_by_deleting(task, gateway, surface, task.gateway_task_id)
        if surface.route("cancel") is None:
            raise Problem("not_cancellable", f"{gateway.dialect.title} offers no way to cancel a task")
        answer = await gateway.cancel(task.gateway_task_id, surface, self._hub.settings.sweep.timeout)
        if isinstance(answer, Problem):
            await self._look_soon(task, gateway)
            raise answer
        return await self._cancelled(task, gateway, answer)

    async def _cancel_unsent(self, task: Task) -> Task:
        settled = await self._hub.commit(self._end_unsent, task.id, self._hub.clock())
        if settled is None:
            raise Problem("conflict", "the task is just being sent; try again in a moment")
        return settled.task

    def _end_unsent(self, task_id: str, now: int) -> Transaction[Settled | None]:
        task = yield from find_task(task_id)
        if task is None or task.submission is not Submission.UNSENT:
            return None
        end = End(status=Status.CANCELLED, by="cancel", error=Problem("cancelled", "cancelled before it was sent"))
        return (yield from settle(task_id, end, self._hub.publisher, now))

    async def _cancel_by_deleting(self, task: Task, gateway: Gateway, surface: Surface, gateway_id: str) -> Task:
        timeout_ms = self._hub.settings.sweep.timeout
        before = await gateway.look(gateway_id, surface, timeout_ms)
        if isinstance(before, Problem):
            raise before
        if before.status is not Status.QUEUED:
            return await self._cancelled(task, gateway, before)
        refusal = await gateway.delete(gateway_id, surface, timeout_ms)
        after = await gateway.look(gateway_id, surface, timeout_ms)
        if isinstance(after, Snapshot):
            return await self._cancelled(task, gateway, after, refusal)
        if after.code == "not_found" and refusal is None:
            return await self._deleted(task, gateway)
        await self._look_soon(task, gateway)
        raise refusal or after

    async def _cancelled(
        self, task: Task, gateway: Gateway, snapshot: Snapshot, refusal: Problem | None = None
    ) -> Task:
        """Settle a task that the gateway calls cancelled; refuse otherwise, in the gateway's words where it has any."""
        if snapshot.status is not Status.CANCELLED:
            await self._look_soon(task, gateway)
            raise refusal or Problem(
                "not_cancellable", f"the gateway says {snapshot.word or 'nothing of a cancellation'}"
            )
        error = Problem("cancelled", "cancelled by the caller")
        end = End(status=Status.CANCELLED, by="cancel", error=error, snapshot=snapshot)
        cancelled = await self._hub.end(task.id, end)
        return cancelled or await self._already(task)

    async def _deleted(self, task: Task, gateway: Gateway) -> Task:
        """It had ended between the question and the deletion: its callback, if one came, is all there is to know."""
        log.warning("task.deleted task=%s gateway=%s", task.id, gateway.name)
        told = await self._hub.database.write(self._hearing.told_end, gateway, task, self._hub.clock())
        await self._hub.end(
            task.id,
            told or End(status=Status.FAILED, by="cancel", error=DELETED, silence_since=replace(task, lease=None)),
        )
        return await self._already(task)

    async def _already(self, task: Task) -> Task:
        """The task as somebody else has ended it."""
        current = await self._reads.task(task.id, None)
        if current is None or current.status is not Status.CANCELLED:
            raise Problem("not_cancellable", f"the task has already {current.status if current else 'ended'}")
        return current

    async def _look_soon(self, task: Task, gateway: Gateway) -> None:
        now = self._hub.clock()
        due_at = max(now, (task.looked_at or 0) + gateway.min_interval_ms)
        await self._hub.database.write(step, "look_soon", id=task.id, next_at=due_at)
        gateway.wake()
