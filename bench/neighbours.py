"""What bad neighbours cost: from an event's commit to a healthy endpoint, alone and beside bad ones.

    python -m bench.neighbours [--seconds 10] [--bad 40]

Measured in one run; every event goes to all endpoints, and the deadline of an attempt is three seconds:

    alone      nobody else
    quick      forty that answer after 20 ms
    hanging    forty that never answer
    slow       forty that answer after 2.7 s
    nameless   forty whose names nobody resolves

    thousand   a thousand subscriptions, of which each event reaches ten, and no bad one: measured at all of them
    one hangs  the same, and one more that wants every event and never answers; its p99 is of the thousand's

    burst      one subscription alone, 2,000 events at once, answered after 20 ms: deliveries per second, and what part
               that is of what its senders could do
"""

import argparse
import asyncio
import logging
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import quantiles
from typing import ClassVar

from bench.fan_out import a_task, subscription
from service.attempting import Attempting
from service.deliveries import Deliveries
from service.egress import Guard, names_of_the_system, open_egress
from service.events import Publisher
from service.model import new_id
from service.settings import DeliverySettings, Settings, Span
from service.store.telling import add_subscription
from service.wiring import Services, open_services

TIMEOUT_MS, SLOW_S, QUICK_S = 3_000, 2.7, 0.02
EVENTS_PER_SECOND = 20
BURST = 2_000
THOUSAND, CUSTOMERS = 1_000, 100
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


class Endpoint(asyncio.Protocol):
    """Answers by the first part of the path: /well, /slow, /quick or /hanging; notes who was told when of what."""

    heard: dict[tuple[str, str], float]  # (path, event id)
    pause_s: ClassVar = {"/slow": SLOW_S, "/quick": QUICK_S, "/well": 0.0}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (request := self._take()) is not None:
            path, event_id = request
            Endpoint.heard.setdefault((path, event_id), time.perf_counter())
            pause_s = self.pause_s.get("/" + path.split("/")[1])
            if pause_s is not None:
                asyncio.get_running_loop().call_later(pause_s, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(OK)

    def _take(self) -> tuple[str, str] | None:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return None
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers["content-length"])
        if len(rest) < length:
            return None
        self._buffer = rest[length:]
        return first.split()[1], headers["webhook-id"]


@dataclass
class House:
    services: Services
    deliveries: Deliveries
    publisher: Publisher

    async def subscribe(self, url: str, customer: int | None = None) -> None:
        """customer: whose events it wants; None for all."""
        made = subscription(self.services, url)
        if customer is not None:
            made = replace(made, filters={"metadata": {"customer": [customer]}})
        await self.services.database.write(add_subscription, made)

    async def tell(self, customer: int = 0) -> tuple[str, float]:
        """(event id, when it was told): an event, committed and handed to the senders."""
        told_at = time.perf_counter()
        now = self.services.clock()
        task = a_task(self.services)
        request = replace(task.request, metadata={"customer": customer})
        task = replace(task, id=new_id("task", now), request=request)
        dispatches = await self.services.database.write(self.publisher.publish, task, "task.succeeded", now)
        self.deliveries.take_over(dispatches)
        return dispatches[0].event_id, told_at


@asynccontextmanager
async def opened(name_server: int) -> AsyncIterator[House]:
    settings = DeliverySettings(timeout=Span(TIMEOUT_MS))

    def names() -> object:
        return names_of_the_system(nameservers=["127.0.0.1"], udp_port=name_server)

    with tempfile.TemporaryDirectory() as folder:
        async with (
            open_services(Settings(database=str(Path(folder) / "bench.db"))) as services,
            open_egress(Guard(["127.0.0.0/8"]), "bench", names) as egress,  # type: ignore[arg-type]
        ):
            attempting = Attempting(
                egress=egress,
                mail=services.mail,
                push=services.push,
                endpoints=services.endpoints,
                settings=settings,
                clock=services.clock,
                chance=lambda: 0.5,
            )
            deliveries = Deliveries(
                database=services.database,
                reads=services.reads,
                attempting=attempting,
                endpoints=services.endpoints,
                publisher=services.publisher,
                news=lambda owner: None,
                settings=settings,
                clock=services.clock,
            )
            running = asyncio.create_task(deliveries.run())
            await asyncio.sleep(0)
            yield House(services, deliveries, Publisher(services.links, deliveries.lease))
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def beside(neighbours: list[str], well: str, seconds: int, name_server: int) -> list[float]:
    """Milliseconds from each event to the healthy endpoint, the first seconds included."""
    Endpoint.heard = {}
    async with opened(name_server) as house:
        await house.subscribe(well)
        for url in neighbours:
            await house.subscribe(url)
        told = []
        for _ in range(seconds * EVENTS_PER_SECOND):
            told.append(asyncio.create_task(house.tell()))
            await asyncio.sleep(1 / EVENTS_PER_SECOND)
        events = await asyncio.gather(*told)
        async with asyncio.timeout(20 * TIMEOUT_MS / 1000):
            while not all(("/well", event_id) in Endpoint.heard for event_id, _ in events):
                await asyncio.sleep(0.01)
    return [(Endpoint.heard["/well", event_id] - told_at) * 1000 for event_id, told_at in events]


