"""Tasks: stored once, moved forward, ended once."""

import asyncio
from dataclasses import replace

import pytest

from service.errors import Problem
from service.events import Publisher
from service.links import Links
from service.model import Status, Submission, Task, VideoRequest
from service.settling import End, settle
from service.signing import ContentTokens
from service.store.reads import Reads
from service.store.rows import Callback, IdempotencyKey, Repeat, Window
from service.store.statements import Database, Transaction, run
from service.store.tasks import (
    callback_seen,
    claim_tasks,
    find_task,
    freeze_answer,
    insert_callback,
    insert_task,
    renew_create,
    step,
)
from service.store.telling import add_subscription, subscriptions_to_tell
from tests.store.given import (
    BROKEN_RULE,
    LEASE,
    MINUTE,
    NOW,
    a_look,
    a_subscription,
    a_task,
    accepted_task,
    an_event,
    current,
    doubted_task,
    fresh_id,
    settled_task,
    settlement,
    sql,
    stepped,
    stored_task,
    unsent_task,
)

LINKS = Links("https://hook.example", ContentTokens("a secret of the tests"), MINUTE)
KEY = IdempotencyKey(key="order-7", fingerprint="abc")


# --- storing


async def test_a_task_is_read_back_as_it_was_stored(database: Database) -> None:
    request = VideoRequest(
        model="m", prompt="ü\x00🐞", duration=-1, watermark=False, metadata={"a": [1, None]}, extra={"b": {"c": 1.5}}
    )
    task = a_task(request=request)
    await database.write(insert_task, task, None, None)
    assert await current(database, task) == task


async def test_an_idempotency_key_is_won_once_and_the_loser_stores_nothing(database: Database, reads: Reads) -> None:
    first, second = a_task(), a_task()
    assert await database.write(insert_task, first, KEY, None) is None
    other = IdempotencyKey(key=KEY.key, fingerprint="xyz")
    told = await database.write(insert_task, second, other, a_subscription(task_id=second.id))
    assert told == Repeat(task_id=first.id, fingerprint="abc", answer=None)
    assert await reads.task(second.id, None) is None
    assert await database.write(subscriptions_to_tell, an_event(task_id=second.id, type="task.failed"), {}) == []


async def test_of_concurrent_submits_with_one_key_one_wins(database: Database, another: Database, reads: Reads) -> None:
    tasks = [a_task() for _ in range(20)]
    answers = await asyncio.gather(
        *((database, another)[number % 2].write(insert_task, task, KEY, None) for number, task in enumerate(tasks))
    )
    stored = [task.id for task in await reads.tasks(None, Window(), status=None, gateway=None)]
    assert len(stored) == 1
    assert [answer.task_id for answer in answers if answer is not None] == stored * 19


async def test_another_owners_key_of_the_same_name_is_another_key(database: Database) -> None:
    assert await database.write(insert_task, a_task(), KEY, None) is None
    assert await database.write(insert_task, a_task(owner="bob"), KEY, None) is None


async def test_a_repeated_submit_is_told_what_the_first_was_told(database: Database) -> None:
    task = a_task()
    await database.write(insert_task, task, KEY, None)
    refused = replace(task, error=Problem("insufficient_credit", "top up", gateway_status=402))
    await database.write(freeze_answer, refused)
    await database.write(freeze_answer, replace(task, progress=50))
    replay = await database.write(insert_task, a_task(), KEY, None)
    assert replay is not None and replay.answer is not None
    assert replay.answer.error is not None
    assert replay.answer.error.to_json() == Problem("insufficient_credit", "top up", gateway_status=402).to_json()
    assert replace(replay.answer, error=None) == task


async def test_old_idempotency_keys_are_forgotten(database: Database) -> None:
    await database.write(insert_task, a_task(created_at=NOW - 1), KEY, None)
    await database.write(insert_task, a_task(), IdempotencyKey(key="new", fingerprint=""), None)
    await database.write(sql, "prune_idempotency_keys", before=NOW)
    assert await database.write(insert_task, a_task(), KEY, None) is None
    assert await database.write(insert_task, a_task(), IdempotencyKey(key="new", fingerprint=""), None) is not None


# --- rules that no statement can break


