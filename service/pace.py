"""How long tasks of one gateway and model usually take, learned from those that finished of late."""

from service.clock import MINUTE, Clock
from service.schedule import usual
from service.store.reads import Reads

SAMPLE = 100
FRESH_MS = MINUTE
FRESH_UNKNOWN_MS = 2_000  # while too few are measured, the next one counts
KINDS = 1_000  # gateways and models remembered at once; callers choose the model's name where any is allowed


class Pace:
    """The nine-in-ten quantile of the last hundred successful tasks of each kind, read again once a minute."""

    def __init__(self, reads: Reads, clock: Clock, first_guess_ms: int) -> None:
        self._reads = reads
        self._clock = clock
        self._first_guess_ms = first_guess_ms
        self._known: dict[tuple[str, str], tuple[int, int]] = {}

    async def usual_ms(self, gateway: str, model: str) -> int:
        """From accepted to finished."""
        usual_ms, stale_at = self._known.get((gateway, model), (0, 0))
        now = self._clock()
        if now < stale_at:
            return usual_ms
        measured = usual(await self._reads.durations(gateway, model, SAMPLE))
        if len(self._known) >= KINDS:
            self._known.clear()
        usual_ms, fresh_ms = (self._first_guess_ms, FRESH_UNKNOWN_MS) if measured is None else (measured, FRESH_MS)
        self._known[gateway, model] = usual_ms, now + fresh_ms
        return usual_ms
