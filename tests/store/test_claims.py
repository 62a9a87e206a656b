"""Claims: due work goes to one claimer, in order, and comes back when its lease ends."""

import asyncio
from typing import Any

import pytest

from service.model import Submission, Task
from service.store.reads import Reads
from service.store.rows import Dispatch
from service.store.statements import Database
from service.store.tasks import claim_tasks, step
from service.store.telling import claim_deliveries
from tests.store.given import (
    LEASE,
    MINUTE,
    NOW,
    a_look,
    accepted_task,
    an_outcome,
    current,
    doubted_task,
    each,
    fresh_id,
    settled_task,
    sql,
    stored_delivery,
    stored_task,
    unsent_task,
)

ASK, SEND = "claim_tasks_to_ask", "claim_tasks_to_send"
LIST, ALONE = "claim_tasks_to_list", "claim_tasks_to_ask_alone"
UNTIL = NOW + 10 * MINUTE
KINDS = [(ASK, accepted_task), (SEND, unsent_task), (LIST, accepted_task)]
SPOKEN = {"dialect": "videos", "surface": "videos"}  # by the tasks of given.py


async def claim(database: Database, statement: str = ASK, **changes: Any) -> list[Task]:
    params = {"gateway": "north", "now": NOW, "until": UNTIL, "lease": fresh_id("lease"), "limit": 100} | changes
    spoken = SPOKEN if statement in (LIST, ALONE) else {}
    return await database.write(claim_tasks, statement, **spoken | params)


async def claim_all(database: Database, statement: str) -> list[str]:
    """As a loop does: a few at a time until there are none."""
    claimed: list[str] = []
    while tasks := await claim(database, statement, limit=3):
        claimed += [task.id for task in tasks]
    return claimed


def ids(found: list[Task]) -> list[str]:
    return [task.id for task in found]


# --- tasks


@pytest.mark.parametrize(("statement", "given"), KINDS)
async def test_each_due_task_goes_to_one_claimer(database: Database, another: Database, statement, given) -> None:
    due = [(await given(database)).id for _ in range(60)]
    claimed = await asyncio.gather(*(claim_all((database, another)[number % 2], statement) for number in range(12)))
    assert sorted(task_id for part in claimed for task_id in part) == due


@pytest.mark.parametrize(("statement", "given"), KINDS)
async def test_the_longest_due_come_first_and_no_more_than_asked_for(database: Database, statement, given) -> None:
    due = [(await given(database, next_at=NOW - age)).id for age in (5, 30, 20, 10)]
    assert set(ids(await claim(database, statement, limit=2))) == {due[1], due[2]}
    assert set(ids(await claim(database, statement, limit=9))) == {due[0], due[3]}


@pytest.mark.parametrize(("statement", "given"), KINDS)
async def test_a_claim_is_for_one_gateway(database: Database, statement, given) -> None:
    mine, _ = await given(database), await given(database, gateway="south")
    assert ids(await claim(database, statement)) == [mine.id]


@pytest.mark.parametrize(("statement", "given"), KINDS)
async def test_what_is_not_due_is_not_claimed(database: Database, statement, given) -> None:
    await given(database, next_at=NOW + 1)
    assert await claim(database, statement) == []


@pytest.mark.parametrize(("statement", "given"), KINDS)
async def test_a_claimed_task_has_the_lease_and_is_due_again_when_it_ends(database: Database, statement, given) -> None:
    task = await given(database)
    [claimed] = await claim(database, statement, lease="mine")
    assert (claimed.id, claimed.lease, claimed.next_at) == (task.id, "mine", UNTIL)
    assert await claim(database, now=UNTIL - 1) == []
    assert ids(await claim(database, now=UNTIL)) == [task.id]


async def test_a_task_that_is_claimed_to_be_sent_is_committed_as_sending(database: Database) -> None:
    task = await unsent_task(database)
    await claim(database, SEND)
    assert (await current(database, task)).submission is Submission.SENDING


async def test_a_create_that_nobody_finished_is_asked_about_and_never_sent_again(database: Database) -> None:
    task = await stored_task(database, next_at=NOW)
    assert await claim(database, SEND) == []
    assert ids(await claim(database, ASK)) == [task.id]


async def test_an_unsent_task_is_sent_and_not_asked_about(database: Database) -> None:
    await unsent_task(database)
    assert await claim(database, ASK) == []


async def test_a_doubted_task_is_looked_at_when_its_time_is_up(database: Database) -> None:
    task = await doubted_task(database)
    assert ids(await claim(database, now=task.deadline_at)) == [task.id]


