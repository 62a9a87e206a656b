"""The feed of an owner: its events in the order of their commits, for those who pull and for those who wait.

Whoever waits for news is told by this process's own commits at once (`news`). What other processes commit is seen by
one timer for all who wait, which asks for the numbers of the owners that are watched, and spends a tenth of its time on
that at most.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from service.clock import SECOND, woken_or_after
from service.errors import Problem, invalid
from service.model import Event
from service.settings import StreamSettings
from service.store.reads import Reads

log = logging.getLogger("reelhook.feed")

ASK_EVERY_S = 0.5
REST = 9  # times as long as the asking has taken
READ_AT_ONCE = 200
READ_MOST = 2_000  # events, in search of those of a page
BUSY_MS = 5 * SECOND
OLDEST = "oldest"  # the cursor before the first event that is kept

Wanted = Callable[[Event], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """A page of a feed, oldest first. next_after: what everything up to here has been read to. more: there is more."""

    events: list[Event]
    next_after: int
    more: bool


class Watch:
    """One who waits for news of an owner. What comes between `begin` and `wait` is not missed."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()

    @property
    def woken(self) -> bool:
        return self._woken.is_set()

    def wake(self) -> None:
        self._woken.set()

    def begin(self) -> None:
        """What is read from here on is not news."""
        self._woken.clear()

    async def wait(self, timeout_ms: int) -> None:
        """Until there may be news, or for so long."""
        await woken_or_after(self._woken, timeout_ms)


class Feed:
    """Everybody's feed, as this process reads it."""

    def __init__(self, reads: Reads, settings: StreamSettings) -> None:
        self._reads = reads
        self._settings = settings
        self._watches: dict[str, set[Watch]] = {}
        self._asking: asyncio.Task[None] | None = None

    # --- reading

    async def position(self, owner: str, cursor: str, field: str) -> int:
        """A cursor as a number of this feed: a number, or the id of an event. A Problem that names the field when it is
        none of this feed's, or what follows it is not all there any more."""
        if cursor.isascii() and cursor.isdigit() and len(cursor) < 19:
            after = int(cursor)
            last = await self._reads.last_in_feed(owner)
            if after > last:
                raise invalid(field, f"the newest event of this feed is {last}; {after} is none of its cursors")
            await self._check_kept(owner, after, field)
            return after
        if cursor == OLDEST:
            return await self._reads.pruned_in_feed(owner)
        if not cursor.startswith("evt_"):
            raise invalid(field, "must be 0, oldest, the next_after of a page, or the id of an event (evt_…)")
        event = await self._reads.event(cursor, owner)
        if event is None:
            words = (
                "there is no such event in this feed, or it is kept no longer; begin anew from the next_after of a page"
            )
            raise invalid(field, words)
        await self._check_kept(owner, event.seq, field)
        return event.seq

    async def _check_kept(self, owner: str, after: int, field: str) -> None:
        pruned = await self._reads.pruned_in_feed(owner)
        if after < pruned:
            raise Problem(
                "result_gone",
                f"{field}: events before {pruned + 1} are no longer kept; begin again with after={pruned}",
                field=field,
            )

    async def newest(self, owner: str) -> int:
        """The position after which is only what is yet to come."""
        return await self._reads.last_in_feed(owner)

    async def after(
        self, owner: str, after: int, limit: int, wanted: Wanted | None = None, *, task_id: str | None = None
    ) -> Pulled:
        """The events that follow a position, but for those that are not wanted; a long search ends early, with less
        than there is, and more to read."""
        last = await self._reads.last_in_feed(owner)  # before the events: all up to it will be seen
        at_once = READ_AT_ONCE if wanted else limit + 1
        found: list[Event] = []
        for _ in range(READ_MOST // READ_AT_ONCE):
            read = await self.read(owner, after, at_once, task_id=task_id)
            for event in read:
                after = event.seq
                if wanted is None or wanted(event):
                    found.append(event)
                if len(found) == limit:
                    more = event is not read[-1] or len(read) == at_once
                    return Pulled(events=found, next_after=after if more else max(after, last), more=more)
            if len(read) < at_once:
                return Pulled(events=found, next_after=max(after, last), more=False)
        return Pulled(events=found, next_after=after, more=True)

    async def read(self, owner: str, after: int, limit: int, *, task_id: str | None = None) -> list[Event]:
        """The events that follow a position. A Problem where some of them are kept no longer: that is asked when they
        have been read, so that nothing is missed which is removed meanwhile."""
        events = await self._reads.events_after(owner, after, limit, task_id=task_id)
        await self._check_kept(owner, after, "after")
        return events

    # --- waiting

    def news(self, owner: str) -> None:
        """Something was committed that may be in this feed."""
        for watch in self._watches.get(owner, ()):
            watch.wake()

    @property
    def waiting(self) -> int:
        """How many wait, in this process."""
        return sum(map(len, self._watches.values()))

    @contextmanager
    def watching(self, owner: str) -> Iterator[Watch]:
        """A watch for as long as the block lasts; a Problem when there are too many."""
        self._check(owner)
        watch = Watch()
        self._watches.setdefault(owner, set()).add(watch)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_for_ever(), name="ask for news")
        try:
            yield watch
        finally:
            self._watches[owner].remove(watch)
            if not self._watches[owner]:
                del self._watches[owner]
            if not self._watches:
                self._asking.cancel()
                self._asking = None

    def _check(self, owner: str) -> None:
        settings = self._settings
        for open_now, most, whose in (
            (len(self._watches.get(owner, ())), settings.per_owner, "of this account "),
            (self.waiting, settings.concurrency, ""),
        ):
            if open_now >= most:
                raise Problem("rate_limited", f"too many streams {whose}are open just now", retry_after_ms=BUSY_MS)

    async def _ask_for_ever(self) -> None:
        """Wake those whose feed has grown. Whoever is watched for the first time is woken too: nobody knows since when
        he waits."""
        seen: dict[str, int] = {}
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            try:
                seen = {owner: await self._ask(owner, seen.get(owner)) for owner in list(self._watches)}
            except Exception:  # the database is away: those who wait go on waiting
                log.exception("feed.not_asked owners=%d", len(self._watches))
            await asyncio.sleep(max(ASK_EVERY_S, REST * (clock() - began)))

    async def _ask(self, owner: str, seen: int | None) -> int:
        last = await self._reads.last_in_feed(owner)
        if last != seen:
            self.news(owner)
        return last
