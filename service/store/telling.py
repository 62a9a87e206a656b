"""The steps that transactions about events, subscriptions and deliveries are made of."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from service.model import Event
from service.store.rows import (
    CUT_OFF,
    Dispatch,
    attempt_columns,
    columns_of,
    dispatch_from_row,
    subscription_columns,
    subscription_from_row,
)
from service.store.statements import Row, Transaction, run, run_many
from service.subscriptions import Attempt, Subscription, is_about, matcher
from service.wire import Json, dump_text

AT_ONCE = 100  # whole subscriptions of one statement
PART = 500  # rows of one subscription that one transaction changes: all others wait for its end


def take_feeds(owners: Iterable[str]) -> Transaction[None]:
    """Whoever both changes a subscription and publishes takes the feeds first: that is the order of those who publish,
    and then read subscriptions."""
    for owner in sorted(set(owners)):
        yield run("take_feed", owner=owner)


def insert_event(event: Event) -> Transaction[bool]:
    """Store an event as the next of its owner's feed; False when its task has told this before."""
    rows = yield run("next_in_feed", owner=event.owner)
    return bool((yield run("insert_event", **columns_of(event) | {"seq": rows[0]["last"]})))


def subscriptions_to_tell(event: Event, data: Json) -> Transaction[list[Subscription]]:
    """Those that want an event, the paused ones included. data: its envelope's."""
    near = yield run("subscriptions_to_match", owner=event.owner, task_id=event.task_id)
    wanted = sorted({row["id"] for row in near if _wants(row, event, data)})
    found: list[Subscription] = []
    for first in range(0, len(wanted), AT_ONCE):
        rows = yield run("subscriptions_to_tell", ids="".join(wanted[first : first + AT_ONCE]))
        found += [subscription_from_row(row) for row in rows if _still_wants(row, event, data)]
    return found


def _still_wants(row: Row, event: Event, data: Json) -> bool:
    """It may have been changed since it was matched. What somebody has made up as a test is no business of those who
    hear everybody's events."""
    theirs = row["owner"] == event.owner or (row["everyone"] and not event.test)
    return bool(theirs) and row["disabled_at"] is None and _wants(row, event, data)


def _wants(row: Row, event: Event, data: Json) -> bool:
    if is_about(row["id"], data):
        return False
    return matcher(row["events"], row["filters"])(event.type, data)


def may_hear(subscription: Subscription, event: Event, data: Json) -> bool:
    """Whether an event is any business of a subscription, whatever it wants."""
    its_owners = bool(subscription.everyone) or subscription.owner == event.owner
    return its_owners and subscription.task_id in (None, event.task_id) and not is_about(subscription.id, data)


def insert_deliveries(
    event: Event, dispatches: Sequence[Dispatch], *, leased: bool, due_at: int = 0, once: bool = False
) -> Transaction[None]:
    """leased: they go to this process's own senders at once; otherwise they are due for anybody, not before due_at.
    once: nobody else ever takes them over."""
    yield run_many("insert_delivery", [_delivery_row(event, each, leased, due_at, once) for each in dispatches])


def _delivery_row(event: Event, dispatch: Dispatch, leased: bool, due_at: int, once: bool) -> Json:
    now, subscription = dispatch.created_at, dispatch.subscription
    at = dispatch.leased_until if leased else max(due_at, now, subscription.may_be_told_at(now))
    return {
        "id": dispatch.delivery_id,
        "owner": subscription.owner,
        "event_id": event.id,
        "event_type": event.type,
        "subscription_id": subscription.id,
        "format": dispatch.format or subscription.format,
        "body": None if dispatch.body == event.body else dispatch.body,
        "headers": dump_text(dict(dispatch.headers)) if dispatch.headers else "{}",
        "now": now,
        "begun_at": now if leased or at == now else None,
        "next_at": at,
        "lease": dispatch.lease if leased else None,
        "once": int(once),
    }


def claim_deliveries(now: int, until: int, lease: str, limit: int) -> Transaction[list[Dispatch]]:
    """Due deliveries, leased, with all that an attempt needs. Those whose subscription is paused or held are due again
    when it is not; a test that its maker has left behind is over."""
    rows = yield run("due_deliveries", now=now, limit=limit)
    if not rows:
        return []
    near = yield run("subscriptions_due", now=now, limit=limit)
    found = {row["id"]: subscription_from_row(row) for row in near}
    for subscription_id in {row["subscription_id"] for row in rows} - found.keys():  # others have locked some meanwhile
        for row in (yield run("subscription", id=subscription_id, owner=None)):
            found[subscription_id] = subscription_from_row(row)
    changing = set()
    for name in [each.id for each in found.values() if each.may_be_told_at(now) > now]:
        again = yield run("subscription_to_wait_for", id=name)
        found |= {row["id"]: subscription_from_row(row) for row in again}
        changing |= set() if again else {name}
    ready, later, orphans, broken_off, cut_off = [], [], [], [], []
    for row in rows:
        subscription = found.get(row["subscription_id"])
        if row["subscription_id"] in changing:
            continue  # due as it was
        if row["once"]:
            broken_off.append({"id": row["id"], "now": now})
        elif not row["body"]:
            orphans.append({"id": row["id"], "now": now, "reason": "its event is kept no longer"})
        elif subscription is None:
            orphans.append({"id": row["id"], "now": now, "reason": "the subscription was deleted"})
        elif subscription.disabled_at is not None:
            orphans.append({"id": row["id"], "now": now, "reason": subscription.disabled_reason})
        elif subscription.may_be_told_at(now) > now:
            until_then = subscription.may_be_told_at(now)
            later.append({"id": row["id"], "until": until_then, "lease": None, "begun_at": None})
        else:
            ready.append(dispatch_from_row(row, subscription, lease, until, now))
            if row["lease"] is not None:
                cut_off.append(ready[-1])
    leases = [{"id": each.delivery_id, "until": until, "lease": lease, "begun_at": now} for each in ready]
    yield run_many("lease_delivery", leases + later)
    yield run_many("cancel_delivery", orphans)
    yield run_many("break_off_test", broken_off)
    yield from _note_cut_off(cut_off, now)
    behind = {each.delivery_id for each in cut_off}
    return [_one_further(each) if each.delivery_id in behind else each for each in ready]


