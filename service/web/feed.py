"""Events over HTTP: lists of them, pulled from a cursor as a fallback for webhooks, and samples on demand."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.errors import Problem, invalid
from service.feed import Wanted
from service.keys import Caller
from service.model import EVENT_TYPES, Event
from service.store.rows import Window
from service.subscriptions import type_matches
from service.triggered import sample_event
from service.web.answers import json_answer
from service.web.entry import SMALL_BODY, entered, page
from service.web.requests import WINDOW, read_choice, read_json, read_query, read_window
from service.web.shown import show_delivery, show_event
from service.wiring import Services

SHOWN_MOST = 200


async def list_events(request: Request) -> Response:
    """Newest first; with `after` from there on, oldest first."""
    services, caller = await entered(request)
    if "after" in request.query_params:
        return await _pull(request, services, caller)
    query = read_query(request, (*WINDOW, "type", "task", "after"))
    window = read_window(query)
    found = await services.reads.events(
        caller.owner, window, task_id=query.get("task"), event_type=read_choice(query, "type", EVENT_TYPES)
    )
    return page(found, window, show_event)


async def _pull(request: Request, services: Services, caller: Caller) -> Response:
    query = read_query(request, ("after", "type", "task", "limit", "owner"))
    owner = read_owner(query, caller)
    pulled = await services.feed.after(
        owner,
        await services.feed.position(owner, query["after"], "after"),
        read_window({"limit": query["limit"]} if "limit" in query else {}).limit,
        read_wanted(query, "type"),
        task_id=query.get("task"),
    )
    data = [show_event(event) for event in pulled.events]
    return json_answer({"data": data, "next_after": str(pulled.next_after), "has_more": pulled.more})


async def trigger(request: Request) -> Response:
    """Make a sample event of the caller's, and tell it like a live one."""
    services, caller = await entered(request)
    body = await read_json(request, SMALL_BODY)
    for name in body:
        if name not in ("type", "set"):
            raise invalid(name, "is no parameter here; known: type, set")
    telling = sample_event(caller.name, body.get("type"), body.get("set"), services.links, services.clock())
    await services.hub.tell(telling)
    deliveries = await services.reads.deliveries(
        caller.name, Window(limit=SHOWN_MOST), status=None, event_id=telling.event.id, subscription_id=None
    )
    answer = {"event": telling.envelope, "deliveries": [show_delivery(delivery) for delivery in deliveries]}
    return json_answer(answer, 201, {"location": f"/v1/events/{telling.event.id}"})


def read_owner(query: Mapping[str, str], caller: Caller) -> str:
    """Whose feed: the caller's own; an admin may name another's."""
    owner = query.get("owner", caller.name)
    if owner != caller.name and not caller.admin:
        raise Problem("forbidden", "owner: only an admin may read somebody else's feed", field="owner")
    return owner


def read_wanted(query: Mapping[str, str], name: str) -> Wanted | None:
    """Which events are asked for, by types or patterns such as `task.*`, separated by commas; None where all are."""
    if name not in query:
        return None
    patterns = [pattern.strip() for pattern in query[name].split(",")]
    for pattern in patterns:
        if not any(type_matches(pattern, event_type) for event_type in EVENT_TYPES):
            known = ", ".join(EVENT_TYPES)
            raise invalid(name, f"no event matches {pattern[:100]!r}; there are {known}, and patterns such as task.*")

    def wanted(event: Event) -> bool:
        return any(type_matches(pattern, event.type) for pattern in patterns)

    return wanted


ROUTES = [
    Route("/v1/events", list_events, methods=["GET"]),
    Route("/v1/events", trigger, methods=["POST"]),
]
