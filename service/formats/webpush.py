"""Web Push: a notification for one browser. The frozen body is what its service worker is shown, before encryption.

    {"title", "body", "url", "tag", "event_id", "type", "task_id"}

It is kept under 3,000 bytes: push services take 4,096 of the encrypted record (RFC 8030, 7.2), and some take less.
"""

import base64
import binascii
import re
from dataclasses import replace
from typing import Any

from service.clock import MINUTE, SECOND
from service.errors import invalid
from service.formats.flat import headline, one_line, sentence
from service.formats.shape import Format, Judgement, Option, Rendered, Target, Telling, Verdict, by_status
from service.wire import HttpAnswer, Json, dump_text, loads, pick

# Four bytes for each character at most, so that all of it together stays under 3,000 bytes.
TITLE_LENGTH, BODY_LENGTH, URL_LENGTH = 100, 350, 800
TTL_S, TTL_MOST_S = 24 * 3600, 28 * 24 * 3600
KEY_BYTES, AUTH_BYTES = 65, 16  # RFC 8291, 3.1 and 3.2
VAPID_HINT = (
    "the VAPID key is not the one that the browser subscribed with, or its subject is refused: compare them in the"
    " settings, or have the browser subscribe again"
)

# P-256 (FIPS 186, curve P-256): y² = x³ - 3x + b. A point that is not on it can be encrypted for by nobody.
_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


def render(telling: Telling, options: Json) -> Rendered:
    envelope = telling.envelope
    task_id = pick(envelope, ("data", "task", "id"))
    title, message = headline(envelope), sentence(envelope)
    body = {
        "title": one_line(title, TITLE_LENGTH),
        "body": one_line(message, BODY_LENGTH) if message != title else "",
        "url": url_of(envelope),
        "tag": task_id or envelope["id"],  # the news of a task takes the place of what was shown of it before
        "event_id": envelope["id"],
        "type": envelope["type"],
        "task_id": task_id,
    }
    return Rendered(body=dump_text(body))


def degrade(body: str) -> str | None:
    """Without the body text; nothing else can be spared."""
    told = loads(body)
    return dump_text(told | {"body": ""}) if told["body"] else None


def check(target: Target) -> None:
    if not target.url.startswith("https://"):
        raise invalid("url", "must be the https:// endpoint of a browser's push subscription")
    key = _read_bytes(target.options.get("p256dh"), "p256dh", KEY_BYTES)
    if not _is_point(key):
        raise invalid("format_options.p256dh", "is no public key of P-256")
    _read_bytes(target.options.get("auth"), "auth", AUTH_BYTES)
    topic = target.options.get("topic")
    if topic is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", topic):  # RFC 8030, 5.4
        raise invalid("format_options.topic", "must be 1 to 32 of the characters A-Z a-z 0-9 - _")


def judge(answer: HttpAnswer, now: int) -> Verdict:
    """RFC 8030, 5 and 7.3, and subscribers.md, section c."""
    status, verdict = answer.status, by_status(answer, now)
    if status in (404, 410):
        error = f"the browser has given up this push subscription (HTTP {status})"
        return Verdict(judgement=Judgement.GONE, error=error)
    if status == 413:
        return replace(verdict, judgement=Judgement.DEGRADE, error="the message is too long for the push service")
    return replace(verdict, hint=VAPID_HINT) if status in (401, 403) else verdict


FORMAT = Format(
    name="webpush",
    title="Web Push",
    source="RFC 8030, RFC 8291, RFC 8292; subscribers.md, section c",
    render=render,
    options=(
        Option(
            name="p256dh",
            kind=str,
            meaning="keys.p256dh of the browser's PushSubscription",
            required=True,
            longest=90,
        ),
        Option(
            name="auth",
            kind=str,
            meaning="keys.auth of the browser's PushSubscription",
            required=True,
            secret=True,
            longest=30,
        ),
        Option(
            name="ttl",
            kind=int,
            meaning="for how many seconds the push service keeps it for a browser that is offline",
            default=TTL_S,
            low=0,
            high=TTL_MOST_S,
        ),
        Option(
            name="urgency",
            kind=str,
            meaning="whether it may wake a device that saves its battery",
            default="normal",
            allowed=("very-low", "low", "normal", "high"),
        ),
        Option(
            name="topic",
            kind=str,
            meaning="what is still waiting under the same topic is replaced",
            longest=32,
        ),
    ),
    check=check,
    judge=judge,
    degrade=degrade,
    transport="webpush",
    signed=False,
    secret_url=True,
    pauses=(10 * SECOND, MINUTE, 10 * MINUTE, 60 * MINUTE),
)


def url_of(envelope: Json) -> str | None:
    """What a click on the notification opens: a page before a file. One that is too long is left out, never cut."""
    task = pick(envelope, ("data", "task"))
    video = pick(task, ("video",))
    candidates: tuple[Any, ...] = (
        pick(task, ("links", "self_html")),
        *(pick(video, (name,)) for name in ("preview_url", "content_url", "url")),
    )
    return next((url for url in candidates if _is_web(url) and len(url.encode()) <= URL_LENGTH), None)


def _is_web(url: Any) -> bool:
    return isinstance(url, str) and url.startswith(("https://", "http://"))


def _read_bytes(text: Any, name: str, length: int) -> bytes:
    at = f"format_options.{name}"
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]+={0,2}", text):
        raise invalid(at, "must be base64url, as PushSubscription.toJSON() has it")
    bare = text.rstrip("=")
    try:
        read = base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error as error:
        raise invalid(at, "must be base64url, as PushSubscription.toJSON() has it") from error
    if len(read) != length:
        raise invalid(at, f"must be {length} bytes as base64url, not {len(read)}")
    return read


def _is_point(key: bytes) -> bool:
    x, y = int.from_bytes(key[1:33], "big"), int.from_bytes(key[33:], "big")
    return key[0] == 4 and x < _P and y < _P and (y * y - x * x * x + 3 * x - _B) % _P == 0
