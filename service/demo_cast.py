"""Who plays in the demo: sandbox gateways and subscribers in this process, and the service in its own."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from service.clock import system_clock
from service.demo_channels import Channel, Zap
from service.demo_subscribers import Flaky, Sleeper, Subscriber, Verifier, listening
from service.dialects import DIALECTS
from service.keys import insert_key, new_key
from service.sandbox import SandboxSettings
from service.settings_file import read_settings
from service.signing import owner_secret
from service.sse import Message, MessageReader
from service.web.sandbox import open_sandbox
from service.web.serving import listen, url_of
from service.wire import Json
from service.wiring import open_database, read_secret_key

OWNER = "demo"
SANDBOX = SandboxSettings(queue_ms=(100, 400), run_ms=(600, 1_400))
START_S, STOP_S = 10, 7
LOG_TAIL = 12  # lines

# What takes minutes in life happens in seconds here; the gateways' own intervals (videos.txt: 5 s) are shortened too.
SETTINGS = """\
database = "{database}"
port = {port}
public_url = "{base_url}"

[egress]
allow = ["127.0.0.0/8"]

[submit]
wait = "3s"
timeout = "3s"
unclaimed = "3s"

[sweep]
first_guess = "2s"
timeout = "3s"
deadline = "20s"
grace = "1s"
result_grace = "5s"

[deliveries]
timeout = "2s"
retries = ["500ms", "1s", "2s", "4s"]
"""
GATEWAY_SETTINGS = """
[gateways.{name}]
base_url = "{url}"
key = "{key}"
min_interval = "200ms"
rate = 50
"""


class ServiceDied(Exception):
    """The service did not start, or ended by itself; the text has the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """api_key: the owner's. admin_key: sees everybody's. webhook_secret: signs the webhooks of the owner's single
    tasks."""

    api_key: str
    admin_key: str
    webhook_secret: str


@dataclass(frozen=True, slots=True)
class Subscribers:
    """Whom the service tells."""

    verifier: Verifier = field(default_factory=lambda: Verifier("verifier"))
    flaky: Flaky = field(default_factory=lambda: Flaky("flaky"))
    sleeper: Sleeper = field(default_factory=lambda: Sleeper("sleeper"))
    zap: Zap = field(default_factory=lambda: Zap("zap"))
    channel: Channel = field(default_factory=lambda: Channel("slack"))

    @property
    def all(self) -> tuple[Subscriber, ...]:
        return self.verifier, self.flaky, self.sleeper, self.zap, self.channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """All of them, on stage. sandboxes: gateway -> URL."""

    base_url: str
    folder: Path
    keys: Keys
    sandboxes: Mapping[str, str]
    subscribers: Subscribers
    http: httpx.AsyncClient
    process: asyncio.subprocess.Process

    async def call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Ask the service as the owner does, unless the headers say otherwise. body: JSON."""
        known = {"authorization": f"Bearer {self.keys.api_key}", "content-type": "application/json"}
        return await self.http.request(method, self.base_url + path, content=body, headers=known | dict(headers or {}))

    async def everything(self, path: str) -> list[Json]:
        """All pages of one of the service's lists, oldest first."""
        found: list[Json] = []
        cursor = ""
        while True:
            page = (await self.call("GET", f"{path}?limit=200{cursor}")).raise_for_status().json()
            found += page["data"]
            if page["next_cursor"] is None:
                return found[::-1]
            cursor = f"&cursor={page['next_cursor']}"

    async def stream(self, last_id: str) -> AsyncIterator[Message]:
        """The owner's events as they come, behind the one of this number; from the first, where it is ""."""
        known = {"authorization": f"Bearer {self.keys.api_key}"} | ({"last-event-id": last_id} if last_id else {})
        url = f"{self.base_url}/v1/stream" + ("" if last_id else "?after=0")
        async with self.http.stream("GET", url, headers=known, timeout=None) as answer:
            answer.raise_for_status()
            reader = MessageReader(last_id)
            async for piece in answer.aiter_bytes():
                for message in reader.feed(piece):
                    if message.data:
                        yield message

    async def sandbox_logs(self) -> dict[str, Json]:
        """What each gateway has seen."""
        logs = {}
        for name, url in self.sandboxes.items():
            logs[name] = (await self.http.get(f"{url}/sandbox/log")).raise_for_status().json()
        return logs

    async def until_it_dies(self) -> None:
        """Raises ServiceDied when the service ends; until then it waits."""
        status = await self.process.wait()
        raise ServiceDied(f"the service ended half way (exit status {status})\n{_tail(self.folder)}")


