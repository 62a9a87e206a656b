"""Telegram messages by a bot (subscribers.md, section c; Telegram's Bot API).

The bot's token is part of the path of a request, so it is an option, kept encrypted, and stands in no URL that is
stored or shown.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from service.errors import invalid
from service.formats.card import card_of
from service.formats.chat import (
    PAUSES,
    check_host,
    degraded,
    gone,
    judge_busy,
    path_of,
    read_answer,
    read_words,
    refused,
    seconds_at,
)
from service.formats.fitting import ZERO_WIDTH, fit, utf16
from service.formats.shape import DELIVERED, Format, Option, Rendered, Target, Telling, Verdict, post_json
from service.wire import HttpAnswer, HttpRequest, Json, dump_text, loads, pick

# UTF-16 units. All parts at their longest, with ten facts and every link, stay below the limit of a message.
MESSAGE = 4_096
TITLE = 300
PROMPT = 800
ERROR = 800
FACT = 200
FOOTER = 200

ESCAPE = {ord("@"): f"@{ZERO_WIDTH}"}  # names are links there, and who is named is told, whatever the entities say
CHAT = re.compile(r"-?\d{1,20}|@[A-Za-z]\w{3,31}", re.ASCII)
TOKEN = re.compile(r"\d{1,20}:[A-Za-z0-9_-]{10,100}")


def render(telling: Telling, options: Json) -> Rendered:
    """A text with entities, so that nothing in it needs to be escaped. Chat and topic are not frozen with it: a group
    that has become a supergroup has another number, and what waits for it is to be sent there."""
    card = card_of(telling)
    text = _Text()
    text.add(fit(card.title, TITLE, escape=ESCAPE), "bold")
    if card.code:
        text.add("\n").add(fit(card.code, FACT, escape=ESCAPE), "bold")
        if card.said:
            text.add(": ").add(fit(card.said, ERROR, escape=ESCAPE))
    elif card.said:
        text.add("\n").add(fit(card.said, PROMPT, escape=ESCAPE), "blockquote")
    for label, value in card.facts:
        text.add("\n").add(label, "bold").add(f" {fit(value, FACT, escape=ESCAPE)}")
    for index, (label, url) in enumerate(card.all_links):
        text.add(" | " if index else "\n").add(label, "text_link", url=url)
    if card.footer:
        text.add("\n").add(fit(card.footer, FOOTER, escape=ESCAPE), "code")
    body: Json = {
        "text": text.text,
        "entities": text.entities,
        "link_preview_options": {"is_disabled": True},
    }
    if options.get("silent"):
        body["disable_notification"] = True
    return Rendered(body=dump_text(body))


def request(target: Target, body: str) -> HttpRequest:
    """Chat, topic and token as they are now; the token goes into the path here and nowhere else."""
    url = f"{target.url.rstrip('/')}/bot{target.options.get('token')}/sendMessage"
    message: Json = {"chat_id": target.options.get("chat_id")}
    if target.options.get("thread_id"):
        message["message_thread_id"] = target.options["thread_id"]
    frozen = loads(body)
    for name in ("chat_id", "message_thread_id"):  # older deliveries have them in their body
        frozen.pop(name, None)
    return post_json(Target(url=url), dump_text(message | frozen))


def check(target: Target) -> None:
    """The URL is that of the Bot API, Telegram's or one's own; chat and token are options."""
    check_host("telegram")(target)
    parts = urlsplit(target.url)
    if re.search(r"/bot\d", path_of(target.url)) or parts.query or parts.fragment:
        raise invalid(
            "url",
            "must be https://api.telegram.org, or where your own Bot API server is; the bot's token belongs into "
            "format_options.token, where it is kept secret",
        )
    if not CHAT.fullmatch(str(target.options.get("chat_id"))):
        raise invalid("format_options.chat_id", "must be a number, such as -1001234567890, or the @name of a channel")
    token = target.options.get("token")
    if token is not None and not TOKEN.fullmatch(str(token)):
        raise invalid("format_options.token", "is no bot token; BotFather's look like 123456:ABC-DEF1234…")


def judge(answer: HttpAnswer, now: int) -> Verdict:
    """By status, and by `description` where a 400 has several causes."""
    body = read_answer(answer)
    if answer.status == 200 and body.get("ok") is True:
        return DELIVERED
    said = body.get("description")
    words = said if isinstance(said, str) else read_words(answer)
    error = f"Telegram answered HTTP {answer.status}" + (f": {words}" if words else "")
    if answer.status == 403:
        return gone(error, "the bot was blocked or removed from the chat; add it again, then send a test")
    if answer.status in (401, 404):
        return gone(error, "the bot's token is wrong or was revoked; give the new one in the option `token`")
    moved = pick(body, ("parameters", "migrate_to_chat_id"))
    if isinstance(moved, int):
        return gone(error, f"the group has become a supergroup; set the option `chat_id` to {moved}")
    if "chat not found" in words.lower():
        return gone(error, "there is no such chat, or the bot is not in it; correct the option `chat_id`")
    busy = judge_busy(answer, now, "Telegram", retry_after_ms=seconds_at(body, "parameters", "retry_after"))
    if busy is not None:
        return busy
    return degraded(error) if answer.status in (400, 413) else refused(error)


def degrade(body: str) -> str | None:
    """Without entities; the links stand below, as far as they fit."""
    message = loads(body)
    entities = message.pop("entities", None)
    if not entities:
        return None
    for entity in entities:
        line = f"\n{entity.get('url', '')}"
        if len(line) > 1 and utf16(message["text"] + line) <= MESSAGE:
            message["text"] += line
    return dump_text(message)


FORMAT = Format(
    name="telegram",
    title="Telegram",
    source="subscribers.md, section c",
    render=render,
    options=(
        Option(name="chat_id", kind=str, required=True, longest=40, meaning="the chat: its number or its @name"),
        Option(name="token", kind=str, required=True, secret=True, meaning="the bot's token, as BotFather gave it"),
        Option(name="thread_id", kind=int, low=1, high=2**53, meaning="the topic of a forum"),
        Option(name="silent", kind=bool, default=False, meaning="messages make no sound"),
    ),
    check=check,
    request=request,
    judge=judge,
    degrade=degrade,
    signed=False,
    pauses=PAUSES,
    spacing_ms=1000,
)


class _Text:
    """A text that is written bit by bit, with the places of what stands out in it."""

    def __init__(self) -> None:
        self.text = ""
        self.entities: list[Json] = []

    def add(self, words: str, kind: str | None = None, **more: Any) -> "_Text":
        if kind and words:
            self.entities.append({"type": kind, "offset": utf16(self.text), "length": utf16(words), **more})
        self.text += words
        return self
