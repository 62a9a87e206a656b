"""Lanes: who may send next, so that a bad endpoint delays nobody else (decision 10).

Each endpoint has a lane. Two things are short, senders and places to wait, and one ladder shares out both: the better
an endpoint is known to answer, the further up it stands, and the more of the house it may use. What a rung leaves free
is free for all rungs above it, so an endpoint that answers at once always finds a sender.

    silent   has not answered lately, and took its time     a quarter of the house, one sender each
    slow     answers, or fails, late                        half, in equal shares
    new      nothing is known of it                         three quarters, one sender each
    quick    answers soon                                   all but a reserve of an eighth of the senders
    idle     answers soon, and has nothing under way        all, and the reserve

On a rung owners take turns, and so do the lanes of an owner: whoever has a thousand endpoints has no more turns than
whoever has one. A lane may have limits of its own, a share of senders and a span from one start to the next.

No I/O and no clock here: spans and instants (ms) are passed in.
"""

import heapq
from collections import OrderedDict, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count
from typing import Generic, TypeVar

from service.clock import SECOND

SENDERS_UP_TO = (1 / 4, 1 / 2, 3 / 4, 7 / 8)  # what a rung and those below it may hold together
PLACES_UP_TO = (1 / 4, 1 / 2, 3 / 4, 1)
MISSES_TRUSTED = 3  # attempts in a row without an answer, after which an endpoint counts as silent
MEMORY = 0.25  # how much the last attempt tells about the next
SHORTEST_MS = 1.0
LANES_MOST = 10_000  # idle ones that are remembered
# A lane that is full by our own measure says by its pace when it will have room; at twice its pace, because it may be
# faster than it was, and then it would run dry.
OPTIMISM = 2
SOONEST_MS, LATEST_MS = SECOND, 600 * SECOND

T = TypeVar("T")


class Rung(IntEnum):
    SILENT = 0
    SLOW = 1
    NEW = 2
    QUICK = 3
    IDLE = 4


_TURNS = {last: [*list(Rung)[last + 1 :], *list(Rung)[: last + 1]] for last in Rung}  # whose turn it is after whose


@dataclass(slots=True, eq=False)
class Lane(Generic[T]):
    """What waits for one endpoint, and what is known of it: its kind (any rung but IDLE), how long attempts lately
    took, how many in a row were not answered, and until when places in it are promised. reserved: how many of its
    attempts under way are of the reserve (0 or 1). share, spacing_ms: its own limits; resting: it has started one just
    now, and waits for the next until that span is over."""

    name: Hashable = field(repr=False)  # it may hold a secret
    owner: Hashable = None
    share: int | None = None
    spacing_ms: int = 0
    resting: bool = False
    kind: Rung = Rung.NEW
    waiting: deque[T] = field(default_factory=deque)
    active: int = 0
    reserved: int = 0
    attempt_ms: float | None = None
    misses: int = 0
    booked_until: float = 0
    in_line: Rung | None = None

    @property
    def idle(self) -> bool:
        return not self.waiting and not self.active

    @property
    def trusted(self) -> bool:
        """Whether its last attempt was answered."""
        return self.attempt_ms is not None and not self.misses

    @property
    def rung(self) -> Rung:
        return Rung.IDLE if self.kind is Rung.QUICK and not self.active else self.kind


