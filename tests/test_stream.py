"""The stream of events, as clients of server-sent events see it."""

import asyncio
import signal
import socket
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import pytest

from service.keys import revoke_key
from service.settings import Span, StreamSettings
from service.sse import Message, MessageReader
from service.store.telling import insert_event
from service.wire import loads
from tests.hub import SETTINGS, TRUST, hub
from tests.store.given import an_event, fresh_id

PATIENCE_S = 10
QUICK = replace(SETTINGS, stream=StreamSettings(heartbeat=Span(30), idle=Span(200), per_owner=2))


class Reading:
    """A client and what it has read."""

    def __init__(self, answer):
        self.answer = answer
        self.raw = b""
        self._messages: list[Message] = []
        self._reader = MessageReader()
        self._pieces = answer.aiter_raw()

    async def next(self) -> Message:
        """The next message that says more than a position; StopAsyncIteration at the end of the stream."""
        async with asyncio.timeout(PATIENCE_S):
            while not self._messages:
                piece = await anext(self._pieces)
                self.raw += piece
                self._messages += [message for message in self._reader.feed(piece) if message.data]
            return self._messages.pop(0)

    async def until(self, text: bytes) -> None:
        """Until this has come."""
        async with asyncio.timeout(PATIENCE_S):
            while text not in self.raw:
                self.raw += await anext(self._pieces)


