"""Emptying rows of their payload: ids, statuses, times and costs stay, and when it was done."""

from collections.abc import Callable

from service.errors import Problem
from service.model import Event, Task, request_from_json, request_to_json, without_payload
from service.store.archived import give_up, of_task
from service.store.rows import task_from_row
from service.store.statements import Row, Transaction, run
from service.wire import Json, dump_text, loads

CANCELLED = "the payload of this event was expunged before it was delivered"
SAID = "what was said about it was expunged"
COUNTED = ("usage", "cost", "refunded", "announced_at", "ends_by", "linked_at")  # of a result: what it took, and when


def expunge_event(event_id: str, owner: str | None, now: int) -> Transaction[Event | None]:
    """Empty an event and all that was sent of it; who was still to be told of it is not. None: there is no such event.
    Again: nothing changes."""
    rows = yield run("expunge_event", id=event_id, owner=owner, now=now)
    if not rows:
        return None
    yield run("cancel_deliveries_of_event", event_id=event_id, now=now, reason=CANCELLED)
    yield run("expunge_deliveries_of_event", event_id=event_id, now=now)
    yield run("expunge_attempts_of_event", event_id=event_id)
    return Event(**rows[0])


def expunge_task(task_id: str, owner: str | None, now: int) -> Transaction[Task | None]:
    """Empty a task that is over: what was asked for, its results, and all that was called back, told and answered.
    None: there is no such task. A Problem while it is not over. Again: nothing changes."""
    rows = yield run("task_to_expunge", id=task_id, owner=owner)
    if not rows:
        return None
    task = task_from_row(rows[0])
    if not task.status.terminal:
        raise Problem("conflict", f"the task is still {task.status}: cancel it first, or wait for its end")
    error = loads(rows[0]["error"]) | {"message": SAID} if rows[0]["error"] else None
    yield from _empty(rows[0], _counted, error, now)
    for row in (yield run("events_of_task", task_id=task_id)):
        yield from expunge_event(row["id"], None, now)
    kept = yield from of_task(task_id)
    if kept:
        yield from give_up(task_id, [row.variant for row in kept], now)
    rows = yield run("task_to_expunge", id=task_id, owner=owner)
    return task_from_row(rows[0])


def without_request(row: Row, now: int) -> Transaction[None]:
    """Empty a task's row of what was asked for and answered; its links stay, for as long as they are good."""
    yield from _empty(row, _unanswered, loads(row["error"]) if row["error"] else None, now)


def _empty(row: Row, kept: Callable[[Json], Json], error: Json | None, now: int) -> Transaction[None]:
    """kept: what stays of a result."""
    request = _emptied(row["request"])
    yield run(
        "expunge_task",
        id=row["id"],
        request=request,
        result=dump_text(kept(loads(row["result"]))),
        error=dump_text(error) if error else None,
        now=now,
    )
    yield run("delete_request", task_id=row["id"])
    yield run("expunge_callbacks", task_id=row["id"])
    # what a repeated submit is told has the request in it, too
    for known in (yield run("answers_of_task", task_id=row["id"])):
        answer: Json = loads(known["answer"])
        answer |= {"request": request, "assets": "{}", "result": dump_text(kept(loads(answer["result"])))}
        yield run("change_answer", owner=known["owner"], key=known["key"], answer=dump_text(answer))


def _counted(result: Json) -> Json:
    return {name: value for name, value in result.items() if name in COUNTED}


def _unanswered(result: Json) -> Json:
    return {name: value for name, value in result.items() if name != "answer"}


def _emptied(request: str) -> str:
    return dump_text(request_to_json(without_payload(request_from_json(loads(request)))))
