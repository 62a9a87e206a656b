"""A gateway that is not there: a scripted one of any dialect, for the demo, for tests and for developers.

It answers what the gateway's documentation says, with a task whose course is drawn from a seed or written in its prompt
(sandbox_script.py). It knows of no web framework: service/web/sandbox.py puts the HTTP in front of it.
"""

import asyncio
import hashlib
import hmac
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from random import Random
from types import TracebackType

from service.assets import AssetGroup, Upload, Uploaded
from service.clock import Clock
from service.dialects.shape import Dialect, Surface
from service.egress import Egress
from service.errors import Problem
from service.model import ListQuery, Status, VideoRequest, View, request_to_json
from service.sandbox_callbacks import Callbacks, Patience
from service.sandbox_library import SandboxLibrary, script_of
from service.sandbox_log import CreateNote, SandboxLog
from service.sandbox_script import REFUSALS, Script, chance_script, check_rates, read_script
from service.sandbox_task import SandboxTask, worded
from service.sandbox_video import last_frame_png, video
from service.wire import HttpAnswer, Json, dumps

HTML_ANSWER = HttpAnswer(
    status=502,
    headers={"content-type": "text/html"},
    body=b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n",
)
FRAMES_PER_SECOND = 12
SIZES: Mapping[str | None, tuple[int, int]] = {
    "9:16": (144, 256),
    "1:1": (192, 192),
    "4:3": (256, 192),
    "3:4": (192, 256),
    "21:9": (336, 144),
}
USUAL_SIZE = (256, 144)


class ReplyLost(Exception):
    """The create was done, and its answer never reaches the caller. stalled: the connection stays open."""

    def __init__(self, *, stalled: bool) -> None:
        super().__init__("the reply is lost")
        self.stalled = stalled


class Scripted(Exception):
    """An answer that no dialect writes."""

    def __init__(self, answer: HttpAnswer) -> None:
        super().__init__(f"HTTP {answer.status}")
        self.answer = answer


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """How the gateway behaves where a prompt has no markers.

    queue_ms, run_ms: (shortest, longest), drawn for each task. pending_cap: how many tasks may be under way. rates:
    marker -> its probability, such as {"fail": 0.1}. callback_…: how callbacks are sent (sandbox_callbacks.py).
    """

    seed: int = 0
    api_key: str = "sandbox-key"
    queue_ms: tuple[int, int] = (500, 2_000)
    run_ms: tuple[int, int] = (3_000, 8_000)
    pending_cap: int = 1_000
    rates: Mapping[str, float] = field(default_factory=dict)
    callback_timeout_ms: int = 5_000
    callback_attempts: int = 4
    callback_pause_ms: int = 1_000

    def __post_init__(self) -> None:
        check_rates(self.rates)


