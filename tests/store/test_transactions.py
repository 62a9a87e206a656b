"""What `write` and `read` promise, whatever the statements say."""

import asyncio

import pytest

from service.errors import Problem
from service.store.statements import Database, Rows, Transaction, migrations, run, run_many
from tests.store.conftest import Open
from tests.store.given import BROKEN_RULE, FAILED, current, sql, stored_task

EVERYTHING = [name for name, _ in migrations()]


def note(name: str, value: str) -> Transaction[str]:
    """Store a value, and answer with it as it was read back."""
    yield run("insert_state", name=name, value=value)
    rows = yield run("state", name=name)
    return str(rows[0]["value"])


def note_and_fail(name: str) -> Transaction[None]:
    yield run("insert_state", name=name, value="never")
    raise Problem("conflict", "changed our mind")


def note_and_break_a_rule(name: str) -> Transaction[None]:
    yield run("insert_state", name=name, value="never")
    yield run("INSERT INTO state (name, value) VALUES (:name, :value)", name=name, value="twice")


async def value_of(database: Database, name: str) -> str | None:
    rows: Rows = await database.read("state", name=name)
    return rows[0]["value"] if rows else None


async def test_each_of_many_concurrent_writers_gets_its_own_answer(database: Database, another: Database) -> None:
    writes = [(database, another)[number % 2].write(note, f"n{number}", f"v{number}") for number in range(200)]
    assert await asyncio.gather(*writes) == [f"v{number}" for number in range(200)]


async def test_what_was_written_is_read_at_once_from_anywhere(database: Database, another: Database) -> None:
    await database.write(note, "colour", "grün")
    assert await value_of(another, "colour") == "grün"


@pytest.mark.parametrize(("failing", "error"), [(note_and_fail, Problem), (note_and_break_a_rule, BROKEN_RULE)])
async def test_a_transaction_that_fails_leaves_nothing_behind_and_says_why(database, failing, error) -> None:
    with pytest.raises(error):
        await database.write(failing, "a")
    assert await value_of(database, "a") is None


async def test_the_failure_of_one_is_not_that_of_its_neighbours(database: Database) -> None:
    good = [database.write(note, f"good{number}", "v") for number in range(20)]
    bad = [database.write(note_and_break_a_rule, f"bad{number}") for number in range(20)]
    mixed = [write for pair in zip(good, bad, strict=True) for write in pair]
    answers = await asyncio.gather(*mixed, return_exceptions=True)
    assert answers[::2] == ["v"] * 20
    assert all(isinstance(answer, BROKEN_RULE) for answer in answers[1::2])
    assert [await value_of(database, name) for name in ("good7", "bad7")] == ["v", None]


async def test_a_write_goes_on_when_its_caller_is_cancelled(database: Database) -> None:
    caller = asyncio.create_task(database.write(note, "a", "kept"))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    async with asyncio.timeout(5):
        while await value_of(database, "a") is None:
            await asyncio.sleep(0)


async def test_writers_that_cross_each_other_all_succeed(database: Database, another: Database) -> None:
    tasks = [await stored_task(database) for _ in range(3)]

    def touch(ids: list[str]) -> Transaction[int]:
        for task_id in ids:
            yield run("count_callback", id=task_id)
        return len(ids)

    ids = [task.id for task in tasks]
    writes = [(database, another)[number % 2].write(touch, ids[:: 1 - number % 2 * 2]) for number in range(6)]
    assert await asyncio.gather(*writes) == [3] * 6
    assert [(await current(database, task)).callbacks for task in tasks] == [6] * 3


async def test_an_empty_batch_does_nothing(database: Database) -> None:
    def batch() -> Transaction[Rows]:
        return (yield run_many("insert_state", []))

    assert await database.write(batch) == []


async def test_a_batch_that_fails_leaves_nothing_behind(database: Database) -> None:
    def batch() -> Transaction[Rows]:
        insert = "INSERT INTO state (name, value) VALUES (:name, :value)"
        return (yield run_many(insert, [{"name": name, "value": "v"} for name in "aba"]))

    with pytest.raises(BROKEN_RULE):
        await database.write(batch)
    assert await value_of(database, "b") is None


async def test_a_statement_may_be_given_more_than_it_asks_for(database: Database) -> None:
    assert await database.read("state", name="a", colour="red") == []


async def test_a_statement_that_lacks_a_parameter_fails(database: Database) -> None:
    with pytest.raises((KeyError, *FAILED)):
        await database.read("state")


async def test_an_integer_may_have_63_bits(database: Database) -> None:
    task = await stored_task(database, deadline_at=2**63 - 1)
    assert (await current(database, task)).deadline_at == 2**63 - 1


async def test_a_nul_in_a_text_does_no_harm(database: Database) -> None:
    assert (await database.write(note, "a", "x\x00y")) in ("x\x00y", "x\ufffdy")
    assert await value_of(database, "no such \x00") is None


async def test_a_closed_database_refuses_to_write(database: Database) -> None:
    await database.write(note, "a", "1")
    await database.close()
    with pytest.raises(Exception, match="clos"):
        await database.write(note, "b", "2")


async def test_whatever_was_asked_before_closing_is_done(connect: Open, database: Database) -> None:
    writes = [asyncio.create_task(database.write(note, f"n{number}", "v")) for number in range(20)]
    await asyncio.sleep(0)
    await database.close()
    assert await asyncio.gather(*writes) == ["v"] * 20


async def test_migrating_again_does_nothing(database: Database) -> None:
    await stored_task(database)
    assert await database.migrate() == []
    assert len(await database.write(sql, "SELECT id FROM tasks")) == 1


@pytest.mark.parametrize("place", ["empty"], indirect=True)
async def test_processes_that_migrate_at_once_all_succeed_and_one_does_it(connect: Open) -> None:
    databases = [await connect() for _ in range(4)]
    applied = await asyncio.gather(*(database.migrate() for database in databases))
    assert sorted(applied) == [[], [], [], EVERYTHING]
