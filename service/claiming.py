"""The loop by which work is claimed: ask when something is due, claim it, set it going, give back what nobody will do.

A claim that is cancelled is made by the database all the same: it is waited for and given back, so that a clean stop
leaves nothing leased. Whatever else goes wrong is logged and tried again; only cancellation ends the loop.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

from service.clock import woken_or_after

log = logging.getLogger("reelhook.claiming")

IDLE_MS = 250  # how soon work that another process left is noticed

T = TypeVar("T")


async def claim_for_ever(
    what: str,
    *,
    until_due: Callable[[], Awaitable[int]],
    claim: Callable[[], Awaitable[list[T]]],
    start: Callable[[list[T]], None],
    give_back: Callable[[list[T]], Awaitable[None]],
    woken: asyncio.Event,
) -> NoReturn:
    """Claim until cancelled. `woken` ends a pause; set it when work or a free place has come.

    until_due: milliseconds until something is due and there is room for it, 0 or less for now; however much it says,
    it is asked again after IDLE_MS. start: sets claimed work going and returns at once.
    """
    while True:
        woken.clear()
        pause_ms = IDLE_MS
        try:
            due_ms = await until_due()
            if due_ms > 0:
                pause_ms = min(IDLE_MS, due_ms)
            elif claimed := await _claim_or_give_back(what, claim, give_back):
                start(claimed)
                continue
        except Exception:  # the database may be busy or full: a loop that has ended would leave work undone
            log.exception("claiming.failed what=%s", what)
        await woken_or_after(woken, pause_ms)


async def _claim_or_give_back(
    what: str, claim: Callable[[], Awaitable[list[T]]], give_back: Callable[[list[T]], Awaitable[None]]
) -> list[T]:
    claiming = asyncio.ensure_future(claim())
    try:
        return await asyncio.shield(claiming)
    except asyncio.CancelledError:
        try:
            await give_back(await claiming)
        except Exception:  # its lease will end; the cancellation must not be lost with it
            log.exception("claiming.not_given_back what=%s", what)
        raise
