"""The native API under /v1: tasks, events, subscriptions, deliveries, gateways."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.errors import Problem, invalid
from service.formats import OFFERED
from service.keys import Caller
from service.model import (
    EVENT_TYPES,
    TERMINAL_EVENTS,
    Status,
    Submission,
    Task,
    new_id,
)
from service.mounts import find
from service.orders import Order
from service.signing import new_secret, owner_secret
from service.store.rows import Window
from service.store.telling import add_within, delete_subscription
from service.subscriptions import DeliveryStatus, Subscription
from service.web.answers import json_answer, problem_headers
from service.web.native import read_submit
from service.web.requests import WINDOW, idempotency_key, identify, read_choice, read_json, read_query, read_window
from service.web.shown import (
    show,
    show_attempt,
    show_callback,
    show_delivery,
    show_event,
    show_gateway,
    show_models,
    show_subscription,
)
from service.wire import Json, kind_of
from service.wiring import Services

T = TypeVar("T")

SMALL_BODY = 64 * 1024
SUBSCRIPTION_KNOWN = ("url", "events", "format", "description")


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def entered(request: Request) -> tuple[Services, Caller]:
    """The services, and who is asking: nobody gets past here without a key."""
    services = services_of(request)
    return services, await identify(request, services.keys)


# --- tasks


async def submit_task(request: Request) -> Response:
    services, caller = await entered(request)
    body = await read_json(request, services.settings.submit.body_limit)
    mount = find(services.mounts, body.get("gateway"))
    wanted, when_full = read_submit(body, mount.default_model)
    way = mount.way(wanted, mount.surface, native=True)
    order = Order(
        owner=caller.name,
        gateway=way.gateway,
        surface=way.surface,
        request=way.request,
        when_full=when_full,
        webhook_field="webhook_url",
        webhook_format="standard",
        webhook_secret=owner_secret(services.secret_key, caller.name),
        idempotency_key=idempotency_key(request),
    )
    submitted = await services.tasks.submit(order, wait_ms=services.settings.submit.wait)
    return _submitted(services, submitted.task, replayed=submitted.replayed)


def _submitted(services: Services, task: Task, *, replayed: bool) -> Response:
    """201 when the gateway has accepted it; 202 when it is stored and followed, but not known to be accepted; the
    gateway's refusal otherwise."""
    headers = {"location": f"/v1/tasks/{task.id}"}
    if replayed:
        headers["idempotent-replayed"] = "true"
    if task.submission is Submission.REFUSED and task.error is not None:
        body = {"error": task.error.to_json(), "task": show(services, task)}
        return json_answer(body, task.error.status, headers | problem_headers(task.error))
    if task.submission is Submission.UNKNOWN:
        headers["x-should-retry"] = "false"
    return json_answer(show(services, task), 201 if task.submission is Submission.ACCEPTED else 202, headers)


async def list_tasks(request: Request) -> Response:
    services, caller = await entered(request)
    query = read_query(request, (*WINDOW, "status", "gateway", "external_id"))
    window = read_window(query)
    status = read_choice(query, "status", tuple(status.value for status in Status))
    found = await services.reads.tasks(
        caller.owner, window, status=status, gateway=query.get("gateway"), external_id=query.get("external_id")
    )
    return page(found, window, lambda task: show(services, task))


async def get_task(request: Request) -> Response:
    services, caller = await entered(request)
    return json_answer(show(services, await _task(request, services, caller)))


async def cancel_task(request: Request) -> Response:
    services, caller = await entered(request)
    task = await services.cancelling.cancel(await _task(request, services, caller))
    return json_answer(show(services, task))


async def retry_task(request: Request) -> Response:
    """As a submit is answered; 200 when it was asked for before, with the task that came of that."""
    services, caller = await entered(request)
    task = await _task(request, services, caller)
    retried = await services.retrying.retry(task, wait_ms=services.settings.submit.wait)
    answer = _submitted(services, retried.task, replayed=retried.already)
    if retried.already and answer.status_code < 300:
        answer.status_code = 200
    return answer


async def list_callbacks(request: Request) -> Response:
    """What the gateway has called back about a task, as it was received."""
    services, caller = await entered(request)
    window = read_window(read_query(request, ("limit", "cursor")))
    task = await _task(request, services, caller)
    return page(await services.reads.callbacks(task.id, window), window, show_callback)


async def _task(request: Request, services: Services, caller: Caller) -> Task:
    task_id = request.path_params["id"]
    return _found(await services.reads.task(task_id, caller.owner), f"there is no task {task_id}")


# --- events


async def get_event(request: Request) -> Response:
    services, caller = await entered(request)
    event_id = request.path_params["id"]
    event = _found(await services.reads.event(event_id, caller.owner), f"there is no event {event_id}")
    return json_answer(show_event(event))


# --- subscriptions


async def create_subscription(request: Request) -> Response:
    services, caller = await entered(request)
    subscription = read_subscription(await read_json(request, SMALL_BODY), caller.name, services.clock())
    await services.egress.vet(subscription.url, "url")
    most = services.settings.deliveries.subscriptions
    if not await services.database.write(add_within, subscription, most):
        raise Problem("conflict", f"an owner may have at most {most} subscriptions; delete one first")
    shown = show_subscription(subscription) | {"secret": subscription.secret}
    return json_answer(shown, 201, {"location": f"/v1/subscriptions/{subscription.id}"})


