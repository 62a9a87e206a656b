"""Requests: who asks, the body within its limit, and the window of a list."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from starlette.requests import ClientDisconnect, Request

from service.errors import Problem, invalid
from service.keys import Caller, Keys
from service.store.rows import BEFORE_ALL, FOR_EVER, Window
from service.wire import Json, read_object

PAGE, PAGE_MOST = 50, 200
KEY_MOST = 255
DROPPED_MOST = 16 * 2**20


def bearer(request: Request) -> str | None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


async def identify(request: Request, keys: Keys) -> Caller:
    return await keys.caller(bearer(request))


async def read_body(request: Request, limit: int) -> bytes:
    """The body; a Problem when it is longer than the limit. A little more than that is read and dropped: a client that
    is still sending when it is answered sees a reset connection, and not the answer."""
    declared = request.headers.get("content-length", "")
    too_large = declared.isdigit() and int(declared) > limit
    body, dropped = bytearray(), 0
    try:
        async for chunk in request.stream():
            if too_large or len(body) + len(chunk) > limit:
                too_large = True
                dropped += len(chunk)
                if dropped > limit + DROPPED_MOST:
                    break
            else:
                body += chunk
    except ClientDisconnect as error:
        raise Problem("invalid_request", "the connection ended before the body did") from error
    if too_large:
        raise Problem("too_large", f"the body is longer than {limit} bytes")
    return bytes(body)


async def read_json(request: Request, limit: int) -> Json:
    """The body as a JSON object; a Problem that says what is wrong otherwise."""
    kind, _, parameters = request.headers.get("content-type", "application/json").lower().partition(";")
    kind = kind.strip()
    if kind != "application/json" and not kind.endswith("+json"):
        raise Problem("unsupported_media_type", f"send Content-Type: application/json, not {kind or 'nothing'}")
    charset = parameters.replace(" ", "").replace('"', "").removeprefix("charset=")
    if parameters.strip().startswith("charset") and charset not in ("utf-8", "utf8", "us-ascii"):
        raise Problem("unsupported_media_type", f"JSON is sent as UTF-8, not as {charset[:40]}")
    return read_object(await read_body(request, limit))


def idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 0 < len(key) <= KEY_MOST or not key.isprintable():
        raise invalid("Idempotency-Key", f"must be 1 to {KEY_MOST} printable characters")
    return key


def read_query(request: Request, allowed: tuple[str, ...]) -> Mapping[str, str]:
    """The query parameters by name; an unknown, repeated or empty one is refused by name."""
    query = request.query_params
    for name in query:
        if name not in allowed:
            raise invalid(name, f"is no parameter here; known: {', '.join(allowed)}")
        if len(query.getlist(name)) > 1:
            raise invalid(name, "is given more than once")
        if not query[name] or "\x00" in query[name]:
            raise invalid(name, "must not be empty")
    return query


WINDOW = ("limit", "cursor", "created_after", "created_before")


def read_window(query: Mapping[str, str]) -> Window:
    """limit 1 to 200, cursor as a page gave it, created_after (inclusive) and created_before in RFC 3339."""
    limit = query.get("limit", str(PAGE))
    if not re.fullmatch(r"[0-9]{1,3}", limit) or not 1 <= int(limit) <= PAGE_MOST:
        raise invalid("limit", f"must be from 1 to {PAGE_MOST}")
    cursor = query.get("cursor", BEFORE_ALL)
    if cursor != BEFORE_ALL and not re.fullmatch(r"[a-z]{2,4}_[0-9A-Z]{26}", cursor):
        raise invalid("cursor", "must be the next_cursor of a page")
    return Window(
        before=cursor,
        since=_read_instant(query, "created_after", 0),
        until=_read_instant(query, "created_before", FOR_EVER),
        limit=int(limit),
    )


def read_choice(query: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str | None:
    value = query.get(name)
    if value is not None and value not in choices:
        raise invalid(name, f"must be one of {', '.join(choices)}")
    return value


def _read_instant(query: Mapping[str, str], name: str, otherwise: int) -> int:
    # a plus sign in a query string is a blank by the time it gets here
    return read_instant(query[name].replace(" ", "+"), name) if name in query else otherwise


def read_instant(text: str, name: str) -> int:
    """RFC 3339 as unix ms; a Problem that names the field otherwise."""
    try:
        at = datetime.fromisoformat(text)
        if at.year < 1970:  # nothing is older, and none of it could be shown again
            raise ValueError
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise invalid(name, "must be a time such as 2026-11-21T09:30:00Z") from error
