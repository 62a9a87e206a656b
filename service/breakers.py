"""Breakers: a host that does not answer is asked by one probe at a time, and not by everybody who has something for it.

After several misses in a row from a host (nobody was there, or nothing came back) its breaker opens: whoever has missed
there time and again waits. When its pause is over it is half open: one attempt is let through, and what becomes of it
opens or closes the breaker. Owners take turns at that, and each owner's endpoints do. Any answer whatever closes it. An
endpoint that has missed once or twice shares the host's name, and not its guilt: it is let through as a probe at once,
beside one of the guilty, and whoever was answered when he last asked is let through in any case; so nobody can shut a
host for others by an endpoint that hangs.

No I/O and no clock here: instants and spans are in ms, and passed in.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from service.clock import MINUTE, SECOND

OPENS_AFTER = 5  # misses in a row
FIRST_MS, LONGEST_MS = 2 * SECOND, MINUTE
GUILTY_AFTER = 3  # misses of one endpoint, as many as lanes trust (lanes.py)
TURN_MS = SECOND  # to wait for whoever's turn it is
LATE_MS = 10 * SECOND  # who comes back so much later than he was told has lost his turn
SUSPECTS_MOST = 1_000  # endpoints of one host that are remembered as missing; beyond them all are
HOSTS_MOST = 10_000


@dataclass(slots=True)
class Breaker:
    """A host that has missed lately. open_until: 0 while it is closed. opened: how often in a row. suspects: the
    endpoints that have missed, and how often; anybody: that nobody knows which. probes: who is asking just now, one of
    the guilty and one other at most. line: the guilty who wait for their turn, by owner, with when they are to come."""

    host: str
    misses: int = 0
    opened: int = 0
    open_until: int = 0
    probes: dict[bool, Hashable] = field(default_factory=dict)
    suspects: dict[Hashable, int] = field(default_factory=dict)
    line: OrderedDict[Hashable, OrderedDict[Hashable, int]] = field(default_factory=OrderedDict)
    anybody: bool = False

    def guilty(self, endpoint: Hashable, *, failing: bool) -> bool:
        return (self.anybody and failing) or self.suspects.get(endpoint, 0) >= GUILTY_AFTER

    def stand_in_line(self, owner: Hashable, endpoint: Hashable, due: int) -> int:
        standing = self.line.setdefault(owner, OrderedDict())
        if endpoint in standing or len(standing) < SUSPECTS_MOST:
            standing[endpoint] = due
        return due

    def takes_turn(self, owner: Hashable, endpoint: Hashable, now: int) -> bool:
        """Whether it is this one's turn, which is over then."""
        while self.line:
            first, standing = next(iter(self.line.items()))
            head, due = next(iter(standing.items()))
            present = due > now - LATE_MS
            if present and (first, head) != (owner, endpoint):
                return False
            del standing[head]
            if standing:
                self.line.move_to_end(first)
            else:
                del self.line[first]
            if present:
                return True
        return True

    def end_probe(self, endpoint: Hashable) -> None:
        self.probes = {suspect: asking for suspect, asking in self.probes.items() if asking != endpoint}


@dataclass(frozen=True, slots=True)
class Broken:
    """A breaker as it is kept: what survives a restart."""

    host: str
    opened: int
    open_until: int


class Breakers:
    """The breakers of all hosts that have missed lately."""

    def __init__(self) -> None:
        self._breakers: OrderedDict[str, Breaker] = OrderedDict()
        self._changed: set[str] = set()

    def admit(
        self,
        host: str,
        endpoint: Hashable,
        now: int,
        *,
        owner: Hashable = None,
        trusted: bool = False,
        failing: bool = True,
    ) -> int | None:
        """None when an attempt may be made, after which `note` or `cancel` must follow; else the instant to ask again.
        trusted: the endpoint was answered when it last asked. failing: its record says otherwise, or nothing; that
        decides where this process does not know it yet."""
        breaker = self._breakers.get(host)
        if not host or breaker is None or not breaker.open_until or trusted:
            return None
        guilty = breaker.guilty(endpoint, failing=failing)
        if not guilty:
            if guilty in breaker.probes:
                return now + FIRST_MS
        elif guilty in breaker.probes or breaker.open_until > now:
            due = max(now + FIRST_MS if guilty in breaker.probes else now, breaker.open_until)
            return breaker.stand_in_line(owner, endpoint, due)
        elif not breaker.takes_turn(owner, endpoint, now):
            return breaker.stand_in_line(owner, endpoint, now + TURN_MS)
        breaker.probes[guilty] = endpoint
        return None

    def note(self, host: str, endpoint: Hashable, now: int, *, answered: bool) -> bool:
        """What became of an attempt; True when this has closed a breaker that was open."""
        breaker = self._breakers.get(host)
        if answered:
            if breaker is None:
                return False
            del self._breakers[host]
            if breaker.open_until:
                self._changed.add(host)
            return bool(breaker.open_until)
        if breaker is None:
            breaker = self._breakers[host] = Breaker(host)
            self._forget()
        breaker.misses += 1
        breaker.end_probe(endpoint)
        breaker.suspects[endpoint] = breaker.suspects.get(endpoint, 0) + 1
        breaker.anybody = breaker.anybody or len(breaker.suspects) > SUSPECTS_MOST
        if breaker.misses >= OPENS_AFTER and now >= breaker.open_until:
            breaker.opened += 1
            breaker.open_until = now + min(LONGEST_MS, FIRST_MS << min(breaker.opened - 1, 10))
            self._changed.add(host)
        return False

    def cancel(self, host: str, endpoint: Hashable) -> None:
        """The attempt that was admitted is not made after all."""
        breaker = self._breakers.get(host)
        if breaker is not None:
            breaker.end_probe(endpoint)

    def restore(self, broken: Iterable[Broken]) -> None:
        """What was open when this process, or another one, last said so. Who is guilty stands in the subscriptions."""
        for each in broken:
            self._breakers[each.host] = Breaker(
                each.host, misses=OPENS_AFTER, opened=each.opened, open_until=each.open_until, anybody=True
            )
        self._forget()

    def take_changes(self) -> tuple[list[Broken], list[str]]:
        """(those to keep, hosts whose breaker is closed) since it was last asked."""
        changed, self._changed = self._changed, set()
        kept, closed = [], []
        for host in sorted(changed):
            breaker = self._breakers.get(host)
            if breaker is None:
                closed.append(host)
            else:
                kept.append(Broken(host, breaker.opened, breaker.open_until))
        return kept, closed

    def put_back(self, kept: Iterable[Broken], closed: Iterable[str]) -> None:
        """Changes that could not be written down."""
        self._changed.update(each.host for each in kept)
        self._changed.update(closed)

    def _forget(self) -> None:
        while len(self._breakers) > HOSTS_MOST:
            host, forgotten = self._breakers.popitem(last=False)
            if forgotten.open_until:
                self._changed.add(host)  # nobody would close it any more