class Simulator:
    """The gateway, open for as long as its block lasts. base_url: where its own API is reached from outside."""

    def __init__(
        self, dialect: Dialect, settings: SandboxSettings, egress: Egress, clock: Clock, *, base_url: str
    ) -> None:
        self.dialect = dialect
        self.settings = settings
        self.base_url = base_url
        self.log = SandboxLog()
        self._clock = clock
        self._tasks: dict[str, SandboxTask] = {}
        self._creates = 0
        self._pending: list[SandboxTask] = []
        self._refused: Counter[tuple[str, int]] = Counter()
        patience = Patience(
            timeout_ms=settings.callback_timeout_ms,
            attempts=settings.callback_attempts,
            pause_ms=settings.callback_pause_ms,
        )
        self._callbacks = Callbacks(dialect, egress, clock, patience, self.log)
        self._library = (
            SandboxLibrary(dialect.name, dialect.library, egress, self.log) if dialect.library is not None else None
        )

    async def __aenter__(self) -> "Simulator":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._callbacks.close()

    def admit(self, key: str | None) -> None:
        """Refuse whoever has not the key."""
        if key is None:
            raise Problem("unauthorized", "no API key: send Authorization: Bearer <key>")
        if not hmac.compare_digest(key.encode(), self.settings.api_key.encode()):
            raise Problem("unauthorized", "the API key is not valid")

    async def create(self, surface: Surface, wanted: VideoRequest) -> View:
        """Make a task; Problem when it is refused, ReplyLost when it is made and the caller never hears of it."""
        self._creates += 1
        luck = Random(f"{self.settings.seed}/{self.dialect.name}/{self._creates}")
        script = read_script(wanted.prompt or "")
        if not script.numbers:
            script = chance_script(self.settings.rates, luck.random)
        self._refuse(wanted, script)
        if self._library is not None:
            self._library.check(wanted)
        task = self._make(surface, wanted, script, luck)
        self._pending.append(task)
        self.log.creates[task.id] = _note_create(task)
        self._callbacks.follow(task)
        await self._answer_late(script)
        return task.view(self._clock())

    def make_group(self, wanted: AssetGroup) -> AssetGroup:
        """Make an asset group; Problem when it is refused."""
        self._refuse_scripted(wanted.name, read_script(f"{wanted.name} {wanted.description}"))
        return self._assets().make_group(wanted)

    async def take_in(self, upload: Upload, group_id: str) -> Uploaded:
        """Take images in; Problem when they are refused, ReplyLost when the caller never hears what became of them."""
        script = script_of(upload)
        self._refuse_scripted("\n".join(upload.sources), script)
        uploaded = await self._assets().take_in(upload, group_id)
        await self._answer_late(script)
        return uploaded

    def _assets(self) -> SandboxLibrary:
        if self._library is None:
            raise Problem("not_found", f"{self.dialect.title} has no assets")
        return self._library

    async def _answer_late(self, script: Script) -> None:
        await asyncio.sleep(script.number("slow create") / 1000)
        if "drop" in script or "stall" in script:
            raise ReplyLost(stalled="stall" in script)

    def note_answered(self, task_id: str) -> None:
        """The caller was still there when the answer to its create was ready."""
        self.log.creates[task_id].answered = True

    def get(self, surface: Surface, task_id: str) -> View:
        """A task as a query shows it; Problem, or Scripted for what the dialect has no words for."""
        task = self._find(task_id)
        now = self._clock()
        self.log.note_get(task_id, now)
        task.asked += 1
        broken = task.script.number("get 500")
        if task.asked <= broken:
            raise refusal(500)
        if "html" in task.script and task.asked == broken + 1:
            raise Scripted(HTML_ANSWER)
        view = task.asked_view(now)
        body = worded(task, view, surface.write_task)
        if body != surface.write_task(view):
            raise Scripted(HttpAnswer(status=200, headers={"content-type": "application/json"}, body=dumps(body)))
        return view

    def listed(self, surface: Surface, query: ListQuery) -> tuple[int, Sequence[Json]]:
        """(how many tasks there are, those of the page as they are written). It counts as a look at each that is
        asked for by id. A task whose script breaks single queries is not shown instead."""
        now = self._clock()
        self.log.lists += 1
        for task_id in query.ids:
            if task_id in self._tasks:
                self.log.note_get(task_id, now)
                self._tasks[task_id].asked += 1
        found = [task for task in reversed(self._tasks.values()) if _listed(task, query, now)]
        page = found[query.offset : query.offset + query.limit]
        return len(found), [worded(task, task.asked_view(now), surface.write_task) for task in page]

    def cancel(self, task_id: str) -> View:
        """Cancel a task that has not ended. ASSUME 409 for one that has (gateways.md F6)."""
        task = self._find(task_id)
        now = self._clock()
        if task.status(now).terminal:
            raise Problem("not_cancellable", f"the task has already {task.status(now)}")
        task.cancelled_at = now
        self._callbacks.follow(task)
        return task.view(now)

    def follow_link(self, task_id: str, link: str | None) -> None:
        """Refuse a link that has died; `link` tells which of them it is."""
        task = self._find(task_id)
        if "new links" in task.script and link != str(task.asked):
            raise Problem("forbidden", "Request has expired")  # as object stores say it of a presigned link

    def delete(self, surface: Surface, task_id: str) -> View:
        """Forget a task that has ended; as it was. Where a surface cancels by it, gateways.md section 2 "DELETE
        semantics": queued is cancelled, running is refused, and cancelled "NOT allowed". With [ends before delete] the
        task fails just before it is deleted."""
        task = self._find(task_id)
        now = self._clock()
        if "ends before delete" in task.script:
            task.script = Script({"fail": 0})
            task.running_at, task.run_ms = now, 0
        status = task.status(now)
        if not status.terminal and not surface.delete_cancels:
            raise Problem("invalid_request", f"{task_id} is not over yet; only what has ended can be deleted")
        if status is Status.CANCELLED and surface.delete_cancels:
            raise Problem("conflict", "a cancelled task cannot be deleted")
        if status.terminal:
            return self._tasks.pop(task_id).view(now)
        if status is Status.RUNNING:
            raise Problem("not_cancellable", f"the task is {status}")
        return self.cancel(task_id)

    def views(self) -> list[View]:
        """All tasks, oldest first."""
        now = self._clock()
        return [task.view(now) for task in self._tasks.values()]

    def result(self, task_id: str, variant: str) -> bytes:
        return self.video(task_id) if variant == "video" else self.last_frame(task_id)

    def video(self, task_id: str) -> bytes:
        """The result of a task that succeeded, as an MP4."""
        return _video(*self._clip(task_id))

    def last_frame(self, task_id: str) -> bytes:
        """The last frame of the result, as a PNG."""
        return _last_frame(*self._clip(task_id))

    @property
    def pending_callbacks(self) -> int:
        """How many callbacks, or chains of them, are still to come."""
        return self._callbacks.pending

    def report(self) -> Json:
        """The log, and where each task stands."""
        now = self._clock()
        return self.log.to_json(self.dialect.name, ((task.id, task.status(now)) for task in self._tasks.values()))

    def _refuse_scripted(self, what: str, script: Script) -> None:
        for status in REFUSALS:
            seen = (what, status)
            if self._refused[seen] < script.number(str(status)):
                self._refused[seen] += 1
                self.log.refusals += 1
                raise refusal(status)

    def _refuse(self, wanted: VideoRequest, script: Script) -> None:
        self._refuse_scripted(wanted.prompt or "", script)
        if self._full():
            self.log.refusals += 1
            raise Problem("too_many_pending", f"{self.settings.pending_cap} tasks are pending already")

    def _full(self) -> bool:
        if len(self._pending) >= self.settings.pending_cap:
            now = self._clock()
            self._pending = [task for task in self._pending if not task.status(now).terminal]
        return len(self._pending) >= self.settings.pending_cap

    def _make(self, surface: Surface, wanted: VideoRequest, script: Script, luck: Random) -> SandboxTask:
        now = self._clock()
        running_at = now + luck.randint(*self.settings.queue_ms)
        run_ms = luck.randint(*self.settings.run_ms)
        task = SandboxTask(
            id=f"{surface.id_prefix}{now:011x}{luck.getrandbits(52):013x}",
            dialect=self.dialect.name,
            request=wanted,
            script=script,
            created_at=now,
            running_at=running_at,
            run_ms=script.number("take") if "take" in script else run_ms,
            media_base=f"{self.base_url}/media/",
        )
        self._tasks[task.id] = task
        return task

    def _find(self, task_id: str) -> SandboxTask:
        if task_id not in self._tasks:
            raise Problem("not_found", f"there is no task {task_id}")
        return self._tasks[task_id]

    def _clip(self, task_id: str) -> tuple[int, int, int, str]:
        task = self._find(task_id)
        if task.status(self._clock()) is not Status.SUCCEEDED:
            raise Problem("not_found", f"task {task_id} has no result")
        return *SIZES.get(task.request.ratio, USUAL_SIZE), task.seconds * FRAMES_PER_SECOND, task_id


