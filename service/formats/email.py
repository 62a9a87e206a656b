"""E-mail: plain text and simple HTML, frozen as one JSON text that the sender makes a message of.

    {"subject", "text", "html", "message_id": the part before the "@", "timestamp": unix seconds}

Whom it goes to stands in the subscription's URL alone, `mailto:a@example.com,b@example.com`; `recipients` reads it.
"""

import re
from html import escape
from typing import Any

from service.clock import MINUTE
from service.errors import invalid
from service.formats.flat import clip, headline, one_line, sentence
from service.formats.shape import DELIVERED, Format, Judgement, Option, Rendered, Target, Telling, Verdict
from service.wire import HttpAnswer, Json, dump_text, pick

RECIPIENTS_MOST = 10
SUBJECT_LENGTH, MESSAGE_LENGTH = 200, 1_000

# RFC 5322's dot-atom, without the signs that mean something in a mailto: URL (RFC 6068); RFC 5321's lengths.
_WORD = r"[A-Za-z0-9!$'*+/=^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?=.{{1,64}}@){_WORD}(\.{_WORD})*@(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})+")


def render(telling: Telling, options: Json) -> Rendered:
    envelope = telling.envelope
    title, said = headline(envelope), clip(sentence(envelope), MESSAGE_LENGTH) or ""
    message = "\n".join(one_line(line, MESSAGE_LENGTH) for line in said.splitlines())
    prefix = options.get("subject_prefix")
    body = {
        "subject": one_line(f"{prefix} {title}" if prefix else title, SUBJECT_LENGTH),
        "text": _write_text(title, message, facts(envelope), links(envelope)),
        "html": _write_html(title, message, facts(envelope), links(envelope)),
        "message_id": envelope["id"],
        "timestamp": telling.event.created_at // 1000,
    }
    return Rendered(body=dump_text(body))


def check(target: Target) -> None:
    recipients(target.url)


def recipients(url: str) -> list[str]:
    """The addresses of a mailto: URL; a Problem that names `url` where it is none, or says more than addresses."""
    scheme, _, rest = url.partition(":")
    if scheme.lower() != "mailto":
        raise invalid("url", "must be mailto: and an e-mail address, such as mailto:team@example.com")
    addresses = rest.split(",")
    if len(addresses) > RECIPIENTS_MOST:
        raise invalid("url", f"must not name more than {RECIPIENTS_MOST} recipients; make another subscription")
    for address in addresses:
        if not _ADDRESS.fullmatch(address):
            raise invalid(
                "url", f"has no e-mail address in {address[:100]!r}: write mailto:name@example.com, without ? and %"
            )
    return list(dict.fromkeys(addresses))


def judge(answer: HttpAnswer, now: int) -> Verdict:
    """status: the reply code of the mail server (RFC 5321, 4.2.1): 2yz is taken, 4yz is for later, 5yz is final."""
    status = answer.status
    if 200 <= status < 300:
        return DELIVERED
    error = f"the mail server answered {status}"
    if status in (530, 534, 535, 538):  # RFC 4954, 6: about whoever sends, not about this message
        hint = "look at the user name and password for the mail server in the settings"
        return Verdict(judgement=Judgement.RETRY, error=error, hint=hint, holds=True)
    if status >= 500:
        hint = "look at the addresses of the subscription, and at what the mail server says"
        return Verdict(judgement=Judgement.REFUSED, error=error, hint=hint)
    return Verdict(judgement=Judgement.RETRY, error=error)


FORMAT = Format(
    name="email",
    title="e-mail by SMTP",
    source="RFC 5321, RFC 5322, RFC 6068; subscribers.md, section c",
    render=render,
    options=(
        Option(name="subject_prefix", kind=str, meaning="what every subject begins with, such as [video]", longest=50),
    ),
    check=check,
    judge=judge,
    transport="smtp",
    signed=False,
    # a receiver knows a second copy by its Message-ID; a mail of days ago helps nobody
    pauses=(MINUTE, 5 * MINUTE, 30 * MINUTE, 120 * MINUTE, 360 * MINUTE),
)


def facts(envelope: Json) -> list[tuple[str, str]]:
    """What is worth a line each, where the event says it."""
    data = envelope["data"]
    cost = pick(data, ("task", "cost"))
    seconds = pick(data, ("task", "elapsed_seconds"))
    lines: list[tuple[str, Any]] = [
        ("Gateway", pick(data, ("task", "gateway"))),
        ("Model", pick(data, ("task", "model"))),
        ("Took", f"{seconds:g} s" if isinstance(seconds, int | float) else None),
        ("Cost", f"{cost.get('amount')} {cost.get('currency')}" if isinstance(cost, dict) else None),
        ("Link valid until", watch_link(envelope)[1]),
        ("Error code", pick(data, ("task", "error", "code"))),
        ("Reference", pick(data, ("task", "external_id"))),
        ("Task", pick(data, ("task", "id"))),
        ("Subscription", pick(data, ("subscription", "id"))),
        ("Delivery", pick(data, ("delivery", "id"))),
        ("Event", f"{envelope['id']} ({envelope['type']})"),
        ("Happened", envelope["timestamp"]),
    ]
    return [(name, one_line(value, 200)) for name, value in lines if isinstance(value, str) and value]


def links(envelope: Json) -> list[tuple[str, str]]:
    """Mail scanners follow them: none may do anything but show."""
    task = pick(envelope, ("data", "task"))
    found = [
        ("Watch the video", watch_link(envelope)[0]),
        ("Open the task", _web(pick(task, ("links", "self_html")))),
        ("Try again", _web(pick(task, ("links", "retry_html")))),
    ]
    return [(label, url) for label, url in found if url]


def watch_link(envelope: Json) -> tuple[str | None, str | None]:
    """(where the video can be watched without a key, until when, where that is known)."""
    video = pick(envelope, ("data", "task", "video"))
    for name in ("preview_url", "content_url", "url"):
        if (url := _web(pick(video, (name,)))) is not None:
            return url, pick(video, (f"{name}_expires_at",))
    return None, None


def _web(url: Any) -> str | None:
    """An absolute http(s) URL without blanks; what else may be written there is no link."""
    return url if isinstance(url, str) and re.fullmatch(r"https?://[^\s<>\"]+", url) else None


def _write_text(title: str, message: str, lines: list[tuple[str, str]], urls: list[tuple[str, str]]) -> str:
    parts = [title, message] if message != title else [title]
    parts += ["\n".join(f"{label}:\n{url}" for label, url in urls)] if urls else []
    parts.append("\n".join(f"{name}: {value}" for name, value in lines))
    return "\n\n".join(parts) + "\n"


def _write_html(title: str, message: str, lines: list[tuple[str, str]], urls: list[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in lines)
    anchors = " | ".join(f'<a href="{escape(url)}">{escape(label)}</a>' for label, url in urls)
    quoted = "<br>".join(escape(line) for line in message.splitlines()) if message != title else ""
    return (
        '<!doctype html><html><head><meta charset="utf-8"></head><body style="font-family:sans-serif">'
        f"<h2>{escape(title)}</h2>"
        + (f"<p>{quoted}</p>" if quoted else "")
        + (f"<p>{anchors}</p>" if anchors else "")
        + f'<table cellpadding="4">{rows}</table></body></html>'
    )
