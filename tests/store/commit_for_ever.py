"""Run by the tests: commit, print what was committed, until somebody kills us."""

import asyncio
import sys
from itertools import count
from pathlib import Path

from service.store.sqlite import SqliteDatabase
from tests.store.given import sql


async def commit_for_ever(path: Path) -> None:
    database = await SqliteDatabase.open(path)
    await database.migrate()
    numbers = count()

    async def write() -> None:
        while True:
            name = f"n{next(numbers)}"
            await database.write(sql, "insert_state", name=name, value="v")
            sys.stdout.write(f"{name}\n")
            sys.stdout.flush()

    await asyncio.gather(*(write() for _ in range(8)))


asyncio.run(commit_for_ever(Path(sys.argv[1])))
