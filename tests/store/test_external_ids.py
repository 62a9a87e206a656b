"""The caller's own name of a task, and the tasks that try another one again: both are found by an index."""

import pytest

from service.model import VideoRequest
from service.store.reads import Reads
from service.store.rows import Window
from service.store.sqlite import _narrowed
from service.store.statements import Database, statements
from tests.store.given import NOW, accepted_task, current, fresh_id, sql


def named(external_id: str | None) -> VideoRequest:
    return VideoRequest(model="seedance-2", prompt="a cat", external_id=external_id)


async def found(reads: Reads, owner: str | None, external_id: str, limit: int = 50) -> list[str]:
    tasks = await reads.tasks(owner, Window(limit=limit), status=None, gateway=None, external_id=external_id)
    return [task.id for task in tasks]


async def test_tasks_are_found_by_their_external_id_newest_first(database: Database, reads: Reads) -> None:
    first, second = [await accepted_task(database, request=named("Order 17 ü")) for _ in range(2)]
    for other in ("order 17 ü", "Order 17", None):
        await accepted_task(database, request=named(other))
    assert await found(reads, "ann", "Order 17 ü") == [second.id, first.id]
    assert await found(reads, "ann", "Order 17 ü", limit=1) == [second.id]


async def test_an_external_id_belongs_to_its_owner(database: Database, reads: Reads) -> None:
    anns = await accepted_task(database, request=named("17"))
    bobs = await accepted_task(database, request=named("17"), owner="bob")
    assert [await found(reads, owner, "17") for owner in ("ann", "bob", "eve", None)] == [
        [anns.id],
        [bobs.id],
        [],
        [bobs.id, anns.id],
    ]


async def test_an_external_id_is_read_back(database: Database) -> None:
    task = await accepted_task(database, request=named("17"))
    assert (await current(database, task)).request.external_id == "17"


async def test_the_newest_retry_of_a_task_is_found_by_its_owner(database: Database, reads: Reads) -> None:
    task = await accepted_task(database)
    assert await reads.retry_of(task) is None
    await accepted_task(database, retry_of=task.id, attempt=2)
    newest = await accepted_task(database, retry_of=task.id, attempt=2)
    await accepted_task(database, retry_of=fresh_id("task"), attempt=2)
    await accepted_task(database, retry_of=task.id, attempt=2, owner="bob")
    known = await reads.retry_of(task)
    assert known is not None and (known.id, known.attempt, known.retry_of) == (newest.id, 2, task.id)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize("owner", ["ann", None])
async def test_an_external_id_is_looked_up_by_its_index(database: Database, owner: str | None) -> None:
    params = {"owner": owner, "external_id": "17"}
    text = _narrowed("tasks_page", frozenset(name for name, value in params.items() if value))
    plan = await database.write(sql, f"EXPLAIN QUERY PLAN {text}", **params, since=0, until=NOW, before="~", limit=1)
    assert any("USING INDEX tasks_by_external_id (external_id=?" in step["detail"] for step in plan)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_a_retry_is_looked_up_by_its_index(database: Database) -> None:
    plan = await database.write(sql, f"EXPLAIN QUERY PLAN {statements()['retry_of_task']}", id="task_1", owner="ann")
    assert any("USING INDEX tasks_by_retry (retry_of=? AND owner=?" in step["detail"] for step in plan)
