"""Results over HTTP: streamed, whole or in part, to whoever holds a key or a signed link.

GET, HEAD /v1/tasks/{id}/content?variant=video|last_frame    with an API key
GET, HEAD /content/{token}                                   with a link that an event or an answer showed
GET, HEAD /{gateway}/…/content                               where the gateway documents it (web/compat.py)
"""

import asyncio
import logging

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from service.byte_ranges import ByteRange, OutOfRange, Part
from service.content import check_result
from service.egress import Lost
from service.errors import Problem
from service.links import ENDINGS
from service.model import Task
from service.signing import Forged
from service.web.ranges import asked_range, continues, has_already, part_headers, unchanged, unsatisfied
from service.web.requests import identify, read_query
from service.wiring import Services

log = logging.getLogger("reelhook.content")

TOKEN_MOST = 512
CACHING = {"cache-control": "private, max-age=3600"}


class ContentAnswer(Response):
    """A result of a task, streamed in constant memory. RFC 9110: Range, If-Range, If-None-Match, HEAD.

    Whoever has the result already is told so (304) without its source being opened, where its size is known; otherwise
    it is opened, and not read. What cannot be had is a Problem raised before a byte is sent. What breaks off later ends
    the connection, so that nobody takes a part for the whole.
    """

    def __init__(self, services: Services, task: Task, variant: str, request: Request) -> None:
        super().__init__()
        check_result(task, variant)
        self._content = services.content
        self._idle_s = services.settings.content.idle / 1000
        self._task = task
        self._variant = variant
        self._request = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        known = self._content.size(self._task, self._variant)
        if known is not None and has_already(self._request, self._etag(known)):
            await self._unchanged(known)(scope, receive, send)
            return
        try:
            sent = await self._send_part(asked_range(self._request), scope, receive, send)
            if not sent:
                await self._send_part(None, scope, receive, send)
        except OutOfRange as error:
            await unsatisfied(error)(scope, receive, send)

    async def _send_part(self, asked: ByteRange | None, scope: Scope, receive: Receive, send: Send) -> bool:
        """False where the part is of something else than the reader has the rest of (If-Range)."""
        async with self._content.read(self._task, self._variant, asked) as part:
            if part.partial and not continues(self._request, self._etag(part.total)):
                return False
            answer = self._answer(part)
            try:
                await answer(scope, receive, self._impatient(send))
            except (Lost, TimeoutError) as error:
                # The answer has begun, so it can only be left unfinished: the server then ends the connection.
                log.warning("content.broken_off task=%s reason=%r", self._task.id, error)
            return True

    def _answer(self, part: Part) -> Response:
        etag = self._etag(part.total)
        if has_already(self._request, etag):
            return self._unchanged(part.total)
        headers = part_headers(etag, part.start, part.stop, part.total, partial=part.partial) | CACHING
        headers |= {
            "content-disposition": f'inline; filename="{self._task.id}.{ENDINGS[self._variant]}"',
            "x-content-type-options": "nosniff",
        }
        status = 206 if part.partial else 200
        if self._request.method == "HEAD":
            return Response(status_code=status, headers=headers, media_type=part.media_type)
        return StreamingResponse(part.chunks, status, headers, part.media_type)

    def _unchanged(self, total: int | None) -> Response:
        answer = unchanged(self._etag(total))
        answer.headers.update(CACHING)
        return answer

    def _etag(self, total: int | None) -> str:
        """A result never changes; should a gateway ever make another of it, its length tells."""
        return f'"{self._task.id}-{self._variant}-{total if total is not None else "x"}"'

    def _impatient(self, send: Send) -> Send:
        """A reader who takes nothing any more does not hold a download open."""

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(self._idle_s):
                await send(message)

        return send_in_time


async def task_content(request: Request) -> Response:
    services: Services = request.app.state.services
    caller = await identify(request, services.keys)
    variant = read_query(request, ("variant",)).get("variant", "video")
    task_id = request.path_params["id"]
    task = await services.reads.task(task_id, caller.owner)
    if task is None:
        raise Problem("not_found", f"there is no task {task_id}")
    return ContentAnswer(services, task, variant, request)


async def linked_content(request: Request) -> Response:
    """No key, no account: the link is the capability, and it says nothing about why it is not good."""
    services: Services = request.app.state.services
    token = request.path_params["token"]
    try:
        if len(token) > TOKEN_MOST:
            raise Forged("no token of ours")
        task_id, variant = services.links.read(token, services.clock())
        task = await services.reads.task(task_id, None)
        if task is None:
            raise Forged("its task is gone")
    except Forged:
        raise Problem("not_found", "this link is not good, or has expired") from None
    return ContentAnswer(services, task, variant, request)


ROUTES = [
    Route("/v1/tasks/{id}/content", task_content),
    Route("/content/{token}", linked_content),
]
