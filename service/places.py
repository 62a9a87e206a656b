"""Where a gateway may have a result: where it documents a download, at the link that it told, and at a fresh link.

Links die within a day. For a fresh one the gateway is asked again, once for all who wait for it, and no more often than
it allows: what nobody could be asked about is not gone.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping

from service.clock import Clock
from service.errors import Problem
from service.gateways import Gateway, surface_of
from service.links import result_url
from service.model import Snapshot, Status, Task
from service.store.statements import Database, Transaction, run
from service.store.tasks import find_task
from service.wire import HttpRequest, dump_text

log = logging.getLogger("reelhook.content")

REMEMBERED = 10_000  # results that were asked about

# A gateway that answers a look so does not show the task any more. Any other refusal is about us, or about now.
SHOWS_NO_MORE = ("invalid_request", "forbidden", "not_found")


class Places:
    """Knows where to look, and asks the gateways."""

    def __init__(self, database: Database, gateways: Mapping[str, Gateway], timeout_ms: int, clock: Clock) -> None:
        self._database = database
        self._gateways = gateways
        self._timeout_ms = timeout_ms
        self._clock = clock
        self._asked_at: dict[str, int] = {}
        self._renewals: dict[str, asyncio.Task[Task | Problem]] = {}

    async def of(self, task: Task, variant: str) -> AsyncIterator[HttpRequest]:
        """The requests for a result, the best place first; each once. At last a Problem, where there may be a fresh
        link and the gateway cannot be asked for it just now."""
        gateway = self._gateways.get(task.gateway)
        seen = set()
        for url in (gateway.content_url(task, variant) if gateway else None, result_url(task, variant)):
            if url is not None and not url.startswith("/") and url not in seen:
                seen.add(url)
                yield _get(url, gateway)
        renewed = await self._renewed(task, gateway) if gateway else task
        if isinstance(renewed, Problem):
            raise renewed
        fresh = result_url(renewed, variant)
        if fresh is not None and not fresh.startswith("/") and fresh not in seen:
            yield _get(fresh, gateway)

    async def _renewed(self, task: Task, gateway: Gateway) -> Task | Problem:
        """The task with the links that its gateway tells now. Many readers of one result ask once."""
        if task.id not in self._renewals:
            renewal = asyncio.create_task(self._renew(task, gateway), name=f"renew the links of {task.id}")
            self._renewals[task.id] = renewal
            renewal.add_done_callback(lambda _: self._renewals.pop(task.id))
        return await asyncio.shield(self._renewals[task.id])

    async def _renew(self, task: Task, gateway: Gateway) -> Task | Problem:
        now = self._clock()
        if task.gateway_task_id is None:
            return task
        wait_ms = max(task.looked_at or 0, self._asked_at.get(task.id, 0)) + gateway.min_interval_ms - now
        if wait_ms > 0:
            return Problem("gateway_error", f"{gateway.name} was asked only just now", retry_after_ms=wait_ms)
        if len(self._asked_at) >= REMEMBERED:
            self._asked_at.clear()
        self._asked_at[task.id] = now  # whatever the answer is: a dead link asks no more often than a living one
        answer = await gateway.look(task.gateway_task_id, surface_of(task), self._timeout_ms)
        if isinstance(answer, Problem) and answer.code not in SHOWS_NO_MORE:
            log.info("content.not_asked task=%s gateway=%s code=%s", task.id, gateway.name, answer.code)
            return answer
        if isinstance(answer, Problem) or answer.status is not Status.SUCCEEDED or answer.video_url is None:
            log.info("content.not_renewed task=%s gateway=%s", task.id, gateway.name)
            return task
        log.info("content.renewed task=%s gateway=%s", task.id, gateway.name)
        return await self._database.write(renew_links, task, answer, now)


def renew_links(task: Task, snapshot: Snapshot, now: int) -> Transaction[Task]:
    """Keep the links that the gateway tells now; the task with them."""
    current = (yield from find_task(task.id)) or task
    if current.video_url is None:  # it was expunged meanwhile
        return current
    news = {"video_url": snapshot.video_url, "last_frame_url": snapshot.last_frame_url, "linked_at": now}
    result = current.result | {name: value for name, value in news.items() if value is not None}
    yield run("renew_links", id=task.id, result=dump_text(result), now=now)
    return (yield from find_task(task.id)) or task


def _get(url: str, gateway: Gateway | None) -> HttpRequest:
    headers = {"accept-encoding": "identity"} | (gateway.credentials_for(url) if gateway else {})
    return HttpRequest(method="GET", url=url, headers=headers)
