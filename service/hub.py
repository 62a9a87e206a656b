"""The hub: where what happens to tasks is committed, and told to this process's senders in the same breath."""

import logging
from collections.abc import Callable
from typing import TypeVar

from service.clock import Clock
from service.events import Publisher
from service.formats.shape import Telling
from service.model import Task
from service.settings import Settings
from service.settling import End, Settled, conclude
from service.store.rows import Dispatch
from service.store.statements import Database, P, Transaction

log = logging.getLogger("reelhook.tasks")

S = TypeVar("S", Settled, Settled | None)


class Hub:
    """hand_over: takes fresh deliveries, already leased, to this process's senders. Whoever commits by way of the hub
    cannot forget to, which would leave them to whoever finds their lease ended. news: tells those who follow an owner's
    feed that there may be more in it."""

    def __init__(
        self,
        *,
        database: Database,
        publisher: Publisher,
        settings: Settings,
        clock: Clock,
        hand_over: Callable[[list[Dispatch]], None],
        news: Callable[[str], None],
    ) -> None:
        self.database = database
        self.publisher = publisher
        self.settings = settings
        self.clock = clock
        self.hand_over = hand_over
        self.news = news

    async def commit(self, transaction: Callable[P, Transaction[S]], /, *args: P.args, **kwargs: P.kwargs) -> S:
        """Run a transaction that moves a task, and hand over the deliveries that it made."""
        moved = await self.database.write(transaction, *args, **kwargs)
        if moved is not None:
            self.announce(moved)
        return moved

    def announce(self, moved: Settled) -> None:
        """What has been committed goes to this process's senders, and to those who follow the feed."""
        self.hand_over(moved.dispatches)
        self.news(moved.task.owner)

    async def tell(self, telling: Telling) -> None:
        """Commit an event that is made already, and send it to whoever wants it."""
        self.hand_over(await self.database.write(self.publisher.tell, telling, self.clock()))
        self.news(telling.event.owner)

    async def end(self, task_id: str, end: End) -> Task | None:
        """Settle a task and send what it has to tell; None when it was over already."""
        archiving = self.settings.archive.enabled
        settled = await self.commit(conclude, task_id, end, self.publisher, self.clock(), archiving=archiving)
        if settled is None:
            return None
        if settled.task.status.terminal:
            log.info("task.settled task=%s status=%s by=%s", task_id, end.status, settled.task.settled_by)
        return settled.task
