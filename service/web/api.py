"""The native API under /v1: tasks, one event, gateways."""

from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.keys import Caller
from service.model import (
    Status,
    Submission,
    Task,
)
from service.mounts import find
from service.orders import Order
from service.signing import owner_secret
from service.web.answers import json_answer, problem_headers
from service.web.entry import entered, page, there
from service.web.native import read_submit
from service.web.requests import WINDOW, idempotency_key, read_choice, read_json, read_query, read_window
from service.web.shown import (
    show,
    show_callback,
    show_event,
    show_gateway,
    show_models,
)
from service.wiring import Services

T = TypeVar("T")


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
    return there(await services.reads.task(task_id, caller.owner), f"task {task_id}")


# --- events


async def get_event(request: Request) -> Response:
    services, caller = await entered(request)
    event_id = request.path_params["id"]
    event = there(await services.reads.event(event_id, caller.owner), f"event {event_id}")
    return json_answer(show_event(event))


# --- gateways


async def list_gateways(request: Request) -> Response:
    services, _ = await entered(request)
    return json_answer({"data": [show_gateway(gateway) for gateway in services.gateways.values()]})


async def list_models(request: Request) -> Response:
    """What can be named as `model`, and as `gateway` beside it."""
    services, _ = await entered(request)
    return json_answer({"data": [shown for mount in services.mounts.values() for shown in show_models(mount)]})


ROUTES = [
    Route("/v1/tasks", submit_task, methods=["POST"]),
    Route("/v1/tasks", list_tasks, methods=["GET"]),
    Route("/v1/tasks/{id}", get_task, methods=["GET"]),
    Route("/v1/tasks/{id}/cancel", cancel_task, methods=["POST"]),
    Route("/v1/tasks/{id}/retry", retry_task, methods=["POST"]),
    Route("/v1/tasks/{id}/callbacks", list_callbacks, methods=["GET"]),
    Route("/v1/events/{id}", get_event, methods=["GET"]),
    Route("/v1/gateways", list_gateways, methods=["GET"]),
    Route("/v1/models", list_models, methods=["GET"]),
]
