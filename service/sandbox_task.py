"""A task of the sandbox as a function of time: the same instant always shows the same state.

Only a cancellation by the caller comes from outside.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.errors import Problem
from service.model import Snapshot, Status, VideoRequest, View
from service.sandbox_script import Script
from service.wire import Json

ODD_WORD = "thinking"
STATUS_NAMES = ("status",)
LINK_NAMES = ("video_url", "result_url", "url")  # where gateways show the link of a result

USUAL_SECONDS = 5
# 1280 x 720 pixels, 24 times a second, by 1024: how Ark counts the tokens of a video.
TOKENS_PER_SECOND = 21_600

_ENDS = {"fail": Status.FAILED, "cancel": Status.CANCELLED, "expire": Status.EXPIRED}


def _ark_usage(seconds: int) -> Json:
    return dict.fromkeys(("completion_tokens", "total_tokens"), seconds * TOKENS_PER_SECOND)


def _nothing(seconds: int) -> Json:
    return {}


# dialect -> what a task of so many seconds uses, in that gateway's own count
USAGE: Mapping[str, Callable[[int], Json]] = {
    "worldrouter": lambda seconds: {"output_tokens": seconds * TOKENS_PER_SECOND},  # "Typical status response"
    "easyrouter": lambda seconds: _ark_usage(seconds) | {"quota": seconds * 163_625},  # section 2.2
    "seedance2": lambda seconds: {"creditsCharged": seconds * 8},  # "Success Response"
}
# The same before it has succeeded, where the gateway says so much: what it holds for the task. easyrouter.txt 5.4
# speaks of "the pre-charged amount"; ASSUME that `quota` shows it, a quarter more than is charged in the end.
HELD: Mapping[str, Callable[[int], Json]] = {
    "easyrouter": lambda seconds: {"quota": seconds * 204_531},
    "seedance2": USAGE["seedance2"],
}


@dataclass(slots=True, kw_only=True)
class SandboxTask:
    """One task. media_base: what stands before `{id}.mp4` in the link of its result. asked: how many queries came."""

    id: str
    dialect: str
    request: VideoRequest
    script: Script
    created_at: int
    running_at: int
    run_ms: int
    media_base: str
    cancelled_at: int | None = None
    asked: int = 0

    @property
    def seconds(self) -> int:
        """The length of its video; the model that chooses chooses the usual one."""
        wanted = self.request.duration
        return wanted if wanted is not None and wanted > 0 else USUAL_SECONDS

    @property
    def ends_at(self) -> int | None:
        """When it ends, if ever; a cancellation by the caller is the end too."""
        if self.cancelled_at is not None:
            return self.cancelled_at
        return None if "hang" in self.script else self.running_at + self.run_ms

    @property
    def end(self) -> Status:
        if self.cancelled_at is not None:
            return Status.CANCELLED
        return next((status for name, status in _ENDS.items() if name in self.script), Status.SUCCEEDED)

    def status(self, now: int) -> Status:
        if self.ends_at is not None and now >= self.ends_at:
            return self.end
        return Status.RUNNING if now >= self.running_at else Status.QUEUED

    def view(self, now: int) -> View:
        status = self.status(now)
        ended = self.ends_at if status.terminal else None
        started = self.running_at if self.running_at <= (now if ended is None else ended) else None
        return View(
            id=self.id,
            request=self.request,
            snapshot=self._snapshot(status, now),
            created_at=self.created_at,
            updated_at=ended or started or self.created_at,
            started_at=started,
            finished_at=ended,
        )

    def asked_view(self, now: int) -> View:
        """What a query shows: with [lag] it does not know of the end yet."""
        ends_at = self.ends_at
        lags = self.cancelled_at is None and ends_at is not None and 0 <= now - ends_at < self.script.number("lag")
        return self.view(ends_at - 1 if ends_at is not None and lags else now)

    def _snapshot(self, status: Status, now: int) -> Snapshot:
        done = status is Status.SUCCEEDED
        shown = done and now >= (self.ends_at or 0) + self.script.number("no url yet")
        framed = shown and self.request.return_last_frame
        usage = USAGE.get(self.dialect, _ark_usage) if done else HELD.get(self.dialect, _nothing)
        return Snapshot(
            status=status,
            progress=self._progress(now) if status is Status.RUNNING else None,
            video_url=self._link("mp4") if shown else None,
            last_frame_url=self._link("png") if framed else None,
            error=_failure(self.script.code) if status is Status.FAILED else None,
            usage=usage(self.seconds),
            details=self._details() if done else {},
        )

    def _link(self, ending: str) -> str:
        return f"{self.media_base}{self.id}.{ending}" + (f"?link={self.asked}" if "new links" in self.script else "")

    def _progress(self, now: int) -> int:
        return min(99, 10 + 90 * (now - self.running_at) // max(1, self.run_ms))

    def _details(self) -> Json:
        details: Json = {"duration": self.seconds, "resolution": self.request.resolution or "720p"}
        if self.request.ratio is not None:
            details["ratio"] = "16:9" if self.request.ratio == "adaptive" else self.request.ratio
        return details


def worded(task: SandboxTask, view: View, write: Callable[[View], Json]) -> Json:
    """A view in the dialect's words, and in those that no dialect has: a status that nobody knows ([odd status]), a
    result without its link ([no url yet])."""
    body = write(view)
    if view.status is Status.RUNNING and "odd status" in task.script:
        return dict(_replaced(body, STATUS_NAMES, ODD_WORD))
    if view.status is Status.SUCCEEDED and view.snapshot.video_url is None:
        return dict(_replaced(body, LINK_NAMES, ""))  # videos writes a link of its own
    return body


def with_link(body: Json, link: str) -> Json:
    """A message whose result lies elsewhere."""
    return dict(_replaced(body, LINK_NAMES, link))


def _replaced(body: Any, names: tuple[str, ...], text: str) -> Any:
    if isinstance(body, list):
        return [_replaced(item, names, text) for item in body]
    if not isinstance(body, dict):
        return body
    return {
        name: text if name in names and isinstance(value, str) else _replaced(value, names, text)
        for name, value in body.items()
    }


def _failure(code: str | None) -> Problem:
    return Problem("task_failed", f"the sandbox failed this task{f' ({code})' if code else ''}", gateway_code=code)