@pytest.mark.parametrize(
    "change",
    [
        "next_at = NULL",
        "status = 'succeeded'",
        "status = 'expired', finished_at = 1, settled_by = 'deadline'",
        "next_at = NULL, status = 'failed', finished_at = 1",
        "next_at = NULL, status = 'failed', settled_by = 'sweep'",
        "next_at = NULL, finished_at = 1, settled_by = 'sweep'",
        "finished_at = 1",
        "settled_by = 'sweep'",
        "status = 'pending'",
        "submission = 'lost'",
        "when_full = 'cry'",
        "submission = 'accepted'",
    ],
)
async def test_a_task_that_is_not_over_cannot_lose_its_next_time_nor_half_end(database: Database, change: str) -> None:
    await stored_task(database)
    with pytest.raises(BROKEN_RULE):
        await database.write(sql, f"UPDATE tasks SET {change}")


@pytest.mark.parametrize("change", ["next_at = 1", "status = 'running'", "finished_at = NULL", "settled_by = 'luck'"])
async def test_a_task_that_is_over_cannot_be_due_again_nor_half_live(database: Database, change: str) -> None:
    await settled_task(database, await accepted_task(database))
    with pytest.raises(BROKEN_RULE):
        await database.write(sql, f"UPDATE tasks SET {change}")


# --- the create


async def test_an_accepted_task_has_the_gateways_id_and_a_time_and_no_lease(database: Database) -> None:
    task = await accepted_task(database, next_at=NOW + 5)
    assert (task.submission, task.gateway_task_id) == (Submission.ACCEPTED, f"cgt-{task.id}")
    assert (task.accepted_at, task.next_at, task.lease) == (NOW, NOW + 5, None)


async def test_a_doubted_task_that_the_gateway_has_after_all_is_accepted(database: Database) -> None:
    task = await doubted_task(database)
    accepted = await stepped(
        database,
        "accept_task",
        id=task.id,
        gateway_task_id="cgt",
        next_at=NOW + 5,
        deadline_at=NOW,
        result="{}",
        now=NOW,
    )
    assert (accepted.submission, accepted.gateway_task_id, accepted.next_at) == ("accepted", "cgt", NOW + 5)


async def test_an_expired_task_that_the_gateway_has_after_all_keeps_the_id_and_stays_expired(
    database: Database,
) -> None:
    task = await settled_task(database, await doubted_task(database), Status.EXPIRED)
    accepted = await stepped(
        database,
        "accept_task",
        id=task.id,
        gateway_task_id="cgt",
        next_at=NOW + 5,
        deadline_at=NOW,
        result="{}",
        now=NOW + 1,
    )
    assert (accepted.gateway_task_id, accepted.status, accepted.next_at) == ("cgt", Status.EXPIRED, None)


async def test_an_accepted_task_is_accepted_once(database: Database) -> None:
    task = await accepted_task(database)
    assert (
        await database.write(
            step, "accept_task", id=task.id, gateway_task_id="x", next_at=NOW, deadline_at=NOW, result="{}", now=NOW
        )
        is None
    )
    assert await current(database, task) == task


async def test_a_task_that_was_hinted_before_it_was_accepted_is_due_at_once(database: Database) -> None:
    task = await stored_task(database)
    await stepped(database, "hint_task", id=task.id, next_at=NOW, told=0, now=NOW)
    accepted = await stepped(
        database,
        "accept_task",
        id=task.id,
        gateway_task_id="c",
        next_at=NOW + 99,
        deadline_at=NOW,
        result="{}",
        now=NOW + 1,
    )
    assert accepted.next_at == NOW + 1


@pytest.mark.parametrize("given", [accepted_task, doubted_task, unsent_task])
async def test_only_a_create_that_is_under_way_is_put_off_or_doubted(database: Database, given) -> None:
    task = await given(database)
    later = {"id": task.id, "lease": task.lease, "error": None, "next_at": NOW + 1, "now": NOW}
    assert await database.write(step, "postpone_create", **later) is None
    assert await database.write(step, "doubt_create", deadline_at=NOW + 1, **later) is None
    assert await current(database, task) == task


async def test_a_postponed_create_is_unsent_and_counts_its_misses(database: Database) -> None:
    task = await unsent_task(database, next_at=NOW + 7)
    assert (task.submission, task.misses, task.next_at, task.lease) == (Submission.UNSENT, 1, NOW + 7, None)


async def test_a_task_that_is_read_to_be_changed_stays_as_it_was_read(database: Database, another: Database) -> None:
    task = await stored_task(database)

    def count_up() -> Transaction[None]:
        found = yield from find_task(task.id)
        assert found is not None
        yield run("UPDATE tasks SET callbacks = :callbacks", callbacks=found.callbacks + 1)

    await asyncio.gather(*((database, another)[number % 2].write(count_up) for number in range(20)))
    assert (await current(database, task)).callbacks == 20