@asynccontextmanager
async def open_cast(folder: Path) -> AsyncIterator[Cast]:
    """Everybody, ready to play, for as long as the block lasts. folder: of the settings, the database and the log."""
    async with AsyncExitStack() as stack:
        subscribers = Subscribers()
        for each in subscribers.all:
            each.url = await stack.enter_async_context(listening(each))
        simulators = {name: await stack.enter_async_context(open_sandbox(name, SANDBOX)) for name in DIALECTS}
        sandboxes = {name: simulator.base_url for name, simulator in simulators.items()}
        base_url = _free_url()
        config = _write_settings(folder, base_url, sandboxes)
        keys = await _make_keys(config)
        process = await stack.enter_async_context(_service(folder, config))
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=15))
        await _until_it_answers(http, base_url, process, folder)
        yield Cast(
            base_url=base_url,
            folder=folder,
            keys=keys,
            sandboxes=sandboxes,
            subscribers=subscribers,
            http=http,
            process=process,
        )


def _free_url() -> str:
    """The service has to know its own URL before it listens, so a port is looked for, and let go for it to take."""
    with listen() as listening:
        return url_of(listening)


def _write_settings(folder: Path, base_url: str, sandboxes: Mapping[str, str]) -> Path:
    database, port = (folder / "reelhook.db").as_posix(), base_url.rpartition(":")[2]
    parts = [SETTINGS.format(database=database, port=port, base_url=base_url)]
    parts += [GATEWAY_SETTINGS.format(name=name, url=url, key=SANDBOX.api_key) for name, url in sandboxes.items()]
    config = folder / "reelhook.toml"
    config.write_text("".join(parts), encoding="utf-8")
    return config


async def _make_keys(config: Path) -> Keys:
    """As `reelhook keys create` does it."""
    settings = read_settings(config, environment={})
    owner, admin = new_key(), new_key()
    async with open_database(settings) as database:
        await database.write(insert_key, owner, OWNER, "owner", system_clock())
        await database.write(insert_key, admin, OWNER, "admin", system_clock())
        secret = owner_secret(await read_secret_key(settings, database), OWNER)
    return Keys(api_key=owner, admin_key=admin, webhook_secret=secret)


@asynccontextmanager
async def _service(folder: Path, config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The service's process; ended as an operator would, and by force when it does not listen."""
    with (folder / "service.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service", "serve", "--config", str(config)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={name: value for name, value in os.environ.items() if not name.startswith("REELHOOK_")},
            start_new_session=True,  # Ctrl-C in a terminal is for the demo, which then ends the service in its turn
        )
    try:
        yield process
    finally:
        _signal(process, signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            _signal(process, signal.SIGKILL)
            await process.wait()


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    """Not by process.terminate(): it polls, and so may take away the exit status that asyncio is waiting for."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


async def _until_it_answers(
    http: httpx.AsyncClient, base_url: str, process: asyncio.subprocess.Process, folder: Path
) -> None:
    for _ in range(START_S * 20):
        if process.returncode is not None:
            raise ServiceDied(f"the service did not start (exit status {process.returncode})\n{_tail(folder)}")
        try:
            if (await http.get(f"{base_url}/health")).is_success:
                return
        except httpx.TransportError:
            pass  # not yet
        await asyncio.sleep(0.05)
    raise ServiceDied(f"the service did not answer within {START_S} s\n{_tail(folder)}")


def _tail(folder: Path) -> str:
    lines = (folder / "service.log").read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(["its log ends so:", *lines[-LOG_TAIL:]] if lines else ["it has logged nothing"])
