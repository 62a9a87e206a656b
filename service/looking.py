"""One look: what a claimed task is due for, and what the gateway's answer means for it."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from service.errors import Problem
from service.gateways import Gateway, surface_of
from service.hub import Hub
from service.model import Snapshot, Status, Submission, Task
from service.outcomes import BUSY
from service.pace import Pace
from service.schedule import back_off, look_after_hint, next_look
from service.settling import End, Settled, end_of, merged, moved, progressed
from service.store.rows import Dispatch
from service.store.statements import Transaction
from service.store.tasks import step
from service.tasks import Tasks
from service.usage import book
from service.wire import dump_text

log = logging.getLogger("reelhook.sweeper")

LAST_LOOKS = 3  # without an answer, after the deadline: a service that was down itself may find success after it


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a question. alone: whether the task is asked about by itself next time, because a question about
    many was not answered for it."""

    said: Snapshot | Problem
    alone: bool = False


class Looks:
    """Looks at claimed tasks, alone or many at once."""

    def __init__(
        self, *, hub: Hub, gateways: Mapping[str, Gateway], tasks: Tasks, pace: Pace, chance: Callable[[], float]
    ) -> None:
        self._hub = hub
        self._gateways = gateways
        self._tasks = tasks
        self._pace = pace
        self._chance = chance

    async def look(self, tasks: Sequence[Task]) -> None:
        """Ask about claimed tasks, which are one, or many of one kind that one question can be about."""
        if len(tasks) == 1:
            await self._look_at_one(tasks[0])
        else:
            await self._look_at_many(tasks)

    async def end_past_grace(self, task: Task) -> None:
        """Give up a task that nobody could be asked about, long after its deadline."""
        if self._hub.clock() >= task.deadline_at + self._hub.settings.sweep.grace:
            await self.expire(task)

    async def expire(self, task: Task, *, unsent: bool = False) -> None:
        """End a claimed task because nothing was heard of it; where something was meanwhile, it is due for a look
        again. unsent: it was claimed to be sent, and provably was not."""
        submission = Submission.UNSENT if unsent else None
        doubted = task.submission is not Submission.ACCEPTED
        error = (
            task.error if doubted and task.error else Problem("expired", "the task did not finish before its deadline")
        )
        end = End(status=Status.EXPIRED, by="deadline", error=error, submission=submission, silence_since=task)
        if await self._hub.end(task.id, end) is None:
            gateway = self._gateways.get(task.gateway)
            next_at = self._hub.clock() + (gateway.min_interval_ms if gateway else 0)
            await self._hub.database.write(step, "release_task", id=task.id, lease=task.lease, next_at=next_at)

    async def _look_at_one(self, task: Task) -> None:
        """Do what the task is due for: ask about it, give up a lost create, or end it."""
        gateway = self._gateways[task.gateway]
        if task.submission is Submission.SENDING:
            await self._tasks.give_up_create(task)
        elif task.gateway_task_id is None:
            await self._wait_or_end(task)
        else:
            said = await gateway.look(task.gateway_task_id, surface_of(task), self._hub.settings.sweep.timeout)
            await asyncio.shield(self._heed(task, gateway, Answer(said=said)))

    async def _look_at_many(self, tasks: Sequence[Task]) -> None:
        gateway, surface = self._gateways[tasks[0].gateway], surface_of(tasks[0])
        assert surface.lists is not None  # others are looked at alone
        ids = [str(task.gateway_task_id) for task in tasks]
        shown = await gateway.look_at_many(
            ids, surface, surface.lists.kind(tasks[0].request), self._hub.settings.sweep.timeout
        )
        heeding = [
            self._heed(task, gateway, answer_for(task_id, shown, gateway.name))
            for task, task_id in zip(tasks, ids, strict=True)
        ]
        for task, error in zip(
            tasks, await asyncio.shield(asyncio.gather(*heeding, return_exceptions=True)), strict=True
        ):
            if error is not None:
                log.error("sweep.task_failed task=%s gateway=%s", task.id, gateway.name, exc_info=error)
                await self.end_past_grace(task)

    async def _wait_or_end(self, task: Task) -> None:
        """A task about which nobody can be asked ends by its deadline."""
        if self._hub.clock() >= task.deadline_at:
            await self.expire(task)
        else:
            await self._hub.database.write(step, "put_off", id=task.id, lease=task.lease)

    async def _heed(self, task: Task, gateway: Gateway, answered: Answer) -> None:
        now, answer = self._hub.clock(), answered.said
        if isinstance(answer, Problem):
            log.warning(
                "sweep.no_answer task=%s gateway=%s code=%s message=%r",
                task.id,
                gateway.name,
                answer.code,
                answer.message,
            )
            tried = task.misses + 1 >= LAST_LOOKS
            if tried and now >= task.deadline_at + self._hub.settings.sweep.grace:
                return await self.expire(task)
            pause = back_off(task.misses + 1, self._chance(), first=gateway.min_interval_ms)
            unanswered = replace(answered, said=Snapshot(status=None))
            return await self._note(task, unanswered, now, pause, gateway, misses=task.misses + 1)
        if answer.status is None:
            log.warning("sweep.unknown_status task=%s gateway=%s word=%r", task.id, gateway.name, answer.word)
        end = end_of(task, answer, "sweep", now, self._hub.settings.sweep.result_grace)
        if end is not None:
            await self._hub.end(task.id, end)
            return None
        if now >= task.deadline_at:
            return await self.expire(task)
        return await self._note(task, answered, now, await self._pause(task, gateway, now), gateway, misses=0)

    async def _pause(self, task: Task, gateway: Gateway, now: int) -> int:
        if task.hinted_at is not None:
            soon = look_after_hint(now - task.hinted_at, gateway.min_interval_ms)
            if soon is not None:
                return soon
        usual_ms = await self._pace.usual_ms(gateway.name, task.request.model)
        pause = next_look(
            now - (task.accepted_at or task.created_at),
            usual_ms,
            shortest_ms=gateway.min_interval_ms,
            callback_expected=gateway.calls_back,
        )
        return round(pause * (0.9 + 0.2 * self._chance()))

    async def _note(self, task: Task, answered: Answer, now: int, pause: int, gateway: Gateway, *, misses: int) -> None:
        await self._hub.commit(
            self._noted,
            task,
            answered,
            now=now,
            next_at=_by_deadline(task, now, now + pause, soonest=now + gateway.min_interval_ms),
            hinted_next_at=now + gateway.min_interval_ms,
            misses=misses,
        )

    def _noted(
        self, task: Task, answered: Answer, *, now: int, next_at: int, hinted_next_at: int, misses: int
    ) -> Transaction[Settled | None]:
        snapshot = answered.said
        assert isinstance(snapshot, Snapshot)
        result = merged(task, snapshot)
        if snapshot.status is Status.SUCCEEDED:
            result = {"announced_at": now} | result
        noted = yield from step(
            "note_look",
            id=task.id,
            lease=task.lease,
            status=moved(task, snapshot).value,
            progress=progressed(task, snapshot),
            result=dump_text(result),
            unknown_word=snapshot.word if snapshot.status is None and snapshot.word else task.unknown_word,
            misses=misses,
            alone=int(answered.alone),
            now=now,
            hints=task.hints,
            next_at=next_at,
            hinted_next_at=hinted_next_at,
        )
        if noted is None:
            return None
        dispatches: list[Dispatch] = []
        if noted.running_at is not None and task.status is not Status.RUNNING:
            dispatches = yield from self._hub.publisher.publish(noted, "task.running", now)
        yield from book(task.result, noted, ended=False)
        return Settled(noted, dispatches)


def answer_for(task_id: str, shown: Mapping[str, Snapshot] | Problem, gateway: str) -> Answer:
    """What a list says of one task. Where it was refused, or does not show the task, the task is asked about alone; an
    unreachable or busy gateway says nothing against its list."""
    if isinstance(shown, Problem):
        return Answer(said=shown, alone=shown.code != "gateway_unreachable" and shown.code not in BUSY)
    if task_id not in shown:
        problem = Problem("gateway_error", f"{gateway} does not show this task in its list")
        return Answer(said=problem, alone=True)
    return Answer(said=shown[task_id])


def _by_deadline(task: Task, now: int, at: int, *, soonest: int) -> int:
    """A next look no later than the deadline, while that lies ahead, and never sooner than the gateway allows."""
    return max(soonest, min(at, task.deadline_at) if task.deadline_at > now else at)
