"""Rocket.Chat messages for incoming integrations: a text and one attachment (subscribers.md, section b; the server's
`integrations/incoming` API)."""

from service.formats.card import Card, Mood, card_of
from service.formats.chat import (
    PAUSES,
    check_host,
    degraded,
    gone,
    judge_busy,
    read_answer,
    read_words,
    refused,
)
from service.formats.fitting import ZERO_WIDTH, backslashed, fit, join
from service.formats.shape import DELIVERED, Format, Rendered, Telling, Verdict
from service.wire import HttpAnswer, Json, dump_text, loads

# Characters, escapes included; a message has 5000 unless its administrator allows more.
TITLE = 300
PROMPT = 500
ERROR = 900
FACT = 200
LINKS = 2_500

COLORS = {Mood.GOOD: "#2eb67d", Mood.BAD: "#e01e5a", Mood.NEUTRAL: "#5865f2"}
# Nothing undoes `[label](url)` and `<url|label>` there but a break in the middle.
ESCAPE = {
    **backslashed("*_~`#"),
    ord("@"): f"@{ZERO_WIDTH}",
    ord("<"): f"<{ZERO_WIDTH}",
    ord("]"): f"]{ZERO_WIDTH}",
}


def render(telling: Telling, options: Json) -> Rendered:
    """A message with one attachment that mentions nobody."""
    card = card_of(telling)
    attachment: Json = {"color": COLORS[card.mood]}
    if card.facts:
        attachment["fields"] = [
            {"short": True, "title": label, "value": fit(value, FACT, escape=ESCAPE)} for label, value in card.facts
        ]
    if card.image_url:
        attachment["image_url"] = card.image_url
    if card.footer:
        attachment["text"] = fit(card.footer, FACT, escape=ESCAPE)
    return Rendered(body=dump_text({"text": _text(card), "attachments": [attachment]}))


def judge(answer: HttpAnswer, now: int) -> Verdict:
    """It says `success` besides the status; newer servers answer 400 to a deleted integration, older ones 404."""
    body, words = read_answer(answer), read_words(answer)
    if 200 <= answer.status < 300 and body.get("success") is not False:
        return DELIVERED
    error = f"Rocket.Chat answered HTTP {answer.status}" + (f": {words}" if words else "")
    if "Invalid integration id or token" in words:
        return gone(error, "the integration was deleted; add a new one in Rocket.Chat and subscribe its URL")
    busy = judge_busy(answer, now, "Rocket.Chat")
    if busy is not None:
        return busy
    if "invalid-channel" in words or "invalid-room" in words:
        return gone(error, "the channel of the integration is gone; choose another one in Rocket.Chat")
    return degraded(error) if answer.status in (400, 413) else refused(error)


def degrade(body: str) -> str | None:
    """Without its image; then without the attachment."""
    message = loads(body)
    attachments = message.pop("attachments", None)
    if not attachments:
        return None
    if attachments[0].pop("image_url", None):
        message["attachments"] = attachments
    return dump_text(message)


FORMAT = Format(
    name="rocketchat",
    title="Rocket.Chat",
    source="subscribers.md, section b",
    render=render,
    check=check_host("rocketchat"),
    judge=judge,
    degrade=degrade,
    signed=False,
    secret_url=True,
    pauses=PAUSES,
    spacing_ms=1000,
)


def _text(card: Card) -> str:
    said = fit(card.said, ERROR if card.code else PROMPT, escape=ESCAPE)
    if card.code:
        code = f"*{fit(card.code, FACT, escape=ESCAPE)}*"
        said = f"{code}: {said}" if said else code
    links = join([f"[{label}]({url})" for label, url in card.all_links], " | ", LINKS)
    return "\n".join(filter(None, [f"*{fit(card.title, TITLE, escape=ESCAPE)}*", said, links]))
