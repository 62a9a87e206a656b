"""A file in memory as an answer: whole, a part of it (206), or none of it (304, 416). RFC 9110, sections 13 and 14."""

import hashlib
import re

from starlette.requests import Request
from starlette.responses import Response


def file_answer(request: Request, data: bytes, media_type: str) -> Response:
    """`data`, or the range of it that is asked for; several ranges at once are answered with the whole."""
    etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"etag": etag, "accept-ranges": "bytes"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    asked = request.headers.get("range") if request.headers.get("if-range", etag) == etag else None
    window = read_range(asked, len(data)) if asked is not None else (0, len(data))
    if window is None:
        return Response(status_code=416, headers=headers | {"content-range": f"bytes */{len(data)}"})
    start, stop = window
    if stop - start == len(data):
        return Response(data, 200, headers, media_type)
    headers["content-range"] = f"bytes {start}-{stop - 1}/{len(data)}"
    return Response(data[start:stop], 206, headers, media_type)


def read_range(asked: str, length: int) -> tuple[int, int] | None:
    """(start, stop) of a Range header; the whole where it asks for none that we give, None where it cannot be."""
    match = re.fullmatch(r"bytes=(\d{0,15})-(\d{0,15})", asked.replace(" ", ""))
    if match is None or match[1] == match[2] == "":
        return 0, length
    first, last = match.groups()
    if not first:
        return (max(0, length - int(last)), length) if int(last) else None
    if last and int(last) < int(first):
        return 0, length  # not a valid range, and so as if there were none
    return (int(first), min(length, int(last or length) + 1)) if int(first) < length else None