def _listed(task: SandboxTask, query: ListQuery, now: int) -> bool:
    broken = task.script.number("get 500") + ("html" in task.script)
    wanted = query.ids
    return (
        "unlisted" not in task.script
        and not (wanted and (task.id not in wanted or task.asked <= broken))
        and query.status in (None, task.asked_view(now).status)
        and query.model in (None, task.request.model)
        and query.service_tier in (None, task.request.service_tier or "default")
    )


def refusal(status: int) -> Problem:
    code, gateway_code, message = REFUSALS[status]
    return Problem(code, message, gateway_code=gateway_code)


def _note_create(task: SandboxTask) -> CreateNote:
    content = dumps(request_to_json(replace(task.request, webhook_url=None)))
    return CreateNote(
        id=task.id,
        prompt=task.request.prompt or "",
        fingerprint=hashlib.sha256(content).hexdigest()[:16],
        callback_url=task.request.webhook_url,
        at=task.created_at,
    )


@lru_cache(maxsize=64)
def _video(width: int, height: int, frames: int, task_id: str) -> bytes:
    return video(width=width, height=height, frames=frames, fps=FRAMES_PER_SECOND, seed=_seed(task_id))


@lru_cache(maxsize=64)
def _last_frame(width: int, height: int, frames: int, task_id: str) -> bytes:
    return last_frame_png(width=width, height=height, frames=frames, fps=FRAMES_PER_SECOND, seed=_seed(task_id))


def _seed(task_id: str) -> int:
    return int.from_bytes(task_id.encode()[-8:], "big")
