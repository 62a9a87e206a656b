"""The bytes of a result, whole or in part: streamed from the archive or its gateway, in constant memory.

A result is looked for where its gateway documents a download, then at the link that the gateway told, then at a fresh
link, for which the gateway is asked again: links die within a day. A download that breaks off is resumed where it was.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from service.archive import Archive
from service.byte_ranges import ByteRange, OutOfRange, Part, part_of, read_content_range, read_unsatisfied
from service.clock import SECOND, Clock
from service.egress import Download, Egress, Lost, NotSent
from service.errors import Problem
from service.gateways import Gateway, surface_of
from service.links import VARIANTS, archived, result_url
from service.model import Snapshot, Status, Task
from service.settings import Settings
from service.store.statements import Database, Transaction, run
from service.store.tasks import find_task
from service.wire import HttpRequest, dump_text

log = logging.getLogger("reelhook.content")

MEDIA_TYPES = {"video": ("video/mp4", "video/"), "last_frame": ("image/png", "image/")}
GONE = (401, 403, 404, 410)
RESUMES = 5
BUSY_MS = 2 * SECOND


class Content:
    """Opens results."""

    def __init__(
        self,
        *,
        database: Database,
        gateways: Mapping[str, Gateway],
        egress: Egress,
        archive: Archive | None,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._gateways = gateways
        self._egress = egress
        self._archive = archive
        self._settings = settings
        self._clock = clock
        self._open = 0
        self._renewals: dict[str, asyncio.Task[Task]] = {}

    @asynccontextmanager
    async def open(self, task: Task, variant: str, asked: ByteRange | None) -> AsyncIterator[Part]:
        """A result, for as long as the block lasts. Raises Problem where it cannot be had, and OutOfRange."""
        check_result(task, variant)
        if self._open >= self._settings.content.concurrency:
            raise Problem("rate_limited", "too many results are being passed on just now", retry_after_ms=BUSY_MS)
        self._open += 1
        try:
            async with AsyncExitStack() as stack:
                part = await self._from_archive(stack, task, variant, asked)
                yield part or await _Reading(self, stack, task, variant).begin(asked)
        finally:
            self._open -= 1

    async def _from_archive(
        self, stack: AsyncExitStack, task: Task, variant: str, asked: ByteRange | None
    ) -> Part | None:
        """None where it is not kept; then its gateway may still have it."""
        kept = archived(task, variant)
        if kept is None or self._archive is None or self._clock() >= kept["expires_at"]:
            return None
        try:
            return await stack.enter_async_context(self._archive.read(kept["key"], kept["media_type"], asked))
        except (OSError, NotSent, Lost) as error:
            log.error("content.archive_failed task=%s reason=%r", task.id, error)  # noqa: TRY400
            return None

    def fetch(self, request: HttpRequest) -> AbstractAsyncContextManager[Download]:
        """Begin to download."""
        return self._egress.fetch(request, idle_ms=self._settings.content.idle)

    async def places(self, task: Task, variant: str) -> AsyncIterator[HttpRequest]:
        """Where the result may be, the best place first; each once."""
        gateway = self._gateways.get(task.gateway)
        seen = set()
        for url in (gateway.content_url(task, variant) if gateway else None, result_url(task, variant)):
            if url is not None and url not in seen:
                seen.add(url)
                yield _get(url, gateway)
        fresh = result_url(await self._renewed(task, gateway), variant) if gateway else None
        if fresh is not None and fresh not in seen:
            yield _get(fresh, gateway)

    async def _renewed(self, task: Task, gateway: Gateway) -> Task:
        """The task with the links that its gateway tells now. Many readers of one result ask once."""
        if task.id not in self._renewals:
            renewal = asyncio.create_task(self._renew(task, gateway), name=f"renew the links of {task.id}")
            self._renewals[task.id] = renewal
            renewal.add_done_callback(lambda _: self._renewals.pop(task.id))
        return await asyncio.shield(self._renewals[task.id])

    async def _renew(self, task: Task, gateway: Gateway) -> Task:
        now = self._clock()
        if task.gateway_task_id is None or now - (task.looked_at or 0) < gateway.min_interval_ms:
            return task
        answer = await gateway.look(task.gateway_task_id, surface_of(task), self._settings.sweep.timeout)
        if isinstance(answer, Problem) or answer.status is not Status.SUCCEEDED or answer.video_url is None:
            log.info("content.not_renewed task=%s gateway=%s", task.id, gateway.name)
            return task
        log.info("content.renewed task=%s gateway=%s", task.id, gateway.name)
        return await self._database.write(renew_links, task, answer, now)


class _Reading:
    """One result being read."""

    def __init__(self, content: Content, stack: AsyncExitStack, task: Task, variant: str) -> None:
        self._content = content
        self._stack = stack
        self._task = task
        self._variant = variant

    async def begin(self, asked: ByteRange | None) -> Part:
        gone, why = True, "it has no link"
        async for request in self._content.places(self._task, self._variant):
            try:
                download = await self._download(request, asked)
            except (NotSent, Lost) as error:
                gone, why = False, str(error)
                continue
            if download.status == 416 and asked is not None:
                raise OutOfRange(read_unsatisfied(download.headers.get("content-range")))
            part = self._part(request, download, asked)
            if part is not None:
                return part
            gone, why = gone and download.status in GONE, f"the answer was HTTP {download.status}"
        name = self._variant.replace("_", " ")
        if gone:
            raise Problem("result_gone", f"the {name} is no longer there, and its gateway gives no new link ({why})")
        raise Problem("gateway_error", f"the {name} cannot be fetched just now: {why}")

    async def _download(self, request: HttpRequest, asked: ByteRange | None) -> Download:
        await self._stack.aclose()  # the one before, of which no more is wanted
        headers = dict(request.headers) | ({"range": str(asked)} if asked else {})
        fetching = self._content.fetch(HttpRequest(method="GET", url=request.url, headers=headers))
        return await self._stack.enter_async_context(fetching)

    def _part(self, request: HttpRequest, download: Download, asked: ByteRange | None) -> Part | None:
        """What of the result this answer brings; None where it is none."""
        length = download.headers.get("content-length", "")
        total = int(length) if length.isdigit() else None
        start, stop, skip = 0, total, 0
        given = read_content_range(download.headers.get("content-range")) if download.status == 206 else None
        if download.status == 206:
            if given is None or asked is None or asked.first not in (None, given.start):
                return None
            start, stop, total = given.start, given.stop, given.total
        elif download.status != 200:
            return None
        elif asked is not None and total is not None:  # a server that knows no ranges: the rest is left out here
            start, stop = part_of(asked, total)
            skip = start
        media_type = _media_type(self._variant, download.headers.get("content-type", ""))
        if media_type is None:
            return None
        return Part(
            start=start,
            stop=stop,
            total=total,
            partial=asked is not None and (given is not None or total is not None),
            media_type=media_type,
            chunks=self._chunks(request, download, start, stop, skip),
        )

    async def _chunks(
        self, request: HttpRequest, download: Download, at: int, stop: int | None, skip: int
    ) -> AsyncIterator[bytes]:
        """The bytes from `at` to `stop`; Lost when they end before that. skip: how many come before them."""
        resumes = 0
        while True:
            try:
                async for chunk in download.chunks:
                    wanted = chunk[skip:] if stop is None else chunk[skip : skip + stop - at]
                    skip = max(0, skip - len(chunk))
                    at += len(wanted)
                    if wanted:
                        yield wanted
                    if at == stop:
                        return
                if stop is None or at == stop:
                    return
                raise Lost("it ended early")
            except Lost as error:
                resumes += 1
                if stop is None or resumes > RESUMES:
                    raise
                log.info("content.resumed task=%s at=%d reason=%s", self._task.id, at, error)
                download = await self._resumed(request, at, stop)

    async def _resumed(self, request: HttpRequest, at: int, stop: int) -> Download:
        try:
            download = await self._download(request, ByteRange(at, stop - 1))
        except NotSent as error:
            raise Lost(str(error)) from error
        given = read_content_range(download.headers.get("content-range"))
        if download.status != 206 or given is None or (given.start, given.stop) != (at, stop):
            raise Lost(f"the rest of it cannot be had: HTTP {download.status}")
        return download


def check_result(task: Task, variant: str) -> None:
    """A Problem that says why this task has no such result (yet)."""
    if variant not in VARIANTS:
        raise Problem("invalid_request", f"variant: must be one of {', '.join(VARIANTS)}", field="variant")
    if not task.status.terminal:
        raise Problem("conflict", f"the task is still {task.status}; its result is there when it has succeeded")
    if result_url(task, variant) is None:
        ended = f"it {task.status}" if task.status is not Status.SUCCEEDED else "ask for it with return_last_frame"
        raise Problem("not_found", f"the task has no {variant.replace('_', ' ')}: {ended}")


def renew_links(task: Task, snapshot: Snapshot, now: int) -> Transaction[Task]:
    """Keep the links that the gateway tells now; the task with them."""
    current = (yield from find_task(task.id)) or task
    news = {"video_url": snapshot.video_url, "last_frame_url": snapshot.last_frame_url, "linked_at": now}
    result = current.result | {name: value for name, value in news.items() if value is not None}
    yield run("renew_links", id=task.id, result=dump_text(result), now=now)
    return (yield from find_task(task.id)) or task


def _get(url: str, gateway: Gateway | None) -> HttpRequest:
    headers = {"accept-encoding": "identity"} | (gateway.credentials_for(url) if gateway else {})
    return HttpRequest(method="GET", url=url, headers=headers)


def _media_type(variant: str, said: str) -> str | None:
    """What is passed on: never a page that a browser would run. A gateway that answers 200 with an error in JSON has
    not answered with a video (videos.txt)."""
    usual, family = MEDIA_TYPES[variant]
    said = said.partition(";")[0].strip().lower()
    if said.startswith(family) and "svg" not in said:
        return said
    return usual if said in ("", "application/octet-stream", "binary/octet-stream", "application/binary") else None
