"""Lists: newest first, by cursor, filtered, and nobody sees what is not theirs."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from service.store.reads import Reads
from service.store.rows import Callback, Window
from service.store.statements import Database, run, sql_of, statements
from service.store.tasks import insert_callback
from service.store.telling import (
    add_subscription,
    delete_subscription,
    insert_event,
    pause_subscription,
    resume_subscription,
)
from tests.store.given import (
    NOW,
    a_subscription,
    accepted_task,
    an_event,
    an_outcome,
    each,
    fresh_id,
    settled_task,
    stored_delivery,
)


@dataclass(frozen=True)
class Kind:
    """store: one more of ann's, or of `owner`'s; its id. page: what is seen of them. one: a single one of them."""

    store: Callable[..., Awaitable[str]]
    page: Callable[[Reads, str | None, Window], Awaitable[list[Any]]]
    one: Callable[[Reads, str, str | None], Awaitable[Any]]


async def store_task(database: Database, **changes: Any) -> str:
    return (await accepted_task(database, **changes)).id


async def store_event(database: Database, **changes: Any) -> str:
    event = an_event(**{"task_id": fresh_id("task")} | changes)
    assert await database.write(insert_event, event)
    return event.id


async def store_subscription(database: Database, **changes: Any) -> str:
    subscription = a_subscription(**changes)
    await database.write(add_subscription, subscription)
    return subscription.id


async def store_delivery(database: Database, **changes: Any) -> str:
    return (await stored_delivery(database, **changes)).delivery_id


KINDS = {
    "tasks": Kind(store_task, lambda reads, *args: reads.tasks(*args, status=None, gateway=None), Reads.task),
    "events": Kind(store_event, lambda reads, *args: reads.events(*args, task_id=None, event_type=None), Reads.event),
    "subscriptions": Kind(store_subscription, Reads.subscriptions, Reads.subscription),
    "deliveries": Kind(
        store_delivery,
        lambda reads, *args: reads.deliveries(*args, status=None, event_id=None, subscription_id=None),
        Reads.delivery,
    ),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


async def ids(kind: Kind, reads: Reads, owner: str | None = None, **window: Any) -> list[str]:
    return [found.id for found in await kind.page(reads, owner, Window(**window))]


async def test_pages_are_newest_first_without_gap_or_repetition(database: Database, reads: Reads, kind: Kind) -> None:
    stored = [await kind.store(database) for _ in range(7)]
    seen = await ids(kind, reads, limit=3)
    for length in (6, 7, 7):
        seen += await ids(kind, reads, before=seen[-1], limit=3)
        assert seen == stored[: -length - 1 : -1]


async def test_what_comes_in_meanwhile_does_not_move_the_next_page(
    database: Database, reads: Reads, kind: Kind
) -> None:
    stored = [await kind.store(database) for _ in range(4)]
    first = await ids(kind, reads, limit=2)
    await kind.store(database)
    assert first + await ids(kind, reads, before=first[-1], limit=9) == stored[::-1]


async def test_a_page_shows_an_owner_only_what_is_theirs_and_the_admin_everything(
    database: Database, reads: Reads, kind: Kind
) -> None:
    anns, bobs = await kind.store(database), await kind.store(database, owner="bob")
    assert [await ids(kind, reads, owner) for owner in ("ann", "bob", "eve", None)] == [
        [anns],
        [bobs],
        [],
        [bobs, anns],
    ]


async def test_one_is_found_by_its_owner_and_the_admin_only(database: Database, reads: Reads, kind: Kind) -> None:
    stored = await kind.store(database)
    found = [await kind.one(reads, stored, owner) for owner in ("ann", "bob", None)]
    assert [one is not None for one in found] == [True, False, True]


async def test_what_was_never_stored_is_not_found(reads: Reads, kind: Kind) -> None:
    assert await kind.one(reads, "nothing", None) is None


@pytest.mark.parametrize("kind", ["tasks", "events", "deliveries"], indirect=True)
async def test_a_page_may_be_of_a_time(database: Database, reads: Reads, kind: Kind) -> None:
    stored = [await kind.store(database, created_at=NOW + number) for number in range(4)]
    assert await ids(kind, reads, since=NOW + 1, until=NOW + 3) == [stored[2], stored[1]]


def test_every_statement_that_knows_owners_is_tried_here() -> None:
    scoped = {name for name in statements() if "CAST(:owner AS TEXT) IS NULL" in sql_of(run(name))}
    ones = {"task_of_owner", "event", "subscription", "delivery"}
    changes = {"delete_subscription", "pause_subscription", "resume_subscription"}
    of_mounts = {"task_of_mount", "mount_page", "mount_page_oldest_first", "hide_task"}  # test_mounts.py
    replays = {"replay_of_owner", "replays_page"}  # test_replays.py
    hooks = {"hooks_page"}  # test_hooks.py
    expunged = {"expunge_event", "task_to_expunge"}  # test_expunging.py
    lists = {"listed_tasks", "listed_tasks_by_id", "events_of_task_after"}  # test_lists.py, test_feed.py
    assert (
        scoped
        == ones
        | {f"{kind}_page" for kind in KINDS}
        | changes
        | {"usage_totals"}
        | of_mounts
        | lists
        | replays
        | hooks
        | expunged
    )


def test_no_statement_compares_by_like_which_folds_case_on_sqlite_only() -> None:
    assert not [name for name, text in statements().items() if re.search(r"\bI?LIKE\b|\bGLOB\b", text, re.IGNORECASE)]


async def test_a_subscription_is_deleted_by_its_owner_and_the_admin_only(database: Database, reads: Reads) -> None:
    first, second = [await store_subscription(database) for _ in range(2)]
    answers = [
        await database.write(delete_subscription, subscription_id, owner, NOW)
        for subscription_id, owner in ((first, "bob"), (first, "ann"), (first, "ann"), (second, None))
    ]
    assert answers == [False, True, False, True]
    assert await reads.subscriptions(None, Window()) == []


async def test_a_subscription_is_paused_and_resumed_by_its_owner_and_the_admin_only(database: Database) -> None:
    subscription_id = await store_subscription(database)
    for change in (pause_subscription, resume_subscription):
        answers = [await database.write(change, subscription_id, owner, NOW) for owner in ("bob", "ann", None)]
        assert [answer is not None for answer in answers] == [False, True, True]


async def test_somebody_elses_attempt_to_delete_a_subscription_cancels_nothing(
    database: Database, reads: Reads
) -> None:
    dispatch = await stored_delivery(database)
    await database.write(delete_subscription, dispatch.subscription.id, "bob", NOW)
    delivery = await reads.delivery(dispatch.delivery_id, None)
    assert delivery is not None and delivery.status == "pending"


async def test_one_shot_subscriptions_are_not_listed(database: Database, reads: Reads) -> None:
    await store_subscription(database, task_id="task_1")
    assert await reads.subscriptions(None, Window()) == []


async def test_tasks_are_listed_by_status_and_gateway(database: Database, reads: Reads) -> None:
    open_here, open_there = await accepted_task(database), await accepted_task(database, gateway="south")
    over = await settled_task(database, await accepted_task(database))

    async def listed(status: str | None, gateway: str | None) -> list[str]:
        return [task.id for task in await reads.tasks("ann", Window(), status=status, gateway=gateway)]

    assert await listed("queued", None) == [open_there.id, open_here.id]
    assert await listed(None, "north") == [over.id, open_here.id]
    assert await listed("succeeded", "south") == await listed("Queued", None) == []


async def test_events_are_listed_by_task_and_type(database: Database, reads: Reads) -> None:
    running = await store_event(database, task_id="task_1", type="task.running")
    ended = await store_event(database, task_id="task_1")
    other = await store_event(database, task_id="task_2")

    async def listed(task_id: str | None, event_type: str | None) -> list[str]:
        return [event.id for event in await reads.events("ann", Window(), task_id=task_id, event_type=event_type)]

    assert await listed("task_1", None) == [ended, running]
    assert await listed(None, "task.succeeded") == [other, ended]
    assert await listed("task_2", "task.running") == []


async def test_deliveries_are_listed_by_status_event_and_subscription(database: Database, reads: Reads) -> None:
    first, second = [await stored_delivery(database, leased=True) for _ in range(2)]
    await database.write(each, "record_outcome", [an_outcome(first)])

    async def listed(**filters: str) -> list[str]:
        known = {"status": None, "event_id": None, "subscription_id": None} | filters
        return [delivery.id for delivery in await reads.deliveries("ann", Window(), **known)]

    assert await listed(status="delivered") == await listed(event_id=first.event_id) == [first.delivery_id]
    assert await listed(subscription_id=second.subscription.id) == [second.delivery_id]
    assert await listed(status="delivered", event_id=second.event_id) == []


async def test_callbacks_of_one_task_are_paged_newest_first(database: Database, reads: Reads) -> None:
    stored = []
    for number in range(4):
        stored.append(
            Callback(id=fresh_id("cb"), task_id=f"task_{number // 3}", received_at=NOW, outcome="look", body="{}")
        )
        await database.write(insert_callback, stored[-1])
    assert await reads.callbacks("task_0", Window(limit=2)) == [stored[2], stored[1]]
    assert await reads.callbacks("task_0", Window(before=stored[1].id)) == [stored[0]]