class Lanes(Generic[T]):
    """All that waits for a sender.

    senders: attempts under way at once; share: of one lane; places: how much may wait; slow_ms: attempts that take
    longer are slow; in_time_ms: what has waited longer is not sent any more, so that no lane is longer than this.
    """

    def __init__(self, *, senders: int, share: int, places: int, slow_ms: int, in_time_ms: int) -> None:
        self._senders = [max(1, int(senders * part)) for part in SENDERS_UP_TO]
        self._places = [max(1, int(places * part)) for part in PLACES_UP_TO]
        self._reserve = senders - self._senders[Rung.QUICK]
        self._share = share
        self._slow_ms = slow_ms
        self._in_time_ms = in_time_ms
        self._lanes: dict[Hashable, Lane[T]] = {}
        self._idle: OrderedDict[Hashable, None] = OrderedDict()
        # by rung and owner, both in the order of their turns
        self._lines: list[OrderedDict[Hashable, OrderedDict[Hashable, None]]] = [OrderedDict() for _ in Rung]
        self._resting: list[tuple[int, int, Hashable]] = []  # ready at, number, name
        self._numbers = count()
        self._turn = Rung.IDLE
        self._reserved = 0
        # by kind of lane, and without the reserve
        self._active = [0] * len(Rung)
        self._waiting = [0] * len(Rung)
        self._busy = [0] * len(Rung)

    @property
    def waiting(self) -> int:
        return sum(self._waiting)

    @property
    def remembered(self) -> int:
        return len(self._lanes)

    @property
    def ready_at(self) -> int | None:
        """When the next lane that rests may start again (unix ms)."""
        return self._resting[0][0] if self._resting else None

    def add(
        self,
        name: Hashable,
        item: T,
        *,
        owner: Hashable = None,
        doubtful: bool = False,
        share: int | None = None,
        spacing_ms: int = 0,
    ) -> bool:
        """Let an item wait in its lane; False when there is no room. doubtful: it has failed before, so that an
        endpoint of which nothing else is known begins among the slow ones. share, spacing_ms: the lane's own limits."""
        lane = self._lane(name, doubtful)
        if (lane.owner, lane.share, lane.spacing_ms) != (owner, share, spacing_ms):
            self._leave_line(lane)
            lane.owner, lane.share, lane.spacing_ms = owner, share, spacing_ms
            self._line_up(lane)
        if len(lane.waiting) >= self._room(lane):
            return False
        self._uncount(lane)
        lane.waiting.append(item)
        self._count(lane)
        return True

    def room_at(self, name: Hashable, now: int) -> int:
        """When an item that was not let in may try again. Each answer books a place, so that no two of them do at the
        same instant and most need not try twice."""
        lane = self._lane(name, doubtful=False)
        known = lane.attempt_ms is not None
        pace_ms = (self._pace_ms(lane) if known else self._slow_ms / self._share) / OPTIMISM
        pace_ms = max(pace_ms, lane.spacing_ms)
        first = now + max(SOONEST_MS, len(lane.waiting) * pace_ms)
        last = now + (LATEST_MS if known else self._in_time_ms)
        lane.booked_until = min(max(lane.booked_until + pace_ms, first), last)
        return round(lane.booked_until)

    def start(self, now: int = 0) -> tuple[Lane[T], T] | None:
        """The next item that a sender is free for. Rungs take turns, on each rung owners do, and of each owner lanes;
        `end` must follow."""
        self._wake(now)
        for rung in _TURNS[self._turn]:
            if not self._lines[rung]:
                continue
            free = _left(self._senders, self._active, rung) > 0
            if free or (rung is Rung.IDLE and self._reserved < self._reserve):
                self._turn = rung
                owner, line = next(iter(self._lines[rung].items()))
                self._lines[rung].move_to_end(owner)
                return self._start(self._lanes[next(iter(line))], now, reserved=not free)
        return None

    def _wake(self, now: int) -> None:
        while self._resting and self._resting[0][0] <= now:
            lane = self._lanes.get(heapq.heappop(self._resting)[2])
            if lane is not None:
                lane.resting = False
                self._line_up(lane)

    def _start(self, lane: Lane[T], now: int, *, reserved: bool) -> tuple[Lane[T], T]:
        self._uncount(lane)
        if lane.spacing_ms:
            lane.resting = True
            heapq.heappush(self._resting, (now + lane.spacing_ms, next(self._numbers), lane.name))
        self._leave_line(lane)  # or to stand at its end again
        item = lane.waiting.popleft()
        lane.active += 1
        lane.reserved += reserved
        self._count(lane)
        return lane, item

    def end(self, lane: Lane[T], took_ms: int | None = None, *, answered: bool = True) -> None:
        """A sender is free again. took_ms: how long its attempt took; None when there was none."""
        self._uncount(lane)
        lane.active -= 1
        lane.reserved = 0
        if took_ms is not None:
            self._learn(lane, took_ms, answered)
        self._count(lane)

    def clear(self) -> list[T]:
        """Everything that waits; nothing does any more."""
        waiting: list[T] = []
        for lane in list(self._lanes.values()):  # one that becomes idle may be forgotten
            if lane.waiting:
                self._uncount(lane)
                waiting += lane.waiting
                lane.waiting.clear()
                self._count(lane)
        return waiting

    # --- what is known of a lane

    def _lane(self, name: Hashable, doubtful: bool) -> Lane[T]:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(name, kind=Rung.SLOW if doubtful else Rung.NEW)
            self._remember(lane)
        return lane

    def _learn(self, lane: Lane[T], took_ms: int, answered: bool) -> None:
        lane.misses = 0 if answered else lane.misses + 1
        known = took_ms if lane.attempt_ms is None else lane.attempt_ms
        lane.attempt_ms = max(SHORTEST_MS, known + MEMORY * (took_ms - known))
        if lane.attempt_ms < self._slow_ms:
            lane.kind = Rung.QUICK
        else:
            lane.kind = Rung.SLOW if lane.misses < MISSES_TRUSTED else Rung.SILENT

    def _share_of(self, lane: Lane[T]) -> int:
        share = self._share if lane.share is None else lane.share
        match lane.kind:
            case Rung.SILENT | Rung.NEW:
                return 1
            case Rung.SLOW:
                return max(1, min(share, self._senders[Rung.SLOW] // max(1, self._busy[Rung.SLOW])))
        return share

    def _pace_ms(self, lane: Lane[T]) -> float:
        """From one item of this lane to the next."""
        return max((lane.attempt_ms or SHORTEST_MS) / self._share_of(lane), lane.spacing_ms)

    def _room(self, lane: Lane[T]) -> int:
        """How long a lane may be: as long as all the room that is left to its kind, so that one lane alone gets half of
        it and many get equal parts; and no longer than can be sent in time."""
        room = _left(self._places, self._waiting, lane.kind)
        if lane.attempt_ms is not None or lane.spacing_ms:
            room = min(room, max(1, int(self._in_time_ms / self._pace_ms(lane))))
        elif lane.kind is not Rung.NEW:
            room = min(room, self._share)
        return room

    # --- keeping count: around each change of a lane

    def _uncount(self, lane: Lane[T]) -> None:
        self._reserved -= lane.reserved
        self._active[lane.kind] -= lane.active - lane.reserved
        self._waiting[lane.kind] -= len(lane.waiting)
        self._busy[lane.kind] -= not lane.idle

    def _count(self, lane: Lane[T]) -> None:
        self._reserved += lane.reserved
        self._active[lane.kind] += lane.active - lane.reserved
        self._waiting[lane.kind] += len(lane.waiting)
        self._busy[lane.kind] += not lane.idle
        self._line_up(lane)
        self._remember(lane)

    def _line_up(self, lane: Lane[T]) -> None:
        """A lane stands in line once, while it has something to send and may send it."""
        wants = lane.waiting and not lane.resting and lane.active < self._share_of(lane)
        rung = lane.rung if wants else None
        if rung is not lane.in_line:
            self._leave_line(lane)
            if rung is not None:
                self._lines[rung].setdefault(lane.owner, OrderedDict())[lane.name] = None
                lane.in_line = rung

    def _leave_line(self, lane: Lane[T]) -> None:
        if lane.in_line is not None:
            line = self._lines[lane.in_line][lane.owner]
            del line[lane.name]
            if not line:
                del self._lines[lane.in_line][lane.owner]
            lane.in_line = None

    def _remember(self, lane: Lane[T]) -> None:
        if not lane.idle:
            self._idle.pop(lane.name, None)
            return
        self._idle[lane.name] = None
        self._idle.move_to_end(lane.name)
        if len(self._idle) > LANES_MOST:
            del self._lanes[self._idle.popitem(last=False)[0]]


def _left(limits: Sequence[int], counts: Sequence[int], rung: Rung) -> int:
    """What is left to a rung: below its own limit, and below those of all rungs above it."""
    used, left = 0, limits[-1]
    for at, limit in enumerate(limits):
        used += counts[at]
        if at >= min(rung, Rung.QUICK):
            left = min(left, limit - used)
    return left
