"""What every route under /v1 begins and ends with: who asks, what is not there, and a page of a list."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from service.errors import Problem, invalid
from service.keys import Caller
from service.store.rows import Window
from service.web.answers import json_answer
from service.web.requests import identify, read_json
from service.wire import Json
from service.wiring import Services

T = TypeVar("T")

SMALL_BODY = 64 * 1024


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def entered(request: Request) -> tuple[Services, Caller]:
    """The services, and who is asking: nobody gets past here without a key."""
    services = services_of(request)
    return services, await identify(request, services.keys)


def there(value: T | None, what: str) -> T:
    """What was asked for; a 404 that names it otherwise."""
    if value is None:
        raise Problem("not_found", f"there is no {what}")
    return value


async def read_optional(request: Request, known: tuple[str, ...]) -> Json:
    """The body where there is one, with no other members than these; null is absent."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return {}
    body = await read_json(request, SMALL_BODY)
    for name in body:
        if name not in known:
            raise invalid(name, f"is no parameter here; known: {', '.join(known)}")
    return {name: value for name, value in body.items() if value is not None}


def page(found: Sequence[Any], window: Window, show_one: Callable[[Any], Json]) -> Response:
    """A page, newest first; next_cursor is null where nothing can follow."""
    cursor = found[-1].id if len(found) == window.limit else None
    return json_answer({"data": [show_one(one) for one in found], "next_cursor": cursor})
