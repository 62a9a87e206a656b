"""What became of attempts, and how a batch of it is written down."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.store.rows import Dispatch, attempt_columns
from service.store.statements import Params, Transaction, run, run_many
from service.subscriptions import Attempt, DeliveryStatus

AT_ONCE = 100  # deliveries that one statement asks for


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What follows from an attempt.

    next_at: when the delivery is tried again, None when it is over. level: how often something will then be left out of
    the body. base: from which attempt its schedule counts; unsent: how many never left, and count apart. gone: why
    nothing is wanted there any more, None where it is. held_until: when the endpoint wants to be asked again at all
    (unix ms), 0 where it did not say.
    """

    status: DeliveryStatus
    next_at: int | None = None
    level: int = 0
    base: int = 0
    unsent: int = 0
    gone: str | None = None
    held_until: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """An attempt, and what follows from it."""

    dispatch: Dispatch
    attempt: Attempt
    decision: Decision

    @property
    def delivered(self) -> bool:
        return self.decision.status is DeliveryStatus.DELIVERED


def bare(attempt: Attempt) -> Attempt:
    """An attempt without anything that somebody else has written."""
    return replace(
        attempt,
        error=None if attempt.error is None else "it failed, and why could not be written down",
        hint=None,
        request_headers={},
        response_headers={},
        response="",
        timings={},
    )


@dataclass(frozen=True, slots=True)
class Return:
    """A leased delivery that is not attempted after all, and when it is due again."""

    dispatch: Dispatch
    next_at: int


def still_held(outcomes: Sequence[Outcome]) -> Transaction[set[str]]:
    """The ids of those deliveries whose lease was not lost meanwhile; ask before they are recorded."""
    ids = sorted({outcome.dispatch.delivery_id for outcome in outcomes})
    leases: dict[str, str] = {}
    for first in range(0, len(ids), AT_ONCE):
        rows = yield run("holders_of_deliveries", ids="".join(ids[first : first + AT_ONCE]))
        leases |= {row["id"]: row["lease"] for row in rows}
    dispatches = [outcome.dispatch for outcome in outcomes]
    return {each.delivery_id for each in dispatches if leases.get(each.delivery_id) == each.lease}


def record_attempts(outcomes: Sequence[Outcome], returns: Sequence[Return], now: int) -> Transaction[None]:
    """Write down a batch of attempts and what they mean for their deliveries, each fenced by its lease."""
    yield run_many("insert_attempt", [attempt_columns(outcome.attempt) for outcome in outcomes])
    yield run_many("record_outcome", [_outcome_row(outcome, now) for outcome in outcomes])
    yield run_many("return_delivery", [_return_row(each) for each in returns])


def _outcome_row(outcome: Outcome, now: int) -> Params:
    decision = outcome.decision
    return {
        "id": outcome.dispatch.delivery_id,
        "lease": outcome.dispatch.lease,
        "status": decision.status.value,
        "attempts": outcome.attempt.number,
        "last_status": outcome.attempt.status,
        "last_error": outcome.attempt.error,
        "finished_at": None if decision.status is DeliveryStatus.PENDING else now,
        "next_at": decision.next_at,
        "replays": outcome.dispatch.replays,
        "level": decision.level,
        "base": decision.base,
        "unsent": decision.unsent,
    }


def _return_row(each: Return) -> Params:
    return {"id": each.dispatch.delivery_id, "lease": each.dispatch.lease, "next_at": each.next_at}
