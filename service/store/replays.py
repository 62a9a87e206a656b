"""Replays as rows: many events that one subscription is told again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.model import Event, first_id
from service.store.rows import Window
from service.store.statements import Database, Row, Transaction, run
from service.wire import dump_text, loads


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """since, until: which events, by when they happened (unix ms). statuses: which of their deliveries are begun again;
    `missing` stands for those that there are none of. spacing_ms: from one delivery to the next. position: the last
    event that was seen. ended: finished, cancelled or failed, with a note."""

    id: str
    owner: str
    subscription_id: str
    since: int
    until: int
    statuses: tuple[str, ...]
    spacing_ms: int
    created_at: int
    position: str = ""
    scanned: int = 0
    replayed: int = 0
    finished_at: int | None = None
    ended: str | None = None
    note: str | None = None


def replay_from_row(row: Row) -> Replay:
    names = [name for name in Replay.__dataclass_fields__ if name != "statuses"]
    return Replay(statuses=tuple(loads(row["statuses"])), **{name: row[name] for name in names})


def insert_replay(replay: Replay) -> Transaction[bool]:
    """False when one of the same subscription is under way."""
    yield run("take_subscription", id=replay.subscription_id)
    rows = yield run("count_open_replays", subscription_id=replay.subscription_id)
    if rows[0]["open"]:
        return False
    yield run(
        "insert_replay",
        id=replay.id,
        owner=replay.owner,
        subscription_id=replay.subscription_id,
        since=replay.since,
        until=replay.until,
        statuses=dump_text(list(replay.statuses)),
        spacing_ms=replay.spacing_ms,
        position=replay.position,
        created_at=replay.created_at,
    )
    return True


def due_replay(now: int) -> Transaction[Replay | None]:
    rows = yield run("due_replay", now=now)
    return replay_from_row(rows[0]) if rows else None


def events_to_replay(replay: Replay, owner: str | None, limit: int) -> Transaction[list[Event]]:
    """The next events of a replay's span, tests and expunged ones included. owner None: everybody's."""
    span: dict[str, Any] = {
        "position": max(replay.position, first_id("evt", min(replay.since, replay.until))),
        "end": first_id("evt", replay.until),
        "limit": limit,
    }
    if owner is None:
        rows = yield run("everybodys_events_to_replay", **span)
    else:
        rows = yield run("events_to_replay", owner=owner, **span)
    return [Event(**row) for row in rows]


def end_replay(replay_id: str, ended: str, note: str | None, now: int) -> Transaction[Replay | None]:
    """None when it has ended before."""
    rows = yield run("end_replay", id=replay_id, ended=ended, note=note, now=now)
    return replay_from_row(rows[0]) if rows else None


async def find_replay(database: Database, owner: str | None, replay_id: str) -> Replay | None:
    rows = await database.read("replay_of_owner", id=replay_id, owner=owner)
    return replay_from_row(rows[0]) if rows else None


async def replays_page(
    database: Database, owner: str | None, window: Window, subscription_id: str | None
) -> Sequence[Replay]:
    rows = await database.read("replays_page", owner=owner, subscription_id=subscription_id, **window.params())
    return [replay_from_row(row) for row in rows]
