"""What may be asked of the store."""

from dataclasses import replace
from typing import Any

from service.model import (
    Event,
    ListQuery,
    Task,
    first_id,
    request_from_json,
)
from service.store.rows import (
    BEFORE_ALL,
    Callback,
    Repeat,
    Window,
    attempt_from_row,
    delivery_from_row,
    repeat_from_row,
    subscription_from_row,
    task_from_row,
)
from service.store.statements import Database, Rows
from service.subscriptions import Attempt, Delivery, Subscription
from service.wire import Json, loads

TASK_ID_LENGTH = len("task_") + 26
READ_ON = 100  # events of one read, behind such as were expunged


class Reads:
    """What may be asked. owner None: the admin, who sees everybody's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def task(self, task_id: str, owner: str | None) -> Task | None:
        rows = await self._database.read("task_of_owner", id=task_id, owner=owner)
        return task_from_row(rows[0]) if rows else None

    async def tasks(
        self,
        owner: str | None,
        window: Window,
        *,
        status: str | None,
        gateway: str | None,
        external_id: str | None = None,
    ) -> list[Task]:
        rows = await self._database.read(
            "tasks_page", owner=owner, status=status, gateway=gateway, external_id=external_id, **window.params()
        )
        return [task_from_row(row) for row in rows]

    async def retry_of(self, task: Task) -> Task | None:
        """The task that tries this one again; the newest, where there are several."""
        rows = await self._database.read("retry_of_task", id=task.id, owner=task.owner)
        return task_from_row(rows[0]) if rows else None

    async def task_of_mount(self, task_id: str, owner: str | None, mount: str) -> Task | None:
        """As the callers of a compatible API see it: not once it is deleted there."""
        rows = await self._database.read("task_of_mount", id=task_id, owner=owner, mount=mount)
        return task_from_row(rows[0]) if rows else None

    async def tasks_of_mount(
        self, owner: str | None, mount: str, *, after: str | None, limit: int, oldest_first: bool
    ) -> list[Task]:
        """The tasks that follow `after`, in the order of their ids, which is that of time."""
        name = "mount_page_oldest_first" if oldest_first else "mount_page"
        after = after if after is not None else "" if oldest_first else BEFORE_ALL
        rows = await self._database.read(name, owner=owner, mount=mount, after=after, limit=limit)
        return [task_from_row(row) for row in rows]

    async def listed(self, owner: str | None, mount: str, query: ListQuery, *, since: int) -> tuple[int, list[Task]]:
        """(how many there are, those of the page), newest first: the tasks of one gateway's API that were not deleted
        there. query.ids: our own; those that cannot be ours are none."""
        params: Json = {
            "owner": owner,
            "mount": mount,
            "status": query.status and query.status.value,
            "model": query.model,
            "service_tier": query.service_tier,
            "since": since,
            "first": first_id("task", since),
        }
        name = "listed_tasks"
        if query.ids:
            name = "listed_tasks_by_id"
            params["ids"] = "".join(sorted({task_id for task_id in query.ids if len(task_id) == TASK_ID_LENGTH}))
        rows = await self._database.read(name, limit=query.limit, offset=query.offset, **params)
        counted = rows
        if not rows and query.offset:  # a page past the end
            counted = await self._database.read(name, limit=1, offset=0, **params)
        return counted[0]["total"] if counted else 0, [task_from_row(row) for row in rows]

    async def callbacks(self, task_id: str, window: Window) -> list[Callback]:
        rows = await self._database.read("callbacks_page", task_id=task_id, before=window.before, limit=window.limit)
        return [Callback(**row) for row in rows]

    async def event(self, event_id: str, owner: str | None) -> Event | None:
        rows = await self._database.read("event", id=event_id, owner=owner)
        return Event(**rows[0]) if rows else None

    async def events(
        self, owner: str | None, window: Window, *, task_id: str | None, event_type: str | None
    ) -> list[Event]:
        rows = await self._database.read(
            "events_page", owner=owner, task_id=task_id, type=event_type, **window.params()
        )
        return [Event(**row) for row in rows]

    async def last_in_feed(self, owner: str) -> int:
        """The number that an owner's newest event has, 0 where there is none: nothing that is committed later has one
        up to it."""
        rows = await self._database.read("feed", owner=owner)
        return int(rows[0]["last"]) if rows else 0

    async def pruned_in_feed(self, owner: str) -> int:
        """The highest number of an owner's feed that was removed, 0 where all of it is there."""
        rows = await self._database.read("feed", owner=owner)
        return int(rows[0]["pruned"]) if rows else 0

    async def events_after(self, owner: str, after: int, limit: int, *, task_id: str | None = None) -> list[Event]:
        """The events of an owner's feed that follow a number, oldest first. What was expunged is told no more, and
        passed over in many short reads rather than a long one."""
        if task_id is not None:
            rows = await self._database.read(
                "events_of_task_after", owner=owner, task_id=task_id, after=after, limit=limit
            )
            return [Event(**row) for row in rows]
        found: list[Event] = []
        at_once = limit
        while True:
            rows = await self._database.read("events_after", owner=owner, after=after, limit=at_once)
            found += [Event(**row) for row in rows if row["body"]]
            if len(rows) < at_once or len(found) >= limit:
                return found[:limit]
            after, at_once = rows[-1]["seq"], max(limit, READ_ON)

    async def subscription(self, subscription_id: str, owner: str | None) -> Subscription | None:
        rows = await self._database.read("subscription", id=subscription_id, owner=owner)
        return subscription_from_row(rows[0]) if rows else None

    async def subscriptions(self, owner: str | None, window: Window) -> list[Subscription]:
        rows = await self._database.read("subscriptions_page", owner=owner, before=window.before, limit=window.limit)
        return [subscription_from_row(row) for row in rows]

    async def delivery(self, delivery_id: str, owner: str | None) -> Delivery | None:
        rows = await self._database.read("delivery", id=delivery_id, owner=owner)
        return delivery_from_row(rows[0]) if rows else None

    async def holds(self, delivery_id: str, lease: str) -> bool:
        """Whether a delivery is still to be sent, by whoever has this lease."""
        return bool(await self._database.read("leased_delivery", id=delivery_id, lease=lease))

    async def deliveries(
        self,
        owner: str | None,
        window: Window,
        *,
        status: str | None,
        event_id: str | None,
        subscription_id: str | None,
    ) -> list[Delivery]:
        rows = await self._database.read(
            "deliveries_page",
            owner=owner,
            status=status,
            event_id=event_id,
            subscription_id=subscription_id,
            **window.params(),
        )
        return [delivery_from_row(row) for row in rows]

    async def attempts(self, delivery_id: str) -> list[Attempt]:
        rows = await self._database.read("attempts", delivery_id=delivery_id)
        return [attempt_from_row(row) for row in rows]

    async def breakers(self, since: int = 0, most: int = 100) -> Rows:
        """{host, opened, open_until} of the hosts that did not answer when this was last said; the latest of those that
        were open after `since` (unix ms), the last one last."""
        return await self._database.read("breakers", since=since, most=most)

    async def durations(self, gateway: str, model: str, limit: int) -> list[int]:
        rows = await self._database.read("recent_durations", gateway=gateway, model=model, limit=limit)
        return [row["duration_ms"] for row in rows]

    async def gateways_with_open_tasks(self) -> set[str]:
        return {row["gateway"] for row in await self._database.read("gateways_with_open_tasks")}

    async def whole(self, task: Task) -> Task:
        """The task with its inline media, for the create."""
        if not task.slim:
            return task
        (row,) = await self._database.read("request", task_id=task.id)
        return replace(task, request=request_from_json(loads(row["body"])))

    async def replay(self, owner: str, key: str) -> Repeat | None:
        """What an idempotency key stands for, where it is known."""
        rows = await self._database.read("idempotency_key", owner=owner, key=key)
        return repeat_from_row(rows[0]) if rows else None

    async def archived_size(self) -> int:
        """How many bytes the archive keeps, or has reserved for what is on its way."""
        return int((await self._database.read("archived_size"))[0]["size"])

    async def expired_archived(self, now: int, limit: int, *, task_id: str | None = None) -> Rows:
        """{task_id, variant, key, expires_at} of what need not be kept any longer, of one task or all."""
        return await self._database.read("expired_archived", now=now, limit=limit, task_id=task_id)

    async def next_at(self, name: str, /, **params: Any) -> int | None:
        """The earliest due time that a `next_…` statement finds."""
        rows: Rows = await self._database.read(name, **params)
        at: int | None = rows[0]["next_at"]
        return at
