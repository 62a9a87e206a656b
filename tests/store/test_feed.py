"""The feed of an owner: in the order of commits, page by page, and how those who wait hear of more."""

import asyncio
from typing import Any, cast

from service.feed import Feed
from service.model import Event
from service.settings import StreamSettings
from service.store.reads import Reads
from service.store.statements import Database, Rows, Transaction
from service.store.telling import insert_event
from tests.store.given import an_event, fresh_id, sql

PATIENCE_S = 10


async def stored(database: Database, **changes: object) -> Event:
    event = an_event(**{"task_id": fresh_id("task")} | changes)
    assert await database.write(insert_event, event)
    return event


def many(count: int) -> Transaction[None]:
    for _ in range(count):
        yield from insert_event(an_event(task_id=fresh_id("task")))


def succeeded(event: Event) -> bool:
    return event.type == "task.succeeded"


def feed_of(reads: Reads) -> Feed:
    return Feed(reads, StreamSettings())


async def test_the_events_of_a_task_are_read_from_a_number_on(database: Database, reads: Reads) -> None:
    first = await stored(database, type="task.accepted", task_id="task_1")
    await stored(database)
    last = await stored(database, type="task.failed", task_id="task_1")
    found = [await reads.events_after("ann", after, 10, task_id="task_1") for after in (0, 1, 3)]
    assert [[event.id for event in events] for events in found] == [[first.id, last.id], [last.id], []]


async def test_the_events_of_a_task_are_shown_to_its_owner_alone(database: Database, reads: Reads) -> None:
    await stored(database, task_id="task_1")
    assert await reads.events_after("bob", 0, 10, task_id="task_1") == []


async def test_what_was_expunged_is_passed_over(database: Database, reads: Reads) -> None:
    gone, kept = await stored(database, task_id="task_1"), await stored(database)
    await database.write(sql, "UPDATE events SET body = '' WHERE id = :id", id=gone.id)
    assert [event.id for event in await reads.events_after("ann", 0, 10)] == [kept.id]
    assert await reads.events_after("ann", 0, 10, task_id="task_1") == []


async def test_no_read_of_a_feed_is_long_however_much_of_it_was_expunged(database: Database) -> None:
    await database.write(many, 250)
    await database.write(sql, "UPDATE events SET body = ''")
    kept = await stored(database)
    asked: list[int] = []

    class Watched:
        async def read(self, name: str, /, **params: Any) -> Rows:
            rows = await database.read(name, **params)
            asked.append(len(rows))
            return rows

    found = await Reads(cast(Database, Watched())).events_after("ann", 0, 10)
    assert [event.id for event in found] == [kept.id]
    assert sum(asked) == 251 and max(asked) <= 100


async def test_a_feed_without_events_ends_at_nothing(database: Database, reads: Reads) -> None:
    assert await reads.last_in_feed("ann") == 0


async def test_a_puller_misses_and_repeats_nothing_while_others_commit(
    database: Database, another: Database, reads: Reads
) -> None:
    feed, pulled, after = feed_of(reads), [], 0
    writing = asyncio.gather(*(stored(writer) for writer in [database, another] * 20))
    while not writing.done() or (await feed.after("ann", after, 1)).events:
        page = await feed.after("ann", after, 3)
        pulled += [event.id for event in page.events]
        after = page.next_after
    assert sorted(pulled) == sorted(event.id for event in await writing)


async def test_what_is_not_wanted_is_behind_the_cursor(database: Database, reads: Reads) -> None:
    await stored(database, type="task.failed")
    wanted = await stored(database, type="task.succeeded")
    await stored(database, type="task.failed")
    page = await feed_of(reads).after("ann", 0, 10, succeeded)
    assert ([event.id for event in page.events], page.next_after, page.more) == ([wanted.id], 3, False)


async def test_what_is_told_no_more_is_behind_the_cursor(database: Database, reads: Reads) -> None:
    await stored(database)
    gone = await stored(database)
    await database.write(sql, "UPDATE events SET body = '' WHERE id = :id", id=gone.id)
    assert (await feed_of(reads).after("ann", 0, 10)).next_after == 2


async def test_the_events_of_other_tasks_are_behind_the_cursor(database: Database, reads: Reads) -> None:
    await stored(database, task_id="task_1")
    await stored(database)
    page = await feed_of(reads).after("ann", 0, 10, task_id="task_1")
    assert ([event.seq for event in page.events], page.next_after, page.more) == ([1], 2, False)


async def test_a_full_page_ends_at_its_last_event(database: Database, reads: Reads) -> None:
    for _ in range(3):
        await stored(database)
    page = await feed_of(reads).after("ann", 0, 2)
    assert (page.next_after, page.more) == (2, True)


async def test_a_page_that_is_just_full_has_nothing_behind_it(database: Database, reads: Reads) -> None:
    for _ in range(2):
        await stored(database)
    page = await feed_of(reads).after("ann", 0, 2, lambda event: True)
    assert (page.next_after, page.more) == (2, False)


async def test_a_long_search_ends_early_and_goes_on_from_there(database: Database, reads: Reads) -> None:
    await database.write(many, 2_010)
    feed = feed_of(reads)
    first = await feed.after("ann", 0, 10, lambda event: event.seq > 2_005)
    second = await feed.after("ann", first.next_after, 10, lambda event: event.seq > 2_005)
    assert (first.events, first.next_after, first.more) == ([], 2_000, True)
    assert [event.seq for event in second.events] == [2_006, 2_007, 2_008, 2_009, 2_010]


async def test_whoever_waits_hears_of_what_another_process_has_committed(
    database: Database, another: Database, reads: Reads
) -> None:
    with feed_of(reads).watching("ann") as watch:
        await watch.wait(PATIENCE_S * 1000)  # the first time he is woken in any case
        watch.begin()
        await stored(another)
        async with asyncio.timeout(PATIENCE_S):
            await watch.wait(2 * PATIENCE_S * 1000)


async def test_whoever_waits_hears_nothing_of_other_owners(database: Database, reads: Reads) -> None:
    feed = feed_of(reads)
    with feed.watching("ann") as ann, feed.watching("bob") as bob:
        for watch in (ann, bob):
            await watch.wait(PATIENCE_S * 1000)
            watch.begin()
        await stored(database, owner="bob")
        await bob.wait(PATIENCE_S * 1000)
        assert not ann.woken
