"""Events: the fact, its envelope, and one delivery for each subscription that wants it, in the caller's transaction."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from service.formats import FORMATS
from service.formats.shape import Rendered, Telling
from service.formats.standard import envelope, show_task
from service.links import Links
from service.model import Event, Task, new_id
from service.store.rows import Dispatch
from service.store.statements import Transaction, run
from service.store.telling import (
    claim_deliveries,
    freeze_delivery,
    insert_deliveries,
    insert_event,
    subscriptions_to_tell,
)
from service.subscriptions import Subscription
from service.wire import Json, dump_text, loads

log = logging.getLogger("reelhook.events")

UNTOLD = "Reelhook could not put this event into this format; the log of the service says why"


@dataclass(frozen=True, slots=True)
class Lease:
    """Who works on something, and until when nobody else does (unix ms)."""

    token: str
    until: int


class Publisher:
    """Tells events. lease: what this process's own senders take deliveries under, or None when they have no room or
    run elsewhere."""

    def __init__(self, links: Links, lease: Callable[[], Lease | None]) -> None:
        self.links = links
        self._lease = lease

    def publish(self, task: Task, event_type: str, now: int) -> Transaction[list[Dispatch]]:
        """Store an event about a task and its deliveries; the deliveries that this process's senders now hold. A task
        tells each of its facts once: the second time nothing happens."""
        data = {"task": show_task(task, self.links)}
        return (yield from self._tell(task.owner, event_type, data, now, task))

    def announce(self, owner: str, event_type: str, data: Json, now: int) -> Transaction[list[Dispatch]]:
        """The same for what is about no task. data: the envelope's."""
        return (yield from self._tell(owner, event_type, data, now, None))

    def _tell(
        self, owner: str, event_type: str, data: Json, now: int, task: Task | None
    ) -> Transaction[list[Dispatch]]:
        event, body = made_event(owner, event_type, data, now, task_id=task.id if task else None)
        return (yield from self.tell(Telling(event=event, envelope=body, task=task, links=self.links), now))

    def tell(self, telling: Telling, now: int) -> Transaction[list[Dispatch]]:
        """Store an event that is made already, and its deliveries; those that this process's senders now hold."""
        if not (yield from insert_event(telling.event)):
            return []
        subscriptions = yield from subscriptions_to_tell(telling.event, telling.envelope["data"])
        return (yield from self.deliver(telling, subscriptions, now))

    def deliver(
        self, telling: Telling, subscriptions: list[Subscription], now: int, *, due_at: int | None = None
    ) -> Transaction[list[Dispatch]]:
        """Store a delivery of an event for each of these subscriptions; those that this process's senders now hold.
        due_at: when they are due (unix ms) that nobody needs to have at once; by default they are sent at once."""
        lease = self._lease() if due_at is None else None
        dispatches: list[Dispatch] = []
        untold: list[Dispatch] = []
        for subscription in subscriptions:
            rendered = _rendered(telling, subscription)
            dispatch = Dispatch(
                delivery_id=new_id("dlv", now),
                event_id=telling.event.id,
                event_type=telling.event.type,
                subscription=subscription,
                created_at=now,
                begun_at=now,
                body=rendered.body if rendered else telling.event.body,
                headers=rendered.headers if rendered else {},
                format=subscription.format,
                lease=lease.token if lease else "",
                leased_until=lease.until if lease else now,
            )
            (dispatches if rendered else untold).append(dispatch)
        fresh = [dispatch for dispatch in dispatches if dispatch.subscription.may_be_told_at(now) <= now]
        held = [dispatch for dispatch in dispatches if dispatch.subscription.may_be_told_at(now) > now]
        yield from insert_deliveries(telling.event, fresh, leased=lease is not None, due_at=due_at or 0)
        yield from insert_deliveries(telling.event, held + untold, leased=False, due_at=due_at or 0)
        for dispatch in untold:
            yield run("cancel_delivery", id=dispatch.delivery_id, now=now, reason=UNTOLD)
        return fresh if lease is not None else []


def claim_as_wished(now: int, until: int, lease: str, limit: int) -> Transaction[list[Dispatch]]:
    """Claim due deliveries, each in the format that its subscription has now: the bytes of another one mean nothing to
    whoever is there now, or something else. What was attempted before is rendered anew, too."""
    claimed = yield from claim_deliveries(now, until, lease, limit)
    ready = []
    for dispatch in claimed:
        if dispatch.format in (None, dispatch.subscription.format):
            ready.append(dispatch)
        else:
            ready += yield from _render_anew(dispatch, now)
    return ready


def _render_anew(dispatch: Dispatch, now: int) -> Transaction[list[Dispatch]]:
    rows = yield run("event", id=dispatch.event_id, owner=None)
    event = Event(**rows[0]) if rows else None
    if event is None or not event.body:
        reason = "its subscription has another format now, and its event is kept no longer"
        yield run("cancel_delivery", id=dispatch.delivery_id, now=now, reason=reason)
        return []
    rendered = _rendered(Telling(event=event, envelope=loads(event.body)), dispatch.subscription)
    if rendered is None:
        yield run("cancel_delivery", id=dispatch.delivery_id, now=now, reason=UNTOLD)
        return []
    body, headers = rendered.body, rendered.headers
    anew = replace(dispatch, body=body, headers=headers, format=dispatch.subscription.format, level=0)
    yield from freeze_delivery(anew, event)
    return [anew]


def made_event(
    owner: str, event_type: str, data: Json, now: int, *, task_id: str | None = None, test: bool = False
) -> tuple[Event, Json]:
    """A new event, and its body as a value."""
    event_id = new_id("evt", now)
    body = envelope(event_id, event_type, now, data) | ({"test": True} if test else {})
    event = Event(
        id=event_id,
        owner=owner,
        task_id=task_id,
        type=event_type,
        created_at=now,
        body=dump_text(body),
        test=int(test),
    )
    return event, body


def _rendered(telling: Telling, subscription: Subscription) -> Rendered | None:
    """None when it cannot be: one subscriber's format must not keep a task from ending."""
    try:
        return FORMATS[subscription.format].render(telling, subscription.options)
    except Exception:
        log.exception("event.not_rendered event=%s subscription=%s", telling.event.id, subscription.id)
        return None
