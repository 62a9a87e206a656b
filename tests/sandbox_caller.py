"""A client of the sandbox, with the client half of each dialect: without a socket and with a clock that tests move, or
on loopback in real time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from service.egress import open_egress
from service.errors import Problem
from service.guard import Guard
from service.model import Snapshot, VideoRequest
from service.sandbox import SandboxSettings, Simulator
from service.web.sandbox import ALLOWED, open_sandbox, sandbox_app
from tests.dialects.given import SPOKEN, Spoken, spoken
from tests.servers import PATIENCE_S

EVERY_SURFACE = pytest.mark.parametrize("each", SPOKEN, ids=str)
# openai's task shows no link at all: its result is at /content (gateways.md section 3)
SHOWING_LINKS = pytest.mark.parametrize("each", [each for each in SPOKEN if each.dialect.name != "openai"], ids=str)
EASYROUTER = spoken("easyrouter", "/v1/video/generations")
SEEDANCE2 = spoken("seedance2", "/api/open/v1/video/generations")
VIDEOS = spoken("videos", "/v1/videos")
ARK = spoken("ark", "/api/v3/contents/generations/tasks")
WORLDROUTER = spoken("worldrouter", "/api/v3/contents/generations/tasks")

SETTINGS = SandboxSettings(queue_ms=(1_000, 1_000), run_ms=(4_000, 4_000))
SUDDEN = SandboxSettings(queue_ms=(0, 0), run_ms=(0, 0), callback_pause_ms=1, callback_timeout_ms=2_000)
DAY = 86_400_000


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_770_000_000_000

    def __call__(self) -> int:
        return self.now


@dataclass(slots=True, kw_only=True)
class Caller:
    """A client of a sandbox, with the client half of its dialect."""

    each: Spoken
    simulator: Simulator
    http: httpx.AsyncClient
    clock: Hand

    async def create(self, prompt: str = "a cat", callback_url: str | None = None, **more: Any) -> httpx.Response:
        wanted = VideoRequest(model=self.each.dialect.models[0], prompt=prompt, **more)
        return await self._request("create", json=self.each.surface.write_create(wanted, callback_url))

    async def made(self, prompt: str = "a cat", callback_url: str | None = None, **more: Any) -> str:
        receipt = self.each.surface.read_receipt((await self.create(prompt, callback_url, **more)).json())
        assert receipt.gateway_task_id is not None
        return receipt.gateway_task_id

    async def get(self, task_id: str) -> httpx.Response:
        return await self._request("get", task_id)

    async def look(self, task_id: str, after_ms: int = 0) -> Snapshot:
        self.clock.now += after_ms
        answer = await self.get(task_id)
        assert answer.status_code == 200
        return self.each.surface.read_task(answer.json())

    async def cancel(self, task_id: str) -> httpx.Response:
        return await self._request("cancel", task_id)

    async def delete(self, task_id: str) -> httpx.Response:
        return await self._request("delete", task_id)

    async def listed(self, **query: Any) -> list[str]:
        """The ids that a list shows."""
        answer = await self._request("list", params={name.replace("_", ".", 1): query[name] for name in query})
        return [task["id"] for task in answer.json()["items"]]

    def refusal(self, answer: httpx.Response) -> Problem:
        problem = self.each.dialect.read_error(answer.status_code, answer.json())
        assert problem is not None
        return problem

    async def log(self) -> dict[str, Any]:
        return dict((await self.http.get("/sandbox/log")).json())

    async def _request(self, operation: Any, task_id: str = "", **more: Any) -> httpx.Response:
        route = self.each.surface.route(operation)
        assert route is not None
        return await self.http.request(route.method, route.path.replace("{id}", task_id), **more)


def bearer(key: str = "sandbox-key") -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@asynccontextmanager
async def simulated(each: Spoken, settings: SandboxSettings = SETTINGS) -> AsyncIterator[Caller]:
    """A sandbox without a socket, whose time stands still until the test moves it."""
    clock = Hand()
    async with (
        open_egress(Guard(ALLOWED), "test") as egress,
        Simulator(each.dialect, settings, egress, clock, base_url="http://sandbox") as simulator,
    ):
        transport = httpx.ASGITransport(sandbox_app(simulator))
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox", headers=bearer()) as http:
            yield Caller(each=each, simulator=simulator, http=http, clock=clock)


@asynccontextmanager
async def listening(each: Spoken, settings: SandboxSettings = SUDDEN) -> AsyncIterator[Caller]:
    """A sandbox on loopback, in real time."""
    async with (
        open_sandbox(each.dialect.name, settings) as simulator,
        httpx.AsyncClient(base_url=simulator.base_url, headers=bearer(), trust_env=False) as http,
    ):
        yield Caller(each=each, simulator=simulator, http=http, clock=Hand())


async def until(true: Callable[[], bool]) -> None:
    """Wait, with a bound, for what the sandbox does in its own time."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.005)
