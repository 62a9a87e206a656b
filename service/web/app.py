"""The app: its routes, one lifespan, one table of errors."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from service import __version__
from service.dialects import DIALECTS
from service.mounts import mounted
from service.settings import Settings
from service.web import (
    api,
    callbacks,
    content,
    deliveries,
    expunging,
    feed,
    hooks,
    pages,
    slack,
    stream,
    subscriptions,
    usage,
)
from service.web.answers import exception_answers, json_answer
from service.web.compat import gateway_routes
from service.web.hub_engine import HubEngine
from service.wiring import Services

OpenServices = Callable[[], AbstractAsyncContextManager[Services]]


def create_app(settings: Settings, open_services: OpenServices) -> Starlette:
    """The web half of the service. open_services: entered at start-up, left at shutdown."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_services() as services:
            app.state.services = services
            await services.unanswered.begin()
            yield

    dialects = mounted(settings)
    app = Starlette(
        routes=[
            Route("/health", health, methods=["GET"]),
            *api.ROUTES,
            *hooks.ROUTES,
            *subscriptions.ROUTES,
            *deliveries.ROUTES,
            *expunging.ROUTES,
            *feed.ROUTES,
            *stream.ROUTES,
            *usage.ROUTES,
            *callbacks.ROUTES,
            *content.ROUTES,
            *pages.ROUTES,
            *slack.ROUTES,
            *(mount(name, dialect) for name, dialect in dialects.items()),
        ],
        exception_handlers=exception_answers(dialects),
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a path that is not there is not there, in the words of its dialect
    return app


def mount(name: str, dialect: str) -> Mount:
    """A compatible API at /{name}/…"""

    def engine_of(request: Request) -> HubEngine:
        services: Services = request.app.state.services
        return HubEngine(services, services.mounts[name])

    return Mount(f"/{name}", routes=gateway_routes(DIALECTS[dialect], engine_of))


async def health(request: Request) -> Response:
    """200 when the database answers."""
    services: Services = request.app.state.services
    await services.database.read("ping")
    return json_answer({"status": "ok", "version": __version__})
