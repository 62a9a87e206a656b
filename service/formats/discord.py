"""Discord messages for webhooks (subscribers.md, section c; Discord's documentation of webhooks and embeds)."""

from urllib.parse import urlsplit, urlunsplit

from service.errors import invalid
from service.formats.card import Card, Mood, card_of, public_link
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
from service.formats.fitting import ZERO_WIDTH, backslashed, fit, join
from service.formats.shape import DELIVERED, Format, Rendered, Target, Telling, Verdict, post_json
from service.wire import HttpAnswer, HttpRequest, Json, dump_text, loads

# Discord's own limits: title 256, description 4096, 25 fields of 256 and 1024, footer 2048, content 2000, an embed
# 6000. Title and description are kept so short that they can be the content of a message without embeds.
TITLE = 256
PROMPT = 500
ERROR = 650
LINKS = 800
FACT = 200
FOOTER = 500

COLORS = {Mood.GOOD: 0x2EB67D, Mood.BAD: 0xE01E5A, Mood.NEUTRAL: 0x5865F2}
ESCAPE = {**backslashed("\\`*_~|>#[]<"), ord("@"): f"@{ZERO_WIDTH}"}
QUOTED = {**ESCAPE, ord("\n"): "\n> "}

NEEDS_THREAD = 220001  # a forum channel: "must have a thread_name or thread_id"


def render(telling: Telling, options: Json) -> Rendered:
    """A message of one embed that mentions nobody, whatever stands in it."""
    card = card_of(telling)
    embed: Json = {
        "title": fit(card.title, TITLE, escape=ESCAPE),
        "color": COLORS[card.mood],
        "fields": [
            {"name": label, "value": fit(value, FACT, escape=ESCAPE), "inline": True} for label, value in card.facts
        ],
    }
    # A URL without a public name is "not well formed" to Discord (bugsink issue 280).
    url = next(filter(None, (public_link(url) for _, url in card.links)), None)
    optional = {
        "url": url,
        "description": _description(card),
        "image": {"url": card.image_url} if card.image_url else None,
        "footer": {"text": fit(card.footer, FOOTER)} if card.footer else None,
    }
    embed |= {name: value for name, value in optional.items() if value}
    return Rendered(body=dump_text({"embeds": [embed], "allowed_mentions": {"parse": []}}))


def request(target: Target, body: str) -> HttpRequest:
    """With `wait`: without it a message that is not saved returns no error (Discord's documentation)."""
    parts = urlsplit(target.url)
    query = [pair for pair in parts.query.split("&") if pair and pair.partition("=")[0] != "wait"]
    url = urlunsplit(parts._replace(query="&".join([*query, "wait=true"]), fragment=""))
    return post_json(Target(url=url), body)


def check(target: Target) -> None:
    check_host("discord")(target)
    if path_of(target.url).rstrip("/").endswith(("/slack", "/github")):
        raise invalid("url", "must be the webhook's own address: leave out the last part, /slack or /github")


def judge(answer: HttpAnswer, now: int) -> Verdict:
    """Who goes on to ask for what is gone, or is not his, is locked out by Discord: these end it at once."""
    if 200 <= answer.status < 300:
        return DELIVERED
    body, words = read_answer(answer), read_words(answer)
    error = f"Discord answered HTTP {answer.status}" + (f": {words}" if words else "")
    if answer.status in (401, 404):
        return gone(error, "the webhook was deleted; add a new one in Discord and subscribe its URL")
    busy = judge_busy(answer, now, "Discord", retry_after_ms=seconds_at(body, "retry_after"))
    if busy is not None:
        return busy
    if body.get("code") == NEEDS_THREAD:
        return refused(error, "this is a forum channel; add ?thread_id=… to the URL of the subscription")
    return degraded(error) if answer.status in (400, 413) else refused(error)


def degrade(body: str) -> str | None:
    """Without image and link, which Discord looks at; then as plain text."""
    message = loads(body)
    embeds = message.pop("embeds", None)
    if not embeds:
        return None
    embed = embeds[0]
    if "image" in embed or "url" in embed:
        embed.pop("image", None)
        embed.pop("url", None)
        return dump_text(message | {"embeds": [embed]})
    content = "\n".join(filter(None, [f"**{embed['title']}**", embed.get("description")]))
    return dump_text({"content": content} | message)


FORMAT = Format(
    name="discord",
    title="Discord",
    source="subscribers.md, section c",
    render=render,
    check=check,
    request=request,
    judge=judge,
    degrade=degrade,
    signed=False,
    secret_url=True,
    pauses=PAUSES,
    spacing_ms=500,
)


def _description(card: Card) -> str:
    """What is quoted, and the links, each of them whole."""
    links = join([f"[{label}]({url})" for label, url in card.all_links], " · ", LINKS)
    said = ""
    if card.code:
        said = f"**{fit(card.code, FACT, escape=ESCAPE)}**"
        said += f": {fit(card.said, ERROR, escape=ESCAPE)}" if card.said else ""
    elif card.said:
        said = f"> {fit(card.said, PROMPT, escape=QUOTED)}"
    return "\n\n".join(filter(None, [said, links]))
