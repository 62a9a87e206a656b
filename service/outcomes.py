"""What became of a create, or of an upload, told apart by what we do next.

A create ends in one of five ways, and which one it is decides whether it may ever be sent again:

    Accepted   the gateway has the task                                    follow it
    Refused    the gateway said no                                         tell the caller
    Busy       the gateway takes no more now (429)                         may be sent again
    Unsent     the request provably never reached it                       may be sent again
    Unknown    it may have arrived; the answer was lost, late or a 5xx     never sent again
"""

from dataclasses import dataclass

from service.clock import SECOND
from service.errors import Problem
from service.model import Snapshot

# A gateway that answers a create with one of these has read it and said no. 408, 409, 424, 425 and 5xx say nothing of
# the kind: worldrouter.txt calls 424 "the upstream video provider failed or timed out", and it may have made the task.
# What an error behind HTTP 200 is, dialects/refusals.py decides.
REFUSALS = frozenset(
    (
        *("invalid_request", "unsupported_model", "unauthorized", "insufficient_credit", "forbidden", "not_found"),
        *("unknown_route", "method_not_allowed", "too_large", "unsupported_media_type"),
    )
)
BUSY = frozenset(("rate_limited", "too_many_pending"))
FIRST_FULL_MS, LONGEST_FULL_MS = SECOND // 2, 30 * SECOND
FULLS_TRUSTED = 5


@dataclass(frozen=True, slots=True)
class Accepted:
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Refused:
    problem: Problem


@dataclass(frozen=True, slots=True)
class Busy:
    problem: Problem


@dataclass(frozen=True, slots=True)
class Unsent:
    problem: Problem


@dataclass(frozen=True, slots=True)
class Unknown:
    problem: Problem


CreateOutcome = Accepted | Refused | Busy | Unsent | Unknown


def full_pause(fulls: int) -> int:
    """How long a gateway is left alone that has said so many times in a row that it is full, and not for how long (ms).
    One such answer may be about one owner or one instant; a row of them is everything that waits, knocking at once."""
    return 0 if fulls < FULLS_TRUSTED else min(LONGEST_FULL_MS, FIRST_FULL_MS << min(fulls - FULLS_TRUSTED, 10))
