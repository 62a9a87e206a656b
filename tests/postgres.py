"""A PostgreSQL for the tests: one throw-away cluster for the session, one fresh, migrated database for each test.

`postgres_url` is the fixture to ask for. Without PostgreSQL on this machine its tests are skipped, or fail when
REQUIRE_POSTGRES=1.
"""

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import pytest

from service.store.postgres import PostgresDatabase

NOT_FOUND = "PostgreSQL is not installed: no initdb on PATH or in /usr/lib/postgresql/*/bin"
TEMPLATE = "reelhook_template"
# It need not survive a crash. deadlock_timeout: how long two transactions wait before one of them is told.
SETTINGS = """
listen_addresses = ''
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 60
deadlock_timeout = 50ms
"""
# `guarded` is the one role that needs its password.
ADMISSION = """
local all guarded scram-sha-256
local all all trust
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running server that listens on a socket in `folder` only."""

    folder: Path
    numbers: Iterator[int] = field(default_factory=count)

    def url(self, database: str, user: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={self.folder}"

    async def run(self, *statements: str) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def prepare(self) -> None:
        """The template has the order of a language, as many a server's databases do: it must not matter."""
        await self.run(
            "CREATE ROLE guarded LOGIN PASSWORD 'open sesame'",
            f"CREATE DATABASE {TEMPLATE} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en'",
        )
        database = await PostgresDatabase.open(self.url(TEMPLATE))
        await database.migrate()
        await database.close()


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Cluster]:
    binaries = find_binaries()
    if binaries is None:
        if os.environ.get("REQUIRE_POSTGRES") == "1":
            pytest.fail(NOT_FOUND)
        pytest.skip(NOT_FOUND)
    with started(binaries) as cluster:
        # a loop of its own, which does not take the place of the one that pytest-asyncio gives to each test
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            runner.run(cluster.prepare())
        yield cluster


@pytest.fixture
async def postgres_url(postgres_cluster: Cluster) -> AsyncIterator[str]:
    """The URL of a database that has the tables and no rows."""
    name = f"test_{next(postgres_cluster.numbers)}"
    await postgres_cluster.run(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    yield postgres_cluster.url(name)
    await postgres_cluster.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def empty_postgres_url(postgres_cluster: Cluster) -> AsyncIterator[str]:
    """The URL of a database that was never migrated."""
    name = f"test_{next(postgres_cluster.numbers)}"
    await postgres_cluster.run(f"CREATE DATABASE {name}")
    yield postgres_cluster.url(name)
    await postgres_cluster.run(f"DROP DATABASE {name} WITH (FORCE)")


def find_binaries() -> Path | None:
    """The folder of initdb; of several versions the newest."""
    if (found := shutil.which("initdb")) is not None:
        return Path(found).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in versions), key=lambda path: float(path.parent.name), default=None)


@contextmanager
def started(binaries: Path) -> Iterator[Cluster]:
    # not among pytest's own folders: they are closed to other users, and a socket's path must be short
    folder = Path(tempfile.mkdtemp(prefix="reelhook-pg-", dir=_memory()))
    user = _unprivileged_user()
    data = folder / "data"

    def run(program: str, *arguments: str | Path) -> None:
        command = [binaries / program, *arguments]
        done = subprocess.run(
            command, user=user, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
        )
        assert done.returncode == 0, f"{program} failed:\n{(folder / 'log').read_text()}"

    with (folder / "log").open("wb") as log:
        try:
            if user is not None:
                os.chown(folder, user, -1)
            run(
                "initdb",
                *("-D", data, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"),
            )
            with (data / "postgresql.conf").open("a") as settings:
                settings.write(f"{SETTINGS}unix_socket_directories = '{folder}'\n")
            (data / "pg_hba.conf").write_text(ADMISSION)
            run("pg_ctl", "start", "--wait", "-D", data, "-l", folder / "server.log")
            try:
                yield Cluster(folder)
            finally:
                run("pg_ctl", "stop", "-D", data, "--mode=immediate")
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _memory() -> Path | None:
    """In memory a database is made in 20 ms, on a disk it may take 400; None: no memory with room for a cluster."""
    memory = Path("/dev/shm")
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1_000_000_000
    return memory if roomy else None


def _unprivileged_user() -> int | None:
    """PostgreSQL refuses to run as root; None: as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    pytest.fail("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