def read_subscription(body: Json, owner: str, now: int) -> Subscription:
    """A subscription as the caller wishes it; without `events` it gets the four ways in which a task can end."""
    for name in body:
        if name not in SUBSCRIPTION_KNOWN:
            raise invalid(name, f"is no parameter here; known: {', '.join(SUBSCRIPTION_KNOWN)}")
    url = body.get("url")
    if not isinstance(url, str):
        raise invalid("url", f"must be a URL, not {kind_of(url)}" if url is not None else "is required")
    shape = "standard" if body.get("format") is None else body["format"]
    if shape not in OFFERED:
        raise invalid("format", f"must be one of {', '.join(OFFERED)}")
    description = body.get("description")
    if description is not None and (not isinstance(description, str) or len(description) > 500):
        raise invalid("description", "must be a string of at most 500 characters")
    return Subscription(
        id=new_id("sub", now),
        owner=owner,
        url=url,
        events=_read_event_types(body.get("events")),
        format=shape,
        secret=new_secret(),
        description=description,
        created_at=now,
    )


def _read_event_types(value: Any) -> tuple[str, ...]:
    if value is None:
        return TERMINAL_EVENTS
    if not isinstance(value, list) or not value:
        raise invalid("events", f"must be an array with one or more of {', '.join(EVENT_TYPES)}")
    for item in value:
        if item not in EVENT_TYPES:
            raise invalid("events", f"must be made of {', '.join(EVENT_TYPES)}")
    return tuple(dict.fromkeys(value))


async def list_subscriptions(request: Request) -> Response:
    services, caller = await entered(request)
    window = read_window(read_query(request, ("limit", "cursor")))
    return page(await services.reads.subscriptions(caller.owner, window), window, show_subscription)


async def get_subscription(request: Request) -> Response:
    services, caller = await entered(request)
    subscription_id = request.path_params["id"]
    found = await services.reads.subscription(subscription_id, caller.owner)
    return json_answer(show_subscription(_found(found, f"there is no subscription {subscription_id}")))


async def remove_subscription(request: Request) -> Response:
    """204 also when it was deleted before: Zapier and its kin delete again, and show a 404 to people as an error."""
    services, caller = await entered(request)
    subscription_id = request.path_params["id"]
    await services.database.write(delete_subscription, subscription_id, caller.owner, services.clock())
    return Response(status_code=204)


# --- deliveries


async def list_deliveries(request: Request) -> Response:
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


async def get_delivery(request: Request) -> Response:
    services, caller = await entered(request)
    delivery_id = request.path_params["id"]
    delivery = _found(await services.reads.delivery(delivery_id, caller.owner), f"there is no delivery {delivery_id}")
    attempts = await services.reads.attempts(delivery.id)
    return json_answer(show_delivery(delivery) | {"attempts": [show_attempt(attempt) for attempt in attempts]})


# --- gateways


async def list_gateways(request: Request) -> Response:
    services, _ = await entered(request)
    return json_answer({"data": [show_gateway(gateway) for gateway in services.gateways.values()]})


async def list_models(request: Request) -> Response:
    """What can be named as `model`, and as `gateway` beside it."""
    services, _ = await entered(request)
    return json_answer({"data": [shown for mount in services.mounts.values() for shown in show_models(mount)]})


def page(found: Sequence[Any], window: Window, show_one: Callable[[Any], Json]) -> Response:
    """A page, newest first; next_cursor is null where nothing can follow."""
    cursor = found[-1].id if len(found) == window.limit else None
    return json_answer({"data": [show_one(one) for one in found], "next_cursor": cursor})


def _found(value: T | None, otherwise: str) -> T:
    if value is None:
        raise Problem("not_found", otherwise)
    return value


ROUTES = [
    Route("/v1/tasks", submit_task, methods=["POST"]),
    Route("/v1/tasks", list_tasks, methods=["GET"]),
    Route("/v1/tasks/{id}", get_task, methods=["GET"]),
    Route("/v1/tasks/{id}/cancel", cancel_task, methods=["POST"]),
    Route("/v1/tasks/{id}/retry", retry_task, methods=["POST"]),
    Route("/v1/tasks/{id}/callbacks", list_callbacks, methods=["GET"]),
    Route("/v1/events/{id}", get_event, methods=["GET"]),
    Route("/v1/subscriptions", create_subscription, methods=["POST"]),
    Route("/v1/subscriptions", list_subscriptions, methods=["GET"]),
    Route("/v1/subscriptions/{id}", get_subscription, methods=["GET"]),
    Route("/v1/subscriptions/{id}", remove_subscription, methods=["DELETE"]),
    Route("/v1/deliveries", list_deliveries, methods=["GET"]),
    Route("/v1/deliveries/{id}", get_delivery, methods=["GET"]),
    Route("/v1/gateways", list_gateways, methods=["GET"]),
    Route("/v1/models", list_models, methods=["GET"]),
]
