"""The sandbox on the web: a gateway's own routes with a simulator behind them, the results, and the log.

GET /media/{id}.mp4 · .png       the result of a task and its last frame, for anybody
GET /v1/videos/{id}/content      the result, with the key, where the gateway documents it
GET /sandbox/log                 what the simulator saw (sandbox_log.py)
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service import __version__
from service.assets import AssetGroup, Upload, Uploaded
from service.clock import Clock, system_clock
from service.dialects import DIALECTS
from service.dialects.shape import Offer, PageQuery, Surface
from service.egress import open_egress
from service.guard import Guard
from service.model import ListQuery, VideoRequest, View
from service.sandbox import ReplyLost, SandboxSettings, Scripted, Simulator
from service.web.answers import exception_answers, json_answer
from service.web.compat import gateway_routes
from service.web.ranges import file_answer
from service.web.requests import bearer
from service.web.serving import NoAnswer, listen, serving, url_of
from service.web.waiting import Waiting
from service.wire import Json

BODY_LIMIT = 64 * 2**20
MEDIA_TYPES = {"video": "video/mp4", "last_frame": "image/png"}

# A sandbox is for machines at home: it calls back to private addresses too.
ALLOWED = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")


class SandboxEngine:
    """A simulator behind a gateway's API."""

    body_limit = BODY_LIMIT
    unanswered = None

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def admit(self, request: Request) -> None:
        self._simulator.admit(bearer(request))

    async def create(self, request: Request, surface: Surface, wanted: VideoRequest, waiting: Waiting) -> View:
        view = await self._simulator.create(surface, wanted)
        if not waiting.gone:
            self._simulator.note_answered(view.id)
        return view

    async def get(self, request: Request, surface: Surface, public: str) -> View:
        await self.admit(request)
        return self._simulator.get(surface, public)

    async def listed(self, request: Request, surface: Surface, query: ListQuery) -> tuple[int, Sequence[Json]]:
        await self.admit(request)
        return self._simulator.listed(surface, query)

    async def delete(self, request: Request, surface: Surface, public: str) -> View:
        await self.admit(request)
        return self._simulator.delete(surface, public)

    async def cancel(self, request: Request, surface: Surface, public: str) -> View:
        await self.admit(request)
        return self._simulator.cancel(public)

    async def make_group(self, request: Request, wanted: AssetGroup) -> AssetGroup:
        return self._simulator.make_group(wanted)

    async def take_in(self, request: Request, upload: Upload, group_id: str) -> Uploaded:
        return await self._simulator.take_in(upload, group_id)

    async def content(self, request: Request, surface: Surface, public: str, variant: str) -> Response:
        await self.admit(request)
        data = await asyncio.to_thread(self._simulator.result, public, variant)  # making one takes a while
        return file_answer(request, data, MEDIA_TYPES[variant])

    async def page(self, request: Request, surface: Surface, query: PageQuery) -> tuple[list[View], bool]:
        await self.admit(request)
        views = [view for view in self._simulator.views() if view.id.startswith(surface.id_prefix)]
        views = views if query.oldest_first else views[::-1]
        ids = [view.id for view in views]
        start = ids.index(query.after) + 1 if query.after in ids else 0
        return views[start : start + query.limit], len(views) > start + query.limit

    async def offers(self, request: Request) -> list[Offer]:
        await self.admit(request)
        dialect = self._simulator.dialect
        return [Offer(model, dialect.name) for model in dialect.models]


def sandbox_app(simulator: Simulator) -> Starlette:
    """The app in front of an open simulator. To drop connections it has to be served by service.web.serving."""
    engine = SandboxEngine(simulator)

    # no coroutines: making a video takes a while, and these run in threads
    def media(request: Request) -> Response:
        simulator.follow_link(request.path_params["id"], request.query_params.get("link"))
        return file_answer(request, simulator.video(request.path_params["id"]), "video/mp4")

    def frame(request: Request) -> Response:
        simulator.follow_link(request.path_params["id"], request.query_params.get("link"))
        return file_answer(request, simulator.last_frame(request.path_params["id"]), "image/png")

    async def log(request: Request) -> Response:
        return json_answer(simulator.report())

    app = Starlette(
        routes=[
            *gateway_routes(simulator.dialect, lambda request: engine),
            Route("/media/{id}.mp4", media),
            Route("/media/{id}.png", frame),
            Route("/sandbox/log", log),
        ],
        exception_handlers=exception_answers({}, simulator.dialect.write_error)
        | {ReplyLost: on_reply_lost, Scripted: on_scripted},
    )
    app.router.redirect_slashes = False
    return app


async def on_reply_lost(request: Request, error: Exception) -> Response:
    assert isinstance(error, ReplyLost)
    return NoAnswer(stalled=error.stalled)


async def on_scripted(request: Request, error: Exception) -> Response:
    assert isinstance(error, Scripted)
    return Response(error.answer.body, error.answer.status, dict(error.answer.headers))


@asynccontextmanager
async def open_sandbox(
    dialect_name: str,
    settings: SandboxSettings,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    clock: Clock = system_clock,
) -> AsyncIterator[Simulator]:
    """A sandbox of this dialect, served at its `base_url` for as long as the block lasts; port 0 takes a free one."""
    async with open_egress(Guard(ALLOWED), f"Reelhook-sandbox/{__version__}") as egress:
        listening = listen(host, port)
        simulator = Simulator(DIALECTS[dialect_name], settings, egress, clock, base_url=url_of(listening))
        async with simulator, serving(sandbox_app(simulator), listening):
            yield simulator


async def run_sandbox(dialect_name: str, host: str, port: int, settings: SandboxSettings) -> None:
    """`reelhook sandbox`: serve until SIGTERM or SIGINT. The first line on stdout is the base URL."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with open_sandbox(dialect_name, settings, host=host, port=port) as simulator:
        sys.stdout.write(simulator.base_url + "\n")
        sys.stdout.flush()
        await stopped.wait()
