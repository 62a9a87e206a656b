"""The guard, and what is known about a request that failed."""

import asyncio
import socket
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import ThreadedResolver

from service.egress import Lost, NotSent, names_of_the_system, open_egress
from service.egress.sessions import open_session
from service.errors import Problem
from service.guard import Guard, read_target
from service.wire import HttpRequest

LOOPBACK = ("127.0.0.0/8", "::1/128")

CLOSED = (
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.1.2.3", "169.254.169.254"),
    *("172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1"),
    *("198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1"),
    *("64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::1", "3fff::1", "5f00::1", "fc00::1"),
    *("fd12:3456::1", "fe80::1", "fe80::1%eth0", "ff02::1"),
)
OPEN = (
    *("1.1.1.1", "8.8.8.8", "100.128.0.1", "172.32.0.1", "198.20.0.1"),
    *("2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8"),
)


@pytest.mark.parametrize("address", CLOSED)
def test_an_address_that_is_not_public_is_closed(address):
    assert Guard().refusal(address)


@pytest.mark.parametrize("address", OPEN)
def test_a_public_address_is_open(address):
    assert Guard().refusal(address) is None


def test_what_the_operator_lists_is_open():
    assert Guard(["10.1.0.0/16"]).refusal("10.1.2.3") is None


def test_what_the_operator_lists_is_open_as_a_mapped_address_too():
    assert Guard(["10.1.0.0/16"]).refusal("::ffff:10.1.2.3") is None


def test_what_lies_beside_the_list_stays_closed():
    assert Guard(["10.1.0.0/16"]).refusal("10.2.2.3")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://example.com/x", "must start with"),
        ("//example.com", "must start with"),
        ("https://", "has no host"),
        ("https://user@example.com/", "user name"),
        ("https://user:pw@example.com/", "user name"),
        ("https://example.com:99999/", "not a valid URL"),
        ("https://example.com:0/", "port 0"),
        ("https://exa mple.com/", "without blanks"),
        ("https://example.com/\n", "without blanks"),
        ("https://[::1/", "not a valid URL"),
        ("https://example.com/" + "a" * 3000, "2048"),
    ],
)
def test_a_url_that_cannot_be_is_refused_with_the_reason(url, words):
    with pytest.raises(Problem) as caught:
        read_target(url, "url")
    assert words in caught.value.message


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://[::1]/", "http://localhost/", "http://2130706433/"])
async def test_a_url_that_leads_to_a_private_address_is_refused(url):
    async with open_egress(Guard(), "test") as egress:
        with pytest.raises(Problem) as caught:
            await egress.vet(url, "url")
    assert caught.value.field == "url"


async def test_a_url_whose_host_does_not_exist_is_refused():
    async with open_egress(Guard(), "test") as egress:
        with pytest.raises(Problem, match="cannot be resolved"):
            await egress.vet("http://no-such-host.invalid/", "url")


