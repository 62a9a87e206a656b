"""The API of a gateway, served in its own dialect: by the hub at /{gateway}/…, by a sandbox on a port of its own.

The same routes and the same readers and writers of messages stand in front of two engines; only the engine knows
whether there is a real hub behind it or a simulator.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.dialects.shape import Dialect, Surface
from service.errors import Problem
from service.formats.gateway import public_id, task_id, view
from service.gateways import Gateway
from service.keys import Caller
from service.model import EVENT_OF, ListQuery, Status, Submission, Task, VideoRequest, View
from service.signing import owner_secret
from service.store.store import step
from service.tasks import Order
from service.unanswered import Unanswered
from service.web.answers import json_answer, problem_answer
from service.web.content import ContentAnswer
from service.web.requests import idempotency_key, identify, read_json
from service.web.waiting import Waiting
from service.wire import Json
from service.wiring import Services


class Engine(Protocol):
    """What stands behind a gateway's API. All of it raises Problem, which the route writes in its dialect."""

    body_limit: int

    @property
    def unanswered(self) -> Unanswered | None:
        """Where it is noted who was not answered."""
        ...

    async def create(self, request: Request, surface: Surface, wanted: VideoRequest, waiting: Waiting) -> View: ...

    async def get(self, request: Request, surface: Surface, public: str) -> View: ...

    async def cancel(self, request: Request, surface: Surface, public: str) -> View: ...

    async def content(self, request: Request, surface: Surface, public: str) -> Response:
        """The video of a task, or the part of it that is asked for."""
        ...

    async def list(self, request: Request, surface: Surface, query: ListQuery) -> tuple[int, Sequence[Json]]:
        """How many tasks there are, and those of the page as write_task writes them."""
        ...

    async def delete(self, request: Request, surface: Surface, public: str) -> View:
        """Delete the record of a task that is over; where the surface says so, cancel one that is not."""
        ...

    async def admit(self, request: Request) -> None:
        """Refuse a caller without a key before anything of the request is read."""
        ...


def gateway_routes(dialect: Dialect, engine_of: Callable[[Request], Engine]) -> list[Route]:
    """The routes of all surfaces of a dialect, aliases included."""
    routes = []
    for surface in dialect.surfaces:
        endpoints = {
            "create": _create(dialect, surface, engine_of),
            **{operation: make(surface, engine_of) for operation, make in _ENDPOINTS.items()},
        }
        for route in surface.routes:
            routes.append(Route(route.path, endpoints[route.operation], methods=[route.method]))
    return routes