@asynccontextmanager
async def reading(it, headers=None, client=None, **query):
    async with (client or it.http).stream("GET", "/v1/stream", params=query, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        yield Reading(answer)


async def trigger(it, event_type="task.succeeded"):
    answer = await it.post("/v1/events", {"type": event_type})
    assert answer.status_code == 201, answer.text
    return answer.json()["event"]["id"]


async def body_of(it, event_id):
    return (await it.services.reads.event(event_id, "anna")).body


async def nobody_waits(it):
    async with asyncio.timeout(PATIENCE_S):
        while it.services.feed.waiting:
            await asyncio.sleep(0.01)


async def test_what_is_committed_is_streamed_byte_for_byte(hub_without_worker):
    it = hub_without_worker
    async with reading(it) as stream:
        made = await trigger(it)
        message = await stream.next()
        assert message == Message(id="1", event="task.succeeded", data=await body_of(it, made))


async def test_a_stream_says_what_it_is(hub_without_worker):
    async with reading(hub_without_worker) as stream:
        await stream.until(b"retry: 2000\nid: 0\n\n")
        names = ("content-type", "cache-control", "x-accel-buffering")
        assert [stream.answer.headers[name] for name in names] == ["text/event-stream; charset=utf-8", "no-store", "no"]


async def test_a_stream_begins_now(hub_without_worker):
    it = hub_without_worker
    await trigger(it)
    async with reading(it) as stream:
        await trigger(it)
        assert (await stream.next()).id == "2"


async def test_a_stream_goes_on_behind_the_last_event_that_was_heard(hub_without_worker):
    it = hub_without_worker
    for _ in range(3):
        await trigger(it)
    async with reading(it, {"last-event-id": "1"}, after="0") as stream:
        assert [(await stream.next()).id for _ in range(2)] == ["2", "3"]


async def test_a_stream_begins_behind_a_cursor(hub_without_worker):
    it = hub_without_worker
    first = await trigger(it)
    await trigger(it)
    for after, begins in (("0", "1"), (first, "2")):
        async with reading(it, after=after) as stream:
            assert (await stream.next()).id == begins


async def test_more_than_a_page_is_streamed_in_order(hub_without_worker):
    it = hub_without_worker
    await it.services.database.write(_store_many, 250)
    async with reading(it, after="0") as stream:
        assert [int((await stream.next()).id) for _ in range(250)] == list(range(1, 251))


async def test_only_what_matches_is_streamed(hub_without_worker):
    it = hub_without_worker
    async with reading(it, events="task.failed,delivery.*") as stream:
        for event_type in ("task.succeeded", "task.failed", "subscription.failing", "delivery.exhausted"):
            await trigger(it, event_type)
        assert [(await stream.next()).event for _ in range(2)] == ["task.failed", "delivery.exhausted"]


async def test_what_does_not_match_is_behind_the_reader_all_the_same(tmp_path):
    async with hub(tmp_path, settings=QUICK, worker=False) as it, reading(it, events="task.failed") as stream:
        await trigger(it)
        await stream.until(b"\n\nid: 1\n\n")


async def test_a_silent_stream_says_that_it_is_there(tmp_path):
    async with hub(tmp_path, settings=QUICK, worker=False) as it, reading(it) as stream:
        await stream.until(b"\n\n: \n\n: \n\n")


async def test_a_stream_ends_when_its_key_is_revoked(tmp_path, monkeypatch):
    monkeypatch.setattr("service.keys.REMEMBERED_MS", 0)
    async with hub(tmp_path, settings=QUICK, worker=False) as it, reading(it) as stream:
        keys = await it.services.database.read("keys")
        key_id = next(key["id"] for key in keys if key["owner"] == "anna")
        await it.services.database.write(revoke_key, key_id, it.services.clock())
        with pytest.raises(StopAsyncIteration):
            await stream.next()


async def test_a_stop_ends_the_streams_in_order(tmp_path):
    """What is broken off instead is no end to an HTTP client, but an error."""
    async with httpx.AsyncClient(trust_env=False, verify=TRUST) as apart, AsyncExitStack() as stack:
        async with hub(tmp_path, worker=False) as it:
            apart.base_url, apart.headers = it.base_url, it.http.headers
            stream = await stack.enter_async_context(reading(it, client=apart))
        with pytest.raises(StopAsyncIteration):
            await stream.next()


def test_the_service_stops_soon_whoever_is_reading(tmp_path):
    path = tmp_path / "reelhook.toml"
    path.write_text(f'database = "{tmp_path / "hub.db"}"\n')
    reelhook = [sys.executable, "-m", "service"]
    made = subprocess.run(
        [*reelhook, "keys", "create", "--owner", "anna", "--json", "--config", str(path)],
        capture_output=True,
        check=True,
    )
    command = [*reelhook, "serve", "--no-worker", "--port", "0", "--config", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "web.serving url=" not in (line := process.stderr.readline()):
            assert line, "it ended before it started"
        headers = {"authorization": f"Bearer {loads(made.stdout)['api_key']}"}
        url = line.strip().rpartition("url=")[2] + "/v1/stream"
        with httpx.stream("GET", url, headers=headers, trust_env=False, verify=TRUST) as answer:
            pieces = answer.iter_raw()
            assert next(pieces).startswith(b"retry: 2000")
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=15) == 0  # it would wait 30 s for what does not end
            assert list(pieces) == []


async def test_whoever_goes_away_leaves_his_place(hub_without_worker):
    async with reading(hub_without_worker):
        assert hub_without_worker.services.feed.waiting == 1
    await nobody_waits(hub_without_worker)


async def test_whoever_takes_nothing_is_dropped(tmp_path):
    async with hub(tmp_path, settings=QUICK, worker=False) as it:
        await it.services.database.write(_store_many, 3_000, "x" * 8_000)
        with socket.socket() as idle:
            idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            at = urlsplit(it.base_url)
            await asyncio.to_thread(idle.connect, (at.hostname, at.port))
            key = it.http.headers["authorization"]
            idle.sendall(f"GET /v1/stream?after=0 HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\n\r\n".encode())
            async with asyncio.timeout(PATIENCE_S):
                while not it.services.feed.waiting:
                    await asyncio.sleep(0.01)
            await nobody_waits(it)


async def test_too_many_streams_of_one_owner_are_refused(tmp_path):
    async with hub(tmp_path, settings=QUICK, worker=False) as it, reading(it), reading(it):
        answer = await it.http.get("/v1/stream")
        assert (answer.status_code, "retry-after" in answer.headers) == (429, True)
        async with reading(it, client=it.other):
            pass


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({"authorization": "Bearer rh_wrong"}, {}, 401),
        ({"last-event-id": "7"}, {}, 400),
        ({"last-event-id": "evt_none"}, {}, 400),
        ({}, {"after": "x"}, 400),
        ({}, {"events": "task.done"}, 400),
        ({}, {"owner": "bert"}, 403),
    ],
)
async def test_what_cannot_be_streamed_is_refused(hub_without_worker, headers, query, status):
    answer = await hub_without_worker.http.get("/v1/stream", params=query, headers=headers)
    assert answer.status_code == status


async def test_a_question_for_the_head_of_a_stream_ends(hub_without_worker):
    assert (await hub_without_worker.http.head("/v1/stream")).status_code == 200


def _store_many(count, more=""):
    for _ in range(count):
        yield from insert_event(an_event(owner="anna", task_id=fresh_id("task"), body=f'{{"more": "{more}"}}'))


@pytest.mark.parametrize("cut", range(1, 12))
def test_messages_are_read_however_they_are_cut(cut):
    sent = b": hello\n\nretry: 5\nid: 3\n\nevent: a\r\nid: 4\r\ndata: x\r\ndata: y\r\n\r\ndata:z\n\n"
    reader = MessageReader()
    read = [message for at in range(0, len(sent), cut) for message in reader.feed(sent[at : at + cut])]
    assert read == [
        Message(event="", data="", id="3"),
        Message(event="a", data="x\ny", id="4"),
        Message(event="", data="z", id="4"),
    ]


def test_a_line_without_an_end_is_not_kept_for_ever():
    reader = MessageReader()
    with pytest.raises(ValueError, match="longer than"):
        for _ in range(9):
            reader.feed(b"x" * 2**20)
