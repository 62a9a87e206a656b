"""How it stands with a subscription, over real HTTP and with a clock that is set by hand."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

from service.clock import DAY, HOUR, system_clock
from service.events import made_event
from service.formats.samples import sample_data
from service.formats.shape import Telling
from service.keys import Caller
from service.settings import Span
from service.wire import loads
from service.wiring import open_services
from service.wishes import read_wish
from service.worker import working
from tests.hub import PATIENCE_S, SETTINGS, hub
from tests.servers import Sink

# Every attempt counts, and the way to disabling is short.
QUICK = replace(
    SETTINGS,
    deliveries=replace(SETTINGS.deliveries, disable_after=Span(400), disable_failures=3, retries=(Span(20),) * 40),
)


async def shown(it, subscription):
    return (await it.http.get(f"/v1/subscriptions/{subscription['id']}")).json()


def types(requests):
    return [loads(one.body)["type"] for one in requests]


async def test_a_long_failing_endpoint_is_announced_disabled_and_brought_back_by_a_test(tmp_path):
    async with Sink(500).open() as ill, Sink().open() as other, hub(tmp_path, settings=QUICK) as it:
        made = await it.subscribe(ill.url, events=["*"])
        await it.subscribe(other.url, events=["subscription.*"])
        await it.submit()
        requests = await other.wait_for(lambda found: "subscription.disabled" in types(found))
        told = [loads(one.body)["data"]["subscription"] for one in requests]
        stages = [one["percent"] for one in told]
        assert stages == sorted(set(stages)) and stages[-1] == 100 and set(stages) <= {50, 70, 90, 100}
        assert {(one["id"], one["url"]) for one in told} == {(made["id"], ill.url + "/…")}
        now = await shown(it, made)
        assert now["status"] == "disabled" and "HTTP 500" in now["disabled_reason"]
        assert await it.listed(f"/v1/deliveries?status=pending&subscription={made['id']}") == []
        failed = (await it.post(f"/v1/subscriptions/{made['id']}/test")).json()
        assert (failed["subscription_enabled"], (await shown(it, made))["status"]) == (False, "disabled")
        ill._statuses = [200]
        tried = (await it.post(f"/v1/subscriptions/{made['id']}/test")).json()
        now = await shown(it, made)
        assert (tried["subscription_enabled"], now["status"], now["failures"]) == (True, "active", 0)
        assert now["disabled_reason"] is None and now["warned_percent"] == 0
        count = len(ill.requests)
        await it.submit()
        await ill.wait_for(lambda found: len(found) > count)
        assert not any(kind.startswith("subscription.") for kind in types(ill.requests)), "never told of itself"


async def test_an_operator_hears_of_what_is_given_up_by_others(tmp_path):
    async with Sink(500).open() as ill, Sink().open() as operator, hub(tmp_path) as it:
        await it.admin.post("/v1/subscriptions", json={"url": operator.url, "events": ["delivery.*"], "owner": "*"})
        made = await it.subscribe(ill.url, retry_seconds=[])
        await it.submit()
        (request,) = await operator.wait_for(len)
        data = loads(request.body)["data"]
        assert (data["subscription"]["id"], data["subscription"]["owner"]) == (made["id"], "anna")
        assert data["delivery"]["attempt_count"] == 1


async def test_the_webhook_of_one_task_that_is_given_up_is_announced_too(tmp_path):
    settings = replace(SETTINGS, deliveries=replace(SETTINGS.deliveries, retries=()))
    async with Sink(500).open() as ill, Sink().open() as other, hub(tmp_path, settings=settings) as it:
        await it.subscribe(other.url, events=["delivery.exhausted"])
        task = await it.submit(webhook_url=ill.url)
        (request,) = await other.wait_for(len)
        delivery = (await it.http.get(f"/v1/deliveries/{loads(request.body)['data']['delivery']['id']}")).json()
        event = (await it.http.get(f"/v1/events/{delivery['event_id']}")).json()
        assert event["data"]["task"]["id"] == task["id"]


async def test_a_channel_that_cannot_be_told_of_warnings_brings_forth_no_others(tmp_path):
    async with Sink(500).open() as one, Sink(500).open() as two, hub(tmp_path) as it:
        for sink in (one, two):
            await it.subscribe(sink.url, events=["task.succeeded", "delivery.*", "subscription.*"], retry_seconds=[])
        await it.submit()
        found = await it.until(
            lambda: it.listed("/v1/deliveries"),
            lambda found: len(found) == 4 and all(each["status"] == "exhausted" for each in found),
        )
        assert sorted(each["event_type"] for each in found) == ["delivery.exhausted"] * 2 + ["task.succeeded"] * 2
        await asyncio.sleep(0.2)
        assert len(await it.listed("/v1/deliveries")) == 4


class Hand:
    """A clock that runs, and that can be put on."""

    def __init__(self):
        self.ahead = 0

    def __call__(self):
        return system_clock() + self.ahead


@asynccontextmanager
async def by_hand(tmp_path):
    """Services with their worker, and their clock."""
    clock = Hand()
    settings = replace(SETTINGS, database=str(tmp_path / "x.db"), public_url="http://127.0.0.1:9", gateways={})
    async with open_services(settings, clock=clock) as services, working(services):
        yield services, clock


async def tell(services):
    data = {"task": {"id": "task_1"}}
    event, body = made_event("anna", "task.succeeded", data, services.clock())
    await services.hub.tell(Telling(event=event, envelope=body))


async def test_five_days_of_failures_go_through_every_stage(tmp_path):
    async with Sink(500).open() as ill, Sink().open() as other, by_hand(tmp_path) as (services, clock):
        caller = Caller(key_id="key_1", name="anna", admin=False)
        wish = {"url": ill.url, "retry_seconds": []}
        read = read_wish(wish, caller, services.settings.deliveries)
        made = await services.subscribing.make("anna", read)
        wish = {"url": other.url, "events": ["subscription.*"]}
        await services.subscribing.make("anna", read_wish(wish, caller, services.settings.deliveries))
        for number in range(21):
            await tell(services)
            async with asyncio.timeout(PATIENCE_S):
                while (await services.reads.subscription(made.id, None)).failures < number + 1:
                    await asyncio.sleep(0.005)
            clock.ahead += DAY // 4 + HOUR // 10
        requests = await other.wait_for(lambda found: len(found) >= 4)
        told = [loads(one.body)["data"]["subscription"]["percent"] for one in requests]
        assert sorted(told) == [50, 70, 90, 100]
        now = await services.reads.subscription(made.id, None)
        assert now.disabled_at is not None and len(ill.requests) == 21


def keys(value):
    return {name: keys(inner) for name, inner in value.items()} if isinstance(value, dict) else None


async def test_samples_of_operational_events_have_the_keys_of_live_ones(tmp_path):
    async with Sink(500).open() as ill, Sink().open() as other, hub(tmp_path, settings=QUICK) as it:
        await it.subscribe(other.url, events=["subscription.*", "delivery.*"])
        await it.subscribe(ill.url, events=["task.accepted"], retry_seconds=[])
        await it.subscribe(ill.url)
        await it.submit()
        requests = await other.wait_for(lambda found: len(set(types(found))) == 3)
        for request in requests:
            live = loads(request.body)
            (sample, *_) = (await it.http.get(f"/v1/hooks/samples?event={live['type']}&format=standard")).json()
            data = sample_data(live["type"], it.services.links, it.services.clock())
            assert keys(data) == keys(live["data"]) == keys(sample["data"])
