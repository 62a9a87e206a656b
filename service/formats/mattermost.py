"""Mattermost messages for incoming webhooks: Markdown, because Slack's blocks are ignored there (subscribers.md,
section b; the server's `HandleIncomingWebhook`)."""

from collections.abc import Mapping

from service.formats.card import Card, card_of
from service.formats.chat import PAUSES, check_host, gone, judge_busy, read_answer, read_words, refused
from service.formats.fitting import ZERO_WIDTH, backslashed, fit, join, utf16
from service.formats.shape import DELIVERED, Format, Rendered, Telling, Verdict
from service.wire import HttpAnswer, Json, dump_text

# Characters, escapes included: 4000 is what the smallest server keeps of a post, and longer ones are split.
MOST = 4_000
TITLE = 300
PROMPT = 500
ERROR = 900
FACT = 200
LINKS = 1_000
FOOTER = 300

# `<!channel>` becomes a mention there, and `<url|label>` a link, so `<` must not stand for itself.
ESCAPE = {
    **backslashed("\\`*_~|[]#"),
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord(">"): "&gt;",
    ord("@"): f"@{ZERO_WIDTH}",
}
QUOTED = {**ESCAPE, ord("\n"): "\n> "}

# The `id` of an answer, less its ends.
GONE: Mapping[str, str] = {
    "invalid": "the webhook was deleted; add a new one in Mattermost and subscribe its URL",
    "channel": "the channel is gone; choose another one for the webhook",
    "existing": "the channel is gone; choose another one for the webhook",
}
REFUSED: Mapping[str, str] = {
    "disabled": "an administrator has to switch incoming webhooks on in the System Console",
    "permissions": "whoever made the webhook may not post to its channel",
    "channel_locked": "the webhook is locked to another channel",
    "user": "whoever made the webhook is gone",
}


def render(telling: Telling, options: Json) -> Rendered:
    """A message of Markdown text that mentions nobody."""
    return Rendered(body=dump_text({"text": _text(card_of(telling))}))


def judge(answer: HttpAnswer, now: int) -> Verdict:
    """By the `id` of its errors: a deleted webhook answers 400, one that is switched off 501."""
    if 200 <= answer.status < 300:
        return DELIVERED
    words = read_words(answer)
    error = f"Mattermost answered HTTP {answer.status}" + (f": {words}" if words else "")
    said = read_answer(answer).get("id")
    kind = said.removesuffix(".app_error").rpartition(".")[2] if isinstance(said, str) else ""
    if kind in GONE and answer.status < 500:
        return gone(error, GONE[kind])
    if kind in REFUSED:
        return refused(error, REFUSED[kind])
    return judge_busy(answer, now, "Mattermost") or refused(error)


FORMAT = Format(
    name="mattermost",
    title="Mattermost",
    source="subscribers.md, section b",
    render=render,
    check=check_host("mattermost"),
    judge=judge,
    signed=False,
    secret_url=True,
    pauses=PAUSES,
    spacing_ms=1000,
)


def _text(card: Card) -> str:
    """In the order in which it is read; the facts get the room that all others leave."""
    said = ""
    if card.code:
        said = f"**{fit(card.code, FACT, escape=ESCAPE)}**"
        said += f": {fit(card.said, ERROR, escape=ESCAPE)}" if card.said else ""
    elif card.said:
        said = f"> {fit(card.said, PROMPT, escape=QUOTED)}"
    head = [f"**{fit(card.title, TITLE, escape=ESCAPE)}**", said]
    image = f"![{card.type}]({card.image_url})" if card.image_url else ""
    tail = [
        image if utf16(image) <= LINKS else "",
        join([f"[{label}]({url})" for label, url in card.all_links], " | ", LINKS),
        fit(card.footer, FOOTER, escape=ESCAPE),
    ]
    room = MOST - sum(utf16(part) + 2 for part in (*head, *tail, ""))
    facts = join([f"**{label}** {fit(value, FACT, escape=ESCAPE)}" for label, value in card.facts], " · ", room)
    return "\n\n".join(filter(None, [*head, facts, *tail]))
