"""Releasing what has gathered for a subscription, part by part."""

import asyncio

from service.clock import Clock
from service.store.statements import Database
from service.store.telling import release_part

APART_MS = 250  # between the parts, so that what has gathered for one does not stand before everybody else's
REST_S = 0.05  # several times as long as a part takes: everybody else writes meanwhile


async def release(database: Database, subscription_id: str, clock: Clock) -> None:
    """Each part is a transaction, and is due a little after the one before. What a crash leaves over is due within the
    hour, as it was."""
    at = clock() + APART_MS  # the first part is due at once already, or in a moment
    while await database.write(release_part, subscription_id, clock(), at):
        at = max(at + APART_MS, clock())
        await asyncio.sleep(REST_S)
