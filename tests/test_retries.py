"""What an answer means, over real HTTP: when it is tried again, and when never."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.attempting import Attempting
from service.clock import HOUR, SECOND
from service.egress import open_egress
from service.endpoints import Endpoints
from service.guard import Guard
from service.mail import Mail
from service.pushing import Push
from service.sealing import Seal
from service.settings import DeliverySettings, EmailSettings, Span
from service.signing import new_secret
from service.wire import loads
from tests.hub import SETTINGS, hub
from tests.servers import Sink, serve
from tests.store.given import NOW, a_dispatch, a_subscription, an_event
from tests.test_egress import LOOPBACK, says
from tests.test_egress_timings import drip, endpoint

SHORT = replace(SETTINGS, deliveries=replace(SETTINGS.deliveries, timeout=Span(300)))
OK = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def answering(status, headers=None, body=""):
    """An endpoint that always answers the same: its URL, and the paths that were asked for."""
    seen = []

    async def receive(request: Request) -> Response:
        seen.append(request.url.path)
        return Response(body, status, headers)

    async with serve(Starlette(routes=[Route("/{path:path}", receive, methods=["POST"])])) as url:
        yield url, seen


@asynccontextmanager
async def answering_in_turn(*answers):
    """One that answers each of these, (status, headers), once, and the last one from then on."""
    seen: list[bytes] = []

    async def receive(request: Request) -> Response:
        status, headers = answers[min(len(seen), len(answers) - 1)]
        seen.append(await request.body())
        return Response("", status, headers)

    async with serve(Starlette(routes=[Route("/{path:path}", receive, methods=["POST"])])) as url:
        yield url, seen


async def ended(it, status, number=1):
    """The deliveries, when so many stand so and there are no others."""
    found = await it.until(
        lambda: it.listed("/v1/deliveries"), lambda found: [one["status"] for one in found] == [status] * number
    )
    return [(await it.http.get(f"/v1/deliveries/{one['id']}")).json() for one in found]


async def tried(it, times=1):
    """The one delivery, when it was attempted so often."""
    (found,) = await it.until(
        lambda: it.listed("/v1/deliveries"), lambda found: [one["attempt_count"] for one in found] == [times]
    )
    return (await it.http.get(f"/v1/deliveries/{found['id']}")).json()


async def and_hang(reader, writer):
    await reader.read()


def then(text, answer):
    async def both(reader, writer):
        await says(text)(reader, writer)
        await answer(reader, writer)

    return both


async def cut(reader, writer):
    writer.transport.abort()


def pieces(*texts):
    return lambda reader, writer: drip(writer, [b"", *texts])


async def trickle(reader, writer):
    await drip(writer, [b"x"] * 100)


class Hand:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


def attempting_by(clock, egress, chance=0.5):
    """With the schedule of the settings; by default each pause is as long as in the middle."""
    seal, settings = Seal("k" * 32), DeliverySettings()
    return Attempting(
        egress=egress,
        mail=Mail(EmailSettings(), egress),
        push=Push("k" * 32, None),
        endpoints=Endpoints(settings, "k" * 32, seal, "reelhook"),
        settings=settings,
        clock=clock,
        chance=lambda: chance,
    )


def dispatch_to(url, now, **changes):
    event = an_event(created_at=now)
    return a_dispatch(event, a_subscription(url=url, secret=new_secret(), **changes))


async def attempted_to_the_end(attempting, clock, dispatch):
    """When each attempt was made, until the delivery is over; the clock is put on between them."""
    times = []
    while True:
        times.append(clock.now)
        decision = (await attempting.attempt(dispatch)).decision
        if decision.next_at is None:
            return times
        clock.now = decision.next_at
        again = {"base": decision.base, "unsent": decision.unsent, "level": decision.level}
        dispatch = replace(dispatch, attempts=dispatch.attempts + 1, **again)


# --- once its status has come, an answer counts


@pytest.mark.parametrize(
    "answer",
    [
        then(OK + b"content-length: 9\r\n\r\no", and_hang),
        then(OK + b"content-length: 9\r\n\r\no", cut),
        then(OK + b"content-length: 9\r\n\r\no", says(b"")),
        then(OK + b"transfer-encoding: chunked\r\n\r\n", pieces(b"1\r\nx\r\n", b"no chunk\r\n")),
        then(OK + b"content-length: 900\r\n\r\n", trickle),
        then(OK + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\n", says(b"no")),
    ],
    ids=["hangs", "is cut", "ends early", "is no HTTP", "trickles", "is no gzip"],
)
async def test_a_2xx_whose_body_never_comes_is_a_success(tmp_path, answer):
    async with endpoint(answer) as url, hub(tmp_path, settings=SHORT) as it:
        await it.subscribe(url)
        await it.submit()
        (delivery,) = await ended(it, "delivered")
        assert [attempt["status"] for attempt in delivery["attempts"]] == [200]


async def test_an_error_whose_body_trickles_is_that_error_when_the_deadline_is_over(tmp_path):
    slow = then(b"HTTP/1.1 500 Oh\r\ncontent-length: 900\r\n\r\n", trickle)
    async with endpoint(slow) as url, hub(tmp_path, settings=SHORT) as it:
        await it.subscribe(url, retry_seconds=[])
        await it.submit()
        (attempt,) = (await ended(it, "exhausted"))[0]["attempts"]
        assert (attempt["status"], attempt["ambiguous"]) == (500, False)
        assert attempt["duration_ms"] < 2 * SHORT.deliveries.timeout


async def test_an_answer_without_an_end_of_its_headers_is_ambiguous(tmp_path):
    async with endpoint(then(OK, and_hang)) as url, hub(tmp_path, settings=SHORT) as it:
        await it.subscribe(url, retry_seconds=[])
        await it.submit()
        (attempt,) = (await ended(it, "exhausted"))[0]["attempts"]
        assert (attempt["status"], attempt["ambiguous"]) == (None, True)


GARBAGE = {
    "bytes": b"\xff\xfe\xed\xa0\x80 hello\r\n\r\n",
    "status line": b"HTTP/1.1 200 \xff\xfe\r\nx-\xff: \xed\xa0\x80\r\n\r\n",
    "nul": b"HTTP/1.1 \x00200 OK\r\n\r\n\x00",
    "header": OK + b"x-a: \xed\xa0\x80\xff\r\nconnection: close\r\n\r\n\x00\xff",
    "length": b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    "status": b"HTTP/1.1 999999 \xed\xa0\x80\r\n\r\n",
}


@pytest.mark.parametrize("text", GARBAGE.values(), ids=GARBAGE)
async def test_whatever_an_endpoint_says_is_written_down_and_stops_nobody(tmp_path, text):
    async with endpoint(says(text)) as url, Sink().open() as well, hub(tmp_path, settings=SHORT) as it:
        await it.subscribe(url, retry_seconds=[])
        await it.subscribe(well.url)
        await it.submit()
        shown = await it.until(
            lambda: it.listed("/v1/deliveries"),
            lambda found: len(found) == 2 and all(one["status"] != "pending" for one in found),
        )
        assert [one["attempt_count"] for one in shown] == [1, 1]


# --- whom a wish for a pause concerns


@pytest.mark.parametrize(
    ("name", "options", "body"),
    [
        (
            "telegram",
            {"chat_id": "1", "token": "1:abcdefghijkl"},
            {"ok": False, "description": "no\x00 \ud800" * 9_000},
        ),
        ("ntfy", {"topic": "a"}, {"error": "no " * 20_000}),
        ("standard", {}, {"error": "no " * 20_000}),
    ],
)
async def test_an_error_quotes_no_more_of_an_answer_than_people_read(tmp_path, name, options, body):
    async with answering(400, body=json.dumps(body)) as (url, _), hub(tmp_path) as it:
        await it.subscribe(url, format=name, format_options=options, retry_seconds=[])
        await it.submit()
        (delivery,) = await ended(it, "exhausted")
        assert len(delivery["last_error"]) <= 200


async def test_a_redirect_is_a_failure_and_nobody_goes_there(tmp_path):
    async with Sink().open() as there, answering(307, {"location": there.url}) as (url, _), hub(tmp_path) as it:
        await it.subscribe(url, retry_seconds=[])
        await it.submit()
        (delivery,) = await ended(it, "exhausted")
        assert (delivery["last_status"], there.requests) == (307, [])


async def test_404_ends_no_subscription(tmp_path):
    async with Sink(404).open() as sink, hub(tmp_path) as it:
        made = await it.subscribe(sink.url, retry_seconds=[])
        await it.submit()
        await ended(it, "exhausted")
        assert (await it.http.get(f"/v1/subscriptions/{made['id']}")).json()["status"] == "active"


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_endpoint_is_left_alone_by_all_its_deliveries_and_by_no_others(tmp_path, status):
    async with answering(status, {"retry-after": "60"}) as (url, seen), Sink().open() as well, hub(tmp_path) as it:
        busy = await it.subscribe(url)
        await it.subscribe(well.url)
        await it.submit()
        await it.until(lambda: it.http.get(f"/v1/subscriptions/{busy['id']}"), lambda found: found.json()["held_until"])
        for _ in range(3):
            await it.submit()
        await well.wait_for(lambda found: len(found) >= 4)
        rows = await waiting(it, busy)
        assert (len(seen), len(rows)) == (1, 4)
        assert min(row["next_at"] for row in rows) > it.services.clock() + 50_000


async def waiting(it, subscription):
    found = await it.listed(f"/v1/deliveries?subscription={subscription['id']}")
    return [(await it.services.database.read("delivery", id=one["id"], owner=None))[0] for one in found]


async def test_a_busy_endpoint_is_left_alone_after_a_restart_too(tmp_path):
    async with answering(429, {"retry-after": "60"}) as (url, seen), Sink().open() as well:
        async with hub(tmp_path) as it:
            busy = await it.subscribe(url)
            await it.subscribe(well.url)
            await it.submit()
            await it.until(
                lambda: it.http.get(f"/v1/subscriptions/{busy['id']}"), lambda found: found.json()["held_until"]
            )
        async with hub(tmp_path) as it:
            await it.submit()
            await well.wait_for(lambda found: len(found) >= 2)
            assert len(await waiting(it, busy)) == 2
        assert len(seen) == 1


async def held(it, subscription):
    path = f"/v1/subscriptions/{subscription['id']}"
    await it.until(lambda: it.http.get(path), lambda found: found.json()["held_until"])


async def test_a_test_that_is_answered_ends_the_pause_that_was_asked_for(tmp_path):
    busy = (429, {"retry-after": "3600"})
    async with answering_in_turn(busy, (200, {})) as (url, seen), hub(tmp_path) as it:
        made = await it.subscribe(url)
        await it.submit()
        await held(it, made)
        answer = await it.post(f"/v1/subscriptions/{made['id']}/test")
        assert answer.json()["status"] == "delivered"
        await it.submit()
        await it.until(lambda: asyncio.sleep(0, seen), lambda seen: len(seen) >= 3)


async def test_what_was_held_against_one_url_is_not_held_against_the_next(tmp_path):
    async with answering(429, {"retry-after": "3600"}) as (url, _), Sink().open() as sink, hub(tmp_path) as it:
        made = await it.subscribe(url)
        await it.submit()
        await held(it, made)
        await changed(it, made, url=sink.url)
        shown = (await it.http.get(f"/v1/subscriptions/{made['id']}")).json()
        assert (shown["held_until"], shown["failures"], shown["failing_since"]) == (None, 0, None)
        await it.submit()
        await sink.wait_for(lambda found: len(found) >= 1)


async def test_another_change_leaves_the_pause_as_it_is(tmp_path):
    async with answering(429, {"retry-after": "3600"}) as (url, _), hub(tmp_path) as it:
        made = await it.subscribe(url)
        await it.submit()
        await held(it, made)
        await changed(it, made, description="the same place")
        assert (await it.http.get(f"/v1/subscriptions/{made['id']}")).json()["held_until"]


async def test_an_error_that_holds_nobody_is_one_deliverys_alone(tmp_path):
    async with Sink(500, 200).open() as sink, hub(tmp_path) as it:
        await it.subscribe(sink.url, retry_seconds=[60])
        await it.submit()
        await tried(it)
        await it.submit()
        assert len(await sink.wait_for(lambda found: len(found) >= 2)) == 2


# --- how often


async def test_chat_formats_get_three_attempts(tmp_path):
    async with Sink(500).open() as sink, hub(tmp_path) as it:
        await it.subscribe(sink.url, format="slack")
        await it.submit()
        for times in (1, 2):
            waiting = await tried(it, times)
            await it.http.post(f"/v1/deliveries/{waiting['id']}/replay")  # it waits for minutes otherwise
        assert len((await ended(it, "exhausted"))[0]["attempts"]) == 3


async def test_a_message_that_never_left_is_tried_again_for_hours_in_a_chat_too():
    clock = Hand()
    async with open_egress(Guard(LOOPBACK), "test") as egress:
        dispatch = dispatch_to("http://127.0.0.1:1/", clock(), format="mattermost")
        times = await attempted_to_the_end(attempting_by(clock, egress), clock, dispatch)
    assert 6 * HOUR <= times[-1] - times[0] < 7 * HOUR


async def test_where_nobody_was_the_few_attempts_of_a_chat_are_still_there():
    clock = Hand()
    async with open_egress(Guard(LOOPBACK), "test") as egress:
        attempting = attempting_by(clock, egress)
        dispatch = dispatch_to("http://127.0.0.1:1/", clock(), format="mattermost")
        decision = (await attempting.attempt(dispatch)).decision
        async with answering(500) as (url, seen):
            there = replace(dispatch.subscription, url=url + "/", revision=2)
            back = replace(dispatch, subscription=there, attempts=1, base=decision.base, unsent=decision.unsent)
            await attempted_to_the_end(attempting, clock, back)
    assert len(seen) == 3


async def test_a_chat_that_is_out_for_half_a_minute_loses_nothing():
    clock = Hand()
    async with answering(500) as (url, _), open_egress(Guard(LOOPBACK), "test") as egress:
        dispatch = dispatch_to(url + "/", clock(), format="mattermost")
        times = await attempted_to_the_end(attempting_by(clock, egress, chance=0), clock, dispatch)
    assert times[-1] - times[0] >= 30 * SECOND


async def test_a_schedule_of_its_own_takes_effect(tmp_path):
    async with Sink(500).open() as sink, hub(tmp_path) as it:
        await it.subscribe(sink.url, retry_seconds=[0, 0.01])
        await it.submit()
        (delivery,) = await ended(it, "exhausted")
        assert len(delivery["attempts"]) == 3


async def test_a_deadline_of_its_own_takes_effect(tmp_path):
    async with Sink(0).open() as sink, hub(tmp_path) as it:
        await it.subscribe(sink.url, timeout_seconds=0.1, retry_seconds=[])
        await it.submit()
        (attempt,) = (await ended(it, "exhausted"))[0]["attempts"]
        assert attempt["duration_ms"] < 900 and attempt["ambiguous"]


async def test_a_message_that_is_too_much_is_sent_with_less_at_once(tmp_path):
    """slack: invalid_blocks drops the blocks; each attempt shows what it sent."""
    sent = []

    async def refuse_blocks(request: Request) -> Response:
        sent.append((await request.body()).decode())
        return Response("invalid_blocks", 400) if '"blocks"' in sent[-1] else Response("ok")

    app = Starlette(routes=[Route("/", refuse_blocks, methods=["POST"])])
    async with serve(app) as url, hub(tmp_path) as it:
        await it.subscribe(url + "/", format="slack", format_options={"blocks": "always"}, retry_seconds=[])
        await it.submit()
        (delivery,) = await ended(it, "delivered")
        assert [attempt["request_body"] for attempt in delivery["attempts"]] == sent
        assert len(set(sent)) == len(sent) > 1


async def test_the_log_shows_the_body_as_it_was_sent(tmp_path):
    """slack: what only looks like Slack is sent no blocks, though they are frozen."""
    async with Sink().open() as sink, hub(tmp_path) as it:
        await it.subscribe(sink.url, format="slack", retry_seconds=[])
        await it.submit()
        (delivery,) = await ended(it, "exhausted")
        assert delivery["attempts"][0]["request_body"] == sink.requests[0].body.decode()


async def changed(it, subscription, **changes):
    answer = await it.http.patch(f"/v1/subscriptions/{subscription['id']}", json=changes)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("first", "then", "field"), [("standard", "flat", "event_type"), ("slack", "standard", "data")]
)
async def test_what_waits_is_told_in_the_format_that_its_subscription_has_by_then(tmp_path, first, then, field):
    async with Sink(500, 200).open() as sink, hub(tmp_path) as it:
        made = await it.subscribe(sink.url, format=first, retry_seconds=[60])
        await it.submit()
        waiting = await tried(it)
        await changed(it, made, format=then)
        await it.http.post(f"/v1/deliveries/{waiting['id']}/replay")
        await ended(it, "delivered")
        before, after = (loads(request.body) for request in sink.requests)
        assert (field in before, field in after) == (False, True)


async def test_what_was_rendered_anew_is_frozen_so(tmp_path):
    async with Sink(500, 500, 200).open() as sink, hub(tmp_path) as it:
        made = await it.subscribe(sink.url, retry_seconds=[60, 60])
        await it.submit()
        waiting = await tried(it)
        await changed(it, made, format="flat")
        for times in (2, 3):
            await it.http.post(f"/v1/deliveries/{waiting['id']}/replay")
            await tried(it, times)
        before, first, second = (request.body for request in sink.requests)
        assert before != first == second


async def test_all_of_a_batch_end_whatever_each_of_them_met(tmp_path):
    async with (
        Sink(200).open() as well,
        Sink(500).open() as ill,
        Sink(410).open() as gone,
        hub(tmp_path, settings=SHORT) as it,
    ):
        for sink in (well, ill, gone):
            await it.subscribe(sink.url, retry_seconds=[0])
        await asyncio.gather(*(it.submit() for _ in range(5)))
        found = await it.until(
            lambda: it.listed("/v1/deliveries"),
            lambda found: len(found) >= 11 and all(one["status"] != "pending" for one in found),
        )
        assert sum(one["status"] == "delivered" for one in found) == 5


async def test_an_endpoint_that_asks_for_a_second_again_and_again_is_told_for_as_long_as_its_schedule_says():
    """What it asks for is free of charge for a while; after that no pause is shorter than the schedule's."""
    clock = Hand()
    async with answering(503, {"retry-after": "1"}) as (url, _), open_egress(Guard(LOOPBACK), "test") as egress:
        attempting = attempting_by(clock, egress)
        dispatch = dispatch_to(url + "/", clock())
        while True:
            decision = (await attempting.attempt(dispatch)).decision
            if decision.next_at is None:
                break
            clock.now = decision.next_at
            dispatch = replace(dispatch, attempts=dispatch.attempts + 1, base=decision.base)
    assert clock.now - dispatch.created_at >= sum(DeliverySettings().retries)
