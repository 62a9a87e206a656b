"""Serve an app inside the running loop: the service until a signal, sandboxes and tests for as long as a block lasts.

On top of HTTP there are things that no ASGI message says: an app hears that the server stops, so that answers without
an end can end, and it can drop the connection instead of answering.
"""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

log = logging.getLogger("reelhook.web")

EXTENSION = "reelhook.connection"
GRACEFUL_S = 1
PATIENT_S = 30
ACCEPT_TURNS = 5  # of the event loop, until an accepted connection has its transport


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A listening socket; port 0 takes a free one. OSError when it cannot be had."""
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def url_of(listening: socket.socket) -> str:
    """The base URL under which this machine reaches a listening socket."""
    address, port = listening.getsockname()[:2]
    ip = ipaddress.ip_address(address)
    if ip.is_unspecified:
        ip = ipaddress.ip_address("127.0.0.1" if ip.version == 4 else "::1")
    return f"http://[{ip}]:{port}" if ip.version == 6 else f"http://{ip}:{port}"


@asynccontextmanager
async def serving(app: ASGIApp, listening: socket.socket) -> AsyncIterator[str]:
    """The base URL of an app that is served, lifespan and all, for as long as the block lasts. Closes the socket."""
    config = uvicorn.Config(
        app,
        http=DroppableProtocol,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_S,
    )
    # uvicorn.Server.serve() without its signal handlers and its clock: there can be many of these in one process
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    with listening:
        await server.startup(sockets=[listening])
        try:
            yield url_of(listening)
        finally:
            await server.shutdown(sockets=[listening])
            await _close_latecomers(server)


async def _close_latecomers(server: uvicorn.Server) -> None:
    """Connections that were accepted while the server shut down: uvicorn has not seen them, and nobody closes them."""
    for _ in range(ACCEPT_TURNS):
        await asyncio.sleep(0)
    for connection in list(server.server_state.connections):
        transport = connection.transport
        if transport is not None:
            transport.abort()


async def serve_until(app: ASGIApp, listening: socket.socket, stopping: Callable[[Callable[[], None]], None]) -> None:
    """Serve until told to stop, then finish the requests under way. stopping: is given what to call for that."""
    config = uvicorn.Config(
        app,
        http=EndableProtocol,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=PATIENT_S,
    )
    server = _Server(config)

    def stop() -> None:
        server.should_exit = True

    stopping(stop)
    log.info("web.serving url=%s", url_of(listening))
    with listening:
        await server.serve(sockets=[listening])


class _Server(uvicorn.Server):
    """uvicorn without its own signals: it raises them again when it has ended, and a clean end would look like none."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What an app can do with a connection besides answering. stopping: is set when the server stops, and waits for
    what is under way. abort: ends it, whatever has not been taken yet."""

    stopping: asyncio.Event
    abort: Callable[[], None]


def connection_of(scope: Scope) -> Connection:
    """The connection of a request; one that does nothing where another server serves the app."""
    given = scope.get("extensions", {}).get(EXTENSION)
    if given is None:
        return Connection(stopping=asyncio.Event(), abort=lambda: None)
    return Connection(stopping=given["stopping"], abort=given["abort"])


class EndableProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, with an ASGI extension by which an app hears that the server stops."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.stopping = asyncio.Event()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: {"stopping": self.stopping, "abort": self.transport.abort}}

    def shutdown(self) -> None:
        self.stopping.set()
        super().shutdown()


class DroppableProtocol(EndableProtocol):
    """The same, by which an app also reaches its connection."""

    stalled = False

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"][EXTENSION] |= {"drop": self.transport.close, "stall": self.stall}

    def stall(self) -> None:
        """Note that the request under way will never be answered, so that a shutdown does not wait for it."""
        self.stalled = True

    def shutdown(self) -> None:
        if self.stalled:
            self.transport.close()
        else:
            super().shutdown()


class NoAnswer(Response):
    """Not one byte of an answer: the connection is dropped, or left open (stalled) until the client gives up."""

    def __init__(self, *, stalled: bool) -> None:
        super().__init__()
        self.stalled = stalled

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = scope.get("extensions", {}).get(EXTENSION)
        if connection is None:
            raise RuntimeError("this server cannot drop a connection; use service.web.serving")
        connection["stall" if self.stalled else "drop"]()
        while (await receive())["type"] != "http.disconnect":
            pass
