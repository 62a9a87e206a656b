"""How long each phase of a request took, also of one that failed, and the deadline over all of them."""

import asyncio
import time
from contextlib import asynccontextmanager
from typing import Any

import pytest

from service.egress import Exchange, Lost, NotSent, open_egress
from service.guard import Guard
from service.wire import HttpRequest
from tests.certificates import certified, server_side, tls_peer
from tests.test_egress import ANSWER, LOOPBACK, dead_names, hang, hang_up, peer, says

PAUSE_S = 0.05


@asynccontextmanager
async def endpoint(answer, *, asked=True):
    """As `peer`, for answers that do not end by themselves: they are broken off with the block. Its base URL.

    asked: whether it reads a request first.
    """
    answering: set[Any] = set()

    async def serve(reader, writer):
        answering.add(asyncio.current_task())
        try:
            if asked:
                await reader.readuntil(b"\r\n\r\n")
            await answer(reader, writer)
        except (OSError, EOFError):
            pass  # the other side has had enough
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)
        await asyncio.sleep(0)  # the transports are closed in the next turn


async def tried(egress, url, *, body=b"{}", timeout_ms=5_000, cap=1024, tls=None):
    """What became of it: an Exchange, NotSent or Lost; all of them have timings."""
    request = HttpRequest(method="POST", url=url + "/x", headers={"content-type": "application/json"}, body=body)
    try:
        return await egress.exchange(request, timeout_ms=timeout_ms, cap=cap, tls=tls)
    except (NotSent, Lost) as error:
        return error


async def told(base_url, **options):
    async with open_egress(Guard(LOOPBACK), "test") as egress:
        return await tried(egress, base_url, **options)


async def test_an_exchange_has_its_answer_and_its_phases():
    async with peer(says(ANSWER)) as (url, _):
        exchange = await told(url)
    assert isinstance(exchange, Exchange)
    assert exchange.answer.body == b"ok"
    assert set(exchange.timings) == {"connect", "send", "wait", "read", "total"}


async def test_a_host_given_by_name_is_resolved():
    async with peer(says(ANSWER)) as (url, _):
        exchange = await told(url.replace("127.0.0.1", "localhost"))
    assert list(exchange.timings)[:2] == ["dns", "connect"]


async def test_the_phases_together_are_the_whole():
    async with peer(says(ANSWER)) as (url, _):
        timings = dict((await told(url.replace("127.0.0.1", "localhost"))).timings)
    total = timings.pop("total")
    assert total * 0.5 <= sum(timings.values()) <= total


async def test_a_kept_connection_is_not_made_again():
    async def answer_each(reader, writer):
        writer.write(ANSWER)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)

    async with peer(answer_each) as (url, _), open_egress(Guard(LOOPBACK), "test") as egress:
        await tried(egress, url)
        again = await tried(egress, url)
    assert set(again.timings) == {"send", "wait", "read", "total"}


async def test_a_request_without_a_body_is_not_sent_for_a_while():
    async with peer(says(ANSWER)) as (url, _):
        assert "send" not in (await told(url, body=b"")).timings


async def test_the_tls_handshake_is_a_part_of_connecting(tmp_path):
    shown = certified()
    context = server_side(tmp_path, shown)
    async with tls_peer(context) as (url, _):
        refused = await told(url)
    assert 0 < refused.timings["tls"] < refused.timings["connect"]


async def test_waiting_and_reading_are_told_apart():
    async def answer_slowly(reader, writer):
        await asyncio.sleep(PAUSE_S)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
        await asyncio.sleep(2 * PAUSE_S)
        writer.write(b"ok")

    async with peer(answer_slowly) as (url, _):
        timings = (await told(url)).timings
    assert timings["wait"] >= PAUSE_S * 900
    assert timings["read"] >= PAUSE_S * 1_900


async def test_a_lost_request_says_how_far_it_came():
    async with endpoint(hang) as url:
        lost = await told(url, timeout_ms=100)
    assert isinstance(lost, Lost)
    assert lost.timings["wait"] >= 50
    assert list(lost.timings)[-2:] == ["wait", "total"]


