"""One SQL text for two databases: every statement is one that both take, with parameters of the types meant."""

import re
import sqlite3
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import pytest

from service.store.postgres import SEAMS, translate
from service.store.sqlite import SqliteDatabase
from service.store.statements import migrations, statements

NAMES = sorted(statements())


@pytest.fixture
async def sqlite_file(tmp_path: Path) -> Path:
    database = await SqliteDatabase.open(tmp_path / "reelhook.db")
    await database.migrate()
    await database.close()
    return tmp_path / "reelhook.db"


async def test_sqlite_takes_every_statement(sqlite_file: Path) -> None:
    connection = sqlite3.connect(sqlite_file)
    for name in NAMES:
        text = statements()[name]
        assert connection.execute(f"EXPLAIN {text}", dict.fromkeys(translate(text).names)).fetchall(), name
    connection.close()


async def test_postgresql_takes_every_statement_with_texts_and_bigints(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    for name in NAMES:
        prepared = await connection.prepare(translate(statements()[name]).sql)
        types = {kind.name for kind in prepared.get_parameters()}
        types |= {column.type.name for column in prepared.get_attributes()}
        assert types <= {"text", "int8"}, name
    await connection.close()


async def test_both_databases_have_the_same_columns(sqlite_file: Path, postgres_url: str) -> None:
    lite = sqlite3.connect(sqlite_file)
    tables = [name for (name,) in lite.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    post = await asyncpg.connect(postgres_url)
    for table in tables:
        columns = [(name, kind.lower()) for _, name, kind, *_ in lite.execute(f"PRAGMA table_info({table})")]
        rows = await post.fetch(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = $1"
            " ORDER BY ordinal_position",
            table,
        )
        assert [tuple(row) for row in rows] == columns, table
    await post.close()
    lite.close()


def test_every_comment_inside_a_statement_is_a_seam_that_is_spelled_right() -> None:
    found = {comment for text in statements().values() for comment in re.findall(r"/\*.*?\*/", text, re.DOTALL)}
    assert found == set(SEAMS)


def test_every_list_has_an_order() -> None:
    assert not [name for name, text in statements().items() if "LIMIT :limit" in text and "ORDER BY" not in text]


def test_migrations_are_numbered_and_no_number_is_given_twice() -> None:
    numbers = [int(name.partition("_")[0]) for name, _ in migrations()]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(
    ("text", "meant", "names"),
    [
        ("a = :a AND b = :b", "a = $1 AND b = $2", ("a", "b")),
        ("a = :a OR :a IS NULL OR b = :b", "a = $1 OR $1 IS NULL OR b = $2", ("a", "b")),
        ("a = :a::bigint", "a = $1::bigint", ("a",)),
        ("a = ':a' AND b = 'it''s :b' AND c = :c", "a = ':a' AND b = 'it''s :b' AND c = $1", ("c",)),
        ('":a" = :b', '":a" = $1', ("b",)),
        ("a -- is :b\n= :c", "a -- is :b\n= $1", ("c",)),
        ("a /* is :b */ = :c", "a /* is :b */ = $1", ("c",)),
        ("SELECT 1 /* for update */", "SELECT 1 FOR UPDATE", ()),
        ("VALUES (:next_at,:now)", "VALUES ($1,$2)", ("next_at", "now")),
        ("CREATE TABLE a (b TEXT, c BIGINT)", 'CREATE TABLE a (b TEXT COLLATE "C", c BIGINT)', ()),
        ("SELECT CAST(:a AS TEXT)", "SELECT CAST($1 AS TEXT)", ("a",)),
    ],
)
def test_a_statement_is_put_into_postgresqls_words(text: str, meant: str, names: tuple[str, ...]) -> None:
    translated = translate(text)
    assert (translated.sql, translated.names) == (meant, names)
