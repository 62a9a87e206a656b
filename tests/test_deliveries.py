"""Deliveries, over real HTTP: at least once, the same bytes, never after a 2xx, nobody delayed by anybody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.settings import Span
from service.signing import owner_secret
from service.wire import loads
from tests.hub import SETTINGS, hub
from tests.servers import Sink, serve

PATIENT = replace(SETTINGS, deliveries=replace(SETTINGS.deliveries, timeout=Span(2_000)))


async def delivery_of(it, status):
    """The one delivery, when it stands so."""
    (delivery,) = await it.until(
        lambda: it.listed("/v1/deliveries"), lambda found: [one["status"] for one in found] == [status]
    )
    return (await it.http.get(f"/v1/deliveries/{delivery['id']}")).json()


async def test_the_reference_library_verifies_a_delivery(tmp_path):
    """F8.7: Standard Webhooks."""
    async with Sink().open() as sink, hub(tmp_path) as it:
        subscription = await it.subscribe(sink.url)
        await it.submit()
        (request,) = await sink.wait_for(len)
        assert Webhook(subscription["secret"]).verify(request.body, dict(request.headers))["type"] == "task.succeeded"


async def test_the_id_in_the_header_is_the_events(tmp_path):
    async with Sink().open() as sink, hub(tmp_path) as it:
        await it.subscribe(sink.url)
        await it.submit()
        (request,) = await sink.wait_for(len)
        assert request.headers["webhook-id"] == loads(request.body)["id"]


async def test_the_body_is_the_event_as_the_api_shows_it(tmp_path):
    async with Sink().open() as sink, hub(tmp_path) as it:
        await it.subscribe(sink.url)
        await it.submit()
        (request,) = await sink.wait_for(len)
        event = loads(request.body)
        assert (await it.http.get(f"/v1/events/{event['id']}")).json() == event


async def test_every_attempt_has_the_same_bytes_and_id(tmp_path):
    """F8.7: the id is the same across retries."""
    async with Sink(500, 500, 200).open() as sink, hub(tmp_path) as it:
        await it.subscribe(sink.url)
        await it.submit()
        requests = await sink.wait_for(lambda found: len(found) == 3)
        assert len({(request.body, request.headers["webhook-id"]) for request in requests}) == 1


async def test_attempts_are_counted_in_a_header(tmp_path):
    async with Sink(500, 500, 200).open() as sink, hub(tmp_path) as it:
        await it.subscribe(sink.url)
        await it.submit()
        requests = await sink.wait_for(lambda found: len(found) == 3)
        assert [request.headers["x-reelhook-attempt"] for request in requests] == ["1", "2", "3"]


async def test_every_attempt_is_in_the_log(tmp_path):
    async with Sink(500, 200).open() as sink, hub(tmp_path) as it:
        await it.subscribe(sink.url)
        await it.submit()
        delivery = await delivery_of(it, "delivered")
        assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 200]


async def test_there_is_no_attempt_after_a_2xx(tmp_path):
    async with Sink(204).open() as sink, hub(tmp_path) as it:
        await it.subscribe(sink.url)
        await it.submit()
        await delivery_of(it, "delivered")
        await it.ended(await it.submit())
        await it.until(lambda: it.listed("/v1/deliveries?status=delivered"), lambda found: len(found) == 2)
        assert len(sink.requests) == 2


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 429, 500, 503])
async def test_only_a_2xx_is_a_success(tmp_path, status):
    async with Sink(status, 200).open() as sink, hub(tmp_path) as it:
        await it.subscribe(sink.url)
        await it.submit()
        delivery = await delivery_of(it, "delivered")
        assert [attempt["status"] for attempt in delivery["attempts"]] == [status, 200]


async def test_a_delivery_ends_with_its_schedule(tmp_path):
    async with Sink(500).open() as sink, hub(tmp_path) as it:
        await it.subscribe(sink.url)
        await it.submit()
        delivery = await delivery_of(it, "exhausted")
        assert len(delivery["attempts"]) == 1 + len(SETTINGS.deliveries.retries)


async def test_410_ends_the_subscription_at_once(tmp_path):
    """F8.7."""
    async with Sink(410).open() as sink, hub(tmp_path) as it:
        subscription = await it.subscribe(sink.url)
        await it.submit()
        await delivery_of(it, "exhausted")
        shown = (await it.http.get(f"/v1/subscriptions/{subscription['id']}")).json()
        assert (shown["status"], shown["disabled_reason"]) == ("disabled", "the endpoint answered 410 Gone")


async def test_a_disabled_subscription_hears_no_more(tmp_path):
    async with Sink(410).open() as gone, Sink().open() as other, hub(tmp_path) as it:
        await it.subscribe(gone.url)
        await it.submit()
        await delivery_of(it, "exhausted")
        await it.subscribe(other.url)
        await it.submit()
        await other.wait_for(len)
        assert len(gone.requests) == 1


async def test_a_deleted_subscription_hears_no_more(tmp_path):
    async with Sink(500).open() as sink, hub(tmp_path) as it:
        subscription = await it.subscribe(sink.url)
        await it.http.delete(f"/v1/subscriptions/{subscription['id']}")
        await it.ended(await it.submit())
        assert (sink.requests, await it.listed("/v1/deliveries")) == ([], [])


async def test_what_a_deleted_subscription_waited_for_is_cancelled(tmp_path):
    slow = replace(SETTINGS, deliveries=replace(SETTINGS.deliveries, retries=(Span(60_000),)))
    async with Sink(500).open() as sink, hub(tmp_path, settings=slow) as it:
        subscription = await it.subscribe(sink.url)
        await it.submit()
        await sink.wait_for(len)
        await it.http.delete(f"/v1/subscriptions/{subscription['id']}")
        assert (await delivery_of(it, "cancelled"))["last_error"] == "the subscription was deleted"


async def test_an_endpoint_that_never_answers_may_have_received_it(tmp_path):
    async with (
        Sink(0).open() as sink,
        hub(tmp_path, settings=replace(SETTINGS, deliveries=replace(SETTINGS.deliveries, timeout=Span(100)))) as it,
    ):
        await it.subscribe(sink.url)
        await it.submit()
        delivery = await delivery_of(it, "exhausted")
        assert all(attempt["ambiguous"] for attempt in delivery["attempts"])


async def test_an_endpoint_that_is_not_there_has_not_received_it(tmp_path):
    async with hub(tmp_path) as it:
        await it.subscribe("http://127.0.0.1:1/hook")
        await it.submit()
        delivery = await delivery_of(it, "exhausted")
        assert not any(attempt["ambiguous"] for attempt in delivery["attempts"])


async def test_an_attempt_shows_what_the_endpoint_answered(tmp_path):
    async def complain(request: Request) -> Response:
        return Response("the workflow is not active", 404)

    async with serve(Starlette(routes=[Route("/", complain, methods=["POST"])])) as url, hub(tmp_path) as it:
        await it.subscribe(url + "/")
        await it.submit()
        delivery = await delivery_of(it, "exhausted")
        assert delivery["attempts"][0]["response"] == "the workflow is not active"


async def test_retry_after_is_honoured(tmp_path):
    async def busy(request: Request) -> Response:
        return Response("", 429, {"retry-after": "3600"})

    async with serve(Starlette(routes=[Route("/", busy, methods=["POST"])])) as url, hub(tmp_path) as it:
        await it.subscribe(url + "/")
        await it.submit()
        (delivery,) = await it.until(
            lambda: it.listed("/v1/deliveries"), lambda found: [one["attempt_count"] for one in found] == [1]
        )
        due = it.services.clock() + 3_590_000
        (row,) = await it.services.database.read("delivery", id=delivery["id"], owner=None)
        assert row["next_at"] > due


@asynccontextmanager
async def endless(chunks: int) -> AsyncIterator[str]:
    """An endpoint whose answer goes on for a while; its URL."""

    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        try:
            for _ in range(chunks):
                writer.write(b"x" * 65_536)
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_an_endless_answer_is_cut_off_and_counts_by_its_status(tmp_path):
    async with endless(10_000) as url, hub(tmp_path) as it:
        await it.subscribe(url)
        await it.submit()
        assert (await delivery_of(it, "delivered"))["last_status"] == 200


async def test_a_slow_attempt_is_recorded_though_others_were_recorded_meanwhile(tmp_path):
    release = asyncio.Event()

    async def wait(request: Request) -> Response:
        await release.wait()
        return Response()

    async with (
        serve(Starlette(routes=[Route("/", wait, methods=["POST"])])) as slow,
        Sink().open() as fast,
        hub(tmp_path, settings=PATIENT) as it,
    ):
        await it.subscribe(slow + "/")
        await it.subscribe(fast.url)
        await it.submit()
        await it.until(lambda: it.listed("/v1/deliveries?status=delivered"), lambda found: len(found) == 1)
        release.set()
        await it.until(lambda: it.listed("/v1/deliveries?status=delivered"), lambda found: len(found) == 2)


async def test_endpoints_that_hang_delay_nobody_else(tmp_path):
    async with AsyncExitStack() as stack:
        hanging = [await stack.enter_async_context(Sink(0).open()) for _ in range(5)]
        well = await stack.enter_async_context(Sink().open())
        it = await stack.enter_async_context(hub(tmp_path, settings=PATIENT))
        for sink in hanging:
            await it.subscribe(sink.url)
        await it.subscribe(well.url)
        for _ in range(20):
            await it.submit()
        heard = await well.wait_for(lambda requests: len(requests) == 20)
        assert len(heard) == 20


async def test_one_subscription_never_has_more_attempts_under_way_than_its_share(tmp_path):
    settings = replace(PATIENT, deliveries=replace(PATIENT.deliveries, per_subscription=2))
    async with Sink(200, 0).open() as sink, Sink().open() as well, hub(tmp_path, settings=settings) as it:
        await it.subscribe(sink.url)
        await it.subscribe(well.url)
        await it.submit()
        await sink.wait_for(len)
        for _ in range(10):
            await it.submit()
        await well.wait_for(lambda requests: len(requests) == 11)
        assert len(await sink.wait_for(lambda requests: len(requests) == 3)) == 1 + 2


async def test_a_webhook_url_is_told_once_about_its_task_alone(tmp_path):
    async with Sink().open() as sink, hub(tmp_path) as it:
        mine = await it.submit(webhook_url=sink.url + "/mine")
        await it.ended(await it.submit())
        (request,) = await sink.wait_for(len)
        assert loads(request.body)["data"]["task"]["id"] == mine["id"]


async def test_a_webhook_url_is_signed_with_the_owners_secret(tmp_path):
    async with Sink().open() as sink, hub(tmp_path) as it:
        await it.submit(webhook_url=sink.url)
        (request,) = await sink.wait_for(len)
        secret = owner_secret(it.services.secret_key, "anna")
        assert Webhook(secret).verify(request.body, dict(request.headers))


async def test_subscriptions_of_one_url_all_hear(tmp_path):
    async with Sink().open() as sink, hub(tmp_path) as it:
        await it.subscribe(sink.url)
        await it.subscribe(sink.url)
        await it.submit()
        assert len(await sink.wait_for(lambda requests: len(requests) == 2)) == 2


async def test_nobody_hears_of_anothers_tasks(tmp_path):
    async with Sink().open() as mine, Sink().open() as theirs, hub(tmp_path) as it:
        await it.subscribe(mine.url)
        await it.other.post("/v1/subscriptions", json={"url": theirs.url})
        await it.submit()
        await mine.wait_for(len)
        assert theirs.requests == []


async def test_deliveries_that_were_left_behind_are_sent_by_the_next_process(tmp_path):
    async with Sink().open() as sink:
        async with hub(tmp_path, worker=False) as it:
            await it.subscribe(sink.url, events=["task.accepted"])
            await it.submit()
            assert sink.requests == []
        async with hub(tmp_path):
            assert len(await sink.wait_for(len)) == 1


async def test_an_event_does_not_carry_inline_media(tmp_path):
    async with Sink().open() as sink, hub(tmp_path) as it:
        await it.subscribe(sink.url)
        image = {"type": "image", "url": "data:image/png;base64," + "A" * 100_000}
        await it.submit(media=[image])
        (request,) = await sink.wait_for(len)
        assert len(request.body) < 3_000


async def test_inline_media_reaches_the_gateway_whole(tmp_path):
    async with hub(tmp_path) as it:
        url = "data:image/png;base64," + "A" * 100_000
        await it.submit(media=[{"type": "image", "url": url}])
        (task,) = it.sandbox._tasks.values()
        assert [media.url for media in task.request.media] == [url]


async def has_tried_them_all(it):
    """When each subscription has been tried once: by then it is known who answers, and when."""
    subscriptions = {one["id"] for one in await it.listed("/v1/subscriptions?limit=200")}
    await it.until(
        lambda: it.listed("/v1/deliveries?limit=200"),
        lambda found: {one["subscription_id"] for one in found if one["attempt_count"]} == subscriptions,
    )


async def seconds_until_told(it, well):
    """How long an endpoint that answers at once waits for its first event."""
    await it.subscribe(well.url)
    started = it.services.clock()
    await it.submit()
    await well.wait_for(len)
    return (it.services.clock() - started) / 1000


async def test_many_hanging_endpoints_with_a_backlog_delay_nobody_else(tmp_path):
    settings = replace(PATIENT, deliveries=replace(PATIENT.deliveries, concurrency=40, retries=(Span(100),) * 20))
    async with Sink(0).open() as hanging, Sink().open() as well, hub(tmp_path, settings=settings) as it:
        for number in range(30):
            await it.subscribe(f"{hanging.url}/{number}")
        for _ in range(6):
            await it.submit()
        await has_tried_them_all(it)
        assert await seconds_until_told(it, well) < 1.5


async def test_endpoints_that_answer_just_in_time_delay_nobody_else(tmp_path):
    async def answer_late(request: Request) -> Response:
        await asyncio.sleep(1.5)
        return Response()

    settings = replace(PATIENT, deliveries=replace(PATIENT.deliveries, concurrency=16, per_subscription=4))
    late = Starlette(routes=[Route("/{path:path}", answer_late, methods=["POST"])])
    async with serve(late) as slow, Sink().open() as well, hub(tmp_path, settings=settings) as it:
        for number in range(8):
            await it.subscribe(f"{slow}/{number}")
        for _ in range(20):
            await it.submit()
        await has_tried_them_all(it)
        assert await seconds_until_told(it, well) < 1


async def test_the_webhooks_of_single_tasks_share_what_is_known_of_their_endpoint(tmp_path):
    settings = replace(PATIENT, deliveries=replace(PATIENT.deliveries, concurrency=8))
    async with Sink(0).open() as hanging, Sink().open() as well, hub(tmp_path, settings=settings) as it:
        for number in range(10):
            await it.submit(webhook_url=f"{hanging.url}/hook?task={number}")
        await hanging.wait_for(len)
        assert await seconds_until_told(it, well) < 1
        assert len(hanging.requests) == 1


async def test_what_waits_in_line_is_not_sent_once_it_was_expunged(tmp_path):
    slow = replace(SETTINGS, deliveries=replace(SETTINGS.deliveries, timeout=Span(3_000)))
    async with Sink().open() as sink, hub(tmp_path, settings=slow) as it:
        await it.subscribe(sink.url, rate_per_minute=60)
        await it.submit()
        await sink.wait_for(lambda found: len(found) >= 1)
        await it.submit()
        (waiting,) = await it.until(lambda: it.listed("/v1/deliveries?status=pending"), len)
        answer = await it.post(f"/v1/events/{waiting['event_id']}/expunge")
        assert answer.status_code == 200, answer.text
        await it.submit()
        await it.until(lambda: it.listed("/v1/deliveries?status=delivered"), lambda found: len(found) == 2)
        assert waiting["event_id"] not in [request.headers["webhook-id"] for request in sink.requests]


async def test_a_stop_with_deliveries_in_line_gives_them_back(tmp_path):
    settings = replace(PATIENT, deliveries=replace(PATIENT.deliveries, concurrency=1, per_subscription=1))
    async with Sink(0).open() as sink:
        async with hub(tmp_path, settings=settings) as it:
            for _ in range(3):
                await it.subscribe(sink.url)
            await it.submit()
            await sink.wait_for(len)
        async with hub(tmp_path, settings=settings, worker=False) as it:
            it.http = it.admin
            found = await it.listed("/v1/deliveries")
            now = it.services.clock()
            rows = [(await it.services.database.read("delivery", id=one["id"], owner=None))[0] for one in found]
            assert [row["lease"] for row in rows] == [None] * 3
            assert sum(row["next_at"] <= now for row in rows) >= 2
