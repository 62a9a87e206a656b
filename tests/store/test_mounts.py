"""Tasks as the callers of one compatible API see them: by its mount, by their owner, and not once deleted there."""

from typing import Any

import pytest

from service.model import Task
from service.store.reads import Reads
from service.store.rows import IdempotencyKey
from service.store.statements import Database
from service.store.tasks import find_task, freeze_answer, insert_task, step
from service.wire import dump_text, loads
from tests.store.given import NOW, a_task, accepted_task, settled_task, sql


async def stored(database: Database, **changes: Any) -> str:
    return (await accepted_task(database, **{"mount": "openai"} | changes)).id


async def ended(database: Database) -> str:
    return (await settled_task(database, await accepted_task(database, mount="openai"))).id


async def hide(database: Database, task_id: str, owner: str | None, mount: str = "openai") -> Task | None:
    return await database.write(step, "hide_task", id=task_id, owner=owner, mount=mount, now=NOW)


async def page(reads: Reads, owner: str | None = "ann", **more: Any) -> list[str]:
    asked: dict[str, Any] = {"after": None, "limit": 9, "oldest_first": False}
    return [task.id for task in await reads.tasks_of_mount(owner, "openai", **asked | more)]


async def test_a_task_remembers_where_it_came_in(database: Database) -> None:
    changes: dict[str, Any] = {
        "mount": "front",
        "caller_dialect": "openai",
        "caller_surface": "openai",
        "caller_model": "sora-2",
    }
    task = await accepted_task(database, **changes)
    found = await database.write(find_task, task.id)
    assert {name: getattr(found, name) for name in changes} == changes


@pytest.mark.parametrize(("owner", "found"), [("ann", True), ("bob", False), (None, True)])
async def test_a_mount_shows_a_task_to_its_owner_and_the_admin_only(
    database: Database, reads: Reads, owner: str | None, found: bool
) -> None:
    task_id = await stored(database)
    assert (await reads.task_of_mount(task_id, owner, "openai") is not None) == found


async def test_a_mount_does_not_show_the_tasks_of_another(database: Database, reads: Reads) -> None:
    task_id = await stored(database)
    assert await reads.task_of_mount(task_id, "ann", "north") is None


async def test_a_task_of_the_native_api_is_seen_by_the_api_of_its_gateway(database: Database, reads: Reads) -> None:
    task = await accepted_task(database)
    assert await reads.task_of_mount(task.id, "ann", "north") is not None


async def test_a_list_is_newest_first_and_goes_on_after_an_id(database: Database, reads: Reads) -> None:
    ids = [await stored(database) for _ in range(4)]
    seen = await page(reads, limit=2)
    assert seen + await page(reads, after=seen[-1]) == ids[::-1]


async def test_a_list_may_be_oldest_first(database: Database, reads: Reads) -> None:
    ids = [await stored(database) for _ in range(4)]
    seen = await page(reads, limit=3, oldest_first=True)
    assert seen + await page(reads, after=seen[-1], oldest_first=True) == ids


@pytest.mark.parametrize("oldest_first", [False, True])
async def test_a_list_holds_an_owners_own_and_for_the_admin_everybodys(
    database: Database, reads: Reads, oldest_first: bool
) -> None:
    anns, bobs = await stored(database), await stored(database, owner="bob")
    await stored(database, mount="elsewhere")
    lists = [await page(reads, owner, oldest_first=oldest_first) for owner in ("ann", "bob", "eve", None)]
    assert [sorted(each) for each in lists] == [[anns], [bobs], [], sorted([anns, bobs])]


async def test_a_deleted_task_is_gone_from_its_mount(database: Database, reads: Reads) -> None:
    task_id = await ended(database)
    await hide(database, task_id, "ann")
    assert (await reads.task_of_mount(task_id, "ann", "openai"), await page(reads)) == (None, [])


async def test_a_deleted_task_is_still_there_for_the_native_api(database: Database, reads: Reads) -> None:
    task_id = await ended(database)
    await hide(database, task_id, "ann")
    assert await reads.task(task_id, "ann") is not None


@pytest.mark.parametrize(("owner", "mount"), [("bob", "openai"), ("ann", "north")])
async def test_nobody_else_and_nowhere_else_deletes_it(
    database: Database, reads: Reads, owner: str, mount: str
) -> None:
    task_id = await ended(database)
    assert await hide(database, task_id, owner, mount) is None
    assert await page(reads) == [task_id]


async def test_a_task_that_is_not_over_cannot_be_deleted(database: Database) -> None:
    assert await hide(database, await stored(database), "ann") is None


async def test_a_task_is_deleted_once(database: Database) -> None:
    task_id = await ended(database)
    assert [await hide(database, task_id, "ann") is not None for _ in range(2)] == [True, False]


async def test_an_answer_that_was_kept_before_there_were_mounts_is_still_given(database: Database) -> None:
    task, key = a_task(), IdempotencyKey(key="k", fingerprint="f")
    await database.write(insert_task, task, key, None)
    await database.write(freeze_answer, task)
    (row,) = await database.read("idempotency_key", owner="ann", key="k")
    older = {name: value for name, value in loads(row["answer"]).items() if not name.startswith(("mount", "caller_"))}
    await database.write(sql, "UPDATE idempotency_keys SET answer = :answer", answer=dump_text(older))
    replay = await database.write(insert_task, a_task(), key, None)
    assert replay is not None
    assert replay.answer == task
