"""Bytes on their way into an archive."""

from collections.abc import AsyncIterator

PIECE = 1024 * 1024


class TooLarge(Exception):
    """There is no room for a file of this size."""

    def __init__(self, most: int) -> None:
        super().__init__(f"the result is larger than the {most} bytes that there is room for")


async def gathered(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in fewer pieces: what comes off a socket is small, and each write is a turn of a thread."""
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        if len(waiting) >= PIECE:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)
