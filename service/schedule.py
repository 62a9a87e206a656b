"""When to try again and when to look again, as pure functions: milliseconds in, milliseconds out, chance passed in."""

from collections.abc import Sequence

from service.clock import DAY, MINUTE, SECOND

SHORTEST_RETRY_AFTER, LONGEST_RETRY_AFTER = SECOND, DAY  # an endpoint that asks for less, or more, gets this
LONGEST_PACE = 5 * MINUTE
QUANTILE = 0.9


def retry_at(step: int, now: int, chance: float, pauses: Sequence[int], floor: float = 0) -> int | None:
    """When a delivery is tried again after this step of its schedule (1 is the first attempt); None when that has
    ended. Full jitter: chance in [0, 1) draws the pause between nothing and its double, so that what failed together
    does not come back together, and the schedule takes as long as it says in the middle. floor: the part of a pause
    that is waited for in any case, where there are too few attempts to waste one on a short one."""
    return None if step > len(pauses) else now + round(pauses[step - 1] * (floor + 2 * (1 - floor) * chance))


def asked_for(now: int, retry_after_ms: int) -> int:
    """When an endpoint that named a time is tried again: exactly then, within its bounds."""
    return now + min(max(retry_after_ms, SHORTEST_RETRY_AFTER), LONGEST_RETRY_AFTER)


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
