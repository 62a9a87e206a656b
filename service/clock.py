"""The time, as a value that is passed in: tests set it, the program reads the system's."""

import asyncio
import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Unix milliseconds."""

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000


def system_clock() -> int:
    return time.time_ns() // 1_000_000


async def woken_or_after(event: asyncio.Event, timeout_ms: int) -> None:
    """Return when the event is set, or after a while: how loops wait for their next turn."""
    try:
        async with asyncio.timeout(max(1, timeout_ms) / 1000):
            await event.wait()
    except TimeoutError:
        pass
