"""Retention: what has been kept for long enough is removed, or emptied, a little at a time.

Nothing holds the database for long: each transaction takes a few hundred rows, and rests much longer than it took. How
far it has come is remembered by this process alone: another one, or the next, begins at the beginning and finds little
left to do. What was not over when its turn came is looked at again for some hours, and after that once a day.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from service.clock import DAY, HOUR, Clock
from service.model import first_id
from service.settings import RetentionSettings
from service.store import pruning
from service.store.pruning import Part
from service.store.statements import Database, Transaction

log = logging.getLogger("reelhook.pruning")

ROWS = 300  # looked at at once, and changed in one transaction, with those that go with the last of them
PARTS = 200  # in one turn
REST = 9  # times as long as a part has taken
FROM_THE_BEGINNING_MS = DAY
AGAIN_MS = 6 * HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """name: what is done to what. prefix: of the ids. candidates: the statement that reads them. work: what is done."""

    name: str
    prefix: str
    candidates: str
    work: Callable[[Part], Transaction[int]]
    kept_ms: Callable[[RetentionSettings], int | None]


# In this order: a delivery is emptied after its event, and an event goes after its deliveries.
KINDS = (
    Kind(
        name="events.expunged",
        prefix="evt",
        candidates="events_to_expunge",
        work=pruning.expunge_events,
        kept_ms=lambda settings: settings.payloads,
    ),
    Kind(
        name="deliveries.expunged",
        prefix="dlv",
        candidates="deliveries_to_expunge",
        work=pruning.expunge_deliveries,
        kept_ms=lambda settings: settings.payloads,
    ),
    Kind(
        name="tasks.expunged",
        prefix="task",
        candidates="tasks_to_expunge",
        work=pruning.expunge_requests,
        kept_ms=lambda settings: settings.payloads,
    ),
    Kind(
        name="deliveries.pruned",
        prefix="dlv",
        candidates="deliveries_to_prune",
        work=pruning.prune_deliveries,
        kept_ms=lambda settings: settings.deliveries,
    ),
    Kind(
        name="replays.pruned",
        prefix="rpl",
        candidates="replays_to_prune",
        work=pruning.prune_replays,
        kept_ms=lambda settings: settings.deliveries,
    ),
    Kind(
        name="one_shots.pruned",
        prefix="task",
        candidates="one_shots_to_prune",
        work=pruning.prune_one_shots,
        kept_ms=lambda settings: settings.deliveries,
    ),
    Kind(
        name="events.pruned",
        prefix="evt",
        candidates="events_to_prune",
        work=pruning.prune_events,
        kept_ms=lambda settings: settings.events,
    ),
    Kind(
        name="tasks.pruned",
        prefix="task",
        candidates="tasks_to_prune",
        work=pruning.prune_tasks,
        kept_ms=lambda settings: settings.tasks,
    ),
)


class Pruning:
    """This process's pruning. rows: how many a transaction changes; parts: how many transactions a turn has."""

    def __init__(
        self, database: Database, settings: RetentionSettings, clock: Clock, *, rows: int = ROWS, parts: int = PARTS
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._rows = rows
        self._parts = parts
        self._positions: dict[str, str] = {}
        self._began_at = 0

    async def turn(self) -> bool:
        """Do some of what is due; whether there is more."""
        now = self._clock()
        if now >= self._began_at + FROM_THE_BEGINNING_MS:
            self._positions, self._began_at = {}, now
        left = self._parts
        for kind in KINDS:
            kept_ms = kind.kept_ms(self._settings)
            while kept_ms is not None and await self._part(kind, now - kept_ms):
                left -= 1
                if not left:
                    return True
        return False

    async def _part(self, kind: Kind, before: int) -> bool:
        """Do the next part of a kind, and rest; False when there is none."""
        clock = asyncio.get_running_loop().time
        began, after = clock(), self._positions.get(kind.name, "")
        until = first_id(kind.prefix, before)
        rows = await self._database.read(kind.candidates, after=after, until=until, before=before, limit=self._rows)
        if not rows:
            self._positions[kind.name] = min(after, first_id(kind.prefix, before - AGAIN_MS))
            return False
        last, weight = rows[-1]["id"], 0
        for row in rows:
            weight += row["weight"] if row["due"] else 0
            if weight >= self._rows:
                last = row["id"]
                break
        if weight:
            done = await self._database.write(kind.work, Part(after=after, last=last, before=before, now=self._clock()))
            log.info("retention.%s rows=%d ms=%d", kind.name, done, (clock() - began) * 1000)
        self._positions[kind.name] = last
        await asyncio.sleep(REST * (clock() - began))
        return True