class HubEngine:
    """The hub behind a gateway's API: callers of that gateway, served by us."""

    def __init__(self, services: Services, gateway: Gateway) -> None:
        self._services = services
        self._gateway = gateway
        self.body_limit = services.settings.submit.body_limit
        self.unanswered = services.unanswered

    async def admit(self, request: Request) -> None:
        await identify(request, self._services.keys)

    async def create(self, request: Request, surface: Surface, wanted: VideoRequest, waiting: Waiting) -> View:
        caller = await identify(request, self._services.keys)
        order = Order(
            owner=caller.name,
            gateway=self._gateway,
            surface=surface,
            request=wanted,
            when_full="refuse",
            webhook_field=".".join(surface.callback_path),
            webhook_format="gateway",
            webhook_secret=owner_secret(self._services.secret_key, caller.name),
            webhook_events=tuple(EVENT_OF[status] for status in self._gateway.dialect.called_back),
            idempotency_key=idempotency_key(request),
        )
        submitted = await self._services.tasks.submit(order, wait_ms=None, stored=waiting.stored)
        return self._receipt(submitted.task, surface)

    async def get(self, request: Request, surface: Surface, public: str) -> View:
        caller = await identify(request, self._services.keys)
        return view(await self._find(caller, surface, public), surface, self._services.links)

    async def cancel(self, request: Request, surface: Surface, public: str) -> View:
        caller = await identify(request, self._services.keys)
        task = await self._find(caller, surface, public)
        return view(await self._services.tasks.cancel(task), surface, self._services.links)

    async def content(self, request: Request, surface: Surface, public: str) -> Response:
        caller = await identify(request, self._services.keys)
        return ContentAnswer(self._services, await self._find(caller, surface, public), "video", request)

    async def list(self, request: Request, surface: Surface, query: ListQuery) -> tuple[int, Sequence[Json]]:
        caller = await identify(request, self._services.keys)
        assert surface.lists is not None  # a route that lists has its messages
        total, tasks = await self._services.reads.listed(
            caller.owner,
            self._gateway.name,
            replace(query, ids=tuple(task_id(public, surface) for public in query.ids)),
            since=self._services.clock() - surface.lists.shows_ms,
        )
        return total, [surface.write_task(view(task, surface, self._services.links)) for task in tasks]

    async def delete(self, request: Request, surface: Surface, public: str) -> View:
        """The record is hidden from this API; the native one still shows it. At the gateway nothing is deleted."""
        caller = await identify(request, self._services.keys)
        task = await self._find(caller, surface, public)
        if not task.status.terminal:
            if not surface.delete_cancels:
                raise Problem("not_cancellable", f"the task is {task.status}; what is not over cannot be deleted")
            return view(await self._services.tasks.cancel(task), surface, self._services.links)
        if surface.delete_cancels and task.status is Status.CANCELLED:
            raise Problem("conflict", "the task is cancelled already, and its record cannot be deleted")
        hidden = await self._services.database.write(
            step, "hide_task", id=task.id, owner=caller.owner, mount=self._gateway.name, now=self._services.clock()
        )
        if hidden is None:
            raise Problem("not_found", f"there is no task {public}")
        return view(hidden, surface, self._services.links)

    async def _find(self, caller: Caller, surface: Surface, public: str) -> Task:
        task = await self._services.reads.task_of_mount(task_id(public, surface), caller.owner, self._gateway.name)
        if task is None:
            raise Problem("not_found", f"there is no task {public}")
        return task

    def _receipt(self, task: Task, surface: Surface) -> View:
        """A stored task whose create went well; the refusal or the doubt otherwise, as a Problem."""
        if task.submission is Submission.REFUSED and task.error is not None:
            raise task.error
        if task.submission in (Submission.UNKNOWN, Submission.SENDING):
            words = task.error.message if task.error else "the gateway has not confirmed this task yet"
            raise Problem(
                "outcome_unknown",
                f"{words}. Do not send it again: ask about task {public_id(task.id, surface)} instead",
                gateway_code=task.error.gateway_code if task.error else None,
                gateway_status=task.error.gateway_status if task.error else None,
            )
        return view(task, surface, self._services.links)


Endpoint = Callable[[Request], Awaitable[Response]]


def _create(dialect: Dialect, surface: Surface, engine_of: Callable[[Request], Engine]) -> Endpoint:
    async def create(request: Request) -> Response:
        engine = engine_of(request)
        await engine.admit(request)
        wanted = surface.read_create(await read_json(request, engine.body_limit))
        async with Waiting(request, engine.unanswered) as waiting:
            try:
                answer = json_answer(surface.write_receipt(await engine.create(request, surface, wanted, waiting)))
            except Problem as problem:
                answer = problem_answer(problem, dialect.write_error)
        return waiting.answered_by(answer)

    return create


def _get(surface: Surface, engine_of: Callable[[Request], Engine]) -> Endpoint:
    async def get(request: Request) -> Response:
        return json_answer(
            surface.write_task(await engine_of(request).get(request, surface, request.path_params["id"]))
        )

    return get


def _delete(surface: Surface, engine_of: Callable[[Request], Engine]) -> Endpoint:
    async def delete(request: Request) -> Response:
        assert surface.write_deleted is not None  # a route that deletes has its message
        deleted = await engine_of(request).delete(request, surface, request.path_params["id"])
        return json_answer(surface.write_deleted(deleted))

    return delete


def _list(surface: Surface, engine_of: Callable[[Request], Engine]) -> Endpoint:
    async def list_tasks(request: Request) -> Response:
        assert surface.lists is not None  # a route that lists has its messages
        engine = engine_of(request)
        await engine.admit(request)
        query = surface.lists.read_query(request.query_params.multi_items())
        return json_answer(surface.lists.write(*await engine.list(request, surface, query)))

    return list_tasks


def _cancel(surface: Surface, engine_of: Callable[[Request], Engine]) -> Endpoint:
    async def cancel(request: Request) -> Response:
        assert surface.write_cancelled is not None  # a route that cancels has its message
        cancelled = await engine_of(request).cancel(request, surface, request.path_params["id"])
        return json_answer(surface.write_cancelled(cancelled))

    return cancel


def _content(surface: Surface, engine_of: Callable[[Request], Engine]) -> Endpoint:
    async def content(request: Request) -> Response:
        request.state.is_download = True
        return await engine_of(request).content(request, surface, request.path_params["id"])

    return content


_ENDPOINTS = {"get": _get, "list": _list, "delete": _delete, "cancel": _cancel, "content": _content}
