"""The steps that transactions about events, subscriptions and deliveries are made of."""

from collections.abc import Sequence

from service.model import (
    Event,
    Subscription,
)
from service.store.rows import Dispatch, columns_of, dispatch_from_row, read_event_types, subscription_from_row
from service.store.statements import Transaction, run, run_many
from service.wire import dump_text


def insert_event(event: Event) -> Transaction[bool]:
    """False when the task has told this before."""
    return bool((yield run("insert_event", **columns_of(event))))


def subscriptions_to_tell(owner: str, task_id: str, event_type: str) -> Transaction[list[Subscription]]:
    rows = yield run("subscriptions_to_tell", owner=owner, task_id=task_id)
    return [subscription_from_row(row) for row in rows if event_type in read_event_types(row["events"])]


def insert_deliveries(event: Event, dispatches: Sequence[Dispatch], *, leased: bool) -> Transaction[None]:
    """leased: they go to this process's own senders at once; otherwise they are due for anybody."""
    yield run_many(
        "insert_delivery",
        [
            {
                "id": dispatch.delivery_id,
                "owner": event.owner,
                "event_id": event.id,
                "event_type": event.type,
                "subscription_id": dispatch.subscription_id,
                "body": None if dispatch.body == event.body else dispatch.body,
                "now": dispatch.created_at,
                "next_at": dispatch.leased_until if leased else dispatch.created_at,
                "lease": dispatch.lease if leased else None,
            }
            for dispatch in dispatches
        ],
    )


def claim_deliveries(now: int, until: int, lease: str, limit: int) -> Transaction[list[Dispatch]]:
    rows = yield run("due_deliveries", now=now, limit=limit)
    yield run_many("lease_delivery", [{"id": row["id"], "until": until, "lease": lease} for row in rows])
    return [dispatch_from_row(row, lease, until) for row in rows]


def add_subscription(subscription: Subscription) -> Transaction[None]:
    yield run("insert_subscription", **columns_of(subscription) | {"events": dump_text(list(subscription.events))})


def add_within(subscription: Subscription, most: int) -> Transaction[bool]:
    """Add a subscription, unless its owner has so many already; whether there was room."""
    rows = yield run("count_subscriptions", owner=subscription.owner, most=most)
    if rows[0]["subscriptions"] >= most:
        return False
    yield from add_subscription(subscription)
    return True


def delete_subscription(subscription_id: str, owner: str | None, now: int) -> Transaction[bool]:
    """End a subscription, and with it what it still waited for."""
    rows = yield run("delete_subscription", id=subscription_id, owner=owner)
    if rows:
        reason = "the subscription was deleted"
        yield run("cancel_deliveries", subscription_id=subscription_id, now=now, reason=reason)
    return bool(rows)


def disable_subscription(subscription_id: str, reason: str, now: int) -> Transaction[bool]:
    rows = yield run("disable_subscription", id=subscription_id, reason=reason, now=now)
    yield run("cancel_deliveries", subscription_id=subscription_id, now=now, reason=reason)
    return bool(rows)
