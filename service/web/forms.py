"""multipart/form-data as the JSON that it stands for: `metadata[seed]` is a member, `images[]` an item, a file a data
URI. That is how the openai SDK sends a create, and how people do with curl (gateways.md section 3, "Encoding")."""

import base64
import re
from collections.abc import AsyncGenerator
from typing import Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from service.errors import Problem, invalid
from service.web.requests import read_body
from service.wire import Json

MOST_PARTS = 200
MOST_LEVELS = 8
NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")

# What an image begins with, for files that say nothing of themselves: the SDK sends bytes as application/octet-stream.
MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)


def is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "multipart/form-data"


async def read_form(request: Request, limit: int) -> Json:
    """The form as a JSON object, in which every value is a string; a Problem that says what is wrong otherwise."""
    body = await read_body(request, limit)

    async def chunks() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(
        request.headers, chunks(), max_files=MOST_PARTS, max_fields=MOST_PARTS, max_part_size=limit
    )
    parser.spool_max_size = limit  # it is in memory already
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:  # KeyError: without a boundary
        why = error.message if isinstance(error, MultiPartException) else "the Content-Type names no boundary"
        raise Problem("invalid_request", f"the body is not valid multipart/form-data: {why}") from error
    fields: Json = {}
    try:
        for name, value in form.multi_items():
            _put(fields, name, await _read_file(name, value) if isinstance(value, UploadFile) else value)
    finally:
        await form.close()
    settled: Json = _settled(fields)
    return settled


def _put(fields: Json, name: str, value: str) -> None:
    """Note a value where its bracketed name says: a leaf lists all that was given, `[]` is the key ""."""
    match = NAME.fullmatch(name)
    steps = re.findall(r"\[([^\[\]]*)\]", match[2]) if match else []
    if match is None or len(steps) > MOST_LEVELS:
        raise invalid(name[:100] or "a field without a name", "is no field name; write metadata[seed] for a member")
    *parents, last = [match[1], *steps]
    holder: Any = fields
    for parent in parents:
        holder = holder.setdefault(parent, {})
        if not isinstance(holder, dict):
            raise invalid(name, "is given both as a value and as an object")
    given = holder.setdefault(last, [])
    if not isinstance(given, list):
        raise invalid(name, "is given both as a value and as an object")
    given.append(value)


def _settled(noted: Json, where: str = "") -> Any:
    """What was noted, as JSON. The SDK spells a list of objects key by key, and not item by item: with more than one
    item nobody can tell which value belongs to which, so that is refused."""
    if "" in noted and len(noted) > 1:
        raise invalid(where, "is given both as an object and as a list")
    settled: Json = {}
    for key, value in noted.items():
        at = f"{where}[{key}]" if where else key
        if isinstance(value, dict):
            settled[key] = _settled(value, at)
        elif key == "":
            return value
        elif len(value) > 1:
            raise invalid(at, "is given more than once; a list of several objects goes as JSON text in one field")
        else:
            settled[key] = value[0]
    return [settled[""]] if "" in settled else settled


async def _read_file(name: str, file: UploadFile) -> str:
    data = await file.read()
    known = (file.content_type or "").partition(";")[0].strip().lower()
    kind = known if known.startswith("image/") else _kind_of(data)
    if kind is None:
        raise invalid(name, "must be an image: image/jpeg, image/png, image/webp, image/gif or image/bmp")
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _kind_of(data: bytes) -> str | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in MAGIC if data.startswith(start)), None)
