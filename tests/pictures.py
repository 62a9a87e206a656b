"""Images on loopback: each path /{width}x{height}/{name} is a PNG of that size, as far as anybody looks."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from struct import pack

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.servers import serve

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HALF_MEGABYTE = 2**19


class Pictures:
    """What was asked for, and how many bytes went out. url: the base of all."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: Counter[str] = Counter()
        self.sent = 0

    def of(self, size: str, name: str = "cat.png") -> str:
        return f"{self.url}/{size}/{name}"

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Pictures"]:
        routes = [
            Route("/huge/{name}", self._huge),
            Route("/endless/{name}", self._endless),
            Route("/moved/{name}", self._moved),
            Route("/gone/{name}", self._gone),
            Route("/{width:int}x{height:int}/{name}", self._picture),
        ]
        async with serve(Starlette(routes=routes)) as self.url:
            yield self

    async def _picture(self, request: Request) -> Response:
        self.asked[request.url.path] += 1
        return Response(png(request.path_params["width"], request.path_params["height"]), media_type="image/png")

    async def _huge(self, request: Request) -> Response:
        """Thirty megabytes, of which a Range brings what it asks for."""
        return Response(
            png(640, 480),
            206 if "range" in request.headers else 200,
            {"content-range": f"bytes 0-{len(png(640, 480)) - 1}/30000000"},
        )

    async def _endless(self, request: Request) -> Response:
        """A hundred megabytes, of a length that is not said."""

        async def body() -> AsyncIterator[bytes]:
            yield png(640, 480)
            for _ in range(200):
                await asyncio.sleep(0)  # the reader is in the same loop
                if await request.is_disconnected():
                    return
                self.sent += HALF_MEGABYTE
                yield bytes(HALF_MEGABYTE)

        return StreamingResponse(body())

    async def _moved(self, request: Request) -> Response:
        return RedirectResponse(f"/100x100/{request.path_params['name']}")

    async def _gone(self, request: Request) -> Response:
        return Response(status_code=404)


def png(width: int, height: int) -> bytes:
    """The beginning of one: signature and header."""
    return SIGNATURE + pack(">I4sIIBBBBB", 13, b"IHDR", width, height, 8, 2, 0, 0, 0) + bytes(500)
