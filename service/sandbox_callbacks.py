"""The callbacks of the sandbox: which ones a task has, and their sending, as official Ark does it.

gateways.md section 2 "callback_url contract": a POST of the task object on each status change; where succeeded or
failed is not acknowledged within 5 seconds it is sent three times more; no other status is repeated.
"""

import asyncio
import hashlib
import logging
from dataclasses import dataclass, replace
from urllib.parse import urlsplit, urlunsplit

from service.clock import Clock
from service.dialects import DIALECTS
from service.dialects.shape import Dialect
from service.egress import Egress, Lost, NotSent
from service.model import Snapshot, Status
from service.sandbox_log import CallbackNote, SandboxLog
from service.sandbox_task import SandboxTask, with_link, worded
from service.wire import HttpRequest, Json, dumps

log = logging.getLogger("reelhook.sandbox")

REPEATED = (Status.SUCCEEDED, Status.FAILED)
FALSE_RESULT = "https://forged.invalid/not-your-video.mp4"
ANSWER_CAP = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A callback to be sent. repeats: whether it is sent again where no 2xx comes."""

    at: int
    kind: str
    url: str
    body: Json
    repeats: bool = False


Chain = tuple[Planned, ...]
"""Callbacks that are sent one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long an answer is waited for, how often a callback is sent at most, and the pause between (ms)."""

    timeout_ms: int
    attempts: int
    pause_ms: int


class Callbacks:
    """The senders: one asyncio task for each chain, all of them ended on close."""

    def __init__(self, dialect: Dialect, egress: Egress, clock: Clock, patience: Patience, notes: SandboxLog) -> None:
        self._dialect = dialect
        self._egress = egress
        self._clock = clock
        self._patience = patience
        self._notes = notes
        self._senders: set[asyncio.Task[None]] = set()

    def follow(self, task: SandboxTask) -> None:
        """Send, each at its time, what belongs to a task that is new or was just cancelled."""
        for chain in plan(self._dialect, task):
            sender = asyncio.create_task(self._send_chain(task, chain), name=f"callbacks of {task.id}")
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)

    @property
    def pending(self) -> int:
        return len(self._senders)

    async def close(self) -> None:
        for sender in self._senders:
            sender.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)

    async def _send_chain(self, task: SandboxTask, chain: Chain) -> None:
        cancelled_at = task.cancelled_at
        for planned in chain:
            while (wait_ms := planned.at - self._clock()) > 0:  # noqa: ASYNC110 - a timer may be early for this clock
                await asyncio.sleep(wait_ms / 1000)
            if task.cancelled_at != cancelled_at:
                return  # the end that was planned is not the one that came
            await self._send(task, planned)

    async def _send(self, task: SandboxTask, planned: Planned) -> None:
        for attempt in range(self._patience.attempts if planned.repeats else 1):
            if attempt:
                await asyncio.sleep(self._patience.pause_ms / 1000)
            if await self._acknowledged(task, planned):
                return

    async def _acknowledged(self, task: SandboxTask, planned: Planned) -> bool:
        note = CallbackNote(task=task.id, kind=planned.kind, url=planned.url, at=self._clock())
        self._notes.callbacks.append(note)
        headers = {"content-type": "application/json"}
        request = HttpRequest(method="POST", url=planned.url, headers=headers, body=dumps(planned.body))
        try:
            answer = await self._egress.deliver(request, timeout_ms=self._patience.timeout_ms, cap=ANSWER_CAP)
        except (NotSent, Lost) as error:
            log.info("sandbox.callback_failed task=%s kind=%s reason=%s", task.id, planned.kind, error)
            return False
        note.status = answer.status
        return 200 <= answer.status < 300


def plan(dialect: Dialect, task: SandboxTask) -> tuple[Chain, ...]:
    """All callbacks that are still to come. After a cancellation by the caller only the end is, if the dialect
    calls back about it: ASSUME that it is a final result like any other where nothing is said (Ark says it calls back
    for none)."""
    url, script = task.request.webhook_url, task.script
    if url is None:
        return ()
    last = () if "lost" in script else _last(dialect, task, url)
    if task.cancelled_at is not None:
        return (last,)
    tells_all = dialect.callback_per_status and "lost" not in script
    on_the_way = (task.created_at, task.running_at) if Status.QUEUED in dialect.called_back else (task.running_at,)
    told = tuple(_told(dialect, task, url, "genuine", at) for at in on_the_way) if tells_all else ()
    return told, _forged(dialect, task, url) if "forge" in script else (), last


def _told(dialect: Dialect, task: SandboxTask, url: str, kind: str, at: int) -> Planned:
    """The callback of a status on the way to the end."""
    return Planned(at=at, kind=kind, url=url, body=worded(task, task.view(at), dialect.write_callback))


def _last(dialect: Dialect, task: SandboxTask, url: str) -> Chain:
    """The callback of the end, with its duplicates, and a running one that should have come before."""
    if task.ends_at is None or (task.end is Status.CANCELLED and task.end not in dialect.called_back):
        return ()
    script = task.script
    final = Planned(
        at=task.ends_at + script.number("late"),
        kind="late" if "late" in script else "genuine",
        url=url,
        body=worded(task, task.view(task.ends_at), dialect.write_callback),
        repeats=task.end in REPEATED,
    )
    duplicates = (replace(final, kind="duplicate"),) * script.number("duplicate")
    reordered = (_told(dialect, task, url, "reordered", task.running_at),) if "reorder" in script else ()
    return final, *duplicates, *reordered


def _forged(dialect: Dialect, task: SandboxTask, url: str) -> Chain:
    """Three claims of a false success, when the task has just begun to run."""
    claim = replace(task.view(task.running_at), snapshot=Snapshot(status=Status.SUCCEEDED, video_url=FALSE_RESULT))
    body = with_link(dialect.write_callback(claim), FALSE_RESULT)
    return tuple(Planned(at=task.running_at, kind="forged", url=each, body=body) for each in forge(url))


def forge(url: str) -> tuple[str, str, str]:
    """A callback URL …/{gateway}/{token} with a tampered token, with a token of random letters, and under another
    gateway's path."""
    parts = urlsplit(url)
    *above, token = parts.path.split("/")
    middle = len(token) // 2
    # in the middle: at the end of a base64 text some bits mean nothing
    tampered = token[:middle] + ("A" if token[middle : middle + 1] != "A" else "B") + token[middle + 1 :]
    letters = hashlib.sha256(url.encode()).hexdigest()
    other = next(name for name in DIALECTS if name not in above)
    paths = ([*above, tampered], [*above, letters], [*above[:-1], other, token])
    tampered_url, random_url, other_url = (urlunsplit(parts._replace(path="/".join(path))) for path in paths)
    return tampered_url, random_url, other_url
