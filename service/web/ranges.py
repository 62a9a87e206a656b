"""What all answers with bytes have in common: the whole, a part of it (206), or none (304, 416). RFC 9110, sections 13
and 14."""

import hashlib
import re

from starlette.requests import Request
from starlette.responses import Response

from service.byte_ranges import ByteRange, OutOfRange, part_of, read_range

_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def file_answer(request: Request, data: bytes, media_type: str) -> Response:
    """A file in memory: `data`, or the range of it that is asked for."""
    etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    if has_already(request, etag):
        return unchanged(etag)
    asked = asked_range(request) if continues(request, etag) else None
    try:
        start, stop = part_of(asked, len(data))
    except OutOfRange as error:
        return unsatisfied(error)
    headers = part_headers(etag, start, stop, len(data), partial=asked is not None)
    return Response(data[start:stop], 206 if asked else 200, headers, media_type)


def asked_range(request: Request) -> ByteRange | None:
    """The range that is asked for; several ranges at once are answered with the whole, and HEAD knows none (14.2)."""
    return read_range(request.headers.get("range")) if request.method == "GET" else None


def has_already(request: Request, etag: str) -> bool:
    """If-None-Match: whether the reader has what this is the tag of. Weak tags count as strong ones do (13.1.2)."""
    said = ",".join(request.headers.getlist("if-none-match")).strip()
    return said == "*" or etag in _TAG.findall(said)


def continues(request: Request, etag: str) -> bool:
    """If-Range: whether a part is wanted of what this is the tag of, where one is. No weak tag will do, and no date."""
    return request.headers.get("if-range", etag) == etag


def part_headers(etag: str, start: int, stop: int | None, total: int | None, *, partial: bool) -> dict[str, str]:
    """stop, total None: not known yet."""
    headers = {"etag": etag, "accept-ranges": "bytes"}
    if stop is not None:
        headers["content-length"] = str(stop - start)
    if partial:
        headers["content-range"] = f"bytes {start}-{(stop or 0) - 1}/{'*' if total is None else total}"
    return headers


def unchanged(etag: str) -> Response:
    return Response(status_code=304, headers={"etag": etag, "accept-ranges": "bytes"})


def unsatisfied(error: OutOfRange) -> Response:
    total = "*" if error.total is None else error.total
    return Response(status_code=416, headers={"content-range": f"bytes */{total}", "accept-ranges": "bytes"})
