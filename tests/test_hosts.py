"""Hosts that do not answer, over real HTTP: asked by one at a time, and nobody else is delayed."""

import asyncio
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.breakers import Broken
from service.clock import DAY, HOUR, MINUTE
from service.lanes import Lane
from service.settings import Span
from tests.hub import SETTINGS, hub
from tests.servers import Sink, serve
from tests.store.given import a_dispatch, a_subscription, an_event, each, sql

SHORT = replace(SETTINGS, deliveries=replace(SETTINGS.deliveries, timeout=Span(300)))


async def silent_host(it, number, port):
    for path in range(number):
        await it.subscribe(f"http://127.0.0.1:{port}/{path}")


async def test_a_dead_host_is_asked_by_one_at_a_time_and_by_all_when_it_is_back(tmp_path):
    async with Sink().open() as sink:
        port = int(sink.url.rpartition(":")[2])
    steps = (Span(0), Span(0), Span(0), Span(60_000))
    settings = replace(SETTINGS, deliveries=replace(SETTINGS.deliveries, retries=steps))
    async with hub(tmp_path, settings=settings) as it:
        await silent_host(it, 12, port)
        await it.submit()
        await it.until(it.services.reads.breakers, len)
        shown = await it.listed("/v1/deliveries?limit=200")
        assert sum(one["attempt_count"] for one in shown) < 2 * 12
        async with serve(back_of(Sink()), port):
            await it.until(lambda: it.listed("/v1/deliveries?status=delivered"), lambda found: len(found) == 12)
        await it.until(it.services.reads.breakers, lambda found: found == [])


def back_of(sink):
    return Starlette(routes=[Route("/{path:path}", sink._receive, methods=["POST"])])


async def test_a_host_that_was_dead_is_left_alone_after_a_restart(tmp_path):
    async with hub(tmp_path) as it:
        await silent_host(it, 8, 1)
        await it.submit()
        (before,) = await it.until(it.services.reads.breakers, len)
    async with hub(tmp_path) as it:
        await it.until(it.services.reads.breakers, len)
        admitted_at = it.services.deliveries._breakers.admit(before["host"], "anybody", before["open_until"] - 1)
        assert admitted_at is not None and admitted_at >= before["open_until"]


async def test_a_host_that_nobody_has_asked_for_a_day_is_forgotten(tmp_path):
    async with hub(tmp_path, worker=False) as it:
        for host, ago in (("long.example", 25 * HOUR), ("lately.example", HOUR)):
            open_until = it.services.clock() - ago
            kept = {"host": host, "opened": 3, "open_until": open_until}
            await it.services.database.write(each, "keep_breaker", [kept])
    async with hub(tmp_path) as it:
        found = await it.until(it.services.reads.breakers, lambda found: len(found) < 2)
        assert [row["host"] for row in found] == ["lately.example"]


@pytest.mark.parametrize(("begun_ago", "base", "sent"), [(4 * DAY, 3, True), (0, 0, False)])
async def test_what_has_had_all_of_its_time_since_it_was_begun_is_sent_to_a_dead_host_too(
    tmp_path, begun_ago, base, sent
):
    async with hub(tmp_path, worker=False) as it:
        deliveries, now = it.services.deliveries, it.services.clock()
        subscription = a_subscription(url="http://127.0.0.1:1/", failing_since=now - 9 * DAY)
        old = a_dispatch(an_event(created_at=now - 9 * DAY), subscription, begun_at=now - begun_ago, base=base)
        endpoint = deliveries._endpoints.of(subscription)
        deliveries._breakers.restore([Broken(endpoint.host, 1, now + MINUTE)])
        assert (deliveries._not_before(endpoint, Lane("x"), old, now) == now) == sent


async def test_an_endpoint_that_answers_is_not_delayed_by_one_of_its_host_that_hangs(tmp_path):
    async def hang_or_answer(request: Request) -> Response:
        if request.url.path.startswith("/hang"):
            await asyncio.sleep(30)
        else:
            heard.append(request.url.path)
        return Response()

    heard: list[str] = []
    settings = replace(SHORT, deliveries=replace(SHORT.deliveries, retries=(Span(0),) * 20))
    app = Starlette(routes=[Route("/{path:path}", hang_or_answer, methods=["POST"])])
    async with serve(app) as url, hub(tmp_path, settings=settings) as it:
        for number in range(6):
            await it.subscribe(f"{url}/hang/{number}")
        await it.submit()
        await it.until(it.services.reads.breakers, len)
        await it.subscribe(url + "/well", events=["task.accepted"])
        for _ in range(5):
            began = it.services.clock()
            await it.submit()
            await it.until(lambda: asyncio.sleep(0, heard), lambda heard: heard.pop() if heard else None)
            assert it.services.clock() - began < 1_000


async def test_a_subscription_that_cannot_be_sent_to_at_all_says_nothing_of_its_host(tmp_path):
    """What it confided cannot be opened any more: nobody was asked."""
    async with Sink().open() as sink, hub(tmp_path) as it:
        made = await it.subscribe(sink.url, headers={"x-a": "b"}, retry_seconds=[0] * 8)
        await it.services.database.write(sql, "UPDATE subscriptions SET sealed = 'x', revision = 2")
        await it.submit()
        (delivery,) = await it.until(lambda: it.listed("/v1/deliveries?status=exhausted"), len)
        assert (delivery["attempt_count"], sink.requests) == (9, [])
        assert await it.services.reads.breakers() == []
        assert (await it.http.get(f"/v1/subscriptions/{made['id']}")).status_code == 200