@asynccontextmanager
async def dead_names():
    """An egress whose name server takes every question and answers none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]

        def names():
            return names_of_the_system(nameservers=["127.0.0.1"], udp_port=port, timeout=0.5, tries=1)

        async with open_egress(Guard(LOOPBACK), "test", names) as egress:
            yield egress


async def sent_by(egress, how, url):
    request = HttpRequest(method="POST", url=url, headers={"content-type": "application/json"}, body=b"{}")
    try:
        return await getattr(egress, how)(request, timeout_ms=5_000, cap=1024)
    except (NotSent, Lost) as error:
        return error


@pytest.mark.parametrize("how", ["deliver", "ask"])
async def test_names_that_nobody_resolves_hold_up_nobody_else_and_were_not_sent_to(how):
    async with dead_names() as egress, peer(says(ANSWER)) as (url, _):
        dead = [asyncio.create_task(sent_by(egress, how, f"http://dead-{n}.example.com/")) for n in range(40)]
        answer = await sent_by(egress, how, url)
        assert answer.status == 200
        assert not any(task.done() for task in dead)
        assert {type(error) for error in await asyncio.gather(*dead)} == {NotSent}


async def test_a_url_whose_name_server_is_dead_is_refused_in_time():
    async with dead_names() as egress:
        with pytest.raises(Problem, match="cannot be resolved"):
            await egress.vet("http://dead.example.com/", "url")


@asynccontextmanager
async def peer(answer):
    """A TCP server that does what it is told with each connection; its base URL and the requests it read."""
    seen = []

    async def serve(reader, writer):
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        await answer(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen


def says(text):
    async def answer(reader, writer):
        writer.write(text)
        await writer.drain()

    return answer


async def hang(reader, writer):
    await reader.read()


async def hang_up(reader, writer):
    pass


ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def sent(base_url, how, *, allow=LOOPBACK, cap=1024, timeout_ms=2_000):
    request = HttpRequest(method="POST", url=base_url + "/x", headers={"content-type": "application/json"}, body=b"{}")
    async with open_egress(Guard(allow), "test") as egress:
        if how == "deliver":
            return await egress.deliver(request, timeout_ms=timeout_ms, cap=cap)
        return await egress.ask(request, timeout_ms=timeout_ms, cap=cap)


WAYS = pytest.mark.parametrize("how", ["deliver", "ask"])


@WAYS
async def test_an_answer_comes_back(how):
    async with peer(says(ANSWER)) as (url, _):
        answer = await sent(url, how)
    assert (answer.status, answer.body) == (200, b"ok")


@WAYS
async def test_a_refused_connection_was_not_sent(how):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(NotSent):
        await sent(url, how)


@WAYS
async def test_a_name_that_does_not_resolve_was_not_sent(how):
    with pytest.raises(NotSent, match="cannot be resolved"):
        await sent("http://no-such-host.invalid", how)


@WAYS
async def test_a_closed_address_is_not_connected_to(how):
    async with peer(says(ANSWER)) as (url, seen):
        with pytest.raises(NotSent, match="not a public address"):
            await sent(url, how, allow=())
    assert seen == []


@WAYS
async def test_a_name_that_leads_to_a_closed_address_is_not_connected_to(how):
    async with peer(says(ANSWER)) as (url, seen):
        with pytest.raises(NotSent, match="not a public address"):
            await sent(url.replace("127.0.0.1", "localhost"), how, allow=())
    assert seen == []


@WAYS
async def test_a_server_that_reads_and_hangs_up_may_have_taken_it(how):
    async with peer(hang_up) as (url, seen):
        with pytest.raises(Lost):
            await sent(url, how)
    assert len(seen) == 1, "a request is never sent twice by the client itself"


async def test_a_question_whose_connection_is_dropped_is_not_repeated_unasked():
    async with peer(hang_up) as (url, seen), open_egress(Guard(LOOPBACK), "test") as egress:
        with pytest.raises(Lost):
            await egress.ask(HttpRequest(method="GET", url=url), timeout_ms=2_000, cap=100)
    assert len(seen) == 1


@WAYS
async def test_a_server_that_never_answers_may_have_taken_it(how):
    async with peer(hang) as (url, _):
        with pytest.raises(Lost, match="no answer"):
            await sent(url, how, timeout_ms=100)


async def test_a_gateways_answer_that_ends_early_may_have_been_meant():
    async with peer(says(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nok")) as (url, _):
        with pytest.raises(Lost):
            await sent(url, "ask")


async def test_a_subscribers_answer_that_ends_early_counts_by_what_came_of_it():
    async with peer(says(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nok")) as (url, _):
        answer = await sent(url, "deliver")
    assert (answer.status, answer.body) == (200, b"ok")


@WAYS
async def test_an_answer_that_is_no_http_may_have_been_meant(how):
    async with peer(says(b"hello\r\n\r\n")) as (url, _):
        with pytest.raises(Lost):
            await sent(url, how)


@WAYS
async def test_redirects_are_not_followed(how):
    """F8.7: no redirects."""
    async with peer(says(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")) as (
        url,
        _,
    ):
        assert (await sent(url, how)).status == 302


async def test_what_lies_beyond_the_cap_of_a_subscribers_answer_is_dropped():
    async with peer(says(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n" + b"x" * 5000)) as (url, _):
        assert len((await sent(url, "deliver", cap=100)).body) == 100


async def test_a_gateways_endless_answer_is_lost():
    async with peer(says(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n" + b"x" * 5000)) as (url, _):
        with pytest.raises(Lost, match="longer than"):
            await sent(url, "ask", cap=100)


async def test_a_server_that_fails_the_tls_handshake_was_not_sent_to():
    async def refuse(reader, writer):
        await reader.read(1)
        writer.write(b"this is no TLS")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(NotSent):
            await sent(url, "ask")


async def test_cookies_are_not_kept():
    answer = b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
    async with peer(says(answer)) as (url, seen), open_egress(Guard(LOOPBACK), "test") as egress:
        for _ in range(2):
            await egress.deliver(HttpRequest(method="POST", url=url), timeout_ms=1_000, cap=100)
    assert b"cookie" not in seen[1].lower()


async def test_a_proxy_of_the_environment_is_ignored(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with peer(says(ANSWER)) as (url, _):
        assert (await sent(url, "ask")).status == 200


async def test_surplus_bytes_on_a_kept_connection_are_not_taken_for_an_answer():
    answered, more, connections = asyncio.Event(), asyncio.Event(), []

    async def answer_twice(reader, writer):
        connections.append(writer)
        writer.write(ANSWER)
        await writer.drain()
        if len(connections) == 1:
            await answered.wait()
            writer.write(ANSWER)
            await writer.drain()
            more.set()
        await reader.read()

    async with peer(answer_twice) as (url, seen), open_egress(Guard(LOOPBACK), "test") as egress:
        request = HttpRequest(method="POST", url=url, body=b"")
        await egress.deliver(request, timeout_ms=1_000, cap=100)
        answered.set()
        await more.wait()
        await asyncio.sleep(0.02)  # until it has crossed the loopback
        await egress.deliver(request, timeout_ms=1_000, cap=100)
    assert len(seen) == 2, "the second request was really sent"


@asynccontextmanager
async def answering_each():
    """A server that answers every request of a connection; its base URL, and its connections."""
    connections = []

    async def answer_each(reader, writer):
        connections.append(writer)
        writer.write(ANSWER)
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(ANSWER)

    async with peer(answer_each) as (url, _):
        yield url, connections


async def test_a_kept_connection_is_used_again():
    async with answering_each() as (url, connections), open_egress(Guard(LOOPBACK), "test") as egress:
        for _ in range(3):
            await egress.deliver(HttpRequest(method="POST", url=url), timeout_ms=1_000, cap=100)
    assert len(connections) == 1


class Anyone(ThreadedResolver):
    """Every name is this machine's."""

    async def resolve(self, host, port=0, family=socket.AF_INET):
        return await super().resolve("127.0.0.1", port, family)


