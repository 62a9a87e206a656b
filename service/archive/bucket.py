"""Results as objects of an S3-compatible bucket. botocore signs, the connections are egress's own."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO, Any

from service.archive.directory import READ
from service.archive.pieces import TooLarge, gathered
from service.byte_ranges import ByteRange, OutOfRange, Part, part_of, read_content_range, read_unsatisfied
from service.clock import MINUTE, SECOND
from service.egress import Egress, Lost, NotSent
from service.errors import SettingsError
from service.settings import BucketSettings
from service.wire import HttpRequest

SIGNED_S = 3600
IDLE_MS = 30 * SECOND
TIMEOUT_MS = 5 * MINUTE
ANSWER_CAP = 64 * 1024


def open_bucket(settings: BucketSettings, egress: Egress) -> "Bucket":
    """SettingsError when botocore is not installed."""
    try:
        from botocore.config import Config  # type: ignore[import-untyped]
        from botocore.session import Session  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise SettingsError("archive.bucket: needs botocore: pip install 'reelhook[s3]'") from error
    client = Session().create_client(
        "s3",
        region_name=settings.region,
        endpoint_url=settings.endpoint,
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path" if settings.endpoint else "virtual"}),
    )
    return Bucket(settings, client, egress)


class Bucket:
    """A bucket with a prefix. `client` makes presigned URLs, which is arithmetic, and never connects."""

    def __init__(self, settings: BucketSettings, client: Any, egress: Egress) -> None:
        self._settings = settings
        self._client = client
        self._egress = egress

    async def put(self, key: str, media_type: str, chunks: AsyncIterator[bytes], most: int) -> int:
        """By way of a temporary file, of `most` bytes at most: a bucket wants to know the length first."""
        with await asyncio.to_thread(tempfile.TemporaryFile) as file:
            size = 0
            async for piece in gathered(chunks):
                size += len(piece)
                if size > most:
                    raise TooLarge(most)
                await asyncio.to_thread(file.write, piece)
            await asyncio.to_thread(file.seek, 0)
            headers = {"content-type": media_type, "content-length": str(size)}
            request = HttpRequest(
                method="PUT", url=self._url("put_object", key, ContentType=media_type), headers=headers
            )
            await self._sent(request, _pieces(file))
        return size

    @asynccontextmanager
    async def read(self, key: str, media_type: str, asked: ByteRange | None) -> AsyncIterator[Part]:
        headers = {"accept-encoding": "identity"} | ({"range": str(asked)} if asked else {})
        request = HttpRequest(method="GET", url=self._url("get_object", key), headers=headers)
        async with self._egress.fetch(request, idle_ms=IDLE_MS) as download:
            if download.status == 416:
                raise OutOfRange(read_unsatisfied(download.headers.get("content-range")))
            if download.status == 404:
                raise FileNotFoundError(key)
            length = download.headers.get("content-length", "")
            given = read_content_range(download.headers.get("content-range"))
            if download.status not in (200, 206) or not length.isdigit() or (given is None) != (asked is None):
                raise Lost(f"the bucket answered HTTP {download.status}")
            start, stop = (given.start, given.stop) if given else part_of(None, int(length))
            yield Part(
                start=start,
                stop=stop,
                total=given.total if given else stop,
                partial=asked is not None,
                media_type=media_type,
                chunks=download.chunks,
            )

    async def delete(self, key: str) -> None:
        await self._sent(HttpRequest(method="DELETE", url=self._url("delete_object", key)), None)

    async def _sent(self, request: HttpRequest, pieces: AsyncIterator[bytes] | None) -> None:
        try:
            answer = await self._egress.upload(request, pieces, timeout_ms=TIMEOUT_MS, cap=ANSWER_CAP)
        except NotSent as error:
            raise Lost(f"the bucket cannot be reached: {error}") from error
        if not 200 <= answer.status < 300 and (request.method, answer.status) != ("DELETE", 404):
            raise Lost(f"the bucket answered HTTP {answer.status}: {answer.body[:300].decode('utf-8', 'replace')}")

    def _url(self, operation: str, key: str, **more: str) -> str:
        params = {"Bucket": self._settings.name, "Key": self._settings.prefix + key} | more
        return str(self._client.generate_presigned_url(operation, Params=params, ExpiresIn=SIGNED_S))


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, READ):
        yield piece
