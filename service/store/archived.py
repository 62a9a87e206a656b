"""The rows of results in the archive, and the room that they take.

A row is there before its file: `storing`, with the bytes that are reserved for it, then `kept`, with those it has. So
no file is there that no row knows, and what is under way counts. Rows change only while `archive_room` is held, and its
two sums change with them. Locks are taken in one order: the task, the room, the rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from service.model import Task
from service.store.statements import Row, Transaction, run, run_many
from service.store.tasks import find_task, step

Reserved = Literal["reserved", "crowded", "full", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """A row. size: bytes, of which the room is reserved when it is not `kept` yet. expires_at: unix ms."""

    variant: str
    key: str
    size: int
    media_type: str
    state: str
    expires_at: int


def of_task(task_id: str) -> Transaction[list[Archived]]:
    return [Archived(**row) for row in (yield run("archived_of_task", task_id=task_id))]


def reserve(task: Task, wanted: Archived, most: int, now: int) -> Transaction[Reserved]:
    """Take room for a file before it comes; a retry has the room of the try before. Otherwise nothing changes:
    `crowded` when there may be room once others are through, `full` when not, `lost` when the task is somebody else's
    by now."""
    if not (yield from _holds(task)):
        return "lost"
    room = yield from _room()
    known = {row.variant: row for row in (yield from of_task(task.id))}.get(wanted.variant)
    if known is not None and known.state == "kept":
        return "lost"
    had = known.size if known else 0
    if room["bytes"] - room["storing"] + wanted.size > most:
        return "full"
    if room["bytes"] - had + wanted.size > most:
        return "crowded"
    yield run(
        "reserve_archived",
        task_id=task.id,
        variant=wanted.variant,
        key=wanted.key,
        size=wanted.size,
        media_type=wanted.media_type,
        now=now,
        expires_at=wanted.expires_at,
    )
    yield run("change_archive_room", bytes=wanted.size - had, storing=wanted.size - had)
    return "reserved"


def keep(task: Task, variant: str, size: int, *, now: int, expires_at: int) -> Transaction[bool]:
    """The file is there, with this many bytes. False, and nothing changes, when the task is somebody else's by now."""
    if not (yield from _holds(task)):
        return False
    yield from _room()
    known = {row.variant: row for row in (yield from of_task(task.id))}.get(variant)
    if known is None or known.state == "kept":
        return False
    yield run("keep_archived", task_id=task.id, variant=variant, size=size, now=now, expires_at=expires_at)
    yield run("change_archive_room", bytes=size - known.size, storing=-known.size)
    return True


def postpone(task: Task, next_at: int) -> Transaction[None]:
    """Try again later; until then nothing is reserved."""
    if (yield from step("postpone_archive", id=task.id, lease=task.lease, next_at=next_at)) is None:
        return
    yield from _room()
    reserved = sum(row.size for row in (yield from of_task(task.id)) if row.state == "storing")
    yield run("release_archived", task_id=task.id)
    yield run("change_archive_room", bytes=-reserved, storing=-reserved)


def give_up(task_id: str, variants: Iterable[str], now: int) -> Transaction[None]:
    """These are not wanted (any more): to be deleted as what has expired."""
    yield from _room()
    yield run_many(
        "expire_archived", [{"task_id": task_id, "variant": variant, "expires_at": now} for variant in variants]
    )


def forget(deleted: Sequence[Row], failed: Sequence[Row], next_at: int) -> Transaction[None]:
    """Drop the rows of files that are deleted; those whose files could not be come up again at `next_at`. What has
    changed since it was read stays."""
    yield from _room()
    gone = [_read_as(row) for row in deleted]
    if gone:
        yield run_many("free_archived", gone)
        yield run_many("delete_archived", gone)
    if failed:
        yield run_many("put_off_expired", [_read_as(row) | {"next_at": next_at} for row in failed])


def _holds(task: Task) -> Transaction[bool]:
    current = yield from find_task(task.id)
    return current is not None and not current.status.terminal and current.lease == task.lease


def _room() -> Transaction[Row]:
    return (yield run("archive_room"))[0]


def _read_as(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("task_id", "variant", "expires_at")}
