"""Web Push: a notification for one browser. The frozen body is what its service worker is shown, before encryption.

    {"title", "body", "url", "tag", "event_id", "type", "task_id"}

It is kept under 3,000 bytes: push services take 4,096 of the encrypted record (RFC 8030, 7.2), and some take less.
"""

import re
from dataclasses import replace

from service.clock import MINUTE, SECOND
from service.errors import invalid
from service.formats.card import API_LINK, card_of
from service.formats.fitting import one_line
from service.formats.shape import Format, Judgement, Option, Rendered, Target, Telling, Verdict, by_status
from service.wire import HttpAnswer, Json, dump_text, loads, pick

# Four bytes for each character at most, so that all of it together stays under 3,000 bytes.
TITLE_LENGTH, BODY_LENGTH, URL_LENGTH = 100, 350, 800
TTL_S, TTL_MOST_S = 24 * 3600, 28 * 24 * 3600
VAPID_HINT = (
    "the VAPID key is not the one that the browser subscribed with, or its subject is refused: compare them in the"
    " settings, or have the browser subscribe again"
)


def render(telling: Telling, options: Json) -> Rendered:
    card, task_id = card_of(telling), pick(telling.envelope, ("data", "task", "id"))
    body = {
        "title": one_line(card.headline, TITLE_LENGTH),
        "body": one_line(card.said, BODY_LENGTH),
        "url": next((url for label, url in card.links if label != API_LINK and len(url) <= URL_LENGTH), None),
        "tag": task_id or telling.event.id,  # the news of a task takes the place of what was shown of it before
        "event_id": telling.event.id,
        "type": card.type,
        "task_id": task_id,
    }
    return Rendered(body=dump_text(body))


def degrade(body: str) -> str | None:
    """Without the body text; nothing else can be spared."""
    told = loads(body)
    return dump_text(told | {"body": ""}) if told["body"] else None


def check(target: Target) -> None:
    """The browser's keys are checked by who encrypts for them (`pushing`)."""
    if not target.url.startswith("https://"):
        raise invalid("url", "must be the https:// endpoint of a browser's push subscription")
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
