"""Creates whose callers have not been answered: who comes back gets the task that there is."""

import asyncio
from typing import Any

from service.model import Task
from service.store.rows import Repeat, Repeatable
from service.store.statements import Database
from service.store.tasks import insert_task
from tests.store.given import NOW, a_task, each, sql


async def created(database: Database, since: int = 0, fingerprint: str = "same", **changes: Any) -> Task | Repeat:
    """The new task, or the one that it is a repetition of."""
    task = a_task(**changes)
    replay = await database.write(insert_task, task, None, None, Repeatable(fingerprint=fingerprint, since=since))
    return replay or task


async def gone(database: Database, task: Task | Repeat, at: int = NOW) -> None:
    assert isinstance(task, Task)
    await database.write(each, "note_gone", [{"task_id": task.id, "now": at}])


async def test_the_same_create_of_a_caller_who_waits_is_another_one(database: Database) -> None:
    assert isinstance(await created(database), Task)
    assert isinstance(await created(database), Task)


async def test_the_same_create_of_a_caller_who_is_gone_is_his(database: Database) -> None:
    task = await created(database)
    await gone(database, task)
    assert isinstance(task, Task)
    assert await created(database) == Repeat(task_id=task.id, fingerprint="same", answer=None)


async def test_what_was_taken_over_is_not_taken_twice(database: Database) -> None:
    await gone(database, await created(database))
    assert [type(await created(database)) for _ in range(2)] == [Repeat, Task]


async def test_two_who_come_back_at_once_take_two(database: Database, another: Database) -> None:
    await gone(database, await created(database))
    found = await asyncio.gather(*(created((database, another)[number % 2]) for number in range(6)))
    assert sum(isinstance(one, Repeat) for one in found) == 1


async def test_another_owner_and_another_create_are_others(database: Database) -> None:
    await gone(database, await created(database))
    assert isinstance(await created(database, owner="bob"), Task)
    assert isinstance(await created(database, fingerprint="other"), Task)


async def test_who_went_away_too_long_ago_is_another(database: Database) -> None:
    await gone(database, await created(database), at=NOW)
    assert isinstance(await created(database, since=NOW + 1), Task)
    assert isinstance(await created(database, since=NOW), Repeat)


async def test_the_oldest_is_taken_first(database: Database) -> None:
    first, second = await created(database), await created(database)
    for task in (second, first):
        await gone(database, task)
    found = await created(database)
    assert (isinstance(found, Repeat) and found.task_id) == (isinstance(first, Task) and first.id)


async def test_whoever_waits_is_gone_when_all_are(database: Database) -> None:
    await created(database)
    await database.write(each, "note_all_gone", [{"now": NOW}])
    assert isinstance(await created(database), Repeat)


async def test_what_was_answered_is_forgotten_and_the_old_is_pruned(database: Database) -> None:
    task = await created(database)
    assert isinstance(task, Task)
    await created(database, created_at=NOW - 10)
    await database.write(each, "prune_unanswered", [{"before": NOW}])
    assert len(await database.write(sql, "SELECT task_id FROM unanswered_creates")) == 1
    await database.write(each, "forget_unanswered", [{"task_id": task.id}])
    assert await database.write(sql, "SELECT task_id FROM unanswered_creates") == []
