"""A whole Reelhook on loopback, in front of a sandbox: real HTTP, a real SQLite file, small spans of time."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from service.dialects import DIALECTS
from service.dialects.shape import Dialect
from service.keys import insert_key, new_key
from service.sandbox import SandboxSettings, Simulator
from service.settings import (
    DeliverySettings,
    EgressSettings,
    GatewaySettings,
    Settings,
    Span,
    SubmitSettings,
    SweepSettings,
)
from service.web.app import create_app
from service.web.sandbox import open_sandbox
from service.web.serving import listen, serving, url_of
from service.wiring import Services, open_services
from service.worker import working
from tests.dialects.given import SPOKEN, minimal

PATIENCE_S = 10
SANDBOX = SandboxSettings(queue_ms=(0, 0), run_ms=(60, 60), callback_pause_ms=20, callback_timeout_ms=1_000)
GATEWAY = GatewaySettings(key="sandbox-key", min_interval=Span(20), rate=1_000)
SETTINGS = Settings(
    egress=EgressSettings(allow=("127.0.0.0/8",)),
    submit=SubmitSettings(wait=Span(3_000), timeout=Span(2_000), unclaimed=Span(300)),
    sweep=SweepSettings(first_guess=Span(100), timeout=Span(1_000), grace=Span(0), result_grace=Span(200)),
    deliveries=DeliverySettings(timeout=Span(1_000), retries=(Span(20),) * 5),
)
TRUST = ssl.create_default_context()  # once: loading the authorities takes longer than most tests
ENDED = ("succeeded", "failed", "cancelled", "expired")


@dataclass(slots=True, kw_only=True)
class Hub:
    """A running service and a caller of it. `http` carries the key of owner anna, `other` that of bert."""

    dialect: Dialect
    services: Services
    sandbox: Simulator
    base_url: str
    http: httpx.AsyncClient
    other: httpx.AsyncClient
    admin: httpx.AsyncClient

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return await self.http.post(
            path, json=body, headers={name.replace("_", "-"): headers[name] for name in headers}
        )

    async def submit(self, prompt: str = "a cat", **more: Any) -> Any:
        """A native submit; the task as it was answered."""
        return (await self.submitted(prompt, **more)).json()

    async def submitted(self, prompt: str = "a cat", headers: Any = None, **more: Any) -> httpx.Response:
        body = {"gateway": self.dialect.name, "model": self.dialect.models[0], "prompt": prompt} | more
        return await self.http.post("/v1/tasks", json=body, headers=headers)

    async def task(self, task_id: str) -> Any:
        return (await self.http.get(f"/v1/tasks/{task_id}")).json()

    async def ended(self, task: Any) -> Any:
        """The task, when it is over."""
        return await self.until(lambda: self.task(task["id"]), lambda shown: shown["status"] in ENDED)

    async def subscribe(self, url: str, **more: Any) -> Any:
        answer = await self.http.post("/v1/subscriptions", json={"url": url} | more)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def listed(self, path: str) -> Any:
        return (await self.http.get(path)).json()["data"]

    async def until(self, ask: Callable[[], Awaitable[Any]], enough: Callable[[Any], Any]) -> Any:
        """What `ask` answers, as soon as it is enough; TimeoutError when it never is."""
        async with asyncio.timeout(PATIENCE_S):
            while not enough(found := await ask()):
                await asyncio.sleep(0.01)
            return found

    def made(self) -> int:
        """How many tasks the gateway has made: what would have been paid for."""
        return len(self.sandbox.log.creates)


@asynccontextmanager
async def hub(
    folder: Path,
    dialect: str = "easyrouter",
    *,
    sandbox: SandboxSettings = SANDBOX,
    gateway: GatewaySettings = GATEWAY,
    settings: Settings = SETTINGS,
    worker: bool = True,
) -> AsyncIterator[Hub]:
    """Open a hub whose one gateway is a sandbox of this dialect."""
    listening = listen()
    async with open_sandbox(dialect, sandbox) as simulator:
        settings = replace(
            settings,
            database=str(folder / "hub.db"),
            public_url=url_of(listening),
            gateways={dialect: replace(gateway, base_url=gateway.base_url or simulator.base_url)},
        )

        @asynccontextmanager
        async def opened() -> AsyncIterator[Services]:
            async with open_services(settings) as services:
                if not worker:
                    yield services
                    return
                async with working(services):
                    yield services

        app = create_app(settings, opened)
        async with serving(app, listening) as base_url:
            services: Services = app.state.services
            async with (
                client(base_url, await key_of(services, "anna")) as http,
                client(base_url, await key_of(services, "bert")) as other,
                client(base_url, await key_of(services, "root", "admin")) as admin,
            ):
                yield Hub(
                    dialect=DIALECTS[dialect],
                    services=services,
                    sandbox=simulator,
                    base_url=base_url,
                    http=http,
                    other=other,
                    admin=admin,
                )


def client(base_url: str, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=base_url, headers={"authorization": f"Bearer {key}"}, trust_env=False, timeout=PATIENCE_S, verify=TRUST
    )


async def key_of(services: Services, owner: str, role: str = "owner") -> str:
    key = new_key()
    await services.database.write(insert_key, key, owner, role, services.clock())
    return key


def smallest(dialect: str) -> tuple[str, Any]:
    """(path, body) of the smallest create on the compatible API of a gateway."""
    each = next(each for each in SPOKEN if each.dialect.name == dialect)
    route = each.surface.route("create")
    assert route is not None
    return f"/{dialect}{route.path}", minimal(each)
