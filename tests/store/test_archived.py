"""Rows of the archive: there before their files, within the room, and its two sums always those of the rows."""

import asyncio
from typing import Any

import pytest

from service.model import Status, Task
from service.store import archived
from service.store.archived import Archived
from service.store.reads import Reads
from service.store.statements import Database
from service.store.tasks import claim_tasks
from tests.store.given import MINUTE, NOW, accepted_task, settled_task, sql, stepped

MOST = 1_000


@pytest.fixture(autouse=True)
async def summed(database: Database) -> Any:
    """Whatever a test does, the sums are those of the rows afterwards."""
    yield
    (sums,) = await database.write(sql, "SELECT bytes, storing FROM archive_room")
    rows = await database.write(sql, "SELECT size, state FROM archived")
    assert sums["bytes"] == sum(row["size"] for row in rows)
    assert sums["storing"] == sum(row["size"] for row in rows if row["state"] == "storing")


async def waiting(database: Database, *, lease: str = "lease_a") -> Task:
    """A task whose result is being archived."""
    task = await accepted_task(database)
    await stepped(database, "await_archive", id=task.id, result="{}", now=NOW)
    return await claimed(database, lease=lease)


async def claimed(database: Database, *, now: int = NOW, lease: str = "lease_b") -> Task:
    until = {"now": now, "until": now + MINUTE, "lease": lease, "limit": 1}
    (task,) = await database.write(claim_tasks, "claim_tasks_to_archive", **until)
    return task


def wanted(size: int = 400, variant: str = "video") -> Archived:
    return Archived(
        variant=variant,
        key="2026-09/x.mp4",
        size=size,
        media_type="video/mp4",
        state="storing",
        expires_at=NOW + 60 * MINUTE,
    )


async def reserve(database: Database, task: Task, size: int = 400, variant: str = "video") -> str:
    return await database.write(archived.reserve, task, wanted(size, variant), MOST, NOW)


async def keep(database: Database, task: Task, size: int, expires_at: int = NOW) -> bool:
    return await database.write(archived.keep, task, "video", size, now=NOW, expires_at=expires_at)


async def rows_of(database: Database, task: Task) -> list[tuple[str, int, str]]:
    return [(row.variant, row.size, row.state) for row in await database.write(archived.of_task, task.id)]


async def expired(reads: Reads, now: int = NOW) -> list[str]:
    return [row["task_id"] for row in await reads.expired_archived(now, 9)]


async def test_room_is_taken_before_the_file_comes_and_fits_it_afterwards(database: Database, reads: Reads) -> None:
    task = await waiting(database)
    assert await reserve(database, task, 900) == "reserved"
    assert (await rows_of(database, task), await reads.archived_size()) == ([("video", 900, "storing")], 900)
    assert await keep(database, task, 300)
    assert (await rows_of(database, task), await reads.archived_size()) == ([("video", 300, "kept")], 300)


async def test_what_fits_beside_no_kept_file_is_full_and_what_may_fit_later_is_crowded(database: Database) -> None:
    one, two = await waiting(database), await waiting(database, lease="lease_c")
    assert await reserve(database, one, 700) == "reserved"
    assert await reserve(database, two, 400) == "crowded"
    assert await keep(database, one, 700)
    assert await reserve(database, two, 400) == "full"
    assert await reserve(database, two, 300) == "reserved"


async def test_those_who_come_at_once_do_not_take_more_than_there_is(
    database: Database, another: Database, reads: Reads
) -> None:
    tasks = [await waiting(database, lease=f"lease_{number}") for number in range(8)]
    found = await asyncio.gather(
        *(reserve((database, another)[number % 2], task, 300) for number, task in enumerate(tasks))
    )
    assert sorted(found) == ["crowded"] * 5 + ["reserved"] * 3
    assert await reads.archived_size() == 900


async def test_a_retry_has_the_room_of_the_try_before(database: Database, reads: Reads) -> None:
    task = await waiting(database)
    assert [await reserve(database, task, 700), await reserve(database, task, 800)] == ["reserved"] * 2
    assert await reads.archived_size() == 800


async def test_what_is_put_off_takes_no_room_and_keeps_its_row(database: Database, reads: Reads) -> None:
    task = await waiting(database)
    await reserve(database, task)
    await database.write(archived.postpone, task, NOW + MINUTE)
    assert (await rows_of(database, task), await reads.archived_size()) == ([("video", 0, "storing")], 0)


async def test_who_has_lost_the_lease_changes_nothing(database: Database) -> None:
    before = await waiting(database)
    await reserve(database, before, 300)
    after = await claimed(database, now=NOW + 2 * MINUTE)
    assert await reserve(database, before, 500) == "lost"
    assert not await keep(database, before, 300)
    await database.write(archived.postpone, before, NOW + MINUTE)
    assert await rows_of(database, after) == [("video", 300, "storing")]


async def test_what_is_kept_is_not_stored_again(database: Database) -> None:
    task = await waiting(database)
    await reserve(database, task)
    assert await keep(database, task, 400)
    assert (await reserve(database, task), await keep(database, task, 500)) == ("lost", False)


async def test_a_task_that_is_over_keeps_nothing_more(database: Database) -> None:
    task = await waiting(database)
    await reserve(database, task)
    await settled_task(database, task, Status.FAILED)
    assert not await keep(database, task, 400)


async def test_what_is_given_up_is_to_be_deleted(database: Database, reads: Reads) -> None:
    task = await waiting(database)
    await reserve(database, task)
    await reserve(database, task, 100, "last_frame")
    await database.write(archived.give_up, task.id, ["last_frame"], NOW)
    assert [row["variant"] for row in await reads.expired_archived(NOW, 9)] == ["last_frame"]


async def test_what_is_forgotten_frees_its_room(database: Database, reads: Reads) -> None:
    task = await waiting(database)
    await reserve(database, task)
    await reserve(database, task, 100, "last_frame")
    await keep(database, task, 300)
    await database.write(archived.give_up, task.id, ["last_frame"], NOW)
    await database.write(archived.forget, await reads.expired_archived(NOW, 9), [], NOW)
    assert (await rows_of(database, task), await reads.archived_size()) == ([], 0)


async def test_what_has_changed_since_it_was_read_is_not_forgotten(database: Database, reads: Reads) -> None:
    task = await waiting(database)
    await reserve(database, task)
    await database.write(archived.give_up, task.id, ["video"], NOW)
    read = await reads.expired_archived(NOW, 9)
    await reserve(database, task, 500)
    await database.write(archived.forget, read, [], NOW)
    assert await rows_of(database, task) == [("video", 500, "storing")]


async def test_what_cannot_be_deleted_comes_up_again_later(database: Database, reads: Reads) -> None:
    task = await waiting(database)
    await reserve(database, task)
    await database.write(archived.give_up, task.id, ["video"], NOW)
    await database.write(archived.forget, [], await reads.expired_archived(NOW, 9), NOW + MINUTE)
    assert (await expired(reads), await expired(reads, NOW + MINUTE)) == ([], [task.id])
