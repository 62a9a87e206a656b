"""Microsoft Teams messages for Workflows: an Adaptive Card (subscribers.md, section c; the Adaptive Cards schema)."""

from collections.abc import Iterator

from service.errors import invalid
from service.formats.card import Card, Mood, card_of
from service.formats.chat import (
    PAUSES,
    check_host,
    degraded,
    gone,
    host_of,
    judge_busy,
    read_answer,
    read_words,
    refused,
)
from service.formats.fitting import fit, utf8
from service.formats.shape import Format, Judgement, Option, Rendered, Target, Telling, Verdict
from service.wire import HttpAnswer, Json, dump_text, loads, pick

MOST_BYTES = 20_000  # Teams takes about 28 KB, and answers 413 to some that are shorter
TITLE = 300
PROMPT = 1_000
ERROR = 900
FACT = 200
FOOTER = 300

COLORS = {Mood.GOOD: "Good", Mood.BAD: "Attention", Mood.NEUTRAL: "Default"}
CARD = "application/vnd.microsoft.card.adaptive"
# What is left out of a card that is too large, in this order.
SPARED = ("image", "footer", "facts")

ACCEPTED = "the workflow took it; whether it was posted stands in the workflow's run history"
SWITCHED_OFF = "the workflow is switched off; switch it on in the Workflows app of Teams"
DELETED = "the workflow was deleted; make a new one in Teams and subscribe its URL"


def render(telling: Telling, options: Json) -> Rendered:
    """A card, below the size that Teams takes."""
    card = card_of(telling)
    content: Json = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": list(_elements(card)),
    }
    if card.all_links:
        content["actions"] = [{"type": "Action.OpenUrl", "title": label, "url": url} for label, url in card.all_links]
    message = content if options.get("teams_card") == "bare" else _wrapped(content)
    for name in SPARED:
        if utf8(dump_text(message)) > MOST_BYTES:
            _leave_out(content, name)
    while utf8(dump_text(message)) > MOST_BYTES and content.get("actions"):
        content["actions"].pop()
    return Rendered(body=dump_text(message))


def check(target: Target) -> None:
    """The addresses of other services are refused, and those of the connectors that Microsoft has ended."""
    check_host("teams")(target)
    host = host_of(target.url)
    if host.endswith("webhook.office.com") or host == "outlook.office.com":
        raise invalid(
            "url", "belongs to a connector of the old kind; make a workflow in Teams instead and give its address"
        )


def judge(answer: HttpAnswer, now: int) -> Verdict:
    """202 says that the workflow has begun, no more. Errors are those of Power Automate and carry a `code`."""
    if 200 <= answer.status < 300:
        return Verdict(judgement=Judgement.DELIVERED, hint=ACCEPTED)
    words, body = read_words(answer), read_answer(answer)
    error = f"Teams answered HTTP {answer.status}" + (f": {words}" if words else "")
    code = pick(body, ("error", "code")) or body.get("code")
    if answer.status == 410 or code == "WorkflowNotFound":
        return gone(error, DELETED)
    if code == "WorkflowTriggerIsNotEnabled":  # of a deleted one too, which is told apart by its state alone
        return gone(error, DELETED) if "'Deleted'" in words else refused(error, SWITCHED_OFF)
    if answer.status in (401, 403):
        return refused(error, "copy the whole address again, `sig` included; the workflow must let anyone trigger it")
    busy = judge_busy(answer, now, "Teams")
    if busy is not None:
        return busy
    if answer.status in (400, 413):
        return degraded(error, "if the workflow posts its input as a card, set the option `teams_card` to `bare`")
    return refused(error)


def degrade(body: str) -> str | None:
    """Without its image; then nothing but the headline, what is quoted, and the links."""
    message = loads(body)
    content = message["attachments"][0]["content"] if "attachments" in message else message
    for names in (SPARED[:1], SPARED[1:]):
        before = len(content["body"])
        for name in names:
            _leave_out(content, name)
        if len(content["body"]) < before:
            return dump_text(message)
    return None


FORMAT = Format(
    name="teams",
    title="Microsoft Teams",
    source="subscribers.md, section c",
    render=render,
    options=(
        Option(
            name="teams_card",
            kind=str,
            default="wrapped",
            allowed=("wrapped", "bare"),
            meaning="wrapped: a message that holds the card, as most workflow templates expect; bare: the card alone",
        ),
    ),
    check=check,
    judge=judge,
    degrade=degrade,
    signed=False,
    secret_url=True,
    pauses=PAUSES,
    spacing_ms=1000,
)


def _wrapped(content: Json) -> Json:
    return {"type": "message", "attachments": [{"contentType": CARD, "contentUrl": None, "content": content}]}


def _elements(card: Card) -> Iterator[Json]:
    """All words are text runs: Markdown is not supported in those, so there is nothing to escape."""
    title = fit(card.title, TITLE)
    yield _rich("headline", _run(title, weight="Bolder", size="Large", color=COLORS[card.mood]))
    code = [_run(fit(card.code, FACT), weight="Bolder")] if card.code else []
    said = [_run(fit(card.said, ERROR if card.code else PROMPT))] if card.said else []
    if code or said:
        yield _rich("said", *code, *([_run(": ")] if code and said else []), *said)
    for place, (label, value) in enumerate(card.facts):
        yield _rich(f"facts{place}", _run(f"{label}  ", isSubtle=True), _run(fit(value, FACT)), spacing="None")
    if card.image_url:
        yield {"type": "Image", "id": "image", "url": card.image_url, "altText": title}
    if card.footer:
        yield _rich("footer", _run(fit(card.footer, FOOTER), isSubtle=True, size="Small"))


def _rich(name: str, *runs: Json, **more: str) -> Json:
    return {"type": "RichTextBlock", "id": name, "inlines": list(runs), **more}


def _run(text: str, **more: str | bool) -> Json:
    return {"type": "TextRun", "text": text, **more}


def _leave_out(content: Json, name: str) -> None:
    """Facts are many, and no two elements of a card may have the same id."""
    content["body"] = [element for element in content["body"] if element["id"].rstrip("0123456789") != name]