async def test_a_create_under_way_is_renewed_by_who_holds_its_lease(database: Database) -> None:
    task = await stored_task(database)
    await database.write(renew_create, task.id, "lease_2", NOW + 5 * MINUTE)
    assert await current(database, task) == task
    await database.write(renew_create, task.id, task.lease, NOW + 5 * MINUTE)
    assert (await current(database, task)).next_at == NOW + 5 * MINUTE


async def test_a_create_that_has_ended_is_not_renewed(database: Database) -> None:
    task = await doubted_task(database)
    await database.write(renew_create, task.id, LEASE, NOW + 5 * MINUTE)
    assert await current(database, task) == task


# --- looks and hints


async def test_a_look_is_noted_and_ends_the_lease(database: Database) -> None:
    task = await stored_task(database)
    noted = await stepped(
        database, "note_look", **a_look(task, status="running", progress=40, unknown_word="odd", misses=3)
    )
    assert (noted.status, noted.progress, noted.unknown_word, noted.misses) == (Status.RUNNING, 40, "odd", 3)
    assert (noted.running_at, noted.looked_at, noted.lease) == (NOW + 1_000, NOW + 1_000, None)
    assert noted.next_at == a_look(task)["next_at"]


async def test_who_lost_the_lease_has_nothing_to_note(database: Database) -> None:
    task = await stored_task(database)
    assert await database.write(step, "note_look", **a_look(task, lease="lease_2")) is None
    assert await current(database, task) == task


async def test_a_look_at_a_task_that_ended_meanwhile_changes_nothing(database: Database) -> None:
    task = await stored_task(database)
    settled = await settled_task(database, task, Status.FAILED)
    assert await database.write(step, "note_look", **a_look(task)) is None
    assert await current(database, task) == settled


async def test_running_is_noted_the_first_time_only(database: Database) -> None:
    task = await stored_task(database)
    await stepped(database, "note_news", id=task.id, progress=20, now=NOW + 3)
    noted = await stepped(database, "note_look", **a_look(task, status="running"))
    assert noted.running_at == NOW + 3


async def test_a_look_does_not_unsay_that_the_task_runs(database: Database) -> None:
    task = await stored_task(database)
    await stepped(database, "note_news", id=task.id, progress=20, now=NOW + 3)
    assert (await stepped(database, "note_look", **a_look(task, status="queued"))).status is Status.RUNNING


async def test_news_goes_forward_only(database: Database) -> None:
    task = await settled_task(database, await accepted_task(database))
    assert await database.write(step, "note_news", id=task.id, progress=20, now=NOW) is None
    assert await current(database, task) == task


async def test_a_hint_makes_a_task_due(database: Database) -> None:
    task = await accepted_task(database, next_at=NOW + 1_000)
    hinted = await stepped(database, "hint_task", id=task.id, next_at=NOW + 5, told=0, now=NOW)
    assert (hinted.next_at, hinted.hinted_at) == (NOW + 5, NOW)


async def test_a_hint_never_puts_a_look_off(database: Database) -> None:
    task = await accepted_task(database, next_at=NOW + 1)
    assert (await stepped(database, "hint_task", id=task.id, next_at=NOW + 5, told=0, now=NOW)).next_at == NOW + 1


async def test_a_hint_leaves_a_leased_task_leased_and_the_look_then_makes_it_due(database: Database) -> None:
    task = await stored_task(database)
    hinted = await stepped(database, "hint_task", id=task.id, next_at=NOW, told=0, now=NOW + 500)
    assert (hinted.next_at, hinted.lease) == (task.next_at, task.lease)
    noted = await stepped(database, "note_look", **a_look(task))
    assert noted.next_at == a_look(task)["hinted_next_at"]


async def test_a_hint_from_before_the_look_began_is_answered_by_it(database: Database) -> None:
    task = await stored_task(database)
    task = await stepped(database, "hint_task", id=task.id, next_at=NOW, told=0, now=NOW + 900)
    assert (await stepped(database, "note_look", **a_look(task))).next_at == a_look(task)["next_at"]


async def test_a_hint_does_not_send_an_unsent_task_early(database: Database) -> None:
    task = await unsent_task(database, next_at=NOW + 1_000)
    assert (await stepped(database, "hint_task", id=task.id, next_at=NOW, told=0, now=NOW)).next_at == NOW + 1_000


async def test_a_task_that_is_over_takes_no_hint(database: Database) -> None:
    task = await settled_task(database, await accepted_task(database))
    assert await database.write(step, "hint_task", id=task.id, next_at=NOW, told=0, now=NOW) is None


