"""Where results are kept beyond the life of their gateways' links: a directory, or a bucket."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from service.archive.bucket import open_bucket
from service.archive.directory import Directory
from service.byte_ranges import ByteRange, Part
from service.egress import Egress
from service.errors import SettingsError
from service.settings import ArchiveSettings


class Archive(Protocol):
    """Keeps files by key. When the place fails all of it raises OSError or Lost, and `read` of a bucket NotSent too."""

    async def put(self, key: str, media_type: str, chunks: AsyncIterator[bytes], most: int) -> int:
        """Keep what comes, whole or not at all; its size in bytes. TooLarge, and nothing is kept, when that is more
        than `most`, which bounds what is spooled on the way too. What `chunks` raises comes through, and keeps nothing.
        Of two who store under one key at once neither gets bytes of the other; the first may fail for it."""
        ...

    def read(self, key: str, media_type: str, asked: ByteRange | None) -> AbstractAsyncContextManager[Part]:
        """A kept file, or a part of it, for as long as the block lasts; FileNotFoundError, OutOfRange."""
        ...

    async def delete(self, key: str) -> None:
        """Keep it no longer, nor what was begun of it; to delete what is not there changes nothing."""
        ...


def open_archive(settings: ArchiveSettings, egress: Egress) -> Archive | None:
    """The archive of the settings; None where they name none."""
    if settings.directory and settings.bucket:
        raise SettingsError("archive: has a directory and a bucket; give one of them")
    if settings.bucket:
        return open_bucket(settings.bucket, egress)
    return Directory(settings.directory) if settings.directory else None
