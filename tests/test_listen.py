"""`reelhook listen`: from the stream of a service to a program on this machine."""

import asyncio
import signal
import sys
from contextlib import asynccontextmanager

import pytest
from standardwebhooks import Webhook

from service.cli import main
from service.clock import system_clock
from service.forwarding import open_forwarder
from service.keys import revoke_key
from service.listening import Listener, Refused, Source, open_line
from service.signing import listening_secret, new_secret
from service.wire import loads
from tests.dropping import broken_wire
from tests.servers import Sink

PATIENCE_S = 20
SECRET = new_secret()


class Ears:
    """What a listener says."""

    def __init__(self):
        self.heard, self.notes = [], []
        self._news = asyncio.Event()

    def say(self, heard):
        self.heard.append(heard)
        self._news.set()

    def note(self, words):
        self.notes.append(words)
        self._news.set()

    async def until(self, enough):
        async with asyncio.timeout(PATIENCE_S):
            while not enough(self):
                self._news.clear()
                await self._news.wait()

    def connected(self):
        return sum("connected to" in note for note in self.notes)


@asynccontextmanager
async def listening(it, url, *, server=None, key=None, format="standard", chance=0.0, **source):
    """A listener at work: (what it says, its task)."""
    ears = Ears()
    key = key or it.http.headers["authorization"].removeprefix("Bearer ")
    opened = open_forwarder(url, field="--forward-to", format=format, secret=SECRET, clock=system_clock)
    async with open_line(server or it.base_url) as egress, opened as forwarder:
        listener = Listener(
            egress=egress,
            forwarder=forwarder,
            source=Source(server=server or it.base_url, key=key, **source),
            clock=system_clock,
            chance=lambda: chance,
            say=ears.say,
            note=ears.note,
        )
        task = asyncio.create_task(listener.run())
        try:
            yield ears, task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def trigger(it, event_type="task.succeeded"):
    answer = await it.post("/v1/events", {"type": event_type})
    assert answer.status_code == 201, answer.text
    return answer.json()["event"]


async def test_an_event_is_forwarded_as_a_subscriber_would_get_it(hub_without_worker):
    it = hub_without_worker
    async with Sink().open() as sink, listening(it, sink.url + "/hook") as (ears, _):
        await ears.until(Ears.connected)
        made = await trigger(it)
        (request,) = await sink.wait_for(len)
        stored = await it.services.reads.event(made["id"], "anna")
        assert request.body == stored.body.encode()
        assert Webhook(SECRET).verify(request.body, dict(request.headers)) == made
        assert request.headers["webhook-id"] == made["id"]
        assert request.headers["x-reelhook-event"] == "task.succeeded"
        assert request.headers["content-type"] == "application/json"


async def test_each_event_is_told_with_its_answer(hub_without_worker):
    it = hub_without_worker
    async with Sink(200, 500).open() as sink, listening(it, sink.url, start="beginning") as (ears, _):
        made = [await trigger(it) for _ in range(2)]
        await ears.until(lambda ears: len(ears.heard) == 2)
        assert [(heard.event_id, heard.forwarded.status, heard.forwarded.error) for heard in ears.heard] == [
            (made[0]["id"], 200, None),
            (made[1]["id"], 500, "the endpoint answered HTTP 500"),
        ]


async def test_a_program_that_does_not_run_yet_is_told_and_the_next_event_goes_on(hub_without_worker):
    it = hub_without_worker
    async with listening(it, "http://127.0.0.1:1/", start="beginning") as (ears, _):
        for _ in range(2):
            await trigger(it)
        await ears.until(lambda ears: len(ears.heard) == 2)
        assert "cannot connect" in ears.heard[1].forwarded.error


async def test_only_what_is_asked_for_is_forwarded(hub_without_worker):
    it = hub_without_worker
    async with Sink().open() as sink, listening(it, sink.url, events="task.failed") as (ears, _):
        await ears.until(Ears.connected)
        await trigger(it)
        made = await trigger(it, "task.failed")
        (request,) = await sink.wait_for(len)
        assert request.headers["webhook-id"] == made["id"]


