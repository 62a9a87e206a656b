"""Hooks by their URL, and the latest events of an owner."""

from service.store.hooks import hooks_page, latest_events
from service.store.rows import Window
from service.store.statements import Database, Transaction
from service.store.telling import add_subscription, insert_event
from tests.store.given import a_subscription, an_event, fresh_id


async def test_hooks_are_found_by_their_owner_and_exact_url(database: Database) -> None:
    mine = a_subscription(made_by="hook", url="https://example.com/a?x=%25_1")
    others = [
        a_subscription(made_by="hook", url="https://example.com/a?x=%25_2"),
        a_subscription(made_by="hook", url=mine.url, owner="bob"),
        a_subscription(made_by="api", url=mine.url),
        a_subscription(made_by="hook", url=mine.url.upper()),
    ]
    for subscription in (mine, *others):
        await database.write(add_subscription, subscription)
    assert await hooks_page(database, "ann", Window(), mine.url) == [mine]
    assert len(await hooks_page(database, "ann", Window(), None)) == 3
    assert len(await hooks_page(database, None, Window(), mine.url)) == 2


async def test_samples_are_not_searched_for_without_end(database: Database) -> None:
    def store() -> Transaction[None]:
        for number in range(101):
            yield from insert_event(an_event(task_id=fresh_id("task"), body="{}" if number == 0 else ""))

    await database.write(store)
    assert await latest_events(database, "ann", ("task.succeeded",), 3) == []


async def test_the_latest_events_are_the_newest_of_all_types_asked_for(database: Database) -> None:
    told = [
        an_event(task_id=f"task_{number}", type=f"task.{end}") for number, end in enumerate(["failed", "expired"] * 3)
    ]
    for event in told:
        await database.write(insert_event, event)
    found = await latest_events(database, "ann", ("task.failed", "task.expired", "task.running"), 4)
    assert [event.id for event in found] == [event.id for event in told[:1:-1]]


async def test_tests_expunged_and_other_owners_events_are_left_out(database: Database) -> None:
    for change in ({"test": 1}, {"body": ""}, {"owner": "bob"}, {"type": "task.failed"}):
        await database.write(insert_event, an_event(**{"task_id": None} | change))
    assert await latest_events(database, "ann", ("task.succeeded",), 3) == []
