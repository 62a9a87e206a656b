"""What the link of a page or a button allows, and doing it: retry or cancel, once, however often it is clicked."""

import logging
from dataclasses import dataclass

from service.model import Status, Task
from service.signing import Forged
from service.wiring import Services

log = logging.getLogger("reelhook.actions")

TOKEN_MOST = 512


@dataclass(frozen=True, slots=True)
class Done:
    """task: the one that there is now: the new one of a retry, the cancelled one. already: it was done before."""

    task: Task
    already: bool


async def read_link(services: Services, token: str) -> tuple[Task, str]:
    """(the task, view, retry or cancel) of a link; Forged when it is not ours, Expired when it was.

    No key and no owner: the link is the capability, as a content link is.
    """
    if len(token) > TOKEN_MOST:
        raise Forged("no token of ours")
    task_id, action = services.links.read_action(token, services.clock())
    task = await services.reads.task(task_id, None)
    if task is None:
        raise Forged("its task is gone")
    return task, action


async def act(services: Services, task: Task, action: str, *, wait_ms: int | None, by: str) -> Done:
    """Retry or cancel. A Problem says why not. by: where the click came from, for the log."""
    if action == "cancel":
        done = Done(await services.cancelling.cancel(task), already=task.status is Status.CANCELLED)
    else:
        retried = await services.retrying.retry(task, wait_ms=wait_ms)
        done = Done(retried.task, retried.already)
    log.info("action.done action=%s task=%s now=%s already=%s by=%s", action, task.id, done.task.id, done.already, by)
    return done


async def done_before(services: Services, task: Task, action: str) -> Done | None:
    """What was done already, when there is nothing left to ask about."""
    if action == "cancel":
        return Done(task, already=True) if task.status is Status.CANCELLED else None
    known = await services.retrying.next_try(task)
    return Done(known, already=True) if known is not None else None
