"""What REST hooks ask of the store: one's hooks by their URL, and the latest events as samples."""

from collections.abc import Iterable

from service.model import Event
from service.store.reads import Reads
from service.store.rows import Window, subscription_from_row
from service.store.statements import Database
from service.subscriptions import Subscription


async def hooks_page(database: Database, owner: str | None, window: Window, url: str | None) -> list[Subscription]:
    """Newest first. owner None: everybody's. url: exactly this one, None for all."""
    rows = await database.read("hooks_page", owner=owner, url=url, before=window.before, limit=window.limit)
    return [subscription_from_row(row) for row in rows]


async def find_hook(reads: Reads, owner: str | None, hook_id: str) -> Subscription | None:
    """None also where it is a subscription that no hook made."""
    found = await reads.subscription(hook_id, owner)
    return found if found is not None and found.made_by == "hook" and found.task_id is None else None


async def latest_events(database: Database, owner: str, types: Iterable[str], limit: int) -> list[Event]:
    """The latest events of these types that can still be shown, newest first."""
    found = [
        Event(**row)
        for event_type in types
        for row in await database.read("latest_events", owner=owner, type=event_type, limit=limit)
    ]
    return sorted(found, key=lambda event: event.id, reverse=True)[:limit]
