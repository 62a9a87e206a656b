"""What durability costs: from a task's end on disk to ten subscribers, against the bare sender.

    python -m bench.fan_out [--tasks 500]

Measured in one run, in one process with its sink in another:

    sender     the product's own sender (egress), nothing stored
    pipeline   settle in a commit of its own, event, ten deliveries, attempts recorded in batches
    row        the same number of rows, each in a commit of its own
    httpx      httpx with its own connection pool, limits raised to the concurrency
"""

import argparse
import asyncio
import logging
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from service.egress import Egress, open_egress
from service.guard import Guard
from service.model import Status, Submission, Task, VideoRequest, new_id
from service.settings import DeliverySettings, EgressSettings, Settings
from service.settling import End
from service.signing import new_secret
from service.store.tasks import insert_task
from service.store.telling import add_subscription
from service.subscriptions import Subscription
from service.wire import HttpRequest
from service.wiring import Services, open_services
from service.worker import working

SUBSCRIBERS = 10
AT_ONCE = 64
BODY = b'{"data":"' + b"x" * 1000 + b'"}'


class Sink:
    """The subscriber, in a process of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.sink"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.url = f"http://127.0.0.1:{self._line()}/hook"

    def answered(self) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._line())

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


async def at_once(total: int, one: Callable[[], Awaitable[object]]) -> float:
    """Seconds for `total` calls, AT_ONCE at a time."""
    left = iter(range(total))

    async def take_turns() -> None:
        for _ in left:
            await one()

    start = time.perf_counter()
    await asyncio.gather(*(take_turns() for _ in range(AT_ONCE)))
    return time.perf_counter() - start


async def sender(egress: Egress, url: str, total: int) -> float:
    request = HttpRequest(method="POST", url=url, headers={"content-type": "application/json"}, body=BODY)
    return total / await at_once(total, lambda: egress.deliver(request, timeout_ms=15_000, cap=65_536))


async def plain_httpx(url: str, total: int) -> float:
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    async with httpx.AsyncClient(limits=limits, trust_env=False) as client:
        return total / await at_once(total, lambda: client.post(url, content=BODY))


def row_by_row(folder: Path, total: int) -> float:
    database = sqlite3.connect(folder / "rows.db", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB)")
    start = time.perf_counter()
    for _ in range(total):
        database.execute("INSERT INTO rows (body) VALUES (?)", (BODY,))
    return total / (time.perf_counter() - start)


async def pipeline(services: Services, sink: Sink, tasks: int) -> float:
    """Durable deliveries per second, from the first settle to the last attempt recorded."""
    ids = [await store_task(services) for _ in range(tasks)]
    for _ in range(SUBSCRIBERS):
        await services.database.write(add_subscription, subscription(services, sink.url))
    before, ended = sink.answered(), iter(ids)

    async def end_one() -> None:
        await services.hub.end(next(ended), End(status=Status.SUCCEEDED, by="callback"))

    start = time.perf_counter()
    await at_once(tasks, end_one)
    while await services.reads.next_at("next_delivery") is not None:
        await asyncio.sleep(0.005)
    seconds = time.perf_counter() - start
    sent = sink.answered() - before
    assert sent == tasks * SUBSCRIBERS, f"{sent} deliveries arrived, {tasks * SUBSCRIBERS} were due"
    return sent / seconds


async def store_task(services: Services) -> str:
    task = a_task(services)
    await services.database.write(insert_task, task, None, None)
    return task.id


def a_task(services: Services) -> Task:
    now = services.clock()
    return Task(
        id=new_id("task", now),
        owner="bench",
        gateway="none",
        dialect="easyrouter",
        surface="unified",
        request=VideoRequest(model="m", prompt="a river in autumn, aerial view"),
        status=Status.QUEUED,
        submission=Submission.SENDING,
        when_full="queue",
        created_at=now,
        updated_at=now,
        deadline_at=now + 10**9,
        next_at=now + 10**9,
    )


def subscription(services: Services, url: str) -> Subscription:
    now = services.clock()
    return Subscription(
        id=new_id("sub", now),
        owner="bench",
        url=url,
        events=("task.succeeded",),
        format="standard",
        secret=new_secret(),
        created_at=now,
    )


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Services]:
    settings = Settings(
        database=str(folder / "bench.db"),
        egress=EgressSettings(allow=("127.0.0.0/8",)),
        deliveries=DeliverySettings(concurrency=AT_ONCE * 2),
    )
    async with open_services(settings) as services, working(services):
        yield services


async def main(tasks: int) -> None:
    logging.disable(logging.INFO)
    total = tasks * SUBSCRIBERS
    sink = Sink()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            async with open_egress(Guard(["127.0.0.0/8"]), "bench") as egress:
                await sender(egress, sink.url, 500)
                bare = await sender(egress, sink.url, total)
            async with opened(folder) as services:
                durable = await pipeline(services, sink, tasks)
            rows = await asyncio.to_thread(row_by_row, folder, min(total, 2_000))
            pooled = await plain_httpx(sink.url, min(total, 500))
    finally:
        sink.close()
    print(f"{'':10}{'per second':>12}{'of the bare sender':>20}")
    for what, rate in (("sender", bare), ("pipeline", durable), ("row", rows), ("httpx", pooled)):
        print(f"{what:10}{rate:12.0f}{rate / bare:20.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=500)
    options = parser.parse_args()
    try:
        import uvloop
    except ImportError:
        asyncio.run(main(options.tasks))
    else:
        uvloop.run(main(options.tasks))
