"""The loops: sweep, deliver, archive, prune; drained when they are told to stop."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.clock import DAY, HOUR, SECOND
from service.store.statements import Transaction, run
from service.wiring import Services

log = logging.getLogger("reelhook.worker")

IDEMPOTENCY_KEYS_KEPT_MS = 7 * DAY
PRUNE_EVERY_MS = HOUR
PRUNE_ON_MS = SECOND  # where there is more than one turn's work
CREATES_DRAIN_MS = 20 * SECOND


@asynccontextmanager
async def working(services: Services) -> AsyncIterator[None]:
    """The loops run for as long as the block lasts; then creates and attempts under way are let finish."""
    loops = [
        asyncio.create_task(loop, name=name)
        for name, loop in (
            ("sweep", services.sweeper.run()),
            ("deliver", services.deliveries.run()),
            ("replay", services.replaying.run()),
            ("prune", _prune_for_ever(services)),
            ("archive", services.archiver.run()),
        )
    ]
    for loop in loops:
        loop.add_done_callback(_note_end)
    try:
        yield
    finally:
        log.info("worker.draining")
        for loop in loops:
            loop.cancel()
        await asyncio.gather(services.tasks.drain(CREATES_DRAIN_MS), *loops, return_exceptions=True)


def _note_end(loop: "asyncio.Task[None]") -> None:
    """A loop that ends before it is told to leaves work undone: that is said when it happens, not at the next stop."""
    if not loop.cancelled() and (error := loop.exception()) is not None:
        log.critical("worker.loop_ended loop=%s", loop.get_name(), exc_info=error)


async def _prune_for_ever(services: Services) -> None:
    while True:
        more = False
        try:
            await services.database.write(_prune, services.clock() - IDEMPOTENCY_KEYS_KEPT_MS)
            await services.archiver.prune()
            more = await services.pruning.turn()
        except Exception:  # housekeeping: an hour later will do
            log.exception("worker.prune_failed")
        await asyncio.sleep((PRUNE_ON_MS if more else PRUNE_EVERY_MS) / 1000)


def _prune(before: int) -> Transaction[None]:
    yield run("prune_idempotency_keys", before=before)
    yield run("prune_unanswered", before=before)
