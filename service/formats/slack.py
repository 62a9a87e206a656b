"""Slack messages for incoming webhooks (subscribers.md, section b; Slack's Block Kit reference)."""

import re
from collections.abc import Mapping

from service.errors import invalid
from service.formats.card import Action, Card, card_of
from service.formats.chat import (
    PAUSES,
    check_host,
    degraded,
    gone,
    host_of,
    judge_busy,
    path_of,
    read_answer,
    read_words,
    refused,
)
from service.formats.fitting import ZERO_WIDTH, fit, join
from service.formats.shape import DELIVERED, Format, Option, Rendered, Target, Telling, Verdict, post_json
from service.wire import HttpAnswer, HttpRequest, Json, dump_text, loads

HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")

# Characters, escapes included. Slack's own limits: header 150, section 3000, fields 10 x 2000, alt_text 2000,
# button value 2000. What is quoted is kept shorter, so that a channel stays readable.
HEADER = 150
PROMPT = 500
ERROR = 900
FACT = 200
LINKS = 2_700
ALT_TEXT = 300
BUTTON_VALUE = 2_000
CONTEXT = 1_000

ESCAPE: Mapping[int, str] = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}  # and nothing else
QUOTED = {**ESCAPE, ord("\n"): "\n>"}

# Slack changelog 2016-05-17, and what other clients of these URLs have met (subscribers.md, section b).
GONE: Mapping[str, str] = {
    **dict.fromkeys(
        ("no_service", "no_service_id", "no_active_hooks", "invalid_token"),
        "the webhook was removed or revoked; add a new one in Slack and subscribe its URL",
    ),
    **dict.fromkeys(
        ("channel_not_found", "channel_is_archived", "is_archived"),
        "the channel is gone or archived; choose another one in Slack and subscribe the new webhook's URL",
    ),
    **dict.fromkeys(
        ("action_prohibited", "posting_to_general_channel_denied"),
        "an administrator of the workspace does not allow this; ask him, or choose another channel",
    ),
    **dict.fromkeys(("no_team", "team_disabled"), "the workspace is gone or disabled"),
}
OURS = ("no_text", "missing_text_or_fallback_or_attachments", "too_many_attachments")

CONFIRM: Mapping[str, tuple[str, str, str]] = {
    "retry": ("Try again?", "This starts a new paid generation.", "Start it"),
    "cancel": ("Cancel this video?", "What was generated so far is lost, and may still be charged.", "Cancel it"),
}


def render(telling: Telling, options: Json) -> Rendered:
    """A message of blocks, with all that matters in its text as well: that is what notifications and screen readers
    tell, and what is left when Slack cannot take the blocks."""
    card = card_of(telling)
    buttons = card.actions if options.get("buttons") else ()
    body = {
        "text": _text(card),
        "blocks": list(_blocks(card, [button for button in map(_button, buttons) if button])),
        "unfurl_links": False,
        "unfurl_media": False,
    }
    return Rendered(body=dump_text(body))


def request(target: Target, body: str) -> HttpRequest:
    """Blocks are for Slack itself: what looks like it shows nothing but the text (subscribers.md, section b), and reads
    mentions out of that."""
    if host_of(target.url) in HOSTS or target.options.get("blocks") == "always":
        return post_json(target, body)
    message = loads(body)
    message.pop("blocks", None)
    message["text"] = message["text"].replace("@", f"@{ZERO_WIDTH}")
    return post_json(target, dump_text(message))


def check(target: Target) -> None:
    """The addresses of other services are refused, and Slack's own for workflows, which take no messages."""
    check_host("slack")(target)
    host, path = host_of(target.url), path_of(target.url)
    for name, word in (("mattermost", "mattermost"), ("rocketchat", "rocket")):
        if word in host:
            raise invalid("url", f"does not look like Slack; use the format {name} for it")
    if host in HOSTS and path.startswith(("/triggers/", "/workflows/")):
        raise invalid(
            "url", "starts a Slack workflow, which takes no messages; add an incoming webhook, or use the format flat"
        )


def judge(answer: HttpAnswer, now: int) -> Verdict:
    """By what the body says, because the status does not tell: a revoked webhook answers 403 or 400."""
    words = read_words(answer)
    if answer.status == 200 and words == "ok":
        return DELIVERED
    code = _code(answer, words)
    error = f"Slack answered HTTP {answer.status}" + (f": {words}" if words else "")
    if code in GONE:
        return gone(error, GONE[code])
    busy = judge_busy(answer, now, "Slack")
    if busy is not None:
        return busy
    if answer.status == 200:
        return refused(
            f"HTTP 200 without the `ok` that Slack says: {words}" if words else "HTTP 200 without the `ok` of Slack",
            "is this the URL of an incoming webhook? For Mattermost and Rocket.Chat there are formats of their own",
        )
    if code in OURS or code.startswith("invalid_") or answer.status in (400, 413):
        return degraded(error)
    return refused(error, "look up the word in Slack's documentation of incoming webhooks")