async def test_listening_begins_where_it_is_asked_to(hub_without_worker):
    it = hub_without_worker
    first, second = await trigger(it), await trigger(it)
    for start, count in (("beginning", 2), (first["id"], 1)):
        async with Sink().open() as sink, listening(it, sink.url, start=start):
            requests = await sink.wait_for(
                lambda requests: requests and requests[-1].headers["webhook-id"] == second["id"]
            )
            assert len(requests) == count


async def test_a_lost_connection_loses_no_event(hub_without_worker):
    """What happens while the line is down is forwarded when it is up again."""
    it, cut = hub_without_worker, asyncio.Event()
    async with (
        cutting(it.base_url, cut) as server,
        Sink().open() as sink,
        listening(it, sink.url, server=server) as (ears, _),
    ):
        await ears.until(Ears.connected)
        made = [await trigger(it)]
        await sink.wait_for(len)
        cut.set()
        await ears.until(lambda ears: any("trying again" in note for note in ears.notes))
        made += [await trigger(it) for _ in range(3)]
        requests = await sink.wait_for(lambda requests: len(requests) >= 4)
        await ears.until(lambda ears: ears.connected() == 2)
        assert [request.headers["webhook-id"] for request in requests] == [event["id"] for event in made]


async def test_a_line_that_breaks_before_the_first_event_loses_none(hub_without_worker):
    it, cut = hub_without_worker, asyncio.Event()
    async with (
        cutting(it.base_url, cut) as server,
        Sink().open() as sink,
        listening(it, sink.url, server=server) as (ears, _),
    ):
        await ears.until(Ears.connected)
        cut.set()
        await ears.until(lambda ears: any("trying again" in note for note in ears.notes))
        made = await trigger(it)
        (request,) = await sink.wait_for(len)
        assert request.headers["webhook-id"] == made["id"]


async def test_a_service_that_cannot_be_reached_is_tried_again(hub_without_worker):
    async def at_once():
        pass

    it = hub_without_worker
    async with (
        broken_wire(it.base_url, at_once) as server,
        Sink().open() as sink,
        listening(it, sink.url, server=server) as (ears, _),
    ):
        await ears.until(Ears.connected)
        assert "trying again in 0.5 s" in ears.notes[0]


async def test_a_key_that_was_revoked_ends_it(hub_without_worker, monkeypatch):
    monkeypatch.setattr("service.keys.REMEMBERED_MS", 0)
    it, cut = hub_without_worker, asyncio.Event()
    async with (
        cutting(it.base_url, cut) as server,
        listening(it, "http://127.0.0.1:1/", server=server) as (ears, task),
    ):
        await ears.until(Ears.connected)
        keys = await it.services.database.read("keys")
        key_id = next(key["id"] for key in keys if key["owner"] == "anna")
        await it.services.database.write(revoke_key, key_id, it.services.clock())
        cut.set()
        with pytest.raises(Refused, match="not known, or was revoked"):
            await asyncio.wait_for(task, PATIENCE_S)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"key": "rh_wrong"}, "this API key is not known"),
        ({"events": "task.done"}, "no event matches"),
        ({"start": "99"}, "the newest event of this feed is 0"),
    ],
)
async def test_what_the_service_refuses_is_not_tried_again(hub_without_worker, source, said):
    async with listening(hub_without_worker, "http://127.0.0.1:1/", **source) as (_, task):
        with pytest.raises(Refused, match=said):
            await asyncio.wait_for(task, PATIENCE_S)


async def test_what_is_no_reelhook_is_said(hub_without_worker):
    it = hub_without_worker
    async with listening(it, "http://127.0.0.1:1/", server=it.base_url + "/health?") as (_, task):
        with pytest.raises(Refused, match="there is no Reelhook there"):
            await asyncio.wait_for(task, PATIENCE_S)


def test_the_secret_of_a_key_and_a_service_stays_the_same():
    made = {listening_secret(key, server) for key in ("rh_1", "rh_2") for server in ("a", "b")}
    assert (len(made), listening_secret("rh_1", "a") in made) == (4, True)


