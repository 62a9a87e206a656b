"""One level of fixed keys, for tools that learn them from a single event: Zapier, Make, n8n, IFTTT, Power Automate.

The keys are those of subscribers.md, section g, and every one of them is in every event. More may come; none may be
renamed, because saved Zaps and scenarios name them.
"""

import re
from typing import Any

from service.formats.card import card_of
from service.formats.shape import Format, Rendered, Telling
from service.wire import Json, dump_text, pick

PROMPT_LENGTH, MESSAGE_LENGTH, HEADLINE_LENGTH = 1_000, 500, 150
METADATA_PREFIX = "meta_"  # no fixed key begins so, and none of them can become Zapier's own `querystring`

_NUMBER = re.compile(r"-?\d{1,12}(\.\d{1,9})?", re.ASCII)


def render(telling: Telling, options: Json) -> Rendered:
    return Rendered(body=dump_text(flattened(telling)))


FORMAT = Format(
    name="flat",
    title="flat JSON for Zapier, Make, n8n, IFTTT and Power Automate",
    source="subscribers.md, sections a and g",
    render=render,
)


def flattened(telling: Telling) -> Json:
    """An event's envelope on one level: strings, numbers, booleans and nulls. What is about no task says what happened
    in its title and why in its message, as people are told it."""
    envelope = telling.envelope
    task = _object(pick(envelope, ("data", "task")))
    video, error, cost = (_object(task.get(name)) for name in ("video", "error", "cost"))
    links = _object(task.get("links"))
    title, message = _text(task.get("title")), _text(error.get("message"))
    if not task:
        card = card_of(telling)
        title, message = card.headline, card.said or card.headline
    return {
        "id": envelope["id"],
        "event_type": envelope["type"],
        "occurred_at": envelope["timestamp"],
        "task_id": _text(task.get("id")),
        "status": _text(task.get("status")),
        "title": clip(title, HEADLINE_LENGTH),
        "prompt": clip(_text(task.get("prompt")), PROMPT_LENGTH),
        "gateway": _text(task.get("gateway")),
        "model": _text(task.get("model")),
        "video_url": _text(video.get("url")),
        "video_url_expires_at": _text(video.get("url_expires_at")),
        "thumbnail_url": _text(video.get("thumbnail_url")),
        "preview_url": _text(video.get("preview_url")),
        "task_url": _text(links.get("self_html")),
        "duration_seconds": _number(video.get("duration_seconds")),
        "width": _number(video.get("width")),
        "height": _number(video.get("height")),
        "aspect_ratio": _text(video.get("aspect_ratio")),
        "has_audio": _flag(video.get("has_audio")),
        "size_bytes": _number(video.get("size_bytes")),
        "mime_type": _text(video.get("mime_type")),
        "cost_amount": _text(cost.get("amount")),
        "cost_currency": _text(cost.get("currency")),
        "created_at": _text(task.get("created_at")),
        "submitted_at": _text(task.get("submitted_at")),
        "finished_at": _text(task.get("finished_at")),
        "elapsed_seconds": _number(task.get("elapsed_seconds")),
        "attempt": _number(task.get("attempt")),
        "fallback_from": _text(task.get("fallback_from")),
        "error_code": _text(error.get("code")),
        "error_message": clip(message, MESSAGE_LENGTH),
        "error_retryable": _flag(error.get("retryable")),
        "retry_url": _text(links.get("retry_html")),
        "external_id": _text(task.get("external_id")),
        "result_source": _text(task.get("result_source")),
        "test": envelope.get("test") is True,
    } | {METADATA_PREFIX + key: _as_text(value) for key, value in _object(task.get("metadata")).items()}


def clip(text: str | None, most: int) -> str | None:
    """At most so many characters; what was left out is seen by the "…" at the end."""
    return text if text is None or len(text) <= most else text[: most - 1].rstrip() + "…"


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(value: Any) -> int | float | None:
    """Gateways write some of their numbers as texts."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _as_text(value: Any) -> str | None:
    """Always a text, so that a tool that has learnt its type is right the next time too; what is no text as JSON."""
    return value if isinstance(value, str) or value is None else dump_text(value)
