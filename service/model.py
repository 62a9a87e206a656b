"""The words of the domain as values: task, snapshot, event. Who is told stands in `subscriptions`.

Instants are unix milliseconds (`…_at`), spans milliseconds (`…_ms`). Ids are a prefix and 26 characters that sort by
time: `task_…`, `evt_…`, `sub_…`, `dlv_…`.
"""

import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from service.errors import Problem
from service.wire import Json

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _CROCKFORD for second in _CROCKFORD]
_SHIFTS = range(120, -1, -10)  # 26 letters carry the 128 bits


def new_id(prefix: str, now: int) -> str:
    """An id that sorts by time: 48 bits of milliseconds and 80 random ones, in Crockford's base 32 (as a ULID)."""
    return _spelled(prefix, now << 80 | secrets.randbits(80))


def first_id(prefix: str, at: int) -> str:
    """The lowest id that can have been made at this instant or later."""
    return _spelled(prefix, max(0, at) << 80)


def _spelled(prefix: str, value: int) -> str:
    # by pairs of letters: base64.b32encode is a loop in Python, and each delivery has an id
    return f"{prefix}_{''.join([_PAIRS[value >> shift & 1023] for shift in _SHIFTS])}"


def iso(at: int | None) -> str | None:
    """An instant as RFC 3339 in UTC with milliseconds, as events carry it."""
    if at is None:
        return None
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Status(StrEnum):
    """Where a task stands; the last four are terminal. News of a lower rank is ignored."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def terminal(self) -> bool:
        return self.rank == 2

    @property
    def rank(self) -> int:
        return {"queued": 0, "running": 1}.get(self.value, 2)


TERMINAL = tuple(status for status in Status if status.terminal)

TASK_EVENTS = (
    "task.accepted",
    "task.running",
    *(f"task.{status}" for status in TERMINAL),
)
# About how others are told; a subscription hears them where it names them, and never about itself.
OPERATIONAL_EVENTS = ("subscription.failing", "subscription.disabled", "delivery.exhausted")
EVENT_TYPES = TASK_EVENTS + OPERATIONAL_EVENTS
TERMINAL_EVENTS = tuple(f"task.{status}" for status in TERMINAL)
# The event by which a status is told: a queued task is one that the gateway has accepted.
EVENT_OF = {status: "task.accepted" if status is Status.QUEUED else f"task.{status}" for status in Status}


class Submission(StrEnum):
    """How far the create has come on its way into the gateway."""

    UNSENT = "unsent"
    SENDING = "sending"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """One input besides the prompt. `type` is image, video or audio; a gateway's own other types keep their `extra`."""

    type: str
    url: str = ""
    role: str | None = None
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoRequest:
    """What the caller wants, in no gateway's words. None means: not said.

    duration: seconds, -1 lets the model choose. execution_expires_after: seconds. metadata: the caller's own, never
    parameters. external_id: his own name for the task. extra: passed to the gateway as it is. webhook_url: where the
    caller of this one task wants its end.
    """

    model: str
    prompt: str | None = None
    duration: int | None = None
    ratio: str | None = None
    resolution: str | None = None
    seed: int | None = None
    camera_fixed: bool | None = None
    watermark: bool | None = None
    generate_audio: bool | None = None
    return_last_frame: bool | None = None
    service_tier: str | None = None
    execution_expires_after: int | None = None
    media: tuple[Media, ...] = ()
    asset_group_id: str | None = None
    metadata: Json = field(default_factory=dict)
    external_id: str | None = None
    webhook_url: str | None = None
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a gateway says about a task now, by receipt, by callback or when asked.

    status: None when the gateway's `word` is unknown to us. progress: 0 to 100. details: what the gateway says of the
    result (duration, resolution, ratio, seed …). usage: as the gateway counts. cost: in money (costs.py), where the
    settings name a price. refunded: nothing of it is charged in the end; None: not reckoned yet. error: why it failed.
    answer: the whole answer as the gateway wrote it, for what nobody here knows.
    """

    status: Status | None
    word: str = ""
    gateway_task_id: str | None = None
    progress: int | None = None
    video_url: str | None = None
    last_frame_url: str | None = None
    error: Problem | None = None
    usage: Json = field(default_factory=dict)
    details: Json = field(default_factory=dict)
    answer: Json = field(default_factory=dict)
    cost: Json | None = None
    refunded: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A task as the caller of a gateway's API may see it; `id` is the id on that API.

    It is what the server half of every dialect writes from, whoever stands behind: the hub or a sandbox.
    poll_after_ms: how long a caller who polls should wait, where that is known.
    """

    id: str
    request: VideoRequest
    snapshot: Snapshot
    created_at: int
    updated_at: int
    started_at: int | None = None
    finished_at: int | None = None
    accepted: bool = True
    poll_after_ms: int | None = None

    @property
    def status(self) -> Status:
        return self.snapshot.status or Status.QUEUED

    @property
    def progress(self) -> int:
        """0 to 100; guessed from the status when the gateway gives none."""
        if self.status.terminal:
            return 100
        if self.snapshot.progress is not None:
            return self.snapshot.progress
        return 50 if self.status is Status.RUNNING else 10 if self.accepted else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """Which tasks of a gateway's API are listed: those to which all applies that is said. ids: none means any."""

    offset: int
    limit: int
    status: Status | None = None
    model: str | None = None
    service_tier: str | None = None
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One video generation, as stored.

    next_at: when somebody looks at it next, and errand: what for (ask, archive); next_at None exactly when it is
    terminal. deadline_at: when it expires. misses: how many looks in a row brought no answer. hinted_at: when a
    callback last said "look"; hints: how many have; told: 1 when one of them told of the end. slim: 1 where its inline
    media are kept apart. callbacks: how many came. settled_by: submit, callback, sweep, cancel or deadline.
    unknown_word: the last status word nobody knows.
    when_full: queue or refuse, what to do when the gateway takes no more. lease: who works on it until next_at.
    mount: the compatible API that it came in by, None for the native one; caller_…: what is spoken there, and the model
    by the caller's name for it, where a route leads to another one. deleted_at: when its caller hid it from that API.
    preparing: 1 while some of its images have still to be taken in by the gateway. assets: what was made of them.
    attempt: which try this is, 1 for the first; retry_of: the task that it tries again. expunged_at: when what was
    asked for and answered was removed.
    """

    id: str
    owner: str
    gateway: str
    dialect: str
    surface: str
    request: VideoRequest
    status: Status
    submission: Submission
    when_full: str
    created_at: int
    updated_at: int
    deadline_at: int
    next_at: int | None
    gateway_task_id: str | None = None
    progress: int | None = None
    result: Json = field(default_factory=dict)
    error: Problem | None = None
    accepted_at: int | None = None
    running_at: int | None = None
    finished_at: int | None = None
    looked_at: int | None = None
    hinted_at: int | None = None
    hints: int = 0
    told: int = 0
    slim: int = 0
    errand: str = "ask"
    misses: int = 0
    callbacks: int = 0
    settled_by: str | None = None
    unknown_word: str | None = None
    lease: str | None = None
    mount: str | None = None
    caller_dialect: str | None = None
    caller_surface: str | None = None
    caller_model: str | None = None
    deleted_at: int | None = None
    preparing: int = 0
    assets: Json = field(default_factory=dict)
    attempt: int = 1
    retry_of: str | None = None
    expunged_at: int | None = None

    @property
    def video_url(self) -> str | None:
        return self.result.get("video_url")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An immutable fact about a task, a subscription or a delivery. `body` is the canonical JSON envelope: the same
    bytes for ever, "" once they have been expunged. task_id: None where it is about no task. seq: its place in its
    owner's feed, in the order of commits. test: 1 where somebody asked for it, to see whether it arrives. expunged_at:
    when they were."""

    id: str
    owner: str
    task_id: str | None
    type: str
    created_at: int
    body: str
    seq: int = 0
    test: int = 0
    expunged_at: int | None = None


