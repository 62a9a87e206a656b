"""Images that are given to a gateway first, as its own API has it: asset groups, assets, moderation."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.assets import AssetGroup, Upload, Uploaded
from service.dialects.library import Groups, Library
from service.web.answers import json_answer
from service.web.requests import read_json


class LibraryEngine(Protocol):
    """What stands behind these routes: the hub or a simulator. All of it raises Problem."""

    body_limit: int

    async def admit(self, request: Request) -> None: ...

    async def make_group(self, request: Request, wanted: AssetGroup) -> AssetGroup: ...

    async def take_in(self, request: Request, upload: Upload, group_id: str) -> Uploaded: ...


EngineOf = Callable[[Request], LibraryEngine]
Endpoint = Callable[[Request], Awaitable[Response]]


def library_routes(library: Library | None, engine_of: EngineOf) -> list[Route]:
    """The routes of a gateway's library, aliases included; none where it has no library."""
    if library is None:
        return []
    upload = _upload(library, engine_of)
    group = _group(library.groups, engine_of) if library.groups else upload
    return [
        Route(route.path, group if route.operation == "group" else upload, methods=[route.method])
        for route in library.routes
    ]


def _group(groups: Groups, engine_of: EngineOf) -> Endpoint:
    async def group(request: Request) -> Response:
        engine = engine_of(request)
        await engine.admit(request)
        wanted = groups.read_request(await read_json(request, engine.body_limit))
        return json_answer(groups.write_group(await engine.make_group(request, wanted)))

    return group


def _upload(library: Library, engine_of: EngineOf) -> Endpoint:
    async def upload(request: Request) -> Response:
        engine = engine_of(request)
        await engine.admit(request)
        wanted = library.read_request(await read_json(request, engine.body_limit))
        uploaded = await engine.take_in(request, wanted, request.path_params.get("id", ""))
        return json_answer(library.write_uploaded(wanted, uploaded))

    return upload
