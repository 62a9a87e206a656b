"""The demo's subscribers that are products: a Zap with its REST hook, and a Slack channel, which is as strict as Slack.

What Slack takes is from subscribers.md, section b, and Slack's Block Kit reference.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import PlainTextResponse, Response

from service.demo_subscribers import Received, Subscriber, Verifier
from service.wire import Json, loads, pick

HOOK, CHANNEL = "/hooks/catch/1/demo", "/services/T0DEMO/B0DEMO/demo"  # paths, as the two products spell them

BLOCKS, FIELDS, ELEMENTS = 50, 10, 25
TEXT, HEADER, SECTION, FIELD, ALT_TEXT, URL = 40_000, 150, 3_000, 2_000, 2_000, 3_000  # characters


@dataclass(slots=True)
class Zap(Verifier):
    """Learns its fields from samples, and is lost when an event has others. sample: the keys of them."""

    sample: frozenset[str] = frozenset()

    def live(self) -> Iterator[Json]:
        """The events that it has taken."""
        for seen in self.log:
            if seen.taken:
                yield loads(seen.body)


@dataclass(slots=True)
class Channel(Subscriber):
    """Answers `ok`, and nothing else that would be a success. refusals: what was wrong with messages."""

    refusals: list[str] = field(default_factory=list)

    def take(self, path: str, message_id: str, body: bytes, headers: dict[str, str]) -> Response:
        wrong = [] if headers.get("content-type") == "application/json" else ["it is not sent as JSON"]
        try:
            wrong += faults(loads(body))
        except ValueError:
            wrong.append("it is no JSON")
        self.refusals += wrong
        status, words = (400, "invalid_blocks") if wrong else (200, "ok")
        self.log.append(Received(path=path, message_id=message_id, body=body, answer=status))
        return PlainTextResponse(words, status)


def faults(message: Any) -> Iterator[str]:
    """Why Slack would not take a message, in words."""
    yield from _text(pick(message, ("text",)), TEXT, "text")
    blocks = pick(message, ("blocks",))
    if not isinstance(blocks, list) or not 0 < len(blocks) <= BLOCKS:
        yield f"blocks: must be 1 to {BLOCKS}"
        return
    for block in blocks:
        yield from _block(block)


def _block(block: Any) -> Iterator[str]:
    kind = pick(block, ("type",))
    match kind:
        case "header":
            yield from _text(pick(block, ("text", "text")), HEADER, "header")
        case "section":
            fields = block.get("fields")
            if "text" in block or fields is None:
                yield from _text(pick(block, ("text", "text")), SECTION, "section")
            if fields is not None:
                yield from _many(fields, FIELDS, "section.fields")
                for each in fields:
                    yield from _text(pick(each, ("text",)), FIELD, "section.fields")
        case "image":
            yield from _text(block.get("image_url"), URL, "image_url")
            yield from _text(block.get("alt_text"), ALT_TEXT, "alt_text")
        case "context":
            yield from _many(block.get("elements"), FIELDS, "context")
        case "actions":
            yield from _many(block.get("elements"), ELEMENTS, "actions")
        case _:
            yield f"{kind}: there is no such block"


def _text(value: Any, most: int, at: str) -> Iterator[str]:
    if not isinstance(value, str) or not 0 < len(value) <= most:
        yield f"{at}: must be a text of 1 to {most} characters"


def _many(value: Any, most: int, at: str) -> Iterator[str]:
    if not isinstance(value, list) or not 0 < len(value) <= most:
        yield f"{at}: must be 1 to {most}"
