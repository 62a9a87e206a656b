"""Results as files in a directory. A file is there whole, or not at all.

What is on its way lies in a folder of its own, under a name that no two writers share. Whoever begins to store a file
removes what was begun of it before: a writer who has lost his turn then has nothing to put in its place.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from glob import escape
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from service.archive.pieces import TooLarge, gathered
from service.byte_ranges import ByteRange, Part, part_of
from service.errors import SettingsError

READ = 256 * 1024
DRAFT = ".part"


class Directory:
    """A directory, made when it is not there. SettingsError when it cannot be written to."""

    def __init__(self, path: str) -> None:
        self._root = Path(path)
        self._drafts = self._root / "drafts"
        try:
            self._root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"archive.directory: {path}: {error.strerror}") from error
        if not os.access(self._root, os.W_OK | os.X_OK):
            raise SettingsError(f"archive.directory: {path}: cannot be written to")

    async def put(self, key: str, media_type: str, chunks: AsyncIterator[bytes], most: int) -> int:
        path = self._root / key
        draft, file = await asyncio.to_thread(self._begin, path)
        try:
            size = 0
            async for piece in gathered(chunks):
                size += len(piece)
                if size > most:
                    raise TooLarge(most)
                await asyncio.to_thread(file.write, piece)
            await asyncio.to_thread(_finish, file, draft, path)
        except BaseException:
            file.close()
            draft.unlink(missing_ok=True)
            raise
        return size

    @asynccontextmanager
    async def read(self, key: str, media_type: str, asked: ByteRange | None) -> AsyncIterator[Part]:
        file = await asyncio.to_thread((self._root / key).open, "rb")
        try:
            total = os.fstat(file.fileno()).st_size
            start, stop = part_of(asked, total)
            yield Part(
                start=start,
                stop=stop,
                total=total,
                partial=asked is not None,
                media_type=media_type,
                chunks=_read(file, start, stop),
            )
        finally:
            file.close()

    async def delete(self, key: str) -> None:
        await asyncio.to_thread(self._delete, self._root / key)

    def _begin(self, path: Path) -> tuple[Path, BinaryIO]:
        self._remove_drafts(path)
        for folder in (path.parent, self._drafts):
            folder.mkdir(parents=True, exist_ok=True)
        draft = self._drafts / f"{path.name}.{uuid4().hex}{DRAFT}"
        return draft, draft.open("xb")

    def _delete(self, path: Path) -> None:
        self._remove_drafts(path)
        path.unlink(missing_ok=True)

    def _remove_drafts(self, path: Path) -> None:
        for draft in self._drafts.glob(f"{escape(path.name)}.*{DRAFT}"):
            draft.unlink(missing_ok=True)


def _finish(file: BinaryIO, draft: Path, path: Path) -> None:
    """On disk before anybody is told: the file, then its name."""
    file.flush()
    os.fsync(file.fileno())
    file.close()
    draft.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


async def _read(file: BinaryIO, start: int, stop: int) -> AsyncIterator[bytes]:
    await asyncio.to_thread(file.seek, start)
    while start < stop and (piece := await asyncio.to_thread(file.read, min(READ, stop - start))):
        start += len(piece)
        yield piece
