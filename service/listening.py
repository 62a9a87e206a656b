"""`reelhook listen`: the events of an owner, from the service's stream, one after the other to a developer's address.

What was forwarded is remembered by its number: after a lost connection the stream goes on behind it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from service import __version__
from service.clock import MINUTE, SECOND, Clock
from service.egress import Download, Egress, Lost, NotSent, open_egress
from service.errors import Problem
from service.formats.shape import Telling
from service.forwarding import Forwarded, Forwarder
from service.guard import Guard, read_target
from service.model import Event
from service.sse import Message, MessageReader
from service.wire import HttpAnswer, HttpRequest, Json, pick, read_object

ANYWHERE = ("0.0.0.0/0", "::/0")  # the service is where the developer says it is
IDLE_MS = MINUTE  # four heartbeats
PAUSES_MS = tuple(pause * SECOND for pause in (1, 1, 2, 4, 8, 15, 30))
REFUSAL_CAP = 64 * 1024
AGAIN = (408, 429)


class Refused(Exception):
    """The service says no, and will say so again."""


class Interrupted(Exception):
    """The stream is not to be had just now. retry_after_ms: what the service asks for."""

    def __init__(self, reason: str, retry_after_ms: int | None = None) -> None:
        super().__init__(reason)
        self.retry_after_ms = retry_after_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is listened to. events: types or patterns separated by commas, "" for all. start: now, beginning, or a
    cursor."""

    server: str
    key: str
    events: str = ""
    start: str = "now"

    def request(self, last_id: str) -> HttpRequest:
        """last_id: "" before anything was heard."""
        query = {"events": self.events} if self.events else {}
        headers = {"authorization": f"Bearer {self.key}", "accept": "text/event-stream"}
        if last_id:
            headers["last-event-id"] = last_id
        elif self.start != "now":
            query["after"] = "oldest" if self.start == "beginning" else self.start
        url = self.server.rstrip("/") + "/v1/stream" + ("?" + urlencode(query) if query else "")
        return HttpRequest(method="GET", url=url, headers=headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One event, and what became of it."""

    at: int
    event_id: str
    event_type: str
    task_id: str | None
    forwarded: Forwarded


@dataclass(slots=True)
class Listener:
    """say: is told of every event. note: is told, in words, how the connection is."""

    egress: Egress
    forwarder: Forwarder
    source: Source
    clock: Clock
    chance: Callable[[], float]
    say: Callable[[Heard], None]
    note: Callable[[str], None]
    last_id: str = ""
    heard: int = 0
    failed: int = 0
    lost: int = 0

    async def run(self) -> None:
        """Until it is cancelled. Refused when the service says no."""
        while True:
            try:
                await self._follow()
                reason, retry_after_ms = "the service has ended the stream", None
            except Interrupted as error:
                reason, retry_after_ms = str(error), error.retry_after_ms
            except (NotSent, Lost) as error:
                reason, retry_after_ms = str(error), None
            pause_ms = PAUSES_MS[min(self.lost, len(PAUSES_MS) - 1)] * (0.5 + self.chance() / 2)
            pause_ms = max(pause_ms, retry_after_ms or 0)
            self.lost += 1
            self.note(f"{reason}; trying again in {pause_ms / SECOND:.1f} s")
            await asyncio.sleep(pause_ms / SECOND)

    async def _follow(self) -> None:
        async with self.egress.fetch(self.source.request(self.last_id), idle_ms=IDLE_MS) as answer:
            await _check(answer, self.clock())
            reader = MessageReader(self.last_id)
            async for piece in answer.chunks:
                for message in _messages(reader, piece):
                    await self._take(message)

    async def _take(self, message: Message) -> None:
        if self.lost or not self.last_id:
            self.note(f"connected to {self.source.server}, after event {message.id}")
        self.lost = 0
        if message.data:
            telling = read_telling(message)
            forwarded = await self.forwarder.forward(telling)
            self.heard += 1
            self.failed += forwarded.error is not None
            event = telling.event
            self.say(
                Heard(
                    at=self.clock(),
                    event_id=event.id,
                    event_type=event.type,
                    task_id=event.task_id,
                    forwarded=forwarded,
                )
            )
        self.last_id = message.id


@asynccontextmanager
async def open_line(server: str) -> AsyncIterator[Egress]:
    """Connections to the service, which may be anywhere. A Problem when this is no URL."""
    read_target(server, "--server")
    async with open_egress(Guard(ANYWHERE), f"Reelhook/{__version__}") as egress:
        yield egress


def read_telling(message: Message) -> Telling:
    """The event of a message, byte for byte; Refused when it is none."""
    try:
        envelope = read_object(message.data.encode(), what="an event of the stream")
        created_at = round(datetime.fromisoformat(envelope["timestamp"]).timestamp() * SECOND)
        event = Event(
            id=str(envelope["id"]),
            owner="",
            task_id=pick(envelope, ("data", "task", "id")),
            type=str(envelope["type"]),
            created_at=created_at,
            body=message.data,
            test=int(envelope.get("test") is True),
        )
    except (Problem, KeyError, TypeError, ValueError) as error:
        raise Refused(f"the stream sent what is no event: {error}") from error
    return Telling(event=event, envelope=envelope)


def reason_of(answer: HttpAnswer) -> str:
    """What an answer of the service says, in its own words where it has any."""
    try:
        said = pick(read_object(answer.body), ("error", "message"))
    except Problem:
        said = None
    return f"{said} (HTTP {answer.status})" if isinstance(said, str) else f"the service answered HTTP {answer.status}"


def show(heard: Heard) -> Json:
    """For scripts."""
    forwarded = heard.forwarded
    return {
        "at": heard.at,
        "event_id": heard.event_id,
        "type": heard.event_type,
        "task_id": heard.task_id,
        "status": forwarded.status,
        "took_ms": forwarded.took_ms,
        "error": forwarded.error,
        "answer": forwarded.answer if forwarded.error is not None else None,
    }


async def _check(answer: Download, now: int) -> None:
    """Refused or Interrupted unless it is a stream."""
    kind = answer.headers.get("content-type", "")
    if answer.status == 200 and kind.startswith("text/event-stream"):
        return
    if answer.status == 200:
        raise Refused(f"--server: there is no Reelhook there: it answers with {kind or 'no content type'}")
    body = bytearray()
    async for piece in answer.chunks:
        body += piece[: REFUSAL_CAP - len(body)]
        if len(body) >= REFUSAL_CAP:
            break
    said = HttpAnswer(status=answer.status, headers=answer.headers, body=bytes(body))
    if answer.status >= 500 or answer.status in AGAIN:
        raise Interrupted(reason_of(said), said.retry_after_ms(now))
    raise Refused(reason_of(said))


def _messages(reader: MessageReader, piece: bytes) -> list[Message]:
    try:
        return reader.feed(piece)
    except ValueError as error:
        raise Refused(str(error)) from error
