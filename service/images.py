"""Look at an image from outside: how large it is, from as few of its bytes as tell it."""

import asyncio
from dataclasses import dataclass

from service.byte_ranges import read_content_range
from service.egress import Download, Egress, Lost, NotSent
from service.image_size import Size, image_size
from service.wire import HttpRequest

HEAD_MOST = 512 * 1024  # a camera's JPEG says its size after its metadata and thumbnail
LENGTH_MOST = 32 * 2**20  # further a body of unknown length is not followed


@dataclass(frozen=True, slots=True)
class Seen:
    """What was to be seen; length in bytes. None: it was not."""

    size: Size | None = None
    length: int | None = None


async def look_at(egress: Egress, url: str, timeout_ms: int) -> Seen:
    """What can be seen of an image; nothing where it cannot be fetched, which says nothing about it."""
    headers = {"range": f"bytes=0-{HEAD_MOST - 1}", "accept-encoding": "identity"}
    request = HttpRequest(method="GET", url=url, headers=headers)
    try:
        async with asyncio.timeout(timeout_ms / 1000), egress.fetch(request, idle_ms=timeout_ms) as download:
            return await _read(download) if download.status in (200, 206) else Seen()
    except (NotSent, Lost, TimeoutError):
        return Seen()


async def _read(download: Download) -> Seen:
    total = _total(download)
    head, size, length, tried = bytearray(), None, 0, 0
    async for chunk in download.chunks:
        length += len(chunk)
        if size is None and len(head) < HEAD_MOST:
            head += chunk
            if len(head) >= 2 * tried:  # each look begins at the front: not at every few bytes
                tried, size = len(head), image_size(bytes(head))
        if total is not None and (size is not None or length >= HEAD_MOST):
            break
        if length > LENGTH_MOST:
            break
    if size is None:
        size = image_size(bytes(head))
    return Seen(size, total if total is not None else length)


def _total(download: Download) -> int | None:
    """The length of the whole file, where the answer says it."""
    if download.status == 206:
        given = read_content_range(download.headers.get("content-range"))
        return given.total if given else None
    length = download.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 16 else None