async def test_an_answer_without_an_end_was_being_read():
    async def and_hang(reader, writer):
        await says(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\no")(reader, writer)
        await hang(reader, writer)

    async with endpoint(and_hang) as url:
        exchange = await told(url, timeout_ms=100)
    assert exchange.timings["read"] >= 50
    assert (exchange.answer.body, exchange.broken_off) == (b"o", "did not end in time")


async def test_a_connection_that_was_hung_up_has_its_timings_too():
    async with peer(hang_up) as (url, _):
        lost = await told(url)
    assert isinstance(lost, Lost)
    assert {"connect", "wait", "total"} <= set(lost.timings)


async def test_a_refused_connection_ends_in_the_phase_of_connecting():
    async with peer(hang) as (url, _):
        pass
    refused = await told(url)
    assert isinstance(refused, NotSent)
    assert set(refused.timings) == {"connect", "total"}


async def test_a_name_that_nobody_resolves_ends_in_the_phase_of_resolving():
    async with dead_names() as egress:
        unknown = await tried(egress, "http://dead.example.com")
    assert isinstance(unknown, NotSent)
    assert set(unknown.timings) == {"dns", "total"}


async def drip(writer, pieces):
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.02)


async def drip_headers(reader, writer):
    await drip(writer, [b"HTTP/1.1 200 OK\r\n", *(b"x-%d: y\r\n" % n for n in range(100))])


async def drip_body(reader, writer):
    await drip(writer, [b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", *(b"x" for _ in range(100))])


@pytest.mark.parametrize(("answer", "status"), [(drip_headers, None), (drip_body, 200)])
async def test_one_deadline_covers_headers_and_body(answer, status):
    async with endpoint(answer) as url:
        began = time.perf_counter()
        came = await told(url, timeout_ms=200)
        assert time.perf_counter() - began < 1
    assert (came.answer.status if isinstance(came, Exchange) else None) == status


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_the_deadline_covers_a_body_that_is_not_taken():
    async def read_nothing(reader, writer):
        writer.transport.pause_reading()
        await asyncio.Event().wait()

    async with endpoint(read_nothing) as url:
        stuck = await told(url, body=b"x" * 8_000_000, timeout_ms=200)
    assert isinstance(stuck, Lost)
    assert list(stuck.timings) == ["connect", "send", "total"]


async def test_a_tls_handshake_that_never_ends_is_covered_too():
    async with endpoint(hang) as url:
        slow = await told(url.replace("http:", "https:"), timeout_ms=200)
    assert isinstance(slow, NotSent)
    assert slow.timings["tls"] >= 100


async def test_an_answer_that_breaks_off_says_what_it_was():
    async with peer(says(b"HTTP/1.1 201 Created\r\ncontent-length: 100\r\n\r\nok")) as (url, _):
        exchange = await told(url)
    assert (exchange.answer.status, exchange.broken_off[:9]) == (201, "broke off")


async def test_a_connection_with_an_answer_beyond_the_cap_is_closed():
    closed = asyncio.Event()

    async def answer_for_ever(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
                await writer.drain()
        finally:
            closed.set()

    async with endpoint(answer_for_ever) as url, open_egress(Guard(LOOPBACK), "test") as egress:
        exchange = await tried(egress, url, cap=100)
        assert len(exchange.answer.body) == 100
        async with asyncio.timeout(5):
            await closed.wait()


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_a_connection_that_ends_under_a_body_is_told_without_the_url():
    async def abort(reader, writer):
        writer.transport.abort()

    async with endpoint(abort) as url:
        lost = await told(url, body=b"x" * 8_000_000)
    assert isinstance(lost, Lost)
    assert url not in str(lost), "a URL may be a capability"


async def test_a_header_that_is_no_text_can_still_be_written_down():
    async with peer(
        says(b"HTTP/1.1 200 OK\r\nx-name: caf\xe9\r\nx-other: caf\xc3\xa9\r\ncontent-length: 0\r\n\r\n")
    ) as (url, _):
        answer = (await told(url)).answer
    assert (answer.headers["x-name"], answer.headers["x-other"]) == ("caf\ufffd", "café")
