"""What filters cost: one event held against a thousand subscriptions, read from the database as it happens in life.

    python -m bench.matching [--subscriptions 1000] [--events 200]

Measured in one run, as one step of a transaction on the writer's thread:

    types      none has a filter, and none names this event
    all        none has a filter, and all want it
    filters    each filters by gateway, model and one value of the metadata; ten of a thousand want it
    apart      the same, and no two filters are the same text
"""

import argparse
import asyncio
import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.fan_out import a_task, subscription
from service.events import made_event
from service.formats.standard import show_task
from service.settings import Settings
from service.store.statements import Transaction
from service.store.telling import add_subscription, subscriptions_to_tell
from service.subscriptions import Subscription
from service.wire import Json
from service.wiring import Services, open_services

CUSTOMERS = 100
OTHER_EVENTS = ("task.failed", "task.expired")
ROUNDS = 5

Change = Callable[[Subscription, int], Subscription]


def filtered(made: Subscription, number: int) -> Subscription:
    filters = {"gateway": ["none"], "model": ["m"], "metadata": {"customer": [number % CUSTOMERS]}}
    return replace(made, filters=filters)


def filtered_apart(made: Subscription, number: int) -> Subscription:
    made = filtered(made, number)
    return replace(made, filters=made.filters | {"external_id": [f"order {number}", "order"]})


CASES: dict[str, tuple[Change, int]] = {  # with how many of a hundred want it
    "types": (lambda made, number: replace(made, events=OTHER_EVENTS), 0),
    "all": (lambda made, number: made, 100),
    "filters": (filtered, 1),
    "apart": (filtered_apart, 1),
}


async def microseconds(change: Change, wanted: int, subscriptions: int, events: int) -> float:
    """Of one event, in the best of some rounds."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_services(Settings(database=str(Path(folder) / "bench.db"))) as services:
            for number in range(subscriptions):
                made = change(subscription(services, "http://127.0.0.1:9/hook"), number)
                await services.database.write(add_subscription, made)
            found, _ = await services.database.write(matched, services, 2)  # what is remembered, is
            assert found == subscriptions * wanted // 100, f"{found} subscriptions want it"
            rounds = [await services.database.write(matched, services, events // ROUNDS) for _ in range(ROUNDS)]
            return min(seconds for _, seconds in rounds) / (events // ROUNDS) * 1e6


def matched(services: Services, events: int) -> Transaction[tuple[int, float]]:
    """(how many want it, seconds for all of the events)."""
    task = a_task(services)
    task = replace(task, request=replace(task.request, metadata={"customer": 7}, external_id="order"))
    data: Json = {"task": show_task(task, services.links)}
    event, _ = made_event("bench", "task.succeeded", data, services.clock(), task_id=task.id)
    found: list[Subscription] = []
    began = time.perf_counter()
    for _ in range(events):
        found = yield from subscriptions_to_tell(event, data)
    return len(found), time.perf_counter() - began


async def main(subscriptions: int, events: int) -> None:
    logging.disable(logging.INFO)
    print(f"{'':10}{'µs per event':>14}{'of types':>10}")
    types = 0.0
    for name, (change, wanted) in CASES.items():
        took = await microseconds(change, wanted, subscriptions, events)
        types = types or took
        print(f"{name:10}{took:14.0f}{took / types:10.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subscriptions", type=int, default=1_000)
    parser.add_argument("--events", type=int, default=200)
    options = parser.parse_args()
    asyncio.run(main(options.subscriptions, options.events))
