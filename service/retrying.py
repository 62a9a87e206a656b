"""Trying a task again: the same request, by the same way, once, however often it is asked for."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from service.dialects import DIALECTS
from service.errors import Problem
from service.gateways import Gateway, surface_of
from service.links import can_be_retried
from service.model import EVENT_OF, TERMINAL_EVENTS, Status, Submission, Task
from service.mounts import Mount
from service.orders import CameIn, Order
from service.signing import owner_secret
from service.store.reads import Reads
from service.tasks import Tasks

log = logging.getLogger("reelhook.tasks")


@dataclass(frozen=True, slots=True)
class Retried:
    """The task that tries another one again. already: it was there before."""

    task: Task
    already: bool


class Retrying:
    """Tries tasks again."""

    def __init__(self, *, reads: Reads, tasks: Tasks, gateways: Mapping[str, Gateway], secret_key: str) -> None:
        self._reads = reads
        self._tasks = tasks
        self._gateways = gateways
        self._secret_key = secret_key

    async def retry(self, task: Task, *, wait_ms: int | None) -> Retried:
        """Submit the request of a task that did not succeed once more, as a task of its own: within the same limits,
        and with the same wait as any submit (tasks.submit). The second time it is the same new task.

        Raises Problem, and nothing is stored, when that cannot be. What the gateway refuses is the new task's error.
        """
        known = await self.next_try(task)
        if known is not None:
            return Retried(await self._tasks.sent(known, wait_ms), already=True)
        submitted = await self._tasks.submit(self._order(task), wait_ms=wait_ms)
        log.info("task.retried task=%s as=%s already=%s", task.id, submitted.task.id, submitted.replayed)
        return Retried(submitted.task, already=submitted.replayed)

    async def next_try(self, task: Task) -> Task | None:
        """The task that tries this one again. One that its gateway could not take just then is none: nothing was made,
        and whoever asked for it was told to ask once more."""
        known = await self._reads.retry_of(task)
        if known is not None and known.submission is Submission.REFUSED and known.error and known.error.retryable:
            return None
        return known

    async def sent(self, task: Task, wait_ms: int | None) -> Task:
        """A stored task as it stands when its create is through, or after wait_ms."""
        return await self._tasks.sent(task, wait_ms)

    def _order(self, task: Task) -> Order:
        """The submit of a task, as it was, or a Problem that says why there cannot be another one."""
        gateway = self._gateway_of(task)
        came_in = came_in_by(task)
        attempt = task.attempt + 1
        return Order(
            owner=task.owner,
            gateway=gateway,
            surface=surface_of(task),
            request=task.request,
            when_full=task.when_full,
            webhook_field=".".join(came_in.surface.callback_path) if came_in else "webhook_url",
            webhook_format="gateway" if came_in else "standard",
            webhook_secret=owner_secret(self._secret_key, task.owner),
            webhook_events=tuple(EVENT_OF[status] for status in came_in.mount.dialect.called_back)
            if came_in
            else TERMINAL_EVENTS,
            # no caller can have given it: what comes in by a header is printable
            idempotency_key=f"\x1fretry {task.id} {attempt}",
            came_in=came_in,
            attempt=attempt,
            retry_of=task.id,
        )

    def _gateway_of(self, task: Task) -> Gateway:
        if task.expunged_at is not None:
            raise Problem("result_gone", "what this task asked for was expunged; submit it as a new one")
        if not can_be_retried(task):
            raise Problem("conflict", why_not(task))
        gateway = self._gateways.get(task.gateway)
        if gateway is None or gateway.dialect.name != task.dialect:
            raise Problem(
                "conflict", f"{task.gateway} is not configured any more as it was for this task; submit it as a new one"
            )
        return gateway


def came_in_by(task: Task) -> CameIn | None:
    """By which compatible API a task came in, as it was then; None where that was the native one."""
    if task.mount is None or task.caller_dialect is None or task.caller_surface is None:
        return None
    dialect = DIALECTS[task.caller_dialect]
    mount = Mount(task.mount, dialect, None, ())
    return CameIn(mount, dialect.surface(task.caller_surface), task.caller_model or task.request.model)


def why_not(task: Task) -> str:
    """Why a task cannot be tried again, and what can be done instead."""
    if not task.status.terminal:
        return f"the task is {task.status}: only what failed, has expired or was cancelled can be tried again"
    if task.status is Status.SUCCEEDED:
        return "the task has succeeded; to have another video, submit it as a new one"
    return "the images of this task came with its request and are not kept; submit it as a new one, with them"
