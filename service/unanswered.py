"""Creates whose caller went away before he was answered: the same create again is the same task.

The official SDKs send a create up to three times when its reply is lost, without an idempotency key (gateways.md,
sections 2 and 3). Each create by a gateway's own API is noted, with its task, until its answer is written.
"""

from service.clock import Clock
from service.store.statements import Database, Transaction, run


class Unanswered:
    """Notes whose caller went away, and who was answered."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def begin(self) -> None:
        """The web half has just started: whoever waited for an answer of a process that is no more has gone."""
        await self._database.write(_note_all_gone)

    async def gone(self, task_id: str) -> None:
        await self._database.write(_note_gone, task_id, self._clock())

    async def answered(self, task_id: str) -> None:
        await self._database.write(_forget, task_id)


def _note_all_gone() -> Transaction[None]:
    yield run("note_all_gone")


def _note_gone(task_id: str, now: int) -> Transaction[None]:
    yield run("note_gone", task_id=task_id, now=now)


def _forget(task_id: str) -> Transaction[None]:
    yield run("forget_unanswered", task_id=task_id)
