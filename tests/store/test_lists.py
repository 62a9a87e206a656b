"""Lists of tasks as a gateway's own API shows them: by page number, with a total and filters."""

from typing import Any

import pytest

from service.model import ListQuery, Status, VideoRequest
from service.store.reads import Reads
from service.store.statements import Database
from service.store.tasks import step
from tests.store.given import NOW, accepted_task, settled_task, stored_task

FLEX = VideoRequest(model="seedance-2", prompt="x", service_tier="flex")


async def listed(reads: Reads, owner: str | None = "ann", mount: str = "north", **query: Any) -> tuple[int, list[str]]:
    total, tasks = await reads.listed(owner, mount, ListQuery(**{"offset": 0, "limit": 20} | query), since=0)
    return total, [task.id for task in tasks]


async def test_a_list_is_newest_first_and_says_how_many_there_are(database: Database, reads: Reads) -> None:
    stored = [(await stored_task(database)).id for _ in range(5)]
    assert await listed(reads, limit=2) == (5, stored[:2:-1])
    assert await listed(reads, limit=2, offset=4) == (5, stored[:1])


async def test_a_page_past_the_end_still_says_how_many_there_are(database: Database, reads: Reads) -> None:
    await stored_task(database)
    assert await listed(reads, offset=20) == (1, [])


async def test_a_list_shows_an_owner_only_what_is_theirs_and_the_admin_everything(
    database: Database, reads: Reads
) -> None:
    anns, bobs = await stored_task(database), await stored_task(database, owner="bob")
    ids = (anns.id, bobs.id)
    queries: list[dict[str, Any]] = [{}, {"ids": ids}]
    for query in queries:
        assert [await listed(reads, owner, **query) for owner in ("ann", "bob", "eve", None)] == [
            (1, [anns.id]),
            (1, [bobs.id]),
            (0, []),
            (2, [bobs.id, anns.id]),
        ]


async def test_a_list_is_of_one_gateway(database: Database, reads: Reads) -> None:
    north, south = await stored_task(database), await stored_task(database, gateway="south")
    assert await listed(reads, mount="south", ids=(north.id, south.id)) == await listed(reads, mount="south")
    assert await listed(reads) == (1, [north.id])


@pytest.mark.parametrize(
    ("query", "index"),
    [({"status": Status.SUCCEEDED}, 0), ({"service_tier": "flex"}, 1), ({"model": "other"}, 2)],
    ids=str,
)
async def test_a_list_may_be_of_a_status_a_tier_or_a_model(
    database: Database, reads: Reads, query: dict[str, Any], index: int
) -> None:
    stored = [
        await settled_task(database, await accepted_task(database)),
        await stored_task(database, request=FLEX),
        await stored_task(database, request=VideoRequest(model="other", prompt="x")),
    ]
    ids = tuple(task.id for task in stored)
    assert await listed(reads, **query) == await listed(reads, ids=ids, **query) == (1, [ids[index]])


async def test_a_list_by_ids_shows_those_only_and_each_once(database: Database, reads: Reads) -> None:
    stored = [(await stored_task(database)).id for _ in range(4)]
    asked = (stored[0], stored[2], stored[2], "task_nothing", "", "x" * 40)
    assert await listed(reads, ids=asked) == (2, [stored[2], stored[0]])
    assert await listed(reads, ids=("task_nothing",)) == (0, [])


async def test_a_list_by_many_ids_finds_all_of_them(database: Database, reads: Reads) -> None:
    stored = [(await stored_task(database)).id for _ in range(60)]
    assert await listed(reads, ids=tuple(stored), limit=500) == (60, stored[::-1])


async def test_what_is_too_old_is_not_listed(database: Database, reads: Reads) -> None:
    await stored_task(database)
    assert await reads.listed("ann", "north", ListQuery(offset=0, limit=20), since=NOW + 1) == (0, [])


# --- deleted by the caller


async def hidden(database: Database, task_id: str, owner: str | None = "ann", mount: str = "north") -> bool:
    return await database.write(step, "hide_task", id=task_id, owner=owner, mount=mount, now=NOW) is not None


async def test_what_is_deleted_is_in_no_list_and_not_found_by_its_gateways_api(
    database: Database, reads: Reads
) -> None:
    task = await settled_task(database, await accepted_task(database))
    assert await reads.task_of_mount(task.id, "ann", "north") is not None
    assert await hidden(database, task.id)
    assert await listed(reads) == await listed(reads, ids=(task.id,)) == (0, [])
    assert await reads.task_of_mount(task.id, "ann", "north") is None
    assert await reads.task(task.id, "ann") is not None


async def test_a_record_is_deleted_once_by_its_owner_or_the_admin_on_its_own_gateway(database: Database) -> None:
    for who in ("ann", None):
        task = await settled_task(database, await accepted_task(database))
        assert not await hidden(database, task.id, "bob")
        assert not await hidden(database, task.id, who, "south")
        assert [await hidden(database, task.id, who) for _ in range(2)] == [True, False]


async def test_what_is_not_over_is_not_deleted(database: Database) -> None:
    assert not await hidden(database, (await accepted_task(database)).id)


async def test_one_is_found_on_its_own_gateway_by_its_owner_and_the_admin(database: Database, reads: Reads) -> None:
    task = await stored_task(database)
    found = [
        await reads.task_of_mount(task.id, owner, mount)
        for owner, mount in (("ann", "north"), (None, "north"), ("bob", "north"), ("ann", "south"))
    ]
    assert [one is not None for one in found] == [True, True, False, False]
