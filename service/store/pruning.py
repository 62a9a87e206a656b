"""Removing what has been kept for long enough, and emptying it, in parts.

A part is all that stands between two ids; ids sort by time. Each transaction takes one, asks of every row in it again
whether it is time, and takes what belongs to a row along with it. So it may be done twice, by several at once, or not
to the end: nothing that is not over is touched, and what is left is found again.
"""

from dataclasses import dataclass
from typing import Any

from service.store.expunging import without_request
from service.store.statements import Transaction, run


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """after, last: ids, the first exclusive. before: what is older is due (unix ms)."""

    after: str
    last: str
    before: int
    now: int

    @property
    def between(self) -> dict[str, Any]:
        return {"after": self.after, "last": self.last}

    @property
    def due(self) -> dict[str, Any]:
        return self.between | {"before": self.before}


def prune_deliveries(part: Part) -> Transaction[int]:
    gone = yield run("prune_deliveries", **part.due)
    yield run("prune_attempts", **part.between)
    return len(gone)


def prune_replays(part: Part) -> Transaction[int]:
    return len((yield run("prune_replays", **part.due)))


def prune_events(part: Part) -> Transaction[int]:
    """What is missing of whose feed is noted with it."""
    gone = yield run("prune_events", **part.due)
    last: dict[str, int] = {}
    for row in gone:
        last[row["owner"]] = max(row["seq"], last.get(row["owner"], 0))
    for owner in sorted(last):
        yield run("note_pruned", owner=owner, seq=last[owner])
    return len(gone)


def prune_tasks(part: Part) -> Transaction[int]:
    gone = yield run("prune_tasks", **part.due)
    yield run("prune_callbacks", **part.between)
    yield run("prune_requests", **part.between)
    yield run("prune_one_shots_of_tasks", **part.between)
    return len(gone)


def prune_one_shots(part: Part) -> Transaction[int]:
    """Disabled subscriptions to one task; their part is one of tasks' ids."""
    return len((yield run("prune_one_shots", **part.due)))


def expunge_events(part: Part) -> Transaction[int]:
    return len((yield run("expunge_events", **part.due, now=part.now)))


def expunge_deliveries(part: Part) -> Transaction[int]:
    gone = yield run("expunge_deliveries", **part.due, now=part.now)
    yield run("expunge_attempts", **part.between)
    return len(gone)


def expunge_requests(part: Part) -> Transaction[int]:
    """What tasks were asked for, and what was called back about them. Their links are good for as long as they were."""
    rows = yield run("tasks_with_payload", **part.due)
    for row in rows:
        yield from without_request(row, part.now)
    return len(rows)
