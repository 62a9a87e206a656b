"""What is heard about a task on its way, by receipt or by callback, as transactions: nothing here does I/O.

accept, refuse, postpone, doubt   what became of a create
take_callback                     what a callback does
"""

import logging
from collections.abc import Callable
from dataclasses import replace

from service.clock import SECOND
from service.errors import Problem
from service.events import Publisher
from service.gateways import Gateway
from service.model import Snapshot, Status, Submission, Task, VideoRequest, new_id
from service.schedule import back_off
from service.settings import Settings
from service.settling import End, Settled, conclude, end_of, progressed, settle, with_receipt
from service.signing import Forged
from service.store.rows import Callback, Dispatch, error_text
from service.store.statements import Transaction, run
from service.store.tasks import (
    callback_bodies,
    callback_seen,
    drop_media,
    find_task,
    forget_key,
    freeze_answer,
    insert_callback,
    is_anothers,
    step,
)
from service.usage import book
from service.wire import dump_text, read_object

log = logging.getLogger("reelhook.tasks")

CALLBACKS_KEPT = 100  # of one task; more are acknowledged and counted, so that a leaked URL cannot fill the disk
MOST_WAIT_TO_SEND_MS = 60 * SECOND


class Hearing:
    """The transactions by which a task moves, short of its end."""

    def __init__(self, publisher: Publisher, settings: Settings, chance: Callable[[], float]) -> None:
        self._publisher = publisher
        self._settings = settings
        self._chance = chance

    def lifetime_ms(self, request: VideoRequest) -> int:
        """Until its deadline; no longer than its callback's token is good for."""
        expires_s = request.execution_expires_after
        wanted_ms = expires_s * SECOND if expires_s else self._settings.sweep.deadline
        return min(wanted_ms, self._settings.callbacks.token_lifetime)

    def accept(self, task: Task, snapshot: Snapshot, next_at: int, now: int) -> Transaction[Settled]:
        before = yield from _current(task)
        # a link in a callback is not believed by this
        result = dump_text(with_receipt(before, replace(snapshot, video_url=None, last_frame_url=None)))
        accepted = yield from step(
            "accept_task",
            id=task.id,
            gateway_task_id=snapshot.gateway_task_id,
            next_at=next_at,
            deadline_at=now + self.lifetime_ms(task.request),  # it counts from now, however long the task has waited
            result=result,
            now=now,
        )
        if accepted is None:
            if before.gateway_task_id != snapshot.gateway_task_id:
                log.error("task.accepted_otherwise task=%s gateway_task=%s", task.id, snapshot.gateway_task_id)
                return Settled(before, [])
            noted = yield from step("note_receipt", id=task.id, result=result, now=now)
            if noted is not None and snapshot.cost:
                yield from book(before.result, noted, ended=False)
            return Settled(noted or before, [])
        yield from drop_media(accepted)
        # told also of a task that is over already, because its callback was quicker than the answer to its create
        dispatches = yield from self._publisher.publish(accepted, "task.accepted", now)
        if snapshot.status is Status.RUNNING and not accepted.status.terminal:
            running = yield from self._note_running(accepted, snapshot, now)
            accepted, dispatches = running.task, dispatches + running.dispatches
        yield from freeze_answer(accepted)
        if snapshot.cost:
            yield from book(before.result, accepted, ended=False)
        return Settled(accepted, dispatches)

    def refuse(self, task: Task, problem: Problem, now: int) -> Transaction[Settled]:
        before = yield from _current(task)
        if before.status.terminal or before.errand == "archive":
            return Settled(before, [])  # a callback has told its end, and somebody may be about to be told of it
        yield run("forget_caller", task_id=task.id)  # he is told at once, and no gateway calls back what it refused
        yield run("forget_unanswered", task_id=task.id)  # nothing was made: the same create again is a new attempt
        end = End(status=Status.FAILED, by="submit", error=problem, submission=Submission.REFUSED)
        settled = yield from settle(task.id, end, self._publisher, now)
        if settled is None:
            return Settled((yield from _current(task)), [])
        if problem.retryable:
            yield from forget_key(task.id)  # the caller is told to send it again, and may do so under the same key
        else:
            yield from freeze_answer(settled.task)
        return settled

    def postpone(self, task: Task, problem: Problem, now: int) -> Transaction[Settled]:
        pause = max(
            problem.retry_after_ms or 0, back_off(task.misses + 1, self._chance(), longest=MOST_WAIT_TO_SEND_MS)
        )
        next_at = min(task.deadline_at, now + pause)
        statement = "postpone_preparation" if task.preparing else "postpone_create"
        postponed = yield from step(
            statement, id=task.id, lease=task.lease, error=error_text(problem), next_at=next_at, now=now
        )
        return Settled(postponed or (yield from _current(task)), [])

    def doubt(self, task: Task, gateway: Gateway, problem: Problem, now: int) -> Transaction[Settled]:
        """Note that nobody knows whether the gateway has this task. Nothing to ask about: it is next looked at when its
        time is up, unless a callback claims it, or one has come already while the create was under way."""
        unclaimed = now + self._settings.submit.unclaimed
        deadline_at = task.deadline_at if gateway.calls_back else min(task.deadline_at, unclaimed)
        doubted = yield from step(
            "doubt_create",
            id=task.id,
            lease=task.lease,
            error=error_text(problem),
            next_at=deadline_at,
            deadline_at=deadline_at,
            now=now,
        )
        if doubted is None:
            doubted = yield from step("doubt_ended_create", id=task.id, now=now)
            if doubted is not None:
                yield from freeze_answer(doubted)
            return Settled(doubted or (yield from _current(task)), [])
        yield from drop_media(doubted)
        dispatches: list[Dispatch] = []
        for body in (yield from callback_bodies(task.id)):
            doubted = yield from _current(task)
            if not doubted.status.terminal:
                dispatches += (yield from self._heed(gateway, doubted, body.encode(), now))[1]
        return Settled((yield from _current(task)), dispatches)

    def take_callback(self, gateway: Gateway, task_id: str, body: bytes, now: int) -> Transaction[tuple[str, Settled]]:
        """(what became of it, the task as it was with the deliveries that this made)."""
        task = yield from find_task(task_id)
        if task is None or task.gateway != gateway.name:
            raise Forged("the token names no task of this gateway")
        text = body.decode("utf-8", "backslashreplace").replace("\x00", "\\x00")
        seen = yield from callback_seen(task_id, text)
        dispatches: list[Dispatch] = []
        if seen or task.status.terminal:
            outcome = "duplicate" if seen else "late"
        else:
            outcome, dispatches = yield from self._heed(gateway, task, body, now)
        yield run("count_callback", id=task_id)
        if task.callbacks < CALLBACKS_KEPT:
            kept = text if task.expunged_at is None else ""
            callback = Callback(id=new_id("cb", now), task_id=task_id, received_at=now, outcome=outcome, body=kept)
            yield from insert_callback(callback)
        return outcome, Settled(task, dispatches)

    def told_end(self, gateway: Gateway, task: Task, now: int) -> Transaction[End | None]:
        """The end that the task's callbacks tell, for when nobody can be asked about it any more."""
        for body in (yield from callback_bodies(task.id)):
            end = end_of(
                task, _read_callback(gateway, body.encode()), "callback", now, self._settings.sweep.result_grace
            )
            if end is not None:
                return end
        return None

    def _heed(self, gateway: Gateway, task: Task, body: bytes, now: int) -> Transaction[tuple[str, list[Dispatch]]]:
        """What a new callback does: it claims a task of unknown outcome, is believed where that is allowed, and
        otherwise makes the gateway be asked."""
        snapshot = _read_callback(gateway, body)
        foreign = yield from _is_foreign(task, snapshot)
        told: list[Dispatch] = []
        if task.submission is Submission.UNKNOWN and snapshot.gateway_task_id is not None and not foreign:
            claimed = yield from self.accept(task, snapshot, now, now)
            task, told = claimed.task, claimed.dispatches
        if _is_believed(gateway, task) and not foreign:
            outcome, more = yield from self._believe(task, snapshot, now)
            told += more
            if outcome is not None:
                return outcome, told
        return (yield from self._hint(gateway, task, snapshot, now, foreign=foreign)), told

    def _hint(self, gateway: Gateway, task: Task, snapshot: Snapshot, now: int, *, foreign: bool) -> Transaction[str]:
        """Have the gateway asked, where there is somebody to ask and something that could be different."""
        if task.submission is Submission.UNKNOWN or (snapshot.status is Status.QUEUED and not foreign):
            return "noted"
        due_at = max(now, (task.looked_at or 0) + gateway.min_interval_ms)
        if snapshot.status is Status.RUNNING and not foreign and task.submission is Submission.ACCEPTED:
            yield from step("look_soon", id=task.id, next_at=due_at)  # once: there is no end to wait for
        else:
            ends = snapshot.status is not None and snapshot.status.terminal and not foreign
            yield from step("hint_task", id=task.id, next_at=due_at, told=int(ends), now=now)
        return "look"

    def _believe(self, task: Task, snapshot: Snapshot, now: int) -> Transaction[tuple[str | None, list[Dispatch]]]:
        end = end_of(task, snapshot, "callback", now, self._settings.sweep.result_grace)
        archiving = self._settings.archive.enabled
        settled = (yield from conclude(task.id, end, self._publisher, now, archiving=archiving)) if end else None
        if settled is not None:
            return "settled" if settled.task.status.terminal else "noted", settled.dispatches
        if snapshot.status is Status.RUNNING:
            return "noted", (yield from self._note_running(task, snapshot, now)).dispatches
        return None, []

    def _note_running(self, task: Task, snapshot: Snapshot, now: int) -> Transaction[Settled]:
        running = yield from step("note_news", id=task.id, progress=progressed(task, snapshot), now=now)
        if running is None:
            return Settled(task, [])
        return Settled(running, (yield from self._publisher.publish(running, "task.running", now)))


def _is_foreign(task: Task, snapshot: Snapshot) -> Transaction[bool]:
    """Whether it speaks of another task of the gateway than this one is, or than it may become."""
    told_id = snapshot.gateway_task_id
    if told_id is None or task.gateway_task_id is not None:
        return told_id not in (None, task.gateway_task_id)
    return task.submission is Submission.UNKNOWN and (yield from is_anothers(task, told_id))


def _is_believed(gateway: Gateway, task: Task) -> bool:
    """With `trust`, and where nobody can be asked because the reply with the gateway's id was lost: then the callback,
    whose token only the gateway has, is the only witness there is (decision 13)."""
    return gateway.settings.trust == "trust" or task.submission is Submission.UNKNOWN


def _current(task: Task) -> Transaction[Task]:
    return (yield from find_task(task.id)) or task


def _read_callback(gateway: Gateway, body: bytes) -> Snapshot:
    """What a callback says; a body that nobody can read still says "look"."""
    try:
        return gateway.told(gateway.dialect.read_callback(read_object(body)))
    except Problem:
        return Snapshot(status=None)