def _note_cut_off(dispatches: Sequence[Dispatch], now: int) -> Transaction[None]:
    """Whoever leased these never came to say what became of them, and may have sent them: the log says so."""
    attempts = [
        Attempt(
            delivery_id=each.delivery_id,
            number=each.attempts + 1,
            started_at=now,
            duration_ms=0,
            status=None,
            error=CUT_OFF,
            ambiguous=True,
            level=each.level,
        )
        for each in dispatches
    ]
    yield run_many("insert_attempt", [attempt_columns(attempt) for attempt in attempts])
    yield run_many("cut_off_delivery", [{"id": each.delivery_id} for each in dispatches])


def _one_further(dispatch: Dispatch) -> Dispatch:
    return replace(dispatch, attempts=dispatch.attempts + 1, cut_off=1)


def freeze_delivery(dispatch: Dispatch, event: Event) -> Transaction[None]:
    """Another body than before, for whoever has it leased."""
    yield run(
        "freeze_delivery",
        id=dispatch.delivery_id,
        lease=dispatch.lease,
        format=dispatch.format,
        body=None if dispatch.body == event.body else dispatch.body,
        headers=dump_text(dict(dispatch.headers)),
    )


def add_subscription(subscription: Subscription) -> Transaction[None]:
    yield run("insert_subscription", **subscription_columns(subscription))


def add_within(subscription: Subscription, most: int) -> Transaction[bool]:
    """Add a subscription, unless its owner has so many already; whether there was room."""
    # of two who subscribe at once the second waits, and counts the first one's
    yield run("take_turn", owner=subscription.owner, now=subscription.created_at)
    rows = yield run("count_subscriptions", owner=subscription.owner, most=most)
    if rows[0]["subscriptions"] >= most:
        return False
    yield from add_subscription(subscription)
    return True


def pause_subscription(subscription_id: str, owner: str | None, now: int) -> Transaction[Subscription | None]:
    """Nothing is sent until it is resumed; what comes due meanwhile is put off by who claims it. None when there is no
    such subscription."""
    rows = yield run("pause_subscription", id=subscription_id, owner=owner, now=now)
    return subscription_from_row(rows[0]) if rows else None


def resume_subscription(subscription_id: str, owner: str | None, now: int) -> Transaction[Subscription | None]:
    """The first part of what has gathered is due at once; the rest is to be released (see `releasing`)."""
    rows = yield run("resume_subscription", id=subscription_id, owner=owner)
    if not rows:  # there is none, or it is not paused: what waits for its time goes on waiting
        rows = yield run("subscription", id=subscription_id, owner=owner)
        return subscription_from_row(rows[0]) if rows else None
    yield from release_part(subscription_id, now, now)
    return subscription_from_row(rows[0])


def release_part(subscription_id: str, now: int, at: int) -> Transaction[bool]:
    """A part of what waits for a subscription is due at `at` (unix ms) rather than later; whether there may be more.
    Nothing is, where nothing may be sent there for now."""
    rows = yield run("subscription_to_tell", id=subscription_id)
    if not rows or rows[0]["disabled_at"] is not None or subscription_from_row(rows[0]).may_be_told_at(now) > now:
        return False
    released = yield run("release_deliveries", subscription_id=subscription_id, at=at, limit=PART)
    return len(released) == PART


def change_subscription(changed: Subscription, owner: str | None) -> Transaction[Subscription | None]:
    """Store a subscription as it is now, unless it was changed by somebody else in between (by its revision)."""
    rows = yield run("change_subscription", **subscription_columns(changed) | {"of_owner": owner})
    return subscription_from_row(rows[0]) if rows else None


def enable_subscription(subscription_id: str, now: int) -> Transaction[bool]:
    return bool((yield run("enable_subscription", id=subscription_id)))


def delete_subscription(subscription_id: str, owner: str | None, now: int) -> Transaction[bool]:
    """End a subscription, and with it the first part of what it still waited for; the rest ends when it comes due."""
    rows = yield run("delete_subscription", id=subscription_id, owner=owner)
    if rows:
        reason = "the subscription was deleted"
        yield run("cancel_deliveries", subscription_id=subscription_id, now=now, reason=reason, limit=PART)
    return bool(rows)


def disable_subscription(subscription_id: str, reason: str, now: int) -> Transaction[bool]:
    rows = yield run("disable_subscription", id=subscription_id, reason=reason, now=now)
    yield run("cancel_deliveries", subscription_id=subscription_id, now=now, reason=reason, limit=PART)
    return bool(rows)
