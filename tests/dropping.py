"""A wire that breaks: a proxy on loopback that cuts connections before their answers come through."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

CutWhen = Callable[[], Awaitable[object]]


@asynccontextmanager
async def broken_wire(base_url: str, *cuts: CutWhen) -> AsyncIterator[str]:
    """The base URL of a proxy. Its first connections, as many as there are `cuts`, let the request through, and are cut
    at both ends as soon as their cut has returned; not one byte of their answers passes. Later ones are whole."""
    target, waiting = urlsplit(base_url), list(cuts)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cut = waiting.pop(0) if waiting else None
        far_reader, far_writer = await asyncio.open_connection(target.hostname, target.port)
        forth = asyncio.create_task(_pump(reader, far_writer))
        back = asyncio.create_task(_pump(far_reader, writer)) if cut is None else None
        try:
            await (cut() if cut else asyncio.wait([forth, back] if back else [forth]))
        finally:
            for task in filter(None, (forth, back)):
                task.cancel()
            for end in (writer, far_writer):
                end.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
