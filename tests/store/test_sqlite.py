"""What is SQLite's own: one file, one writer, shared commits."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from service.errors import SettingsError
from service.store.postgres import translate
from service.store.sqlite import SqliteDatabase, _narrowed
from service.store.statements import Database, Transaction, run, statements
from tests.store.conftest import Open
from tests.store.given import BROKEN_RULE, sql


@pytest.fixture
def engine() -> str:
    return "sqlite"


async def names(database: Database) -> set[str]:
    return {row["name"] for row in await database.write(sql, "SELECT name FROM state")}


async def test_a_commit_is_on_disk(database: Database) -> None:
    assert await database.write(sql, "PRAGMA synchronous") == [{"synchronous": 2}]
    assert await database.write(sql, "PRAGMA journal_mode") == [{"journal_mode": "wal"}]


@pytest.mark.parametrize("table", ["tasks", "events", "deliveries"])
async def test_a_page_of_one_owner_is_read_through_the_owners_index(database: Database, table: str) -> None:
    text = _narrowed(f"{table}_page", frozenset({"owner"}))
    params = {"owner": "ann", "since": 0, "until": 1, "before": "~", "limit": 1}
    [plan] = await database.write(sql, f"EXPLAIN QUERY PLAN {text}", **params)
    assert f"USING INDEX {table}_of_owner (owner=?" in plan["detail"]


async def test_a_list_of_one_owner_is_read_through_the_owners_index(database: Database) -> None:
    text = _narrowed("listed_tasks", frozenset({"owner", "service_tier"}))
    params = {"owner": "ann", "mount": "ark", "service_tier": "default", "since": 0, "first": "task_0"}
    plan = await database.write(sql, f"EXPLAIN QUERY PLAN {text}", **params, limit=1, offset=0)
    assert any("USING INDEX tasks_of_owner (owner=? AND id>?" in row["detail"] for row in plan)


async def test_pending_tasks_of_an_owner_are_counted_by_an_index_of_their_own(database: Database) -> None:
    text = statements()["count_pending"]
    plan = await database.write(sql, f"EXPLAIN QUERY PLAN {text}", owner="ann", most=3)
    assert any("tasks_pending (owner=?" in step["detail"] for step in plan)


async def test_an_event_reads_only_subscriptions_that_may_want_it(database: Database) -> None:
    text = f"EXPLAIN QUERY PLAN {statements()['subscriptions_to_match']}"
    plan = [step["detail"] for step in await database.write(sql, text, owner="ann", task_id="task_1")]
    assert [step.partition("USING INDEX ")[2] for step in plan if "subscriptions" in step] == [
        "subscriptions_of_owner (owner=? AND id>?)",
        "subscriptions_of_task (task_id=?)",
        "subscriptions_of_everyone",
    ]


@pytest.mark.parametrize("name", ["release_deliveries", "cancel_deliveries"])
async def test_what_waits_for_a_subscription_is_found_in_the_order_in_which_it_is_due(
    database: Database, name: str
) -> None:
    params = {"subscription_id": "sub_1", "at": 0, "now": 0, "reason": "so", "limit": 1}
    text = statements()[name]
    plan = await database.write(
        sql, f"EXPLAIN QUERY PLAN {text}", **{key: params[key] for key in translate(text).names}
    )
    assert any("deliveries_pending (subscription_id=? AND next_at>?)" in step["detail"] for step in plan)
    assert not any("TEMP B-TREE" in step["detail"] for step in plan)


def test_every_filter_that_may_be_left_out_is_written_so_that_it_can_be() -> None:
    assert not [name for name in statements() if "AS TEXT) IS NULL" in _narrowed(name, frozenset())]


async def test_parts_of_one_shared_commit_fail_and_succeed_on_their_own(database: Database) -> None:
    """The first part keeps the writer busy until the others stand in line: they share the next commit."""
    gate = threading.Event()

    def wait() -> Transaction[None]:
        gate.wait()
        yield run("insert_state", name="first", value="v")

    def insert(name: str) -> Transaction[None]:
        yield run("INSERT INTO state (name, value) VALUES (:name, 'v')", name=name)

    first = asyncio.create_task(database.write(wait))
    rest = [asyncio.create_task(database.write(insert, name)) for name in ("a", "b", "a", "c")]
    await asyncio.sleep(0)
    gate.set()
    answers = await asyncio.gather(first, *rest, return_exceptions=True)
    assert [isinstance(answer, BROKEN_RULE) for answer in answers] == [False, False, False, True, False]
    assert await names(database) == {"first", "a", "b", "c"}


async def test_what_a_killed_process_had_acknowledged_is_in_the_file(connect: Open, place: str) -> None:
    command = [sys.executable, "-m", "tests.store.commit_for_ever", place]
    with subprocess.Popen(  # noqa: ASYNC220 - there is nothing else to wait for
        command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().strip() for _ in range(300)]
        process.kill()
        acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
    assert "" not in acknowledged, "it ended by itself"
    assert set(acknowledged) <= await names(await connect())


@pytest.mark.parametrize("content", [None, b"this is no database" * 100])
async def test_a_path_that_is_no_database_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "odd"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(SettingsError, match="odd"):
        await SqliteDatabase.open(path)


async def test_the_folder_of_the_file_is_made(tmp_path: Path) -> None:
    database = await SqliteDatabase.open(tmp_path / "a" / "b c?#.db")
    await database.migrate()
    assert await database.read("keys") == []
    await database.close()
