"""Events: the fact, its envelope, and one delivery for each subscription that wants it, in the caller's transaction."""

from collections.abc import Callable
from dataclasses import dataclass

from service.formats import FORMATS
from service.formats.standard import envelope
from service.links import Links
from service.model import Event, Task, new_id
from service.store.rows import Dispatch
from service.store.statements import Transaction
from service.store.telling import insert_deliveries, insert_event, subscriptions_to_tell


@dataclass(frozen=True, slots=True)
class Lease:
    """Who works on something, and until when nobody else does (unix ms)."""

    token: str
    until: int


class Publisher:
    """Tells events. lease: what this process's own senders take deliveries under, or None when they have no room or
    run elsewhere."""

    def __init__(self, links: Links, lease: Callable[[], Lease | None]) -> None:
        self._links = links
        self._lease = lease

    def publish(self, task: Task, event_type: str, now: int) -> Transaction[list[Dispatch]]:
        """Store an event and its deliveries; the deliveries that this process's senders now hold. A task tells each of
        its facts once: the second time nothing happens."""
        event_id = new_id("evt", now)
        body = envelope(event_id, event_type, now, task, self._links)
        event = Event(id=event_id, owner=task.owner, task_id=task.id, type=event_type, created_at=now, body=body)
        if not (yield from insert_event(event)):
            return []
        lease = self._lease()
        subscriptions = yield from subscriptions_to_tell(task.owner, task.id, event_type)
        dispatches = [
            Dispatch(
                delivery_id=new_id("dlv", now),
                event_id=event_id,
                event_type=event_type,
                subscription_id=subscription.id,
                attempts=0,
                created_at=now,
                url=subscription.url,
                secret=subscription.secret,
                body=FORMATS[subscription.format](event, task, self._links),
                lease=lease.token if lease else "",
                leased_until=lease.until if lease else now,
            )
            for subscription in subscriptions
        ]
        yield from insert_deliveries(event, dispatches, leased=lease is not None)
        return dispatches if lease is not None else []
