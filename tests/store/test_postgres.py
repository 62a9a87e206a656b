"""What is PostgreSQL's own: connecting, deadlocks, locks."""

import sys
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import pytest

from service.errors import SettingsError
from service.settings import Settings
from service.store.postgres import TIMES_BEGUN, PostgresDatabase, translate
from service.store.statements import Database, Transaction, run, statements
from service.store.telling import add_subscription
from service.wiring import open_database
from tests.postgres import Cluster
from tests.store.given import a_subscription, sql

DEADLOCK = "DO $$ BEGIN RAISE deadlock_detected; END $$"


@pytest.fixture
def engine() -> str:
    return "postgres"


async def refusal(url: str) -> str:
    with pytest.raises(SettingsError) as caught:
        async with open_database(Settings(database=url)):
            pass
    return str(caught.value)


# --- connecting


async def test_the_service_opens_a_postgresql_url_and_migrates_it(empty_postgres_url: str) -> None:
    for _ in range(2):
        async with open_database(Settings(database=empty_postgres_url)) as database:
            assert await database.read("state", name="secret_key") == []


async def test_a_wrong_password_is_said_without_saying_it(postgres_cluster: Cluster) -> None:
    url = postgres_cluster.url("postgres", "guarded:s3same")
    message = await refusal(url)
    assert "password" in message and "guarded" in message
    assert "s3same" not in message


async def test_the_right_password_opens_the_door(postgres_cluster: Cluster) -> None:
    database = await PostgresDatabase.open(postgres_cluster.url("postgres", "guarded:open%20sesame"))
    await database.close()


async def test_a_database_that_does_not_exist_is_named(postgres_cluster: Cluster) -> None:
    assert '"nowhere" does not exist' in await refusal(postgres_cluster.url("nowhere"))


async def test_a_server_that_is_not_there_is_said_without_the_password(tmp_path: Path) -> None:
    message = await refusal(f"postgresql://ann:s3same@/reelhook?host={tmp_path}")
    assert message.startswith("database: PostgreSQL cannot be used: ")
    assert "s3same" not in message


@pytest.mark.parametrize("url", ["postgresql://ann:s3/same@localhost/db", "postgres://ann:s3same@localhost:port/db"])
async def test_a_url_that_cannot_be_read_is_said_without_any_of_it(url: str) -> None:
    message = await refusal(url)
    assert "cannot be read" in message
    assert "s3" not in message


async def test_without_asyncpg_the_way_to_install_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "service.store.postgres")
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    assert "pip install 'reelhook[postgres]'" in await refusal("postgresql://localhost/db")


# --- transactions


async def test_a_transaction_that_met_a_deadlock_is_begun_again(database: Database) -> None:
    begun: list[int] = []

    def unlucky_twice() -> Transaction[str]:
        begun.append(len(begun))
        yield run("insert_state", name=f"n{len(begun)}", value="v")
        if len(begun) < 3:
            yield run(DEADLOCK)
        return "done"

    assert await database.write(unlucky_twice) == "done"
    assert await database.write(sql, "SELECT name FROM state") == [{"name": "n3"}]


async def test_a_transaction_that_always_meets_a_deadlock_is_given_up(database: Database) -> None:
    begun: list[int] = []

    def unlucky() -> Transaction[None]:
        begun.append(1)
        yield run(DEADLOCK)

    with pytest.raises(asyncpg.DeadlockDetectedError):
        await database.write(unlucky)
    assert len(begun) == TIMES_BEGUN


async def test_a_statement_whose_table_was_changed_by_a_newer_version_is_prepared_again(
    database: Database, another: Database
) -> None:
    for _ in range(2):
        await database.write(sql, "task", id="task_1")
    await another.write(sql, "ALTER TABLE tasks ADD COLUMN colour TEXT")
    assert await database.write(sql, "task", id="task_1") == []


async def test_a_subscription_stays_while_it_is_being_told_something(database: Database, postgres_url: str) -> None:
    subscription = a_subscription()
    await database.write(add_subscription, subscription)
    teller = await asyncpg.connect(postgres_url)
    async with teller.transaction():
        telling = translate(statements()["subscriptions_to_tell"])
        assert await teller.fetch(telling.sql, *telling.values({"ids": subscription.id}))

        def delete() -> Transaction[None]:
            yield run("SET LOCAL lock_timeout = '20ms'")
            yield run("delete_subscription", id=subscription.id, owner=None)

        with pytest.raises(asyncpg.LockNotAvailableError):
            await database.write(delete)
    await teller.close()


async def test_a_session_that_is_idle_in_a_transaction_is_ended_by_the_server(database: Database) -> None:
    for _ in range(3):
        shown = await database.write(sql, "SHOW idle_in_transaction_session_timeout")
        assert shown == [{"idle_in_transaction_session_timeout": "30s"}]