async def test_what_a_list_can_be_asked_about_and_the_rest_are_claimed_apart(database: Database) -> None:
    listed, missed, other, lost = [
        await accepted_task(database),
        await accepted_task(database),
        await accepted_task(database, surface="another"),
        await stored_task(database, next_at=NOW),
    ]
    [claimed] = await claim(database, ASK, limit=1)
    await database.write(step, "note_look", **a_look(claimed, next_at=NOW))
    [claimed] = [task for task in await claim(database, ASK) if task.id == missed.id]
    await database.write(step, "note_look", **a_look(claimed, next_at=NOW, alone=1))
    await database.write(sql, "UPDATE tasks SET next_at = :now, lease = NULL", now=NOW)
    assert ids(await claim(database, LIST)) == [listed.id]
    assert sorted(ids(await claim(database, ALONE))) == sorted([missed.id, other.id, lost.id])


@pytest.mark.parametrize("statement", [ASK, LIST, ALONE])
async def test_a_task_whose_result_is_being_archived_is_not_asked_about(database: Database, statement: str) -> None:
    task = await accepted_task(database)
    await database.write(step, "await_archive", id=task.id, result="{}", now=NOW)
    assert await claim(database, statement) == []


async def test_a_task_that_is_over_is_not_claimed(database: Database) -> None:
    await settled_task(database, await accepted_task(database))
    assert await claim(database) == []


async def test_the_next_time_of_each_loop_is_the_earliest_of_its_own_tasks(database: Database, reads: Reads) -> None:
    for age in (1, 9, 5):
        await unsent_task(database, next_at=NOW - age)
        await accepted_task(database, next_at=NOW + age)
    await accepted_task(database, next_at=1, gateway="south")
    found = [await reads.next_at(name, gateway="north") for name in ("next_to_send", "next_to_ask")]
    assert found == [NOW - 9, NOW + 1]


async def test_a_gateway_without_tasks_has_no_next_time(database: Database, reads: Reads) -> None:
    assert await reads.next_at("next_to_ask", gateway="north") is None


async def test_gateways_are_open_while_a_task_of_theirs_is_not_over(database: Database, reads: Reads) -> None:
    await settled_task(database, await accepted_task(database, gateway="west"))
    await accepted_task(database, gateway="south")
    await unsent_task(database, gateway="north")
    assert await reads.gateways_with_open_tasks() == {"south", "north"}


# --- deliveries


async def claim_due(database: Database, now: int = NOW, limit: int = 100) -> list[Dispatch]:
    return await database.write(claim_deliveries, now, now + MINUTE, LEASE, limit)


async def claim_all_due(database: Database) -> list[str]:
    claimed: list[str] = []
    while dispatches := await claim_due(database, limit=3):
        claimed += [dispatch.delivery_id for dispatch in dispatches]
    return claimed


async def test_each_due_delivery_goes_to_one_claimer(database: Database, another: Database) -> None:
    due = [(await stored_delivery(database)).delivery_id for _ in range(40)]
    claimed = await asyncio.gather(*(claim_all_due((database, another)[number % 2]) for number in range(12)))
    assert sorted(delivery_id for part in claimed for delivery_id in part) == due


async def test_the_longest_due_deliveries_come_first_and_no_more_than_asked_for(database: Database) -> None:
    due = [await stored_delivery(database, created_at=NOW - age) for age in (5, 30, 20)]
    claimed = await claim_due(database, limit=2)
    assert [dispatch.delivery_id for dispatch in claimed] == [due[1].delivery_id, due[2].delivery_id]


async def test_a_claimed_delivery_brings_all_that_an_attempt_needs(database: Database) -> None:
    dispatch = await stored_delivery(database)
    assert await claim_due(database) == [dispatch]


async def test_a_leased_delivery_is_nobody_elses_until_the_lease_ends(database: Database) -> None:
    dispatch = await stored_delivery(database, leased=True)
    assert await claim_due(database, dispatch.leased_until - 1) == []
    assert len(await claim_due(database, dispatch.leased_until)) == 1
    assert await claim_due(database, dispatch.leased_until) == []


async def test_a_delivery_that_is_over_is_not_claimed(database: Database) -> None:
    dispatch = await stored_delivery(database, leased=True)
    await database.write(each, "record_outcome", [an_outcome(dispatch)])
    assert await claim_due(database, NOW + 9 * MINUTE) == []


async def test_the_next_delivery_is_the_earliest_that_is_not_over(database: Database, reads: Reads) -> None:
    over = await stored_delivery(database, leased=True, created_at=NOW - 9)
    await database.write(each, "record_outcome", [an_outcome(over)])
    assert await reads.next_at("next_delivery") is None
    await stored_delivery(database, created_at=NOW - 1)
    await stored_delivery(database, created_at=NOW - 3)
    assert await reads.next_at("next_delivery") == NOW - 3


async def test_a_delivery_tells_the_events_own_bytes_unless_it_has_others(database: Database) -> None:
    await stored_delivery(database, body='{"a": 1}')
    await database.write(sql, "UPDATE deliveries SET body = 'other'")
    await stored_delivery(database, body='{"b" : "ü"}', created_at=NOW - 1)
    assert [dispatch.body for dispatch in await claim_due(database)] == ['{"b" : "ü"}', "other"]
