"""Deliveries under /v1: the log of what was sent and answered, and telling it again."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.attempting import body_at
from service.errors import invalid
from service.formats import FORMATS
from service.formats.shape import Target
from service.guard import origin_of
from service.keys import Caller
from service.model import iso
from service.replaying import MISSED, MISSING, OVER, PER_SECOND, PER_SECOND_MOST
from service.store.replays import Replay, find_replay, replays_page
from service.store.rows import FOR_EVER
from service.subscriptions import Attempt, Delivery, DeliveryStatus, Subscription
from service.web.answers import json_answer
from service.web.entry import entered, page, read_optional, there
from service.web.requests import WINDOW, read_choice, read_instant, read_query, read_window
from service.web.shown import show_delivery, show_replay
from service.wire import Json, kind_of
from service.wiring import Services


async def show_all(request: Request) -> Response:
    services, caller = await entered(request)
    query = read_query(request, (*WINDOW, "status", "event", "subscription"))
    window = read_window(query)
    found = await services.reads.deliveries(
        caller.owner,
        window,
        status=read_choice(query, "status", tuple(status.value for status in DeliveryStatus)),
        event_id=query.get("event"),
        subscription_id=query.get("subscription"),
    )
    return page(found, window, show_delivery)


async def show_one(request: Request) -> Response:
    services, caller = await entered(request)
    return json_answer(await show_whole(services, await _delivery(request, services, caller)))


async def show_whole(services: Services, delivery: Delivery) -> Json:
    """A delivery with all that was sent and answered."""
    event = await services.reads.event(delivery.event_id, None)
    subscription = await services.reads.subscription(delivery.subscription_id, None)
    body = delivery.body if delivery.body is not None else event.body if event else ""
    attempts = [_attempt(attempt, body, subscription) for attempt in await services.reads.attempts(delivery.id)]
    return show_delivery(delivery) | {"body": body or None, "attempts": attempts}


def _attempt(attempt: Attempt, body: str, subscription: Subscription | None) -> Json:
    sent = body if subscription is None else _as_sent(subscription, body, attempt.level)
    return {
        "number": attempt.number,
        "started_at": iso(attempt.started_at),
        "duration_ms": attempt.duration_ms,
        "timings_ms": dict(attempt.timings),
        "status": attempt.status,
        "error": attempt.error,
        "hint": attempt.hint,
        "ambiguous": attempt.ambiguous,
        "request_headers": dict(attempt.request_headers),
        "request_body": sent or None,
        "response_headers": dict(attempt.response_headers),
        "response": attempt.response,
        "next_attempt_at": iso(attempt.next_at),
    }


def _as_sent(subscription: Subscription, body: str, level: int) -> str:
    """What a request made of the frozen body, but for the URL, which may be a capability, and for encryption."""
    shape = FORMATS[subscription.format]
    try:
        left = body_at(shape, body, level)
        if shape.transport != "http":
            return left
        there = Target(url=origin_of(subscription.url), options=subscription.options)
        return shape.request(there, left).body.decode()
    except Exception:  # it was made for another format than the subscription has now
        return body


async def replay_delivery(request: Request) -> Response:
    """202: it begins again, with the same id and bytes; one that waits for its next attempt has it now."""
    services, caller = await entered(request)
    again = await services.replaying.delivery(await _delivery(request, services, caller))
    return json_answer(show_delivery(again), 202)


async def replay_event(request: Request) -> Response:
    """202 with the deliveries: to one `subscription`, or to all that want it."""
    services, caller = await entered(request)
    event_id = request.path_params["id"]
    body = await read_optional(request, ("subscription",))
    event = there(await services.reads.event(event_id, caller.owner), f"event {event_id}")
    subscription = None
    if "subscription" in body:
        name = str(body["subscription"])
        subscription = there(await services.reads.subscription(name, caller.owner), f"subscription {name}")
    return json_answer({"deliveries": await services.replaying.event(event, subscription, of_others=caller.admin)}, 202)


async def replay_subscription(request: Request) -> Response:
    """202 with a replay that can be followed at its location."""
    services, caller = await entered(request)
    body = await read_optional(request, ("since", "until", "status", "only_missing", "per_second"))
    name = request.path_params["id"]
    subscription = there(await services.reads.subscription(name, caller.owner), f"subscription {name}")
    per_second = body.get("per_second", PER_SECOND)
    if type(per_second) is not int or not 1 <= per_second <= PER_SECOND_MOST:
        raise invalid("per_second", f"must be a whole number from 1 to {PER_SECOND_MOST}")
    since, until = _instant(body, "since", subscription.created_at), _instant(body, "until", FOR_EVER)
    if since >= min(until, services.clock()):
        raise invalid("since", "must be before `until`, and not in the future")
    replay = await services.replaying.begin(subscription, since, until, _read_statuses(body), per_second)
    return json_answer(show_replay(replay), 202, {"location": f"/v1/replays/{replay.id}"})


def _read_statuses(body: Json) -> tuple[str, ...]:
    """By default what was missed: never told, or told in vain."""
    only_missing, status = body.get("only_missing"), body.get("status")
    if only_missing is not None and not isinstance(only_missing, bool):
        raise invalid("only_missing", f"must be true or false, not {kind_of(only_missing)}")
    if status is None:
        return (MISSING, *OVER) if only_missing is False else MISSED
    if only_missing is not None:
        raise invalid("only_missing", "says the same as status: give one of them")
    words = status if isinstance(status, list) else [status]
    if not words or any(word not in (MISSING, *OVER) for word in words):
        raise invalid("status", f"must be one or more of {', '.join((MISSING, *OVER))}")
    return tuple(dict.fromkeys(words))


def _instant(body: Mapping[str, object], name: str, otherwise: int) -> int:
    value = body.get(name)
    if value is None:
        return otherwise
    if not isinstance(value, str):
        raise invalid(name, f"must be a time such as 2026-11-21T09:30:00Z, not {kind_of(value)}")
    return read_instant(value, name)


async def show_replays(request: Request) -> Response:
    services, caller = await entered(request)
    query = read_query(request, (*WINDOW, "subscription"))
    window = read_window(query)
    return page(
        await replays_page(services.database, caller.owner, window, query.get("subscription")), window, show_replay
    )


async def show_replay_of(request: Request) -> Response:
    services, caller = await entered(request)
    return json_answer(show_replay(await _replay(request, services, caller)))


async def cancel_replay(request: Request) -> Response:
    services, caller = await entered(request)
    return json_answer(show_replay(await services.replaying.cancel(await _replay(request, services, caller))))


async def _replay(request: Request, services: Services, caller: Caller) -> Replay:
    replay_id = request.path_params["id"]
    return there(await find_replay(services.database, caller.owner, replay_id), f"replay {replay_id}")


async def _delivery(request: Request, services: Services, caller: Caller) -> Delivery:
    delivery_id = request.path_params["id"]
    return there(await services.reads.delivery(delivery_id, caller.owner), f"delivery {delivery_id}")


ROUTES = [
    Route("/v1/deliveries", show_all, methods=["GET"]),
    Route("/v1/deliveries/{id}", show_one, methods=["GET"]),
    Route("/v1/deliveries/{id}/replay", replay_delivery, methods=["POST"]),
    Route("/v1/events/{id}/replay", replay_event, methods=["POST"]),
    Route("/v1/subscriptions/{id}/replay", replay_subscription, methods=["POST"]),
    Route("/v1/replays", show_replays, methods=["GET"]),
    Route("/v1/replays/{id}", show_replay_of, methods=["GET"]),
    Route("/v1/replays/{id}/cancel", cancel_replay, methods=["POST"]),
]