async def test_of_the_kept_connections_the_one_unused_for_longest_is_closed():
    used = []
    async with answering_each() as (url, connections):
        port = url.rpartition(":")[2]
        async with open_session(Guard(LOOPBACK), Anyone(), {}, kept=2) as session:
            for host in ("a", "b", "a", "c", "a", "b"):
                async with session.post(f"http://{host}.example:{port}/") as response:
                    await response.read()
                used.append(len(connections))
    assert used == [1, 2, 2, 3, 3, 4], "a is kept for as long as it is used, b went when c came"


async def test_whatever_the_hosts_no_more_connections_stay_open_than_are_kept():
    ended = asyncio.Semaphore(0)

    async def answer_once(reader, writer):
        writer.write(ANSWER)
        await reader.read()
        ended.release()
        writer.close()

    async with (
        peer(answer_once) as (url, _),
        open_session(Guard(LOOPBACK), Anyone(), {}, kept=3) as session,
        asyncio.timeout(10),
    ):
        for number in range(20):
            async with session.post(f"http://h{number}.example:{url.rpartition(':')[2]}/") as response:
                await response.read()
        for _ in range(17):
            await ended.acquire()
        assert ended.locked(), "three are open"


async def test_what_is_sent_apart_takes_no_connection_from_deliveries():
    async with answering_each() as (url, connections), open_egress(Guard(LOOPBACK), "test") as egress:
        for apart in (False, True, False, True):
            request = HttpRequest(method="POST", url=url)
            await egress.exchange(request, timeout_ms=1_000, cap=100, apart=apart)
    assert len(connections) == 3, "one that is kept, and one for each that is apart"
