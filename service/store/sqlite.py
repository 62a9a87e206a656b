"""SQLite: one thread writes and many transactions share a commit; aiosqlite serves the reads.

WAL with synchronous=FULL: a commit is on disk. The writer takes whatever has queued up during the last commit, runs it
in one transaction (each part behind a savepoint, so that one's error is not another's), commits, and only then answers
all of them: that is what makes durable and fast the same thing.
"""

import asyncio
import logging
import re
import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import aiosqlite

from service.errors import SettingsError
from service.store.statements import P, Rows, Statement, T, Transaction, apply_migrations, sql_of, statements

log = logging.getLogger("reelhook.store")

SHARED_COMMIT = 500  # transactions; more would only make the first of them wait
BUSY_MS = 10_000
CACHED_STATEMENTS = 256
# Before this release several connections that write and checkpoint could corrupt the file (SQLite's WAL-reset bug);
# one writing connection per process keeps the odds down, not at nothing.
SOUND_SINCE = (3, 51, 3)
SELECTIVE = frozenset(("task_id", "event_id", "external_id"))  # a filter by one of these leaves a few rows
OPTIONAL_FILTER = re.compile(r"\((\w+) = :(\w+) OR CAST\(:\2 AS TEXT\) IS NULL\)")


@dataclass(slots=True)
class _Job:
    transaction: Transaction[Any]
    loop: asyncio.AbstractEventLoop
    answer: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = None


class SqliteDatabase:
    """One SQLite file. Open it with `SqliteDatabase.open`, close it with `close`."""

    def __init__(self, writer: sqlite3.Connection, reader: aiosqlite.Connection, lister: aiosqlite.Connection) -> None:
        self._writer = writer
        self._reader = reader
        self._lister = lister
        self._closed = False
        # Bounded by its users: each waits for its answer before it asks again.
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write_for_ever, name="reelhook-sqlite-writer", daemon=True)
        self._thread.start()

    @classmethod
    async def open(cls, path: Path) -> "SqliteDatabase":
        """SettingsError when the file cannot be used."""
        try:
            writer = await asyncio.to_thread(_open_writer, path)
        except (OSError, sqlite3.Error) as error:
            raise SettingsError(f"database: {path}: {error}") from error
        reader, lister = await _open_reader(path), await _open_reader(path)
        if sqlite3.sqlite_version_info < SOUND_SINCE:
            log.info(
                "sqlite.version version=%s sound_since=3.51.3 note=%r",
                sqlite3.sqlite_version,
                "run one process per database file, or PostgreSQL: older SQLite can corrupt a file under several",
            )
        return cls(writer, reader, lister)

    async def write(self, transaction: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        if self._closed:
            raise RuntimeError("the database is closed")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(transaction(*args, **kwargs), loop, answer))
        return await answer

    async def read(self, name: str, /, **params: Any) -> Rows:
        sql = _narrowed(name, frozenset(param for param, value in params.items() if value is not None))
        # In one go: a cursor left open by a cancelled caller would hold up the checkpoints.
        # Lists read by a connection of their own: a long one must not hold up who comes in, and what is due.
        connection = self._lister if "limit" in params else self._reader
        return [dict(row) for row in await connection.execute_fetchall(sql, params)]

    async def migrate(self) -> list[str]:
        return await self.write(apply_migrations)

    async def close(self) -> None:
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        await self._reader.close()
        await self._lister.close()
        self._writer.close()

    def _write_for_ever(self) -> None:
        while (first := self._jobs.get()) is not None:
            batch = [first]
            ended = self._drain_into(batch)
            self._commit(batch)
            _answer(batch)
            if ended:
                return

    def _drain_into(self, batch: list[_Job]) -> bool:
        while len(batch) < SHARED_COMMIT:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return False
            if job is None:
                return True
            batch.append(job)
        return False

    def _commit(self, batch: list[_Job]) -> None:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for job in batch:
                self._run_part(job)
            self._writer.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error):  # of a full or broken disk; the thread must live
                self._writer.execute("ROLLBACK")
            for job in batch:
                job.result, job.error = None, error

    def _run_part(self, job: _Job) -> None:
        self._writer.execute("SAVEPOINT part")
        try:
            job.result = _advance(self._writer, job.transaction)
        except Exception as error:
            self._writer.execute("ROLLBACK TO part")
            job.error = error
        self._writer.execute("RELEASE part")


def _open_writer(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=CACHED_STATEMENTS, timeout=BUSY_MS / 1000
    )
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "temp_store = MEMORY"):
        writer.execute(f"PRAGMA {pragma}")
    return writer


async def _open_reader(path: Path) -> aiosqlite.Connection:
    reader = await aiosqlite.connect(
        f"file:{_uri(path)}?mode=ro", uri=True, cached_statements=CACHED_STATEMENTS, isolation_level=None
    )
    reader.row_factory = sqlite3.Row
    await reader.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    return reader


@cache
def _narrowed(name: str, given: frozenset[str]) -> str:
    """A filter as plain as it is asked for. SQLite plans before it knows the values, and for one that may be NULL it
    would read the whole table; PostgreSQL plans with them."""
    selective = not given.isdisjoint(SELECTIVE)

    def filtered(match: re.Match[str]) -> str:
        if match[2] not in given:
            return "TRUE"
        # A unary plus hides a column from the planner, which would read all that an owner has in the order of the
        # page, rather than the few rows of one task or event, and sort those.
        return f"{'+' if selective and match[1] == 'owner' else ''}{match[1]} = :{match[2]}"

    return OPTIONAL_FILTER.sub(filtered, statements()[name])


def _uri(path: Path) -> str:
    return path.absolute().as_uri().removeprefix("file://")


def _advance(connection: sqlite3.Connection, transaction: Transaction[T]) -> T:
    try:
        statement = next(transaction)
        while True:
            statement = transaction.send(_run(connection, statement))
    except StopIteration as end:
        result: T = end.value
        return result


def _run(connection: sqlite3.Connection, statement: Statement) -> Rows:
    sql = sql_of(statement)
    if statement.many is not None:
        if statement.many:
            connection.executemany(sql, statement.many)
        return []
    cursor = connection.execute(sql, statement.params)
    if cursor.description is None:
        return []
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _answer(batch: list[_Job]) -> None:
    """One wake-up for each event loop, not one for each job."""
    for loop in {job.loop for job in batch}:
        jobs = [job for job in batch if job.loop is loop]
        try:
            loop.call_soon_threadsafe(_resolve, jobs)
        except RuntimeError:
            log.warning("store.unheard jobs=%d note=%r", len(jobs), "committed, but the event loop is gone")


def _resolve(jobs: Iterable[_Job]) -> None:
    for job in jobs:
        if job.answer.cancelled():
            continue
        if job.error is not None:
            job.answer.set_exception(job.error)
        else:
            job.answer.set_result(job.result)
