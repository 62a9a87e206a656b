"""PostgreSQL: a pool of connections; each transaction has one to itself while it runs.

READ COMMITTED with row locks, where the statements ask for them: a statement sees what the one before it had to wait
for, which is what "the first writer wins" is built on. A transaction that ended in a deadlock is begun again.
"""

import asyncio
import logging
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from service.errors import SettingsError
from service.store.statements import (
    P,
    Params,
    Rows,
    Statement,
    T,
    Transaction,
    apply_migrations,
    run,
    sql_of,
    statements,
)

log = logging.getLogger("reelhook.store")

CONNECTIONS = 10  # of one process; a server admits a hundred unless it is told otherwise
CACHED_STATEMENTS = 256
CONNECT_S = 10
ANSWER_S = 30
TIMES_BEGUN = 10
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.005, 0.5
BEGIN_AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.InvalidCachedStatementError)
MIGRATIONS_LOCK = 0x5265656C686F6F6B  # "Reelhook"

# The one place where the two databases differ: SQLite has one writer at a time, and reads these as comments.
SEAMS = {
    "/* for update */": "FOR UPDATE",
    "/* for share */": "FOR SHARE",
    "/* for share skip locked */": "FOR SHARE SKIP LOCKED",
    "/* skip locked */": "FOR UPDATE SKIP LOCKED",
    "/* skip locked deliveries */": "FOR UPDATE OF d SKIP LOCKED",
}

_TOKEN = re.compile(
    r""" '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | ::   # left alone, but for the seams
       | :(?P<name>[a-z_]+) """,
    re.VERBOSE | re.DOTALL,
)
_CREATES_COLUMNS = re.compile(r"\s*(CREATE|ALTER) TABLE\b")


class PostgresDatabase:
    """One PostgreSQL database. Open it with `PostgresDatabase.open`, close it with `close`."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._writes: set[asyncio.Task[Any]] = set()

    @classmethod
    async def open(cls, url: str) -> "PostgresDatabase":
        """SettingsError, without the password in it, when there is nothing to be had at this URL."""
        try:
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=CONNECTIONS,
                timeout=CONNECT_S,
                command_timeout=ANSWER_S,
                statement_cache_size=CACHED_STATEMENTS,
                max_cached_statement_lifetime=0,
                init=_prepare_session,
                reset=_keep_session,
            )
        except (asyncpg.PostgresError, OSError) as error:
            reason = str(error) or f"no answer within {CONNECT_S} s"
            raise SettingsError(f"database: PostgreSQL cannot be used: {reason}") from error
        except (asyncpg.InterfaceError, ValueError):
            # their words quote parts of the URL, and a password with a slash in it is torn into such parts
            hint = "percent-encode special characters in the password"
            raise SettingsError(f"database: this postgresql:// URL cannot be read; {hint}") from None
        return cls(pool)

    async def write(self, transaction: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        # A task of its own, so that the caller's cancellation does not undo what was asked.
        writing = asyncio.create_task(self._write(partial(transaction, *args, **kwargs)))
        self._writes.add(writing)
        writing.add_done_callback(self._writes.discard)
        return await asyncio.shield(writing)

    async def read(self, name: str, /, **params: Any) -> Rows:
        return await _fetch(self._pool, statements()[name], params)

    async def migrate(self) -> list[str]:
        return await self.write(_migrate)

    async def close(self) -> None:
        if self._writes:
            await asyncio.wait(self._writes)
        await self._pool.close()

    async def _write(self, begin: Callable[[], Transaction[T]]) -> T:
        for times in range(1, TIMES_BEGUN):
            try:
                return await self._advance(begin())
            except BEGIN_AGAIN as error:
                log.info("store.begin_again times=%d sqlstate=%s", times, error.sqlstate)
                # apart from each other, or the same transactions meet again
                await asyncio.sleep(random.random() * min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**times))  # noqa: S311
        return await self._advance(begin())

    async def _advance(self, transaction: Transaction[T]) -> T:
        async with self._pool.acquire() as connection, connection.transaction(isolation="read_committed"):
            try:
                statement = next(transaction)
                while True:
                    statement = transaction.send(await _run(connection, statement))
            except StopIteration as end:
                result: T = end.value
                return result


@dataclass(frozen=True, slots=True)
class Translated:
    """A statement in PostgreSQL's words. names: the parameters that $1, $2 … stand for."""

    sql: str
    names: tuple[str, ...]

    def values(self, params: Params) -> list[Any]:
        return [_storable(params[name]) for name in self.names]


@cache
def translate(sql: str) -> Translated:
    """`:name` becomes `$n` and a seam its lock. TEXT compares by code point, as SQLite's does: in the order of a
    language, which a database may have by default, ids would not sort by time."""
    numbers: dict[str, int] = {}

    def replace(token: re.Match[str]) -> str:
        if token["name"] is None:
            return SEAMS.get(token[0], token[0])
        return f"${numbers.setdefault(token['name'], len(numbers) + 1)}"

    if _CREATES_COLUMNS.match(sql):
        sql = re.sub(r"\bTEXT\b", 'TEXT COLLATE "C"', sql)
    return Translated(_TOKEN.sub(replace, sql), tuple(numbers))


async def _run(connection: Any, statement: Statement) -> Rows:
    if statement.many is None:
        return await _fetch(connection, sql_of(statement), statement.params)
    if statement.many:
        translated = translate(sql_of(statement))
        await connection.executemany(translated.sql, [translated.values(params) for params in statement.many])
    return []


async def _fetch(connection: Any, sql: str, params: Params) -> Rows:
    translated = translate(sql)
    return [dict(row) for row in await connection.fetch(translated.sql, *translated.values(params))]


def _storable(value: Any) -> Any:
    """PostgreSQL's TEXT has no NUL."""
    return value.replace("\x00", "\ufffd") if isinstance(value, str) else value


async def _prepare_session(connection: Any) -> None:
    # A machine that vanished inside a transaction would keep its rows locked, and so unclaimed, until TCP notices.
    # Said here and not as a parameter of the connection, because PgBouncer refuses those.
    await connection.execute(f"SET idle_in_transaction_session_timeout = '{ANSWER_S}s'")


async def _keep_session(connection: Any) -> None:
    """Nothing is changed in a session that the next transaction must not see: asyncpg's own reset is a round trip."""


def _migrate() -> Transaction[list[str]]:
    yield run(f"SELECT pg_advisory_xact_lock({MIGRATIONS_LOCK})")
    return (yield from apply_migrations())
