"""The steps that transactions about tasks are made of."""

from collections.abc import Sequence
from typing import Any

from service.model import (
    Task,
    request_to_json,
    slimmed,
)
from service.store.rows import (
    Callback,
    IdempotencyKey,
    Repeat,
    Repeatable,
    columns_of,
    digest_of,
    repeat_from_row,
    task_from_row,
    task_to_json,
)
from service.store.statements import Transaction, run, run_many
from service.store.telling import add_subscription
from service.subscriptions import Subscription
from service.wire import dump_text

SLIM_ABOVE = 16 * 1024  # a request of more characters keeps its inline media apart


def insert_task(
    task: Task,
    key: IdempotencyKey | None,
    subscription: Subscription | None,
    repeatable: Repeatable | None = None,
) -> Transaction[Repeat | None]:
    """Store a task that is about to be prepared or sent, with the caller's one-shot subscription; or, when the
    idempotency key is known already, or the same create was left by a caller who was not answered, store nothing and
    say which task it stands for."""
    if key is not None:
        won = yield run(
            "insert_idempotency_key",
            owner=task.owner,
            key=key.key,
            fingerprint=key.fingerprint,
            task_id=task.id,
            now=task.created_at,
        )
        if not won:
            rows = yield run("idempotency_key", owner=task.owner, key=key.key)
            return repeat_from_row(rows[0])
    if repeatable is not None:
        taken = yield run(
            "take_unanswered", owner=task.owner, fingerprint=repeatable.fingerprint, since=repeatable.since
        )
        if taken:
            return Repeat(task_id=taken[0]["task_id"], fingerprint=repeatable.fingerprint, answer=None)
        yield run(
            "insert_unanswered",
            task_id=task.id,
            owner=task.owner,
            fingerprint=repeatable.fingerprint,
            now=task.created_at,
        )
    request, slim = yield from _insert_request(task)
    yield run(
        "insert_task",
        id=task.id,
        owner=task.owner,
        gateway=task.gateway,
        dialect=task.dialect,
        surface=task.surface,
        model=task.request.model,
        service_tier=task.request.service_tier or "default",
        request=request,
        slim=int(slim),
        when_full=task.when_full,
        submission=task.submission.value,
        preparing=task.preparing,
        now=task.created_at,
        deadline_at=task.deadline_at,
        next_at=task.next_at,
        lease=task.lease,
        mount=task.mount,
        caller_dialect=task.caller_dialect,
        caller_surface=task.caller_surface,
        caller_model=task.caller_model,
        attempt=task.attempt,
        retry_of=task.retry_of,
        external_id=task.request.external_id,
    )
    if subscription is not None:
        yield from add_subscription(subscription)
    return None


def _insert_request(task: Task) -> Transaction[tuple[str, bool]]:
    """(the request as the task's row keeps it, whether its inline media are kept apart)."""
    request = dump_text(request_to_json(task.request))
    if len(request) <= SLIM_ABOVE or slimmed(task.request) == task.request:
        return request, False
    yield run("insert_request", task_id=task.id, body=request)
    return dump_text(request_to_json(slimmed(task.request))), True


def forget_key(task_id: str) -> Transaction[None]:
    yield run("forget_key", task_id=task_id)


def drop_media(task: Task) -> Transaction[None]:
    """Its inline media are not needed any more."""
    if task.slim:
        yield run("delete_request", task_id=task.id)


def freeze_answer(task: Task) -> Transaction[None]:
    """Remember the task as its caller is told about it now, for a repeated submit."""
    if (yield run("key_of_task", task_id=task.id)):
        yield run("freeze_answer", task_id=task.id, answer=dump_text(task_to_json(task)))


def step(name: str, /, **params: Any) -> Transaction[Task | None]:
    """Run one conditional update of a task; the task as it is now, or None when the condition did not hold."""
    rows = yield run(name, **params)
    return task_from_row(rows[0]) if rows else None


def renew_create(task_id: str, lease: str | None, until: int) -> Transaction[None]:
    yield run("renew_create", id=task_id, lease=lease, until=until)


def renew_lease(task_id: str, lease: str | None, until: int) -> Transaction[None]:
    yield run("renew_lease", id=task_id, lease=lease, until=until)


def give_back(tasks: Sequence[Task], now: int, unsent: int) -> Transaction[None]:
    """Undo claims that nobody will work on. unsent: 1 for creates that have not begun."""
    rows = [{"id": task.id, "lease": task.lease, "now": now, "unsent": unsent} for task in tasks]
    yield run_many("return_task", rows)


def find_task(task_id: str) -> Transaction[Task | None]:
    return (yield from step("task", id=task_id))


def claim_tasks(name: str, /, **params: Any) -> Transaction[list[Task]]:
    rows = yield run(name, **params)
    return [task_from_row(row) for row in rows]


def insert_callback(callback: Callback) -> Transaction[None]:
    yield run("insert_callback", **columns_of(callback) | {"digest": digest_of(callback.body)})


def callback_bodies(task_id: str) -> Transaction[list[str]]:
    """In the order in which they came."""
    return [row["body"] for row in (yield run("callback_bodies", task_id=task_id))]


def is_anothers(task: Task, gateway_task_id: str) -> Transaction[bool]:
    """Whether a gateway's id belongs to another task already."""
    rows = yield run("other_task_of_gateway", gateway=task.gateway, gateway_task_id=gateway_task_id, id=task.id)
    return bool(rows)


def callback_seen(task_id: str, body: str) -> Transaction[bool]:
    """Whether the same bytes have come before."""
    return bool((yield run("callback_seen", task_id=task_id, digest=digest_of(body))))
