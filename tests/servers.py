"""Apps on loopback, in the test's own event loop, and a receiver that notes what it gets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from service.web.serving import listen, serving
from service.wire import HttpRequest

PATIENCE_S = 10


@asynccontextmanager
async def serve(app: ASGIApp, port: int = 0) -> AsyncIterator[str]:
    """The base URL of an app, served on loopback for as long as the block lasts."""
    async with serving(app, listen("127.0.0.1", port)) as base_url:
        yield base_url


class Sink:
    """A receiver of POSTs: keeps every request, and answers with the given statuses, the last one for ever.

    A status of 0 means: no answer before `release`, or while the block lasts; then it is 200.
    """

    def __init__(self, *statuses: int) -> None:
        self.requests: list[HttpRequest] = []
        self._statuses = list(statuses or (200,))
        self._news = asyncio.Condition()
        self._over = asyncio.Event()
        self.url = ""

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Sink"]:
        app = Starlette(routes=[Route("/{path:path}", self._receive, methods=["POST"])])
        async with serve(app) as self.url:
            try:
                yield self
            finally:
                self.release()

    def release(self) -> None:
        """Let all that were not answered be answered."""
        self._over.set()

    async def wait_for(self, enough: Callable[[list[HttpRequest]], object]) -> list[HttpRequest]:
        """The requests, as soon as they are enough; TimeoutError when they never are."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: enough(self.requests))
            return list(self.requests)

    async def _receive(self, request: Request) -> Response:
        body = await request.body()
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        async with self._news:
            self.requests.append(
                HttpRequest(method="POST", url=str(request.url), headers=dict(request.headers), body=body)
            )
            self._news.notify_all()
        if status == 0:
            await self._over.wait()
        return Response(status_code=status or 200)
