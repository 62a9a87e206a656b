"""The time, as a value that is passed in: tests set it, the program reads the system's."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Unix milliseconds."""

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000


def system_clock() -> int:
    return time.time_ns() // 1_000_000
