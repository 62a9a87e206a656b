"""The bytes of a result, whole or in part: streamed from the archive or its gateway, in constant memory.

A result is looked for in the archive, and then at the places where its gateway may have it (places.py). A download that
breaks off is resumed where it was.
"""

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from service.archive import Archive
from service.byte_ranges import ByteRange, OutOfRange, Part, part_of, read_content_range, read_unsatisfied
from service.clock import Clock
from service.egress import Download, Egress, Lost, NotSent
from service.errors import Problem
from service.gateways import Gateway
from service.links import VARIANTS, archived, result_url
from service.model import Status, Task
from service.places import Places
from service.readers import Readers
from service.settings import Settings
from service.store.statements import Database
from service.wire import HttpRequest

log = logging.getLogger("reelhook.content")

MEDIA_TYPES = {"video": ("video/mp4", "video/"), "last_frame": ("image/png", "image/")}
GONE = (401, 403, 404, 410)
RESUMES = 5
SIZES_KEPT = 10_000


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
        self.places = Places(database, gateways, settings.sweep.timeout, clock)
        self._egress = egress
        self._archive = archive
        self._settings = settings
        self._clock = clock
        self._readers = Readers(settings.content)
        self._sizes: OrderedDict[tuple[str, str], int] = OrderedDict()  # of the results that were opened last

    @asynccontextmanager
    async def read(self, task: Task, variant: str, asked: ByteRange | None) -> AsyncIterator[Part]:
        """`open`, for a reader: a Problem too where too many read already."""
        check_result(task, variant)
        with self._readers.reading(task):
            async with self.open(task, variant, asked) as part:
                yield part

    @asynccontextmanager
    async def open(self, task: Task, variant: str, asked: ByteRange | None) -> AsyncIterator[Part]:
        """A result, for as long as the block lasts. Raises Problem where it cannot be had, and OutOfRange."""
        check_result(task, variant)
        async with AsyncExitStack() as stack:
            part = await self._from_archive(stack, task, variant, asked)
            part = part or await _Reading(self, stack, task, variant).begin(asked)
            self._note_size(task, variant, part.total)
            yield part

    def size(self, task: Task, variant: str) -> int | None:
        """How many bytes a result has; None where nobody knows without opening it."""
        kept = archived(task, variant)
        return int(kept["size"]) if kept else self._sizes.get((task.id, variant))

    def _note_size(self, task: Task, variant: str, size: int | None) -> None:
        if size is not None:
            self._sizes[task.id, variant] = size
            self._sizes.move_to_end((task.id, variant))
            if len(self._sizes) > SIZES_KEPT:
                self._sizes.popitem(last=False)

    async def _from_archive(
        self, stack: AsyncExitStack, task: Task, variant: str, asked: ByteRange | None
    ) -> Part | None:
        """None where it is not kept, or not as it was; then its gateway may still have it."""
        kept = archived(task, variant)
        if kept is None or self._archive is None or self._clock() >= kept["expires_at"]:
            return None
        try:
            part = await stack.enter_async_context(self._archive.read(kept["key"], kept["media_type"], asked))
            if part.total == kept["size"]:
                return part
            why = f"the file has {part.total} bytes and not {kept['size']}"
        except OutOfRange as error:
            if error.total in (None, kept["size"]):
                raise
            why = f"the file has {error.total} bytes and not {kept['size']}"
        except (OSError, NotSent, Lost) as error:
            why = repr(error)
        log.error("content.archive_failed task=%s reason=%s", task.id, why)
        return None

    def fetch(self, request: HttpRequest) -> AbstractAsyncContextManager[Download]:
        """Begin to download."""
        return self._egress.fetch(request, idle_ms=self._settings.content.idle)


class _Reading:
    """One result being read."""

    def __init__(self, content: Content, stack: AsyncExitStack, task: Task, variant: str) -> None:
        self._content = content
        self._stack = stack
        self._task = task
        self._variant = variant

    async def begin(self, asked: ByteRange | None) -> Part:
        gone, why = True, "it has no link"
        try:
            async for request in self._content.places.of(self._task, self._variant):
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
        except Problem as problem:
            raise self._not_now(f"{why}; no new link could be asked for: {problem.message}", problem) from None
        if gone:
            name = self._variant.replace("_", " ")
            raise Problem("result_gone", f"the {name} is no longer there, and its gateway gives no new link ({why})")
        raise self._not_now(why)

    def _not_now(self, why: str, problem: Problem | None = None) -> Problem:
        name = self._variant.replace("_", " ")
        retry_after_ms = problem.retry_after_ms if problem else None
        return Problem("gateway_error", f"the {name} cannot be fetched just now: {why}", retry_after_ms=retry_after_ms)

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
        if task.expunged_at is not None:
            raise Problem("result_gone", "what this task has made was expunged")
        ended = f"it {task.status}" if task.status is not Status.SUCCEEDED else "ask for it with return_last_frame"
        raise Problem("not_found", f"the task has no {variant.replace('_', ' ')}: {ended}")


def _media_type(variant: str, said: str) -> str | None:
    """What is passed on: never a page that a browser would run. A gateway that answers 200 with an error in JSON has
    not answered with a video (videos.txt)."""
    usual, family = MEDIA_TYPES[variant]
    said = said.partition(";")[0].strip().lower()
    if said.startswith(family) and "svg" not in said:
        return said
    return usual if said in ("", "application/octet-stream", "binary/octet-stream", "application/binary") else None