async def among_a_thousand(base_url: str, hanging: int, seconds: int, name_server: int) -> list[float]:
    """Milliseconds from each event to each of the healthy endpoints that want it."""
    Endpoint.heard = {}
    async with opened(name_server) as house:
        for number in range(THOUSAND):
            await house.subscribe(f"{base_url}/well/{number}", customer=number % CUSTOMERS)
        for number in range(hanging):
            await house.subscribe(f"{base_url}/hanging/{number}")
        told = []
        for number in range(seconds * EVENTS_PER_SECOND):
            told.append((number % CUSTOMERS, asyncio.create_task(house.tell(number % CUSTOMERS))))
            await asyncio.sleep(1 / EVENTS_PER_SECOND)
        due = {}
        for customer, telling in told:
            event_id, told_at = await telling
            due |= {(f"/well/{number}", event_id): told_at for number in range(customer, THOUSAND, CUSTOMERS)}
        async with asyncio.timeout(20 * TIMEOUT_MS / 1000):
            while not due.keys() <= Endpoint.heard.keys():
                await asyncio.sleep(0.01)
    return [(Endpoint.heard[place] - told_at) * 1000 for place, told_at in due.items()]


async def burst(url: str, name_server: int) -> float:
    """Deliveries per second of one busy subscription."""
    Endpoint.heard = {}
    async with opened(name_server) as house:
        await house.subscribe(url)
        start = time.perf_counter()
        for _ in range(BURST // 100):
            await asyncio.gather(*(house.tell() for _ in range(100)))
        while len(Endpoint.heard) < BURST:
            await asyncio.sleep(0.005)
        return BURST / (time.perf_counter() - start)


def show(kind: str, waits: list[float], first: float) -> float:
    """Print a row; the p99 that the rows after it are held against."""
    cuts = quantiles(waits, n=100, method="inclusive")
    first = first or cuts[98]
    print(f"{kind:10}{cuts[49]:10.1f}{cuts[98]:10.1f}{max(waits):10.1f}{cuts[98] / first:14.1f}", flush=True)
    return first


async def main(seconds: int, bad: int) -> None:
    logging.disable(logging.INFO)
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as hole:
        hole.bind(("127.0.0.1", 0))
        name_server = hole.getsockname()[1]
        server = await asyncio.get_running_loop().create_server(Endpoint, "127.0.0.1", 0, backlog=4096)
        port = server.sockets[0].getsockname()[1]
        kinds = {
            "alone": [],
            "quick": [f"http://127.0.0.1:{port}/quick/{number}" for number in range(bad)],
            "hanging": [f"http://127.0.0.1:{port}/hanging/{number}" for number in range(bad)],
            "slow": [f"http://127.0.0.1:{port}/slow/{number}" for number in range(bad)],
            "nameless": [f"http://nobody-{number}.test:{port}/" for number in range(bad)],
        }
        print(f"{'':10}{'p50 ms':>10}{'p99 ms':>10}{'worst ms':>10}{'p99 of first':>14}")
        alone = 0.0
        for kind, urls in kinds.items():
            alone = show(kind, await beside(urls, f"http://127.0.0.1:{port}/well", seconds, name_server), alone)
        calm = 0.0
        for kind, hanging in (("thousand", 0), ("one hangs", 1)):
            waits = await among_a_thousand(f"http://127.0.0.1:{port}", hanging, seconds, name_server)
            calm = show(kind, waits, calm)
        rate = await burst(f"http://127.0.0.1:{port}/quick", name_server)
        print(f"{'burst':10}{rate:10.0f}/s{rate * QUICK_S / DeliverySettings().per_subscription:20.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--bad", type=int, default=40)
    options = parser.parse_args()
    try:
        import uvloop
    except ImportError:
        asyncio.run(main(options.seconds, options.bad))
    else:
        uvloop.run(main(options.seconds, options.bad))
