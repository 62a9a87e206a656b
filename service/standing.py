"""How it stands with a subscription: what a batch of attempts means for it, who is warned of it, and when it ends.

An endpoint that has answered nothing but failures for a while is announced in stages, to the owner's other channels and
to the operator, and then disabled; a 2xx wipes all of it out. Who is told of it is never the subscription itself, and
what cannot be told about that is announced to nobody, so that no warning brings forth another.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.events import Publisher
from service.formats.operational import about_delivery, about_subscription
from service.model import OPERATIONAL_EVENTS, iso
from service.settings import DeliverySettings
from service.store.recording import Outcome, Return, record_attempts, still_held
from service.store.rows import Dispatch, subscription_from_row
from service.store.statements import Transaction, run, run_many
from service.store.telling import disable_subscription, take_feeds
from service.subscriptions import DeliveryStatus, Subscription

STAGES = (90, 70, 50)  # per cent of the way to disabling


@dataclass(slots=True)
class Run:
    """What one batch says of one subscription, in the order in which its attempts ended."""

    last: Outcome
    succeeded: bool = False
    failures: int = 0
    since: int = 0  # the first failure after the last success
    held_until: int = 0
    gone: str | None = None

    def note(self, outcome: Outcome) -> None:
        self.last = outcome
        self.gone = self.gone or outcome.decision.gone
        if outcome.delivered:
            self.succeeded, self.failures, self.since, self.held_until = True, 0, 0, 0
            return
        self.since = self.since or outcome.attempt.started_at
        self.failures += 1
        self.held_until = max(self.held_until, outcome.decision.held_until)


def record(
    outcomes: Sequence[Outcome], returns: Sequence[Return], publisher: Publisher, settings: DeliverySettings, now: int
) -> Transaction[list[Dispatch]]:
    """Write down a batch of attempts and all that follows from it; fresh deliveries that this process now holds."""
    told: list[Dispatch] = []
    troubled = [outcome for outcome in outcomes if not outcome.delivered]
    yield from take_feeds(outcome.dispatch.subscription.owner for outcome in troubled)
    held = yield from still_held(troubled)
    yield from record_attempts(outcomes, returns, now)
    # a failure is held against nobody where the delivery is another's by now: he will see how it goes
    troubled = [outcome for outcome in troubled if outcome.dispatch.delivery_id in held]
    runs = _runs([each for each in outcomes if each.delivered or each.dispatch.delivery_id in held])
    yield run_many("note_success", [{"id": name} for name in sorted(runs) if runs[name].succeeded])
    for name in sorted(name for name in runs if runs[name].failures):
        told += yield from _note_failures(name, runs[name], publisher, settings, now)
    for outcome in troubled:
        if outcome.decision.status is DeliveryStatus.EXHAUSTED:
            told += yield from _announce_exhausted(outcome, publisher, now)
    return told


def _runs(outcomes: Sequence[Outcome]) -> dict[str, Run]:
    runs: dict[str, Run] = {}
    for outcome in outcomes:
        runs.setdefault(outcome.dispatch.subscription.id, Run(outcome)).note(outcome)
    return runs


def _note_failures(
    name: str, seen: Run, publisher: Publisher, settings: DeliverySettings, now: int
) -> Transaction[list[Dispatch]]:
    rows = yield run("note_failure", id=name, since=seen.since, failures=seen.failures, held_until=seen.held_until)
    if not rows:  # deleted meanwhile, or of one task only, and over with it
        if seen.gone:
            yield from disable_subscription(name, seen.gone, now)
        return []
    subscription = subscription_from_row(rows[0])
    if seen.gone:
        return (yield from _disable(subscription, seen.gone, seen.last, publisher, now))
    if subscription.failing_since is None or subscription.disabled_at is not None:
        return []
    elapsed = now - subscription.failing_since
    if elapsed >= settings.disable_after and subscription.failures >= settings.disable_failures:
        reason = (
            f"nothing but failures since {iso(subscription.failing_since)}; the last one: {seen.last.attempt.error}"
        )
        return (yield from _disable(subscription, reason, seen.last, publisher, now))
    percent = 100 * elapsed // settings.disable_after
    stage = next((stage for stage in STAGES if percent >= stage), 0)
    if stage <= subscription.warned or not (yield run("note_warning", id=name, warned=stage)):
        return []
    data = about_subscription(
        subscription,
        percent=stage,
        disables_at=subscription.failing_since + settings.disable_after,
        status=seen.last.attempt.status,
        error=seen.last.attempt.error,
        hint=seen.last.attempt.hint,
    )
    return (yield from publisher.announce(subscription.owner, "subscription.failing", {"subscription": data}, now))


def _disable(
    subscription: Subscription, reason: str, last: Outcome, publisher: Publisher, now: int
) -> Transaction[list[Dispatch]]:
    if not (yield from disable_subscription(subscription.id, reason, now)):
        return []
    data = about_subscription(
        replace(subscription, disabled_at=now, disabled_reason=reason),
        percent=100,
        disables_at=now,
        status=last.attempt.status,
        error=last.attempt.error,
        hint=last.attempt.hint,
    )
    return (yield from publisher.announce(subscription.owner, "subscription.disabled", {"subscription": data}, now))


def _announce_exhausted(outcome: Outcome, publisher: Publisher, now: int) -> Transaction[list[Dispatch]]:
    dispatch = outcome.dispatch
    if dispatch.event_type in OPERATIONAL_EVENTS or outcome.decision.gone:
        return []
    attempt = outcome.attempt
    data = {
        "delivery": about_delivery(
            dispatch.delivery_id, dispatch.event_id, dispatch.event_type, attempts=attempt.number
        ),
        "subscription": about_subscription(
            dispatch.subscription, status=attempt.status, error=attempt.error, hint=attempt.hint
        ),
    }
    return (yield from publisher.announce(dispatch.subscription.owner, "delivery.exhausted", data, now))