async def test_a_task_put_off_is_due_at_its_deadline_if_the_lease_is_still_held(database: Database) -> None:
    task = await stored_task(database)
    assert await database.write(step, "put_off", id=task.id, lease="lease_2") is None
    put_off = await stepped(database, "put_off", id=task.id, lease=task.lease)
    assert (put_off.next_at, put_off.lease) == (task.deadline_at, None)


# --- the end


async def test_the_first_to_settle_a_task_wins_and_the_second_changes_nothing(database: Database) -> None:
    task = await accepted_task(database)
    settled = await settled_task(database, task, Status.FAILED, NOW + 5)
    assert (settled.status, settled.next_at, settled.finished_at) == (Status.FAILED, None, NOW + 5)
    assert await database.write(step, "settle_task", **settlement(task, Status.SUCCEEDED, NOW + 9)) is None
    assert await current(database, task) == settled


async def test_however_many_settle_a_task_at_once_it_ends_once_and_tells_it_once(
    database: Database, another: Database
) -> None:
    task = await accepted_task(database)
    await database.write(add_subscription, a_subscription())
    publisher = Publisher(LINKS, lambda: None)
    ends = [End(status=status, by="sweep") for status in (Status.SUCCEEDED, Status.FAILED, Status.EXPIRED)]
    answers = await asyncio.gather(
        *(
            (database, another)[number % 2].write(settle, task.id, ends[number % 3], publisher, NOW)
            for number in range(24)
        )
    )
    [settled] = [answer.task for answer in answers if answer is not None]
    [event] = await database.write(sql, "SELECT type FROM events")
    assert event["type"] == f"task.{settled.status}" == f"task.{(await current(database, task)).status}"
    assert len(await database.write(sql, "SELECT id FROM deliveries")) == 1


async def test_the_time_a_task_took_is_that_from_accepted_to_finished(database: Database, reads: Reads) -> None:
    for took in (1_000, 2_000, 3_000):
        await settled_task(database, await accepted_task(database), at=NOW + took)
    await settled_task(database, await accepted_task(database), Status.FAILED, at=NOW + 9_000)
    await settled_task(database, await accepted_task(database, gateway="south"), at=NOW + 9_000)
    await accepted_task(database)
    assert await reads.durations("north", "seedance-2", 2) == [3_000, 2_000]


# --- callbacks


async def test_callbacks_are_counted(database: Database) -> None:
    task = await settled_task(database, await accepted_task(database))
    for _ in range(2):
        await database.write(sql, "count_callback", id=task.id)
    assert (await current(database, task)).callbacks == 2


async def test_a_callback_is_seen_when_this_task_had_the_same_bytes(database: Database) -> None:
    callback = Callback(id=fresh_id("cb"), task_id="task_1", received_at=NOW, outcome="look", body="{ }")
    await database.write(insert_callback, callback)
    seen = [
        await database.write(callback_seen, *key) for key in (("task_1", "{ }"), ("task_1", "{}"), ("task_2", "{ }"))
    ]
    assert seen == [True, False, False]


async def test_a_callback_is_read_back_as_it_was_stored(database: Database, reads: Reads) -> None:
    callback = Callback(id=fresh_id("cb"), task_id="task_1", received_at=NOW, outcome="late", body="not { JSON \\xff")
    await database.write(insert_callback, callback)
    assert await reads.callbacks("task_1", Window()) == [callback]


async def archiving_task(database: Database) -> Task:
    """A task whose result is waited for, and was put off."""
    task = await accepted_task(database)
    await stepped(database, "await_archive", id=task.id, result="{}", now=NOW)
    until = {"now": NOW, "until": NOW + MINUTE, "lease": "lease_3", "limit": 1}
    (claimed,) = await database.write(claim_tasks, "claim_tasks_to_archive", **until)
    return await stepped(database, "postpone_archive", id=task.id, lease=claimed.lease, next_at=NOW + MINUTE)


async def test_no_hint_defeats_the_pauses_of_the_archive(database: Database) -> None:
    task = await archiving_task(database)
    hinted = await stepped(database, "hint_task", id=task.id, next_at=NOW, told=0, now=NOW)
    assert (hinted.next_at, hinted.lease) == (NOW + MINUTE, None)
    assert await database.write(step, "look_soon", id=task.id, next_at=NOW) is None


async def test_what_has_a_result_is_never_sent(database: Database, reads: Reads) -> None:
    task = await unsent_task(database)
    await stepped(database, "await_archive", id=task.id, result="{}", now=NOW)
    due = {"gateway": "north", "now": NOW, "until": NOW + MINUTE, "lease": "lease_3", "limit": 1}
    assert await database.write(claim_tasks, "claim_tasks_to_send", **due) == []
    assert await reads.next_at("next_to_send", gateway="north") is None
