"""The same tests over both databases: `database` is one of each, `another` a second one on the same data."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from service.store.postgres import PostgresDatabase
from service.store.reads import Reads
from service.store.sqlite import SqliteDatabase
from service.store.statements import Database

Open = Callable[[], Awaitable[Database]]


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the data is: a file's path, or the URL of a fresh database. param "empty": it was never migrated."""
    if engine == "sqlite":
        return str(tmp_path / "reelhook.db")
    return str(request.getfixturevalue("empty_postgres_url" if hasattr(request, "param") else "postgres_url"))


@pytest.fixture
async def connect(place: str) -> AsyncIterator[Open]:
    """Opens the data once more, as another process does."""
    opened: list[Database] = []

    async def connect() -> Database:
        postgres = place.startswith("postgresql://")
        database: Database = await PostgresDatabase.open(place) if postgres else await SqliteDatabase.open(Path(place))
        opened.append(database)
        return database

    yield connect
    for database in opened:
        await database.close()


@pytest.fixture
async def database(connect: Open) -> Database:
    database = await connect()
    await database.migrate()
    return database


@pytest.fixture
async def another(database: Database, connect: Open) -> Database:
    return await connect()


@pytest.fixture
def reads(database: Database) -> Reads:
    return Reads(database)
