"""Who may read results just now: so many in all, of one owner's, and of one task's.

A reader holds a place for as long as he likes to read slowly, and a signed link is for anybody: without the smaller
numbers the readers of one public link would keep everybody else out.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from service.clock import SECOND
from service.errors import Problem
from service.model import Task
from service.settings import ContentSettings

BUSY_MS = 2 * SECOND


class Readers:
    """The places of this process."""

    def __init__(self, settings: ContentSettings) -> None:
        self._settings = settings
        self._all = 0
        self._of_owner: Counter[str] = Counter()
        self._of_task: Counter[str] = Counter()

    @contextmanager
    def reading(self, task: Task) -> Iterator[None]:
        """A place for as long as the block lasts; Problem when there is none."""
        self._check(task)
        self._all += 1
        self._of_owner[task.owner] += 1
        self._of_task[task.id] += 1
        try:
            yield
        finally:
            self._all -= 1
            _leave(self._of_owner, task.owner)
            _leave(self._of_task, task.id)

    def _check(self, task: Task) -> None:
        settings = self._settings
        for taken, most, whose in (
            (self._of_task[task.id], settings.per_task, "of this task "),
            (self._of_owner[task.owner], settings.per_owner, "of this account "),
            (self._all, settings.concurrency, ""),
        ):
            if taken >= most:
                message = f"too many results {whose}are being passed on just now"
                raise Problem("rate_limited", message, retry_after_ms=BUSY_MS)


def _leave(places: Counter[str], name: str) -> None:
    """Nobody is remembered who reads nothing."""
    places[name] -= 1
    if not places[name]:
        del places[name]