def request_to_json(request: VideoRequest) -> Json:
    """The stored and shown form: every field that was said."""
    body: dict[str, Any] = {}
    for name in VideoRequest.__dataclass_fields__:
        value = getattr(request, name)
        if value not in (None, {}, ()):
            body[name] = [media_to_json(item) for item in value] if name == "media" else value
    return body


def media_to_json(media: Media) -> Json:
    return {"type": media.type} | {
        name: value for name in ("url", "role", "extra") if (value := getattr(media, name)) not in (None, "", {})
    }


def shown_url(url: str) -> str:
    """A URL, or what kind of inline data stands for one: nothing but a create is a place for thirty megabytes."""
    return url if not url.startswith("data:") else f"{url.partition(',')[0]},… ({len(url)} characters)"


def slimmed(request: VideoRequest) -> VideoRequest:
    """The request without the bytes of its inline media."""
    return replace(request, media=tuple(replace(media, url=shown_url(media.url)) for media in request.media))


def without_payload(request: VideoRequest) -> VideoRequest:
    """The request without what its caller has put into it: how much was wanted of which model, and his name for it."""
    return replace(request, prompt=None, media=(), metadata={}, extra={}, webhook_url=None)


def request_from_json(body: Json) -> VideoRequest:
    """request_to_json, read back."""
    return VideoRequest(**body | {"media": tuple(Media(**item) for item in body.get("media", ()))})
