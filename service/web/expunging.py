"""Payloads that must go before their time: an event's, or all of a task's."""

import logging

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.store.expunging import expunge_event, expunge_task
from service.web.answers import json_answer
from service.web.entry import entered, there
from service.web.shown import show, show_event

log = logging.getLogger("reelhook.web")


async def expunge_one_event(request: Request) -> Response:
    """What it said is gone, here and in the log of its deliveries; the event as it is shown from then on."""
    services, caller = await entered(request)
    event_id = request.path_params["id"]
    expunged = await services.database.write(expunge_event, event_id, caller.owner, services.clock())
    event = there(expunged, f"event {event_id}")
    log.info("event.expunged event=%s by=%s", event.id, caller.name)
    return json_answer(show_event(event))


async def expunge_one_task(request: Request) -> Response:
    """What was asked for, made and told is gone; the task as it is shown from then on."""
    services, caller = await entered(request)
    task_id = request.path_params["id"]
    expunged = await services.database.write(expunge_task, task_id, caller.owner, services.clock())
    task = there(expunged, f"task {task_id}")
    log.info("task.expunged task=%s by=%s", task.id, caller.name)
    return json_answer(show(services, task))


ROUTES = [
    Route("/v1/events/{id}/expunge", expunge_one_event, methods=["POST"]),
    Route("/v1/tasks/{id}/expunge", expunge_one_task, methods=["POST"]),
]