@asynccontextmanager
async def cutting(base_url, cut):
    """A way to the service that is cut, with all that is on it, when `cut` is set; whoever comes later passes."""
    host, port = base_url.removeprefix("http://").split(":")
    ends: set[asyncio.StreamWriter] = set()
    serving: list[asyncio.Task[None]] = []

    async def pump(reader, writer):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()

    async def accept(reader, writer):
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        ends.update((writer, far_writer))
        pumps = [asyncio.create_task(pump(reader, far_writer)), asyncio.create_task(pump(far_reader, writer))]
        serving.extend(pumps)
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for end in (writer, far_writer):
            end.transport.abort()
        await asyncio.gather(*pumps, return_exceptions=True)

    async def cutter():
        await cut.wait()
        for end in list(ends):
            end.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    cutting = asyncio.create_task(cutter())
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        cutting.cancel()
        for end in list(ends):
            end.transport.abort()
        await asyncio.gather(*serving, return_exceptions=True)


# --- the command


async def started(*words, **environment):
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service", "listen", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment or None,
    )


async def line_with(stream, text):
    async with asyncio.timeout(PATIENCE_S):
        while line := (await stream.readline()).decode():
            if text in line:
                return line
    raise AssertionError(f"it never said {text}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_command_shows_each_event_and_ends_when_it_is_told_to(hub_without_worker, number):
    it = hub_without_worker
    key = it.http.headers["authorization"].removeprefix("Bearer ")
    async with Sink().open() as sink:
        url = sink.url.replace("127.0.0.1", "localhost")
        process = await started("--forward-to", url, "--server", it.base_url, REELHOOK_KEY=key)
        secret = (await line_with(process.stdout, "signing secret")).split()[-1]
        await line_with(process.stderr, "connected to")
        made = await trigger(it)
        line = await line_with(process.stdout, "task.succeeded")
        process.send_signal(number)
        _, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        (request,) = sink.requests
        assert Webhook(secret).verify(request.body, dict(request.headers)) == made
        assert (made["data"]["task"]["id"] in line, " 200 " in line) == (True, True)
        assert (process.returncode, b"events forwarded: 1, of which failed: 0" in err) == (0, True)


async def test_the_command_tells_scripts_in_json(hub_without_worker):
    it = hub_without_worker
    key = it.http.headers["authorization"].removeprefix("Bearer ")
    made = await trigger(it)
    words = ("--forward-to", "http://127.0.0.1:1/", "--server", it.base_url, "--from", "beginning", "--json")
    process = await started(*words, "--key", key, "--secret", SECRET)
    first, second = [loads(await process.stdout.readline()) for _ in range(2)]
    process.terminate()
    await process.communicate()
    assert (first["secret"], second["event_id"], second["status"]) == (SECRET, made["id"], None)


async def test_a_wrong_key_is_said_and_ends_it(hub_without_worker):
    words = ("--server", hub_without_worker.base_url, "--forward-to", "http://127.0.0.1:1/")
    process = await started(*words, REELHOOK_KEY="rh_wrong")
    _, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert (process.returncode, b"this API key is not known" in err, b"Traceback" in err) == (1, True, False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--key: is required"),
        (["--key", "rh_1", "--forward-to", "http://10.1.2.3/"], "--forward-to: 10.1.2.3 is not a public address"),
        (["--key", "rh_1", "--forward-to", "localhost:3000"], "--forward-to: must start with https:// or http://"),
        (["--key", "rh_1", "--secret", "abc!"], "--secret: a signing secret is"),
        (["--key", "rh_1", "--server", "localhost"], "--server: must start with https:// or http://"),
    ],
)
def test_what_cannot_be_listened_to_is_said(capsys, monkeypatch, words, said):
    monkeypatch.delenv("REELHOOK_KEY", raising=False)
    more = [] if "--forward-to" in words else ["--forward-to", "http://127.0.0.1:1/"]
    status = main(["listen", *more, *words])
    assert (status, said in capsys.readouterr().err) == (2, True)
