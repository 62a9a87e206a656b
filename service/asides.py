"""What is sent while somebody waits for it, beside the deliveries: few at once, a short line, and a refusal after that.

A test or a handshake goes wherever its owner wishes, at once and as often as he asks: an endpoint that hangs would
collect them without end.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.clock import SECOND
from service.errors import Problem

AT_ONCE, IN_LINE = 16, 16
SHARE = 8  # of one owner, under way or in line: his endpoints that hang must leave room for others
AGAIN_MS = 10 * SECOND  # an endpoint that does not answer has given its place up by then, as a rule


class Asides:
    """Places for requests that are no deliveries, in this process."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(AT_ONCE)
        self._asked: Counter[str] = Counter()  # by owner, those in line included

    @asynccontextmanager
    async def place(self, owner: str) -> AsyncIterator[None]:
        """A place for as long as the block lasts; a Problem `rate_limited` when too many have one or wait for one."""
        if self._asked[owner] >= SHARE or self._asked.total() >= AT_ONCE + IN_LINE:
            words = "too many tests and handshakes are under way; try again in a few seconds"
            raise Problem("rate_limited", words, retry_after_ms=AGAIN_MS)
        self._asked[owner] += 1
        try:
            async with self._places:
                yield
        finally:
            self._asked[owner] -= 1
            if not self._asked[owner]:
                del self._asked[owner]
