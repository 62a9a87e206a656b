"""What became of attempts, and how a batch of it is written down."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.store.rows import Dispatch, attempt_columns
from service.store.statements import Params, Transaction, run_many
from service.store.telling import disable_subscription
from service.subscriptions import Attempt, DeliveryStatus

GONE = "the endpoint answered 410 Gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an attempt means for its delivery. next_at: when it is tried again, None when it is over. gone: the endpoint
    wants nothing any more."""

    dispatch: Dispatch
    attempt: Attempt
    status: DeliveryStatus
    next_at: int | None = None
    level: int = 0
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Return:
    """A leased delivery that is not attempted after all, and when it is due again."""

    dispatch: Dispatch
    next_at: int


def record_attempts(outcomes: Sequence[Outcome], returns: Sequence[Return], now: int) -> Transaction[None]:
    """Write down a batch of attempts and what they mean for their deliveries, each fenced by its lease."""
    yield run_many("insert_attempt", [attempt_columns(outcome.attempt) for outcome in outcomes])
    yield run_many("record_outcome", [_outcome_row(outcome, now) for outcome in outcomes])
    yield run_many("return_delivery", [_return_row(each) for each in returns])
    for subscription_id in sorted({outcome.dispatch.subscription.id for outcome in outcomes if outcome.gone}):
        yield from disable_subscription(subscription_id, GONE, now)


def _outcome_row(outcome: Outcome, now: int) -> Params:
    return {
        "id": outcome.dispatch.delivery_id,
        "lease": outcome.dispatch.lease,
        "status": outcome.status.value,
        "attempts": outcome.attempt.number,
        "last_status": outcome.attempt.status,
        "last_error": outcome.attempt.error,
        "finished_at": None if outcome.status is DeliveryStatus.PENDING else now,
        "next_at": outcome.next_at,
        "level": outcome.level,
    }


def _return_row(each: Return) -> Params:
    return {"id": each.dispatch.delivery_id, "lease": each.dispatch.lease, "next_at": each.next_at}
