"""GET /v1/stream: an owner's events as they are committed, over one long answer (server-sent events).

Nothing is queued for a reader: a page is read from the database when the one before it has been taken. One who takes
nothing is dropped, and resumes from where he was, as does everybody when the service stops.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from service.errors import Problem
from service.feed import Wanted, Watch
from service.model import Event
from service.sse import write_comment, write_message
from service.web.entry import entered
from service.web.feed import read_owner, read_wanted
from service.web.requests import identify, read_query
from service.web.serving import connection_of
from service.wiring import Services

log = logging.getLogger("reelhook.stream")

PAGE = 100
PIECE = 64 * 1024  # bytes that are handed to the connection at once
RETRY_MS = 2_000
LAST_WORD_S = 1
HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # nginx would keep it back until it has a page full
}


class Slow(Exception):
    """The reader takes nothing any more."""


async def stream(request: Request) -> Response:
    """From Last-Event-ID, else from `after`, else from now."""
    services, caller = await entered(request)
    query = read_query(request, ("events", "after", "owner"))
    owner = read_owner(query, caller)
    resumed = request.headers.get("last-event-id", "").strip()
    if resumed:
        after = await services.feed.position(owner, resumed, "Last-Event-ID")
    elif "after" in query:
        after = await services.feed.position(owner, query["after"], "after")
    else:
        after = await services.feed.newest(owner)
    wanted = read_wanted(query, "events")
    if request.method == "HEAD":
        return Response(headers=HEADERS)
    return Stream(services, request, owner, after, wanted)


class Stream(Response):
    """The answer that does not end by itself."""

    def __init__(self, services: Services, request: Request, owner: str, after: int, wanted: Wanted | None) -> None:
        super().__init__()
        self._services = services
        self._settings = services.settings.stream
        self._request = request
        self._owner = owner
        self._after = after
        self._wanted = wanted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = connection_of(scope)
        with self._services.feed.watching(self._owner) as watch:
            telling = asyncio.create_task(self._tell(watch, send))
            leaving = asyncio.create_task(_disconnected(receive))
            stopping = asyncio.create_task(connection.stopping.wait())
            try:
                await asyncio.wait((telling, leaving, stopping), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (telling, leaving, stopping):
                    task.cancel()
                await asyncio.gather(telling, leaving, stopping, return_exceptions=True)
            if leaving.done() and not leaving.cancelled():
                return
            try:
                if not telling.cancelled():
                    telling.result()
                async with asyncio.timeout(LAST_WORD_S):
                    await send({"type": "http.response.body", "body": b""})
            except (Slow, TimeoutError):
                log.info("stream.dropped owner=%s after=%d", self._owner, self._after)
                connection.abort()

    async def _tell(self, watch: Watch, send: Send) -> None:
        """Until the key is not good any more, or what follows is not there any more."""
        headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        await self._send(send, {"type": "http.response.start", "status": 200, "headers": headers})
        # its position at once: who is cut off before the first event would else begin anew, later
        await self._send(send, _part(write_message(id=str(self._after), retry_ms=RETRY_MS)))
        pulse_s = self._settings.heartbeat / 1000
        clock = asyncio.get_running_loop().time
        said, beat_at = self._after, clock() + pulse_s
        while True:
            watch.begin()
            try:
                events = await self._services.feed.read(self._owner, self._after, PAGE)
            except Problem:  # he reads more slowly than they are removed: when he resumes he is told so
                log.info("stream.outrun owner=%s after=%d", self._owner, self._after)
                return
            for piece, after in _pieces(events, self._wanted):
                await self._send(send, _part(piece))
                self._after = said = after
            self._after = events[-1].seq if events else self._after
            if clock() >= beat_at:
                if not await self._is_welcome():
                    return
                position = write_message(id=str(self._after)) if self._after > said else write_comment()
                await self._send(send, _part(position))
                said, beat_at = self._after, clock() + pulse_s
            if len(events) < PAGE:
                await watch.wait(round((beat_at - clock()) * 1000))

    async def _send(self, send: Send, message: Message) -> None:
        try:
            async with asyncio.timeout(self._settings.idle / 1000):
                await send(message)
        except TimeoutError as error:
            raise Slow from error

    async def _is_welcome(self) -> bool:
        try:
            await identify(self._request, self._services.keys)
        except Problem:
            log.info("stream.unwelcome owner=%s", self._owner)
            return False
        return True


def _pieces(events: Iterable[Event], wanted: Wanted | None) -> Iterator[tuple[bytes, int]]:
    """(bytes, the number of the last event in them), none of them much longer than PIECE unless an event is."""
    piece, after = bytearray(), 0
    for event in events:
        if wanted is not None and not wanted(event):
            continue
        piece += write_message(id=str(event.seq), event=event.type, data=event.body)
        after = event.seq
        if len(piece) >= PIECE:
            yield bytes(piece), after
            piece.clear()
    if piece:
        yield bytes(piece), after


def _part(body: bytes) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": True}


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


ROUTES = [Route("/v1/stream", stream, methods=["GET"])]