def degrade(body: str) -> str | None:
    """Without its image, which Slack fetches while it looks at the message; then without all blocks."""
    message = loads(body)
    blocks = message.pop("blocks", None)
    if blocks is None:
        return None
    others = [block for block in blocks if block["type"] != "image"]
    return dump_text(message | ({"blocks": others} if len(others) < len(blocks) else {}))


FORMAT = Format(
    name="slack",
    title="Slack",
    source="subscribers.md, section b",
    render=render,
    options=(
        Option(
            name="buttons",
            kind=bool,
            default=False,
            meaning="buttons instead of links to retry and cancel; they need a Slack app with interactivity",
        ),
        Option(
            name="blocks",
            kind=str,
            default="auto",
            allowed=("auto", "always"),
            meaning="auto: blocks for hooks.slack.com, text for what looks like Slack; always: blocks for all",
        ),
    ),
    check=check,
    request=request,
    judge=judge,
    degrade=degrade,
    signed=False,
    secret_url=True,
    pauses=PAUSES,
    spacing_ms=1000,  # a message each second and channel (Slack's documentation of rate limits)
)


# --- the message


def _text(card: Card) -> str:
    links = join([_link(label, url) for label, url in card.all_links], "  |  ", LINKS)
    said = _said(card) if card.code else ""
    return "\n".join(filter(None, [fit(card.title, HEADER, escape=ESCAPE), said, links]))


def _blocks(card: Card, buttons: list[Json]) -> list[Json]:
    """None of their texts may be empty: Slack refuses the message (subscribers.md, section b)."""
    links = card.links if buttons else card.all_links
    fields = [_mrkdwn(f"*{label}*\n{fit(value, FACT, escape=ESCAPE)}") for label, value in card.facts]
    said = _said(card)
    line = join([_link(label, url) for label, url in links], "  |  ", LINKS)
    blocks: list[Json | None] = [
        {"type": "header", "text": {"type": "plain_text", "text": fit(card.title, HEADER)}},
        {"type": "section", "text": _mrkdwn(said)} if said else None,
        {"type": "section", "fields": fields} if fields else None,
        {"type": "image", "image_url": card.image_url, "alt_text": fit(card.headline, ALT_TEXT)}
        if card.image_url
        else None,
        {"type": "section", "text": _mrkdwn(line)} if line else None,
        {"type": "actions", "elements": buttons} if buttons else None,
        {"type": "context", "elements": [_mrkdwn(fit(card.footer, CONTEXT, escape=ESCAPE))]} if card.footer else None,
    ]
    return [block for block in blocks if block]


def _said(card: Card) -> str:
    if not card.code:
        return f">{fit(card.said, PROMPT, escape=QUOTED)}" if card.said else ""
    code = f"*{fit(card.code, FACT, escape=ESCAPE)}*"
    return f"{code}: {fit(card.said, ERROR, escape=ESCAPE)}" if card.said else code


def _mrkdwn(text: str) -> Json:
    """verbatim: what merely looks like a link or a mention becomes none (Slack's documentation of text objects)."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _link(label: str, url: str) -> str:
    return f"<{url.translate(ESCAPE)}|{label.translate(ESCAPE)}>"


def _button(action: Action) -> Json | None:
    """What is pressed is named by its action_id; for which task, its value tells, a token that nobody can make up."""
    if not action.token or len(action.token) > BUTTON_VALUE:
        return None
    title, text, confirm = CONFIRM[action.name]
    return {
        "type": "button",
        "action_id": f"{action.name}_task",
        "text": _plain(action.label),
        "value": action.token,
        "style": "danger" if action.name == "cancel" else "primary",
        "confirm": {"title": _plain(title), "text": _plain(text), "confirm": _plain(confirm), "deny": _plain("No")},
    }


def _plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def _code(answer: HttpAnswer, words: str) -> str:
    """The word that stands first, or the `error` of an answer in JSON; "" where there is none."""
    said = read_answer(answer).get("error")
    match = re.match(r"[a-z]+(_[a-z]+)*", said if isinstance(said, str) else words)
    return match[0] if match else ""
