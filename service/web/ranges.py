"""A file in memory as an answer: whole, a part of it (206), or none of it (304, 416). RFC 9110, sections 13 and 14."""

import hashlib

from starlette.requests import Request
from starlette.responses import Response

from service.byte_ranges import read_range


def file_answer(request: Request, data: bytes, media_type: str) -> Response:
    """`data`, or the range of it that is asked for; several ranges at once are answered with the whole."""
    etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"etag": etag, "accept-ranges": "bytes"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    asked = read_range(request.headers.get("range")) if request.headers.get("if-range", etag) == etag else None
    if asked is None:
        return Response(data, 200, headers, media_type)
    window = asked.within(len(data))
    if window is None:
        return Response(status_code=416, headers=headers | {"content-range": f"bytes */{len(data)}"})
    start, stop = window
    headers["content-range"] = f"bytes {start}-{stop - 1}/{len(data)}"
    return Response(data[start:stop], 206, headers, media_type)
