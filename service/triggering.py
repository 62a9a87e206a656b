"""`reelhook trigger`: a sample event, made by the service and told like a live one, or posted straight to a URL."""

from collections.abc import Iterable
from typing import Any

from service.clock import DAY, MINUTE, Clock
from service.egress import Egress
from service.forwarding import Forwarded, Forwarder
from service.links import Links
from service.listening import reason_of
from service.signing import ContentTokens, new_secret
from service.triggered import sample_event
from service.wire import HttpRequest, Json, dumps, loads, read_object

ANSWER_CAP = 8 * 2**20


class NotMade(Exception):
    """The service has not made the event; why."""


async def trigger(egress: Egress, server: str, key: str, event_type: str, changes: Json) -> Json:
    """The service's answer: {event, deliveries}. NotMade with its reason; NotSent or Lost when there is none."""
    request = HttpRequest(
        method="POST",
        url=server.rstrip("/") + "/v1/events",
        headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
        body=dumps({"type": event_type, "set": changes}),
    )
    answer = await egress.ask(request, timeout_ms=MINUTE, cap=ANSWER_CAP)
    if answer.status != 201:
        raise NotMade(reason_of(answer))
    return read_object(answer.body, what="the answer")


async def post_sample(forwarder: Forwarder, event_type: str, changes: Json, clock: Clock) -> tuple[str, Forwarded]:
    """(the event's id, what became of it). A Problem when there can be no such event."""
    links = Links("", ContentTokens(new_secret()), DAY, archiving=False)
    telling = sample_event("sample", event_type, changes, links, clock())
    return telling.event.id, await forwarder.forward(telling)


def read_values(words: Iterable[str], option: str) -> Json:
    """`name=value` for each: the value is JSON, and a string where it is none. ValueError when it is not written so."""
    values: Json = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise ValueError(f"{option}: write it as name=value, not {word!r}")
        values[name] = _value(text)
    return values


def _value(text: str) -> Any:
    try:
        return loads(text)
    except ValueError:
        return text
