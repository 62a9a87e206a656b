"""What news about a task means, and the one place where a task ends.

`settle` is the only function that makes a task terminal. It runs inside one transaction with the event and its
deliveries, and the first writer wins: whatever mixture of callbacks, looks, cancels and deadlines comes later, in
however many processes, changes nothing.
"""

from dataclasses import dataclass, field, replace
from urllib.parse import quote

from service.costs import charged
from service.dialects import DIALECTS
from service.errors import Problem
from service.events import Publisher
from service.model import Snapshot, Status, Submission, Task
from service.schedule import taken
from service.store.rows import Dispatch, error_text
from service.store.statements import Transaction
from service.store.tasks import drop_media, find_task, step
from service.usage import book
from service.wire import Json, dump_text


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a task ends. by: submit, callback, sweep, cancel or deadline. submission: when the end says more about it.
    archive: what is kept of its results, by variant. silence_since: for an end that is made of silence, the task as it
    was when the silence was noted; news that came since are heard first."""

    status: Status
    by: str
    error: Problem | None = None
    snapshot: Snapshot | None = None
    submission: Submission | None = None
    archive: Json = field(default_factory=dict)
    silence_since: Task | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    task: Task
    dispatches: list[Dispatch]


def settle(task_id: str, end: End, publisher: Publisher, now: int) -> Transaction[Settled | None]:
    """Make a task terminal, once, with its event and deliveries; None when it was terminal already, or the end is not
    true of it any more."""
    task = yield from find_task(task_id)
    if task is None or task.status.terminal:
        return None
    if task.errand == "archive" and end.status is not Status.SUCCEEDED:
        return None  # its success is announced, and only waits for the archive
    if end.silence_since is not None and _heard_since(end.silence_since, task):
        return None
    snapshot_id = end.snapshot.gateway_task_id if end.snapshot else None
    settled = yield from step(
        "settle_task",
        id=task_id,
        status=end.status.value,
        submission=(end.submission or task.submission).value,
        gateway_task_id=task.gateway_task_id or snapshot_id,
        result=dump_text(merged(task, end.snapshot) | ({"archive": end.archive} if end.archive else {})),
        error=error_text(end.error),
        settled_by="callback" if end.by == "sweep" and task.told else end.by,
        took_ms=_took_ms(task, end, now),
        now=now,
    )
    if settled is None:
        return None
    yield from drop_media(settled)
    dispatches = yield from publisher.publish(settled, f"task.{end.status}", now)
    yield from book(task.result, settled, ended=True)
    return Settled(settled, dispatches)


def _heard_since(seen: Task, task: Task) -> bool:
    """Whether a callback came, or somebody else has taken it over."""
    return task.hints != seen.hints or (seen.lease is not None and task.lease != seen.lease)


def _took_ms(task: Task, end: End, now: int) -> int | None:
    """How long a success took its gateway; None where nobody can tell."""
    if end.status is not Status.SUCCEEDED or task.accepted_at is None:
        return None
    over_at = task.result.get("announced_at", now)  # what was archived first was over before
    open_at = task.looked_at if task.looked_at is not None and task.misses == 0 else task.accepted_at
    return max(0, taken(task.accepted_at, min(open_at, over_at), over_at, told=end.by == "callback" or bool(task.told)))


def conclude(task_id: str, end: End, publisher: Publisher, now: int, *, archiving: bool) -> Transaction[Settled | None]:
    """Settle; or, where results are archived, let a success wait for that. None when the task was over, or waiting."""
    if not archiving or end.status is not Status.SUCCEEDED:
        return (yield from settle(task_id, end, publisher, now))
    task = yield from find_task(task_id)
    if task is None:
        return None
    result = merged(task, end.snapshot) | {"ends_by": end.by, "announced_at": now}
    waiting = yield from step("await_archive", id=task_id, result=dump_text(result), now=now)
    if waiting is None:
        return None
    yield from book(task.result, waiting, ended=False)
    return Settled(waiting, [])


def end_of(task: Task, snapshot: Snapshot, by: str, now: int, result_grace_ms: int) -> End | None:
    """The end that a gateway's word brings; None when it brings none (yet).

    An unknown word ends nothing. A success without its result is waited for: gateways announce it before they show
    it; one that never shows it has failed, because nobody can be sent a video that is not there.
    """
    status = snapshot.status
    if status is None or not status.terminal:
        return None
    if status is not Status.SUCCEEDED:
        code = status.value if status in (Status.CANCELLED, Status.EXPIRED) else "task_failed"
        error = snapshot.error or Problem(code, f"the gateway says {snapshot.word or status} and no more")
        return End(status=status, by=by, error=error, snapshot=snapshot)
    if snapshot.video_url is not None:
        return End(status=status, by=by, snapshot=snapshot)
    if now - task.result.get("announced_at", now) < result_grace_ms:
        return None
    route = DIALECTS[task.dialect].surface(task.surface).route("content")
    if route is not None and task.gateway_task_id is not None:  # it can be had there, link or no link
        there = route.path.replace("{id}", quote(task.gateway_task_id, safe=""))
        return End(status=status, by=by, snapshot=replace(snapshot, video_url=there))
    error = Problem(
        "task_failed", "the gateway says that the task succeeded, but shows no video", gateway_code="no_result"
    )
    return End(status=Status.FAILED, by=by, error=error, snapshot=snapshot)


def merged(task: Task, snapshot: Snapshot | None) -> Json:
    """What is known of the result after a snapshot: new facts over old ones."""
    if snapshot is None:
        return task.result
    news: Json = {
        "video_url": snapshot.video_url,
        "last_frame_url": snapshot.last_frame_url,
        "usage": (task.result.get("usage", {}) | snapshot.usage) or None,
        "details": snapshot.details or None,
        "cost": charged(task.result.get("cost"), snapshot.cost),
        "refunded": snapshot.refunded or None,
        "answer": snapshot.answer or None,
    }
    return task.result | {name: value for name, value in news.items() if value is not None}


def with_receipt(task: Task, receipt: Snapshot) -> Json:
    """What is known of the result with what a receipt says, which may be said nowhere else. It is the oldest news there
    is, however late it comes: whatever a callback has told before it stays."""
    told, known = merged(replace(task, result={}), receipt), task.result
    both = {
        "usage": (told.get("usage", {}) | known.get("usage", {})) or None,
        "cost": charged(told.get("cost"), known.get("cost")),
    }
    return told | known | {name: value for name, value in both.items() if value is not None}


def moved(task: Task, snapshot: Snapshot) -> Status:
    """The status after a snapshot that ends nothing: never backwards. A success whose result is not shown yet still
    runs."""
    if snapshot.status is None:
        return task.status
    seen = Status.RUNNING if snapshot.status.terminal else snapshot.status
    return max(task.status, seen, key=lambda status: status.rank)


def progressed(task: Task, snapshot: Snapshot) -> int | None:
    """The highest progress seen, short of the end."""
    seen = [progress for progress in (task.progress, snapshot.progress) if progress is not None]
    return min(99, max(seen)) if seen else None
