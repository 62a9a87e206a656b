"""REST hooks under /v1/hooks: subscriptions as Zapier, n8n, Make and Pipedream make, find and end them.

A hook is a subscription that says so (`made_by`). What it wants beyond a URL, events and a format that needs no options
is asked for at /v1/subscriptions, by the same id.
"""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.errors import invalid
from service.events import made_event
from service.formats import FORMATS
from service.formats.operational import shown_host
from service.formats.samples import sample_data
from service.formats.shape import Format, Telling, read_options
from service.model import EVENT_TYPES, TERMINAL_EVENTS, Event, iso
from service.store.hooks import find_hook, hooks_page, latest_events
from service.store.telling import delete_subscription
from service.subscriptions import Subscription, type_matches
from service.web.answers import json_answer
from service.web.entry import SMALL_BODY, entered, page, there
from service.web.requests import read_json, read_query, read_window
from service.wire import Json, kind_of, loads
from service.wiring import Services
from service.wishes import read_patterns, read_wish

FORMAT = "flat"
HOOK_FORMATS = ("flat", "standard", "thin", "cloudevents")  # those for programs; what they need has defaults
SAMPLES = 3  # Zapier's editor shows as many
SAMPLE_ORDER = (*TERMINAL_EVENTS, *(name for name in EVENT_TYPES if name not in TERMINAL_EVENTS))

URL_NAMES = ("target_url", "url", "hookUrl")  # resthooks.org's, ours, Zapier's older examples'
EVENT_NAMES = ("event", "events")
KNOWN = (*URL_NAMES, *EVENT_NAMES, "format")


async def create_hook(request: Request) -> Response:
    """201 with an id to delete it by, and the secret, which is shown this once. The same URL may come again: two Zaps
    with one URL are two hooks."""
    services, caller = await entered(request)
    url_name, body = read_hook(await read_json(request, SMALL_BODY))
    wish = read_wish(body, caller, services.settings.deliveries)
    hook = await services.subscribing.make(caller.name, wish, made_by="hook", field=url_name)
    return json_answer(show_hook(hook) | {"secret": hook.secret}, 201, {"location": f"/v1/hooks/{hook.id}"})


async def list_hooks(request: Request) -> Response:
    """Newest first; with target_url those of exactly this URL, which is how n8n asks whether its own is still there."""
    services, caller = await entered(request)
    query = read_query(request, ("target_url", "limit", "cursor"))
    window = read_window(query)
    found = await hooks_page(services.database, caller.owner, window, query.get("target_url"))
    return page(found, window, show_hook)


async def get_hook(request: Request) -> Response:
    services, caller = await entered(request)
    hook_id = request.path_params["id"]
    return json_answer(show_hook(there(await find_hook(services.reads, caller.owner, hook_id), f"hook {hook_id}")))


async def delete_hook(request: Request) -> Response:
    """204 also when there is none (any more): Zapier shows anything else to people as an error."""
    services, caller = await entered(request)
    hook = await find_hook(services.reads, caller.owner, request.path_params["id"])
    if hook is not None:
        await services.database.write(delete_subscription, hook.id, caller.owner, services.clock())
    return Response(status_code=204)


async def list_samples(request: Request) -> Response:
    """A bare array, never empty, newest first: one's own latest events, or such as will come where there are none yet,
    as they are posted."""
    services, caller = await entered(request)
    query = read_query(request, ("event", "format"))
    shape = _read_format(query.get("format"))
    types = matching_types(_read_events(query["event"].split(",") if "event" in query else None, "event"))
    events = await latest_events(services.database, caller.name, types, SAMPLES)
    if not events:
        events = made_samples(services, caller.name, types)
    return json_answer([show_sample(event, shape) for event in events])


ROUTES = [
    Route("/v1/hooks", create_hook, methods=["POST"]),
    Route("/v1/hooks", list_hooks, methods=["GET"]),
    Route("/v1/hooks/samples", list_samples, methods=["GET"]),
    Route("/v1/hooks/{id}", get_hook, methods=["GET"]),
    Route("/v1/hooks/{id}", delete_hook, methods=["DELETE"]),
]


def read_hook(body: Json) -> tuple[str, Json]:
    """(what the caller calls the URL, the subscription that he asks for); without `event` it hears the four ways in
    which a task can end."""
    for name in body:
        if name not in KNOWN:
            raise invalid(name, f"is no parameter here; known: {', '.join(KNOWN)}")
    url_name, url = _given_once(body, URL_NAMES)
    if not isinstance(url, str):
        raise invalid(url_name, f"must be a URL, not {kind_of(url)}" if url is not None else "is required")
    event_name, events = _given_once(body, EVENT_NAMES)
    patterns = _read_events(events, event_name)
    return url_name, {"url": url, "events": list(patterns), "format": _read_format(body.get("format")).name}


def show_hook(hook: Subscription) -> Json:
    """Without the secret. event: as it was asked for, one word where it is one; events: always an array."""
    return {
        "id": hook.id,
        "target_url": shown_host(hook.url) if FORMATS[hook.format].secret_url else hook.url,
        "event": hook.events[0] if len(hook.events) == 1 else list(hook.events),
        "events": list(hook.events),
        "format": hook.format,
        "status": hook.status,
        "created_at": iso(hook.created_at),
    }


def matching_types(patterns: tuple[str, ...]) -> list[str]:
    """The event types that are meant, the ends of tasks first."""
    return [name for name in SAMPLE_ORDER if any(type_matches(pattern, name) for pattern in patterns)]


def made_samples(services: Services, owner: str, types: list[str]) -> list[Event]:
    """Events of a task that never was. They are no test events: what is posted later has the same keys."""
    now = services.clock()
    return [made_event(owner, name, sample_data(name, services.links, now), now)[0] for name in types[:SAMPLES]]


def show_sample(event: Event, shape: Format) -> Any:
    telling = Telling(event=event, envelope=loads(event.body))
    return loads(shape.render(telling, read_options(shape, None)).body)


def _given_once(body: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, Any]:
    """(the name that was used, the value) of what has several names; null is absent."""
    given = [name for name in names if body.get(name) is not None]
    if len(given) > 1:
        raise invalid(given[1], f"means the same as {given[0]}; give it once")
    return (given[0], body[given[0]]) if given else (names[0], None)


def _read_format(name: Any) -> Format:
    if name is None:
        return FORMATS[FORMAT]
    if not isinstance(name, str) or name not in HOOK_FORMATS:
        raise invalid("format", f"must be one of {', '.join(HOOK_FORMATS)}; others are for /v1/subscriptions")
    return FORMATS[name]


def _read_events(value: Any, at: str) -> tuple[str, ...]:
    """One type or pattern, or several of them as an array."""
    return read_patterns([value] if isinstance(value, str) else value, at)
