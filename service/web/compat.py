"""The API of a gateway, served in its own dialect: by the hub at /{gateway}/…, by a sandbox on a port of its own.

The same routes and the same readers and writers of messages stand in front of two engines; only the engine knows
whether there is a real hub behind it (hub_engine.py) or a simulator (sandbox.py).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.assets import AssetGroup, Upload, Uploaded
from service.dialects.shape import Dialect, Offer, Operation, PageQuery, Surface
from service.errors import Problem, invalid
from service.model import ListQuery, VideoRequest, View
from service.unanswered import Unanswered
from service.web.answers import json_answer, problem_answer
from service.web.forms import is_form, read_form
from service.web.library import library_routes
from service.web.requests import read_json
from service.web.waiting import Waiting
from service.wire import Json


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

    async def content(self, request: Request, surface: Surface, public: str, variant: str) -> Response:
        """The result of a task, or the part of it that is asked for. variant: video or last_frame."""
        ...

    async def page(self, request: Request, surface: Surface, query: PageQuery) -> tuple[list[View], bool]:
        """A part of the caller's list, and whether there is more of it."""
        ...

    async def listed(self, request: Request, surface: Surface, query: ListQuery) -> tuple[int, Sequence[Json]]:
        """How many tasks there are, and those of the page as write_task writes them."""
        ...

    async def delete(self, request: Request, surface: Surface, public: str) -> View:
        """Hide a task that is over from the callers of this API; as it was. Where the surface says so, cancel one that
        is not."""
        ...

    async def offers(self, request: Request) -> list[Offer]:
        """The models that can be named here."""
        ...

    async def admit(self, request: Request) -> None:
        """Refuse a caller without a key before anything of the request is read."""
        ...

    async def make_group(self, request: Request, wanted: AssetGroup) -> AssetGroup: ...

    async def take_in(self, request: Request, upload: Upload, group_id: str) -> Uploaded:
        """Images that are given to the gateway before a create names them."""
        ...


EngineOf = Callable[[Request], Engine]
Endpoint = Callable[[Request], Awaitable[Response]]


def gateway_routes(dialect: Dialect, engine_of: EngineOf) -> list[Route]:
    """The routes of all surfaces of a dialect, aliases included."""
    routes = []
    for surface in dialect.surfaces:
        for route in surface.routes:
            endpoint = _ENDPOINTS[route.operation](dialect, surface, engine_of)
            routes.append(Route(route.path, endpoint, methods=[route.method]))
    return routes + library_routes(dialect.library, engine_of)


def _create(dialect: Dialect, surface: Surface, engine_of: EngineOf) -> Endpoint:
    async def create(request: Request) -> Response:
        engine = engine_of(request)
        await engine.admit(request)
        form = surface.forms and is_form(request)
        body = await (read_form if form else read_json)(request, engine.body_limit)
        wanted = surface.read_create(body)
        async with Waiting(request, engine.unanswered) as waiting:
            try:
                view = await engine.create(request, surface, wanted, waiting)
                answer = json_answer(surface.write_receipt(view), headers=_poll_headers(dialect, view))
            except Problem as problem:
                answer = problem_answer(problem, dialect.write_error)
        return waiting.answered_by(answer)

    return create


def _get(dialect: Dialect, surface: Surface, engine_of: EngineOf) -> Endpoint:
    async def get(request: Request) -> Response:
        view = await engine_of(request).get(request, surface, request.path_params["id"])
        return json_answer(surface.answered_task(view), headers=_poll_headers(dialect, view))

    return get


def _cancel(dialect: Dialect, surface: Surface, engine_of: EngineOf) -> Endpoint:
    async def cancel(request: Request) -> Response:
        assert surface.write_cancelled is not None  # a route that cancels has its message
        cancelled = await engine_of(request).cancel(request, surface, request.path_params["id"])
        return json_answer(surface.write_cancelled(cancelled))

    return cancel


def _content(dialect: Dialect, surface: Surface, engine_of: EngineOf) -> Endpoint:
    async def content(request: Request) -> Response:
        request.state.is_download = True
        engine = engine_of(request)
        await engine.admit(request)
        asked = request.query_params.get("variant", "video") if surface.variants else "video"
        if surface.variants and asked not in surface.variants:
            raise invalid("variant", f"must be one of {', '.join(surface.variants)}")
        return await engine.content(request, surface, request.path_params["id"], surface.variants.get(asked, "video"))

    return content


def _page(dialect: Dialect, surface: Surface, engine_of: EngineOf) -> Endpoint:
    async def page(request: Request) -> Response:
        assert surface.read_page is not None
        assert surface.write_page is not None
        engine = engine_of(request)
        await engine.admit(request)
        views, has_more = await engine.page(request, surface, surface.read_page(request.query_params))
        return json_answer(surface.write_page(views, has_more))

    return page


def _list(dialect: Dialect, surface: Surface, engine_of: EngineOf) -> Endpoint:
    async def list_tasks(request: Request) -> Response:
        assert surface.lists is not None  # a route that lists has its messages
        engine = engine_of(request)
        await engine.admit(request)
        query = surface.lists.read_query(request.query_params.multi_items())
        return json_answer(surface.lists.write(*await engine.listed(request, surface, query)))

    return list_tasks


def _delete(dialect: Dialect, surface: Surface, engine_of: EngineOf) -> Endpoint:
    async def delete(request: Request) -> Response:
        assert surface.write_deleted is not None
        deleted = await engine_of(request).delete(request, surface, request.path_params["id"])
        return json_answer(surface.write_deleted(deleted))

    return delete


def _models(dialect: Dialect, surface: Surface, engine_of: EngineOf) -> Endpoint:
    async def models(request: Request) -> Response:
        assert surface.write_models is not None
        return json_answer(surface.write_models(await engine_of(request).offers(request)))

    return models


def _decline(dialect: Dialect, surface: Surface, engine_of: EngineOf) -> Endpoint:
    async def decline(request: Request) -> Response:
        await engine_of(request).admit(request)
        what = request.url.path.rpartition("/")[2]
        raise Problem("invalid_request", f"{what} is not offered: no gateway that could be behind this API can do it")

    return decline


def _poll_headers(dialect: Dialect, view: View) -> dict[str, str]:
    wait_ms = view.poll_after_ms
    return {dialect.poll_header: str(wait_ms)} if dialect.poll_header and wait_ms is not None else {}


_ENDPOINTS: Mapping[Operation, Callable[[Dialect, Surface, EngineOf], Endpoint]] = {
    "create": _create,
    "get": _get,
    "cancel": _cancel,
    "content": _content,
    "list": _list,
    "page": _page,
    "delete": _delete,
    "models": _models,
    "decline": _decline,
}
