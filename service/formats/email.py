"""E-mail: plain text and simple HTML, frozen as one JSON text that the sender makes a message of.

    {"subject", "text", "html", "message_id": the part before the "@", "timestamp": unix seconds}

Whom it goes to stands in the subscription's URL alone, `mailto:a@example.com,b@example.com`.
"""

from html import escape

from service.clock import MINUTE
from service.formats.card import Card, card_of
from service.formats.fitting import fit, one_line
from service.formats.shape import DELIVERED, Format, Judgement, Option, Rendered, Target, Telling, Verdict
from service.mailto import read_recipients
from service.wire import HttpAnswer, Json, dump_text

SUBJECT_LENGTH, MESSAGE_LENGTH = 200, 1_000


def render(telling: Telling, options: Json) -> Rendered:
    """Mail scanners follow every link: what acts upon a task asks for confirmation first."""
    card, prefix = card_of(telling), options.get("subject_prefix")
    message = "\n".join(one_line(line, MESSAGE_LENGTH) for line in fit(card.said, MESSAGE_LENGTH).splitlines())
    body = {
        "subject": one_line(f"{prefix} {card.headline}" if prefix else card.headline, SUBJECT_LENGTH),
        "text": _write_text(card, message),
        "html": _write_html(card, message),
        "message_id": telling.event.id,
        "timestamp": telling.event.created_at // 1000,
    }
    return Rendered(body=dump_text(body))


def check(target: Target) -> None:
    read_recipients(target.url)


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


def _write_text(card: Card, message: str) -> str:
    parts = [card.headline, message] if message else [card.headline]
    parts += ["\n".join(f"{label}:\n{url}" for label, url in card.all_links)] if card.all_links else []
    parts.append("\n".join([*(f"{label}: {value}" for label, value in card.facts), card.footer]))
    return "\n\n".join(parts) + "\n"


def _write_html(card: Card, message: str) -> str:
    rows = "".join(f"<tr><td>{escape(label)}</td><td>{escape(value)}</td></tr>" for label, value in card.facts)
    anchors = " | ".join(f'<a href="{escape(url)}">{escape(label)}</a>' for label, url in card.all_links)
    quoted = "<br>".join(escape(line) for line in message.splitlines())
    return (
        '<!doctype html><html><head><meta charset="utf-8"></head><body style="font-family:sans-serif">'
        f"<h2>{escape(card.title)}</h2>"
        + (f"<p>{quoted}</p>" if quoted else "")
        + (f"<p>{anchors}</p>" if anchors else "")
        + f'<table cellpadding="4">{rows}</table><p><small>{escape(card.footer)}</small></p></body></html>'
    )
