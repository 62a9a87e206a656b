"""Notifications by ntfy, for phones (subscribers.md, section c; ntfy's documentation of publishing as JSON)."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from service.errors import invalid
from service.formats.card import Mood, card_of
from service.formats.chat import PAUSES, check_host, degraded, judge_busy, path_of, read_answer, read_words, refused
from service.formats.fitting import fit, join, utf8
from service.formats.shape import DELIVERED, Format, Option, Rendered, Target, Telling, Verdict
from service.wire import HttpAnswer, HttpRequest, Json, dump_text, loads

# Bytes: a message longer than 4096 would become an attachment.
MESSAGE = 4_096
SAID = 2_000
TITLE = 250
FACT = 300
ACTIONS = 3

TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
TAGS: Mapping[str, str] = {  # ntfy shows those that name an emoji as that emoji
    "task.accepted": "inbox_tray",
    "task.running": "clapper",
    "task.succeeded": "white_check_mark",
    "task.failed": "x",
    "task.cancelled": "no_entry_sign",
    "task.expired": "hourglass",
    "subscription.failing": "warning",
    "subscription.disabled": "no_entry",
    "delivery.exhausted": "mailbox_with_no_mail",
}
PRIORITIES = {Mood.GOOD: 3, Mood.BAD: 4, Mood.NEUTRAL: 2}


def render(telling: Telling, options: Json) -> Rendered:
    """All but the topic, which the subscription's URL may name."""
    card = card_of(telling)
    said = fit(f"{card.code}: {card.said}" if card.code and card.said else card.code or card.said, SAID, measure=utf8)
    facts = [fit(f"{label}: {value}", FACT, measure=utf8) for label, value in card.facts]
    body: Json = {
        "title": fit(card.headline, TITLE, measure=utf8),
        "message": join([said, *facts], "\n", MESSAGE, measure=utf8) or card.type,
        "priority": options.get("priority") or PRIORITIES[card.mood],
        "tags": [TAGS.get(card.type, "information_source")],
    }
    links = card.all_links[:ACTIONS]
    if links:
        body["click"] = links[0][1]
        body["actions"] = [{"action": "view", "label": label, "url": url} for label, url in links]
    if card.image_url:
        body["attach"] = card.image_url
    return Rendered(body=dump_text(body))


def request(target: Target, body: str) -> HttpRequest:
    """JSON goes to the root of the server, wherever the topic was named."""
    headers = {"content-type": "application/json"}
    token = target.options.get("token")
    if token:
        headers["authorization"] = f"Bearer {token}"
    message = {"topic": _topic(target)} | loads(body)
    url = urlunsplit(urlsplit(target.url)._replace(path="/", fragment=""))
    return HttpRequest(method="POST", url=url, headers=headers, body=dump_text(message).encode())


def check(target: Target) -> None:
    """The topic is the only part of the URL's path, or an option, or both and the same."""
    check_host("ntfy")(target)
    named, option = path_of(target.url).strip("/"), target.options.get("topic")
    for at, topic in (("url", named), ("format_options.topic", option)):
        if topic and not TOPIC.fullmatch(topic):
            where = "must be the server's address, or that and a topic" if at == "url" else "is no topic"
            raise invalid(at, f"{where}; a topic has 1 to 64 letters, digits, - and _")
    if not named and not option:
        raise invalid("format_options.topic", "is required where the URL ends without a topic")
    if named and option and named != option:
        raise invalid("format_options.topic", "is not the topic that the URL names; give it once")


def judge(answer: HttpAnswer, now: int) -> Verdict:
    """By status (ntfy's server/errors.go)."""
    if 200 <= answer.status < 300:
        return DELIVERED
    said = read_answer(answer).get("error")
    words = said if isinstance(said, str) else read_words(answer)
    error = f"ntfy answered HTTP {answer.status}" + (f": {words}" if words else "")
    if answer.status in (401, 403):
        return refused(error, "the topic is protected; give an access token in the option `token`")
    if answer.status == 404:
        return refused(error, "is this an ntfy server? Its address has no path but the topic")
    return judge_busy(answer, now, "ntfy") or degraded(error)


def degrade(body: str) -> str | None:
    """Without image, links and actions: what is left is text."""
    message = loads(body)
    bare = {name: value for name, value in message.items() if name not in ("attach", "click", "actions")}
    return dump_text(bare) if len(bare) < len(message) else None


FORMAT = Format(
    name="ntfy",
    title="ntfy",
    source="subscribers.md, section c",
    render=render,
    options=(
        Option(name="topic", kind=str, longest=64, meaning="the topic, where the URL is the server's root"),
        Option(
            name="priority",
            kind=int,
            low=1,
            high=5,
            meaning="of every message, 1 to 5; 4 for bad news, 3 for good and 2 for the rest otherwise",
        ),
        Option(name="token", kind=str, secret=True, meaning="an access token, where the topic is protected"),
    ),
    check=check,
    request=request,
    judge=judge,
    degrade=degrade,
    signed=False,
    pauses=PAUSES,
    spacing_ms=1000,
)


def _topic(target: Target) -> str:
    return path_of(target.url).strip("/") or str(target.options.get("topic") or "")
