"""When to try again and when to look again, as pure functions: milliseconds in, milliseconds out, chance passed in."""

from collections.abc import Sequence

from service.clock import DAY, MINUTE, SECOND

LONGEST_RETRY_AFTER = DAY  # an endpoint that asks for more is tried again after this
LONGEST_PACE = 5 * MINUTE
QUANTILE = 0.9


def retry_at(attempts: int, now: int, chance: float, retry_after_ms: int | None, retries: Sequence[int]) -> int | None:
    """When a delivery is tried again after `attempts` attempts; None when the schedule has ended.

    After attempt n comes the pause retries[n - 1]. chance in [0, 1) spreads it by a fifth either way. A Retry-After
    is honoured within its bound, and never makes the pause shorter.
    """
    if attempts > len(retries):
        return None
    pause = round(retries[attempts - 1] * (0.8 + 0.4 * chance))
    return now + max(pause, min(retry_after_ms or 0, LONGEST_RETRY_AFTER))


def back_off(misses: int, chance: float, *, first: int = SECOND, longest: int = LONGEST_PACE) -> int:
    """A pause after the nth failure in a row: doubling, spread over its upper half."""
    pause = min(longest, first << min(misses - 1, 20))
    return round(pause * (0.5 + 0.5 * chance))


def taken(began_at: int, open_at: int, over_at: int, *, told: bool) -> int:
    """How long a task took that began at one instant, was last seen unfinished at another, and was seen to be over at a
    third. told: its callback told of it at once. Where it was looked at, it ended somewhere between two looks: to take
    the later one for the end would make the next first look later still, and so on without an end."""
    return over_at - began_at if told else (max(began_at, open_at) + over_at) // 2 - began_at


def usual(durations: Sequence[int], quantile: float = QUANTILE) -> int | None:
    """The time by which nine in ten tasks were done; None before five have been seen."""
    if len(durations) < 5:
        return None
    ordered = sorted(durations)
    return ordered[min(len(ordered) - 1, int(len(ordered) * quantile))]


def first_look(usual_ms: int, *, callback_expected: bool) -> int:
    """How long after acceptance to look first: when a callback should have come, or as soon as looking may pay."""
    return usual_ms + usual_ms // 4 if callback_expected else usual_ms // 3


def next_look(elapsed_ms: int, usual_ms: int, *, shortest_ms: int, callback_expected: bool) -> int:
    """The pause before looking again: often around the time that tasks usually take, ever more rarely after it."""
    if callback_expected:
        pause = max(elapsed_ms // 4, usual_ms // 4)
    elif elapsed_ms <= 2 * usual_ms:
        pause = usual_ms // 10
    else:
        pause = elapsed_ms // 10
    return max(shortest_ms, min(pause, LONGEST_PACE))


def look_after_hint(since_hint_ms: int, shortest_ms: int) -> int | None:
    """The pause after a callback whose news the gateway does not show yet: 0.5, 1, 2, 4, 8, 15 s (gateways.md F8.5),
    never closer than the gateway allows; None when the hint is stale."""
    if since_hint_ms > MINUTE:
        return None
    return max(shortest_ms, min(max(since_hint_ms, SECOND // 2), 15 * SECOND))
