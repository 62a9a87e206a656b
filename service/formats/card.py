"""One card for each event, in no chat service's words: every chat format is rendered from it.

Nothing here is escaped or made to fit, and nothing is raised for any envelope: what an event does not say is left out
of its card.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeGuard
from urllib.parse import quote, urlsplit

from service.formats.shape import Telling
from service.guard import Guard
from service.wire import Json, pick

LONGEST_LINK = 2_000  # characters
LONGEST_TEXT = 5_000  # characters: more than any chat format shows, so that each of them sees that it must cut
FACTS = 10  # as many as a Slack section takes
API_LINK = "Task (API)"  # where there are no pages
LABEL = 40  # characters of what a fact is called
_IMAGES = (".png", ".jpg", ".jpeg", ".gif")
_LOCAL = (".local", ".localhost", ".internal", ".intranet", ".lan", ".home", ".arpa", ".test", ".invalid")
_GUARD = Guard()

# What is not seen: control characters, and those that turn the direction of what follows, which is not theirs to turn.
_UNSEEN: Mapping[int, str | None] = {
    **dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)]),
    **dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF]),
    0x2028: "\n",
    0x2029: "\n",
}


class Mood(StrEnum):
    """Whether it is good news."""

    GOOD = "good"
    BAD = "bad"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something that a reader can do about a task. name: retry or cancel. url: a page that asks for confirmation.
    token: what a button carries to say the same."""

    name: str
    label: str
    url: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What people are told. symbol: one emoji. headline: one line. said: what is quoted, the prompt or an error's
    message; code: the error's, None where the prompt is quoted. facts: (label, value), one line each. image_url: only
    what a service on the internet can fetch. links: (label, URL), absolute, without characters that any markup knows.
    footer: one line of ids. test: somebody asked for it, to see whether it arrives."""

    type: str
    mood: Mood
    symbol: str
    headline: str
    said: str = ""
    code: str | None = None
    facts: tuple[tuple[str, str], ...] = ()
    image_url: str | None = None
    links: tuple[tuple[str, str], ...] = ()
    actions: tuple[Action, ...] = ()
    footer: str = ""
    test: bool = False

    @property
    def title(self) -> str:
        """The headline with its symbol."""
        return f"{self.symbol} {self.headline}"

    @property
    def all_links(self) -> tuple[tuple[str, str], ...]:
        """links, and the actions as links."""
        return self.links + tuple((f"{action.label}…", action.url) for action in self.actions)


def card_of(telling: Telling) -> Card:
    """The card of an event, test or not, of any type."""
    envelope = telling.envelope
    event_type = telling.event.type
    mood, symbol, words = _TYPES.get(event_type, (Mood.NEUTRAL, "🔔", event_type))
    about = _about_task if _dict(envelope, "data", "task") else _about_others
    parts = about(envelope)
    test = envelope.get("test") is True
    headline = f"{words}: {parts.subject}" if parts.subject else words
    return Card(
        type=event_type,
        mood=mood,
        symbol=symbol,
        headline=f"[Test] {headline}" if test else headline,
        said=parts.said,
        code=parts.code,
        facts=tuple((label[:LABEL], value) for label, value in parts.facts if value)[:FACTS],
        image_url=parts.image_url,
        links=parts.links,
        actions=parts.actions,
        footer=" · ".join(filter(None, [*parts.footer, "a test" if test else ""])),
        test=test,
    )


_TYPES: Mapping[str, tuple[Mood, str, str]] = {
    "task.accepted": (Mood.NEUTRAL, "📥", "Video accepted"),
    "task.running": (Mood.NEUTRAL, "🎬", "Video under way"),
    "task.succeeded": (Mood.GOOD, "✅", "Video ready"),
    "task.failed": (Mood.BAD, "❌", "Video failed"),
    "task.cancelled": (Mood.NEUTRAL, "🚫", "Video cancelled"),
    "task.expired": (Mood.BAD, "⌛", "Video expired"),
    "subscription.failing": (Mood.BAD, "⚠️", "Subscription failing"),
    "subscription.disabled": (Mood.BAD, "⛔", "Subscription disabled"),
    "delivery.exhausted": (Mood.BAD, "📪", "Delivery given up"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    subject: str
    said: str = ""
    code: str | None = None
    facts: list[tuple[str, str]] = field(default_factory=list)
    image_url: str | None = None
    links: tuple[tuple[str, str], ...] = ()
    actions: tuple[Action, ...] = ()
    footer: list[str]


# --- about a task


def _about_task(envelope: Json) -> _Parts:
    task = _dict(envelope, "data", "task")
    error = _dict(task, "error")
    code = _line(error.get("code"))
    origin = "/".join(filter(None, [_line(task.get("gateway")), _line(task.get("model"))]))
    subject = _line(task.get("title")) or _line(task.get("prompt")) or _line(task.get("id"))
    if code and task.get("status") == "failed":
        subject = f"{subject} - {code}"
    elif origin:
        subject = f"{subject} ({origin})"
    source = _line(task.get("result_source"))
    return _Parts(
        subject=subject,
        said=_text(error.get("message")) if error else _text(task.get("prompt")),
        code=code or None,
        facts=list(_facts(task, origin)),
        image_url=image_link(pick(task, ("video", "thumbnail_url"))),
        links=tuple(_links(task)),
        actions=tuple(_actions(task)),
        footer=[
            _line(task.get("id")),
            _line(envelope.get("id")),
            _instant(task.get("finished_at") or envelope.get("timestamp")),
            f"via {source}" if source else "",
        ],
    )


def _facts(task: Json, origin: str) -> Iterator[tuple[str, str]]:
    video, error = _dict(task, "video"), _dict(task, "error")
    attempt, progress = task.get("attempt"), task.get("progress")
    took = _span(task.get("elapsed_seconds"))
    if _number(attempt) and attempt != 1:
        took = f"{took} · attempt {attempt}".removeprefix(" · ")
    yield "Gateway", origin
    yield "Took", took
    if video:
        shape = (_span(video.get("duration_seconds")), video.get("resolution"), video.get("aspect_ratio"))
        yield "Video", _dotted(*shape, _size(video.get("size_bytes")))
        expires_at = video.get("content_url_expires_at") or video.get("url_expires_at")
        yield "Link valid until", _instant(expires_at)
    elif not error:
        seconds = task.get("duration")
        length = _span(seconds) if _number(seconds) and seconds > 0 else ""
        yield "Ordered", _dotted(length, task.get("resolution"), task.get("ratio"))
    if task.get("status") == "running" and _number(progress) and progress:
        yield "Progress", f"{progress} %"
    yield "Cost", _cost(_dict(task, "cost"))
    yield "Fell back from", _line(task.get("fallback_from"))
    yield "Gateway said", _line(error.get("gateway_code"))
    if error:
        retry = error.get("retryable") is True or web_link(_dict(task, "links").get("retry_html"))
        yield "Can retry", "yes" if retry else "no"
    yield "Reference", _line(task.get("external_id"))


def _links(task: Json) -> Iterator[tuple[str, str]]:
    video, links = _dict(task, "video"), _dict(task, "links")
    watch = next(filter(None, (web_link(video.get(name)) for name in ("preview_url", "content_url", "url"))), None)
    if watch:
        yield "Watch", watch
    page, itself = web_link(links.get("self_html")), web_link(links.get("self"))
    if page:
        yield "Open task", page
    elif itself:
        yield API_LINK, itself


def _actions(task: Json) -> Iterator[Action]:
    """Retry is for what failed and may go well the next time; Cancel for what is not over."""
    links, status = _dict(task, "links"), task.get("status")
    retry, cancel = web_link(links.get("retry_html")), web_link(links.get("cancel_html"))
    if retry and status in ("failed", "expired"):
        yield Action(name="retry", label="Retry", url=retry, token=_last_segment(retry))
    if cancel and status in ("queued", "running"):
        yield Action(name="cancel", label="Cancel", url=cancel, token=_last_segment(cancel))


# --- about a subscription or a delivery


def _about_others(envelope: Json) -> _Parts:
    """All plain values that the event has, but for addresses: the URL of an endpoint may be a capability."""
    data = _dict(envelope, "data")
    subscription, delivery = _dict(data, "subscription"), _dict(data, "delivery")
    given = [pick(holder, path) for path in _REASONS for holder in (data, delivery, subscription)]
    said = next((text for text in map(_text, given) if text), "")
    facts = [
        (f"{prefix}{key.replace('_', ' ')}".capitalize(), _line(value))
        for prefix, holder in (("", data), ("delivery ", delivery), ("subscription ", subscription))
        for key, value in holder.items()
        if _is_plain(value) and value != said and not any(word in key for word in ("url", "secret", "token", "body"))
    ]
    pages = [("Open", web_link(pick(holder, ("links", "self_html")))) for holder in (data, delivery, subscription)]
    return _Parts(
        subject=_line(subscription.get("description")) or _line(subscription.get("id")),
        said=said,
        facts=facts,
        links=tuple((label, url) for label, url in pages if url)[:1],
        footer=[_line(envelope.get("id")), _instant(envelope.get("timestamp"))],
    )


_REASONS = (("error", "message"), ("error",), ("reason",), ("disabled_reason",), ("last_error",))


# --- links


def web_link(value: Any) -> str | None:
    """An absolute http(s) URL that can stand in any markup; None for anything else."""
    if not isinstance(value, str) or not value.startswith(("https://", "http://")):
        return None
    safe = quote(value, safe="%:/?#[]!$&'*+,;=~", errors="replace")
    return safe if len(safe) <= LONGEST_LINK and _host(safe) else None


def public_link(value: Any) -> str | None:
    """web_link, where somebody on the internet can reach it, as far as the name of its host tells."""
    url = web_link(value)
    host = _host(url) if url else ""
    if not url or "." not in host.strip(".") or host.endswith(_LOCAL):
        return url if url and ":" in host and _is_open(host) else None
    return url if not host.replace(".", "").isdigit() or _is_open(host) else None


def image_link(value: Any) -> str | None:
    """What Slack and others can fetch and show: a public https URL of a PNG, a JPEG or a GIF. Where one cannot be
    fetched, Slack loses the whole message (subscribers.md, section b)."""
    url = public_link(value)
    if url is None or not url.startswith("https://"):
        return None
    return url if urlsplit(url).path.lower().endswith(_IMAGES) else None


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _is_open(host: str) -> bool:
    try:
        return _GUARD.refusal(host) is None
    except ValueError:
        return False


def _last_segment(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2]


# --- words


def _text(value: Any) -> str:
    """A text of several lines, without what is not seen."""
    if not isinstance(value, str):
        return ""
    shown = value.strip()[:LONGEST_TEXT].replace("\r\n", "\n").replace("\r", "\n")
    return shown.translate(_UNSEEN).strip()


def _line(value: Any) -> str:
    """The same in one line; "" of what is no plain value."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, int | float) else " ".join(_text(value).split())


def _dict(holder: Any, *path: str) -> Json:
    value = pick(holder, path)
    return value if isinstance(value, dict) else {}


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _dotted(*values: Any) -> str:
    return " · ".join(filter(None, map(_line, values)))


def _instant(value: Any) -> str:
    """An instant of the envelope, in UTC, to the minute."""
    text = _line(value)
    return f"{text[:10]} {text[11:16]} UTC" if len(text) > 16 and text[10] == "T" and text.endswith("Z") else text


def _span(value: Any) -> str:
    """Seconds, in words."""
    if not _number(value) or not 0 <= value < 10**9:
        return ""
    seconds = round(value)
    if seconds < 120:
        return f"{value:g} s" if value < 10 else f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _size(value: Any) -> str:
    if not _number(value) or not 0 < value < 10**15:
        return ""
    return f"{value / 1_000_000:.1f} MB" if value >= 100_000 else f"{value / 1000:.1f} kB"


def _cost(cost: Json) -> str:
    amount, currency, refunded = (_line(cost.get(name)) for name in ("amount", "currency", "refunded"))
    if not amount:
        return ""
    words = f"{amount} {currency}".strip()
    return f"{words} ({refunded} refunded)" if refunded.strip("0.") else words
