"""Named SQL statements, and transactions as generators that yield them.

A transaction here does no I/O: it is a generator that yields statements and is sent their rows, and its return value is
the transaction's. A driver runs it: SQLite's on its one writing thread, many transactions to a commit; PostgreSQL's on
a connection. That is how every rule of persistence is written once for two databases.

    def revoke(key_id: str, now: int) -> Transaction[bool]:
        rows = yield run("revoke_key", id=key_id, now=now)
        return bool(rows)

    revoked = await database.write(revoke, "key_1", now)
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, ParamSpec, Protocol, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

Row = Mapping[str, Any]
Rows = Sequence[Row]
Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """One named statement: run once with `params`, or once for each of `many`."""

    name: str
    params: Params
    many: Sequence[Params] | None = None


Transaction = Generator[Statement, Rows, T]


def run(name: str, /, **params: Any) -> Statement:
    return Statement(name, params)


def run_many(name: str, many: Sequence[Params]) -> Statement:
    """The statement for each set of parameters; brings no rows."""
    return Statement(name, {}, many)


class Database(Protocol):
    """What a driver does. `write` returns after the commit is on disk; a cancelled caller does not undo it. A
    transaction has no effects but its statements: a driver may begin it again."""

    async def write(self, transaction: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    async def read(self, name: str, /, **params: Any) -> Rows: ...

    async def migrate(self) -> list[str]:
        """Apply the migrations that are missing, in order; their names."""
        ...

    async def close(self) -> None: ...


@cache
def statements() -> dict[str, str]:
    """All named statements: a line `-- name: x` starts one, a semicolon at the end of a line ends it."""
    found: dict[str, str] = {}
    for file in sorted(files("service.store").joinpath("sql").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".sql"):
            for part in file.read_text().split("-- name: ")[1:]:
                name, _, sql = part.partition("\n")
                if name in found:
                    raise ValueError(f"two statements are named {name}")
                found[name] = _without_comments(sql).strip().removesuffix(";")
    return found


def sql_of(statement: Statement) -> str:
    """Its text by its name; what is no name is text itself, as the parts of a migration are."""
    return statements().get(statement.name, statement.name)


def migrations() -> list[tuple[str, list[str]]]:
    """(name, statements) of each migration, in order."""
    folder = files("service.store").joinpath("sql").joinpath("migrations")
    found = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [(file.name.removesuffix(".sql"), _split(_without_comments(file.read_text()))) for file in found]


def apply_migrations() -> Transaction[list[str]]:
    """Apply what is missing; a driver sees to it that one process at a time does."""
    yield run("CREATE TABLE IF NOT EXISTS migrations (name TEXT NOT NULL PRIMARY KEY)")
    known = {row["name"] for row in (yield run("SELECT name FROM migrations"))}
    missing = [(name, parts) for name, parts in migrations() if name not in known]
    for name, parts in missing:
        for part in parts:
            yield run(part)
        yield run("INSERT INTO migrations (name) VALUES (:name)", name=name)
    return [name for name, _ in missing]


def _without_comments(sql: str) -> str:
    return "\n".join(line for line in sql.splitlines() if not line.lstrip().startswith("--"))


def _split(sql: str) -> list[str]:
    return [part.strip() for part in sql.split(";\n") if part.strip(" \n;")]
