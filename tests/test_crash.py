"""kill -9: what was acknowledged is not lost, and nothing is paid twice."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from service.sandbox import SandboxSettings, Simulator
from service.web.sandbox import open_sandbox
from service.wire import HttpRequest, loads
from tests.hub import ENDED, PATIENCE_S, TRUST
from tests.servers import Sink

SANDBOX = SandboxSettings(queue_ms=(0, 50), run_ms=(50, 400), callback_pause_ms=50)


class Process:
    """`reelhook serve` on a file, that can be killed and started again."""

    def __init__(self, folder: Path, gateway_url: str, dialect: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}"
        self._config = folder / "reelhook.toml"
        self._log = folder / "reelhook.log"
        self._config.write_text(
            f"""
            database = "{folder / "crash.db"}"
            port = {self.port}
            public_url = "{self.base_url}"
            egress.allow = ["127.0.0.0/8"]
            submit = {{timeout = "1s", lease = "500ms", unclaimed = "1s", prepare_timeout = "1s"}}
            sweep = {{first_guess = "200ms", timeout = "1s"}}
            deliveries = {{timeout = "1s", retries = ["100ms", "100ms", "100ms", "1s", "1s"]}}
            [gateways.{dialect}]
            base_url = "{gateway_url}"
            key = "sandbox-key"
            min_interval = "20ms"
            rate = 1000
            """
        )
        self._process: subprocess.Popen[bytes] | None = None

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "service", *words, "--config", str(self._config)]

    def key(self) -> str:
        made = subprocess.run(
            self.command("keys", "create", "--owner", "anna", "--json"), check=True, capture_output=True, text=True
        )
        return str(loads(made.stdout)["api_key"])

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self.command("serve"), stderr=log)  # noqa: ASYNC220 - quick, and a test
        async with asyncio.timeout(20), httpx.AsyncClient(trust_env=False, verify=TRUST) as http:
            while True:
                try:
                    await http.get(self.base_url + "/health")
                    return
                except httpx.TransportError:
                    assert self._process.poll() is None, self._log.read_text()
                    await asyncio.sleep(0.02)

    async def refuses(self) -> None:
        """Until it takes no more connections: it has begun to stop."""
        async with asyncio.timeout(20):
            while True:
                async with httpx.AsyncClient(trust_env=False, verify=TRUST) as http:
                    try:
                        await http.get(self.base_url + "/health")
                    except httpx.TransportError:
                        return
                await asyncio.sleep(0.02)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, number: int) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(timeout=40)


@asynccontextmanager
async def running(
    folder: Path, dialect: str = "easyrouter"
) -> AsyncIterator[tuple[Process, httpx.AsyncClient, Simulator]]:
    async with open_sandbox(dialect, SANDBOX) as sandbox:
        process = Process(folder, sandbox.base_url, dialect)
        headers = {"authorization": f"Bearer {process.key()}"}
        await process.start()
        try:
            async with httpx.AsyncClient(
                base_url=process.base_url, headers=headers, trust_env=False, verify=TRUST, timeout=5
            ) as http:
                yield process, http, sandbox
        finally:
            process.stop(signal.SIGKILL)


async def submit(http: httpx.AsyncClient, key: str) -> str | None:
    """The id of a task that was acknowledged, or None when the service died before it answered."""
    body = {"gateway": "easyrouter", "model": "dreamina-seedance-2-0", "prompt": f"cat {key}"}
    try:
        answer = await http.post("/v1/tasks", json=body, headers={"idempotency-key": key})
    except httpx.TransportError:
        return None
    assert answer.status_code in (201, 202), answer.text
    return str(answer.json()["id"])


async def submit_body(http: httpx.AsyncClient, prompt: str) -> httpx.Response:
    body = {"gateway": "easyrouter", "model": "dreamina-seedance-2-0", "prompt": prompt}
    return await http.post("/v1/tasks", json=body)


async def until_over(http: httpx.AsyncClient, ids: set[str]) -> dict[str, str]:
    """The status of each task, when all of them have ended or are known to be doubted."""
    async with asyncio.timeout(PATIENCE_S * 3):
        while True:
            found = {}
            for task_id in ids:
                shown = (await http.get(f"/v1/tasks/{task_id}")).json()
                doubted = shown["submission"] == "unknown" and shown["status"] not in ENDED
                found[task_id] = "unknown" if doubted else shown["status"]
            if all(status in (*ENDED, "unknown") for status in found.values()):
                return found
            await asyncio.sleep(0.05)


def told(requests: list[HttpRequest]) -> dict[str, set[str]]:
    """The ids of the events that were told, by task."""
    found: dict[str, set[str]] = {}
    for request in requests:
        event = loads(request.body)
        found.setdefault(event["data"]["task"]["id"], set()).add(request.headers["webhook-id"])
    return found


@pytest.mark.parametrize("after_ms", [5, 60, 200, 450])
async def test_kill_9_loses_no_task_no_event_and_pays_nothing_twice(tmp_path, after_ms):
    """F8.1: the task is on disk before the create leaves."""
    async with Sink().open() as sink, running(tmp_path) as (process, http, sandbox):
        await http.post("/v1/subscriptions", json={"url": sink.url, "events": ["task.succeeded"]})
        submits = [asyncio.create_task(submit(http, str(number))) for number in range(20)]
        await asyncio.sleep(after_ms / 1000)
        process.stop(signal.SIGKILL)
        acknowledged = {task_id for task_id in await asyncio.gather(*submits) if task_id is not None}
        await process.start()
        repeated = {task_id for number in range(20) if (task_id := await submit(http, str(number)))}
        assert acknowledged <= repeated, "an acknowledged task is still known by its key"

        ended = await until_over(http, repeated)
        succeeded = [task_id for task_id, status in ended.items() if status == "succeeded"]
        heard = await sink.wait_for(lambda found: set(succeeded) <= set(told(found)))
        by_prompt = [note.prompt for note in sandbox.log.creates.values()]
        assert len(by_prompt) == len(set(by_prompt)), "a task was created twice"
        assert all(len(ids) == 1 for ids in told(heard).values()), "an event was told under two ids"


async def test_a_create_that_kill_9_left_unanswered_is_the_same_task_when_it_is_sent_again(tmp_path):
    """By a gateway's own API and without a key, as the official clients do."""
    path, body = "/easyrouter/v1/video/generations", {"model": "dreamina-seedance-2-0", "prompt": "[slow create 900ms]"}
    async with running(tmp_path) as (process, http, sandbox):
        waiting = asyncio.create_task(http.post(path, json=body))
        while not sandbox.log.creates:
            await asyncio.sleep(0.01)
        process.stop(signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            await waiting
        await process.start()
        again = await http.post(path, json=body)
        (task,) = (await http.get("/v1/tasks")).json()["data"]
        # a doubt, unless a callback has told of its success by now
        assert again.status_code == 200 or (again.status_code, again.headers["x-should-retry"]) == (504, "false")
        assert task["id"] in again.text
        assert len(sandbox.log.creates) == 1


@pytest.mark.parametrize("after_ms", [20, 250, 400])
async def test_kill_9_in_the_middle_of_an_upload_leaves_a_task_that_is_made_once(tmp_path, after_ms):
    async with running(tmp_path, "worldrouter") as (process, http, sandbox):
        slow = {"type": "image", "role": "reference_image", "url": "https://example.com/[slow create 200ms].png"}
        body = {"gateway": "worldrouter", "model": "seedance-2.0", "prompt": "image 1 walks", "media": [slow]}
        submitting = asyncio.create_task(http.post("/v1/tasks", json=body))
        while not sandbox.log.uploads:
            await asyncio.sleep(0.005)
        await asyncio.sleep(after_ms / 1000)
        process.stop(signal.SIGKILL)
        await asyncio.gather(submitting, return_exceptions=True)
        await process.start()
        (task,) = (await http.get("/v1/tasks")).json()["data"]
        ended = (await until_over(http, {task["id"]}))[task["id"]]
        assert len(sandbox.log.creates) <= 1, "a task was created twice"
        assert ended == "succeeded" or after_ms > 200, "before its create left, a crash leaves nothing in doubt"


async def test_sigterm_ends_with_zero_and_finishes_what_is_under_way(tmp_path):
    async with running(tmp_path) as (process, http, sandbox):
        waiting = asyncio.create_task(
            http.post(
                "/v1/tasks",
                json={"gateway": "easyrouter", "model": "dreamina-seedance-2-0", "prompt": "[slow create 500ms]"},
            )
        )
        while not sandbox.log.creates:
            await asyncio.sleep(0.01)
        status = await asyncio.to_thread(process.stop, signal.SIGTERM)
        assert (status, (await waiting).status_code) == (0, 201)
        await process.start()


async def test_a_second_signal_does_not_wait_and_loses_nothing(tmp_path):
    async with running(tmp_path) as (process, http, sandbox):
        waiting = asyncio.create_task(submit_body(http, "[stall]"))
        while not sandbox.log.creates:
            await asyncio.sleep(0.01)
        process.signal(signal.SIGINT)
        await process.refuses()  # two signals at once may be one
        status = await asyncio.to_thread(process.stop, signal.SIGINT)
        await asyncio.gather(waiting, return_exceptions=True)
        await process.start()
        (task,) = (await http.get("/v1/tasks")).json()["data"]
        assert (status, task["submission"] in ("sending", "unknown"), len(sandbox.log.creates)) == (130, True, 1)


async def test_kill_9_loses_no_delivery_of_any_subscription_and_makes_none_twice(tmp_path):
    """Some have answered, some have failed and wait, some are under way: and there is a replay besides."""
    async with (
        Sink().open() as well,
        Sink(500, 500, 500, 200).open() as ill,
        Sink(0, 0, 200).open() as slow,
        running(tmp_path) as (process, http, _),
    ):
        sinks = (well, ill, slow)
        made = [(await http.post("/v1/subscriptions", json={"url": sink.url})).json() for sink in sinks]
        await asyncio.gather(*(submit(http, str(number)) for number in range(10)))
        begun = await http.post(f"/v1/subscriptions/{made[0]['id']}/replay", json={"status": "delivered"})
        assert begun.status_code == 202, begun.text
        await slow.wait_for(lambda found: len(found) >= 2)
        process.stop(signal.SIGKILL)
        slow.release()
        await process.start()
        ids = {task["id"] for task in (await http.get("/v1/tasks")).json()["data"]}
        ended = await until_over(http, ids)
        events = {task_id for task_id, status in ended.items() if status == "succeeded"}
        async with asyncio.timeout(PATIENCE_S * 2):
            while True:
                rows = (await http.get("/v1/deliveries?limit=200")).json()["data"]
                replay = (await http.get(begun.headers["location"])).json()
                if replay["status"] == "finished" and not any(row["status"] == "pending" for row in rows):
                    break
                await asyncio.sleep(0.05)
        pairs = [(row["event_id"], row["subscription_id"]) for row in rows]
        assert len(pairs) == len(set(pairs))
        assert all(events <= set(told(sink.requests)) for sink in sinks)
        for sink in sinks:
            bodies = {(one.headers["webhook-id"], one.body) for one in sink.requests}
            assert len(bodies) == len({one.headers["webhook-id"] for one in sink.requests}), "other bytes"
