"""Tests and handshakes are sent beside the deliveries: few at once, and never two of one subscription."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from service.asides import AT_ONCE, IN_LINE, SHARE, Asides
from service.errors import Problem
from service.settings import Span
from tests.hub import SETTINGS, hub
from tests.servers import Sink

PATIENT = replace(SETTINGS, deliveries=replace(SETTINGS.deliveries, timeout=Span(10_000)))


def trial(it, made):
    return asyncio.create_task(it.post(f"/v1/subscriptions/{made['id']}/test"))


async def test_a_second_test_of_a_subscription_is_refused_while_the_first_is_under_way(tmp_path):
    async with Sink(0).open() as hanging, hub(tmp_path, settings=PATIENT, worker=False) as it:
        made = await it.subscribe(hanging.url)
        first = trial(it, made)
        await hanging.wait_for(len)
        second = await trial(it, made)
        hanging.release()
        assert (second.status_code, second.json()["error"]["code"]) == (409, "conflict")
        assert (await first).json()["status"] == "delivered"


async def test_a_subscription_can_be_tested_again_when_the_test_before_is_over(tmp_path):
    async with Sink(500).open() as failing, hub(tmp_path, worker=False) as it:
        made = await it.subscribe(failing.url)
        assert [(await trial(it, made)).status_code for _ in range(2)] == [200, 200]


async def test_an_owner_may_have_so_many_tests_under_way_and_leaves_room_for_others(tmp_path):
    async with Sink(0).open() as hanging, hub(tmp_path, settings=PATIENT, worker=False) as it:
        subscriptions = [await it.subscribe(hanging.url) for _ in range(SHARE + 3)]
        testing = [trial(it, made) for made in subscriptions]
        answered = asyncio.as_completed(testing)
        refused = [await next(answered) for _ in range(3)]
        assert [each.headers.get("retry-after") for each in refused] == ["10"] * 3
        await hanging.wait_for(lambda requests: len(requests) == SHARE)
        theirs = (await it.other.post("/v1/subscriptions", json={"url": hanging.url})).json()
        another = asyncio.create_task(it.other.post(f"/v1/subscriptions/{theirs['id']}/test"))
        await hanging.wait_for(lambda requests: len(requests) == SHARE + 1)
        hanging.release()
        assert (await another).status_code == 200
        codes = Counter([(await each).status_code for each in testing])
    assert codes == {200: SHARE, 429: 3}


@asynccontextmanager
async def full(asides):
    """Every place is taken, and as many wait for one as may."""
    over, taken = asyncio.Event(), asyncio.Semaphore(0)

    async def hold(owner):
        async with asides.place(owner):
            taken.release()
            await over.wait()

    holding = [asyncio.create_task(hold(f"owner {number}")) for number in range(AT_ONCE + IN_LINE)]
    for _ in range(AT_ONCE):
        await taken.acquire()
    yield holding
    over.set()
    await asyncio.wait(holding)


async def test_a_handshake_for_which_there_is_no_place_is_refused(hub_without_worker):
    it = hub_without_worker
    async with full(it.services.asides):
        answer = await it.http.post(
            "/v1/subscriptions", json={"url": "http://127.0.0.1:9/", "handshake": "cloudevents"}
        )
    assert answer.status_code == 429


async def test_whoever_goes_away_while_he_waits_leaves_room_for_another():
    asides = Asides()
    async with full(asides) as holding:
        with pytest.raises(Problem, match="too many"):
            async with asides.place("anna"):
                pass
        holding[-1].cancel()
        await asyncio.wait(holding[-1:])
        another = asyncio.create_task(asides.place("anna").__aenter__())
    await another
