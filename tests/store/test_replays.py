"""Telling again, over both databases: what is replayed, how far it has come, and who meets whom."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from service.clock import DAY
from service.errors import Problem
from service.events import Publisher
from service.links import Links
from service.model import Event, new_id
from service.replaying import MISSED, MISSING, OVER, STEP, Replaying, _replay_delivery
from service.store.reads import Reads
from service.store.replays import Replay, find_replay
from service.store.rows import FOR_EVER, Window
from service.store.statements import Database, Transaction, run, statements
from service.store.telling import (
    add_subscription,
    claim_deliveries,
    disable_subscription,
    insert_deliveries,
    insert_event,
    pause_subscription,
    resume_subscription,
)
from service.subscriptions import Delivery, Subscription
from service.wire import dump_text
from tests.store.given import MINUTE, NOW, a_dispatch, a_subscription, an_event, an_outcome, each, fresh_id, sql

PUBLISHER = Publisher(cast(Links, None), lambda: None)
LATER = NOW + 60 * MINUTE


def replaying(database: Database, now: int = LATER) -> Replaying:
    return Replaying(
        database=database, reads=Reads(database), publisher=PUBLISHER, clock=lambda: now, remembered_ms=DAY
    )


def body_of(**about: Any) -> str:
    return dump_text({"data": about or {"task": {"id": "task_1", "gateway": "north"}}})


async def subscribed(database: Database, **changes: Any) -> Subscription:
    subscription = a_subscription(**changes)
    await database.write(add_subscription, subscription)
    return subscription


async def happened(database: Database, **changes: Any) -> Event:
    event = an_event(**{"id": fresh_id("evt"), "task_id": fresh_id("task"), "body": body_of()} | changes)
    await database.write(insert_event, event)
    return event


async def delivery(database: Database, event: Event, subscription: Subscription, status: str) -> str:
    """A delivery that has come so far; its id."""
    dispatch = a_dispatch(event, subscription)
    await database.write(insert_deliveries, event, [dispatch], leased=True)
    if status == "cancelled":
        await database.write(each, "cancel_delivery", [{"id": dispatch.delivery_id, "now": NOW, "reason": "so"}])
    elif status != "pending":
        await database.write(each, "record_outcome", [an_outcome(dispatch, status=status)])
    return dispatch.delivery_id


async def told(database: Database, subscription: Subscription) -> list[Delivery]:
    reads = Reads(database)
    window = Window(limit=200)
    return await reads.deliveries(None, window, status=None, event_id=None, subscription_id=subscription.id)


async def begun(database: Database, subscription: Subscription, **changes: Any) -> Replay:
    wish: dict[str, Any] = {"since": 0, "until": FOR_EVER, "statuses": MISSED, "per_second": 1000} | changes
    return await replaying(database).begin(subscription, **wish)


async def finished(database: Database, replay: Replay, at: int = LATER) -> Replay:
    """The replay, when all its steps are done, each by a process of its own."""
    for step in range(50):
        await replaying(database, at + step * MINUTE)._step()
        now = await find_replay(database, None, replay.id)
        assert now is not None
        if now.ended:
            return now
    raise AssertionError("it has no end")


@pytest.mark.parametrize(
    ("statuses", "again"),
    [
        (MISSED, {"exhausted", "cancelled"}),
        (("exhausted",), {"exhausted"}),
        ((MISSING,), set()),
        ((MISSING, *OVER), {"delivered", "exhausted", "cancelled"}),
    ],
)
async def test_what_is_replayed_is_what_stands_so(database: Database, statuses, again) -> None:
    subscription = await subscribed(database)
    stands = {}
    for status in ("pending", *OVER):
        stands[await delivery(database, await happened(database), subscription, status)] = status
    missing = await happened(database)
    replay = await finished(database, await begun(database, subscription, statuses=statuses))
    found = await told(database, subscription)
    assert {stands[one.id] for one in found if one.id in stands and one.replays} == again
    assert [one.event_id for one in found if one.id not in stands] == [missing.id] * (MISSING in statuses)
    assert (replay.ended, replay.scanned, replay.replayed) == ("finished", 5, len(again) + (MISSING in statuses))


async def test_a_replay_goes_on_in_another_process_and_tells_each_event_once(database: Database) -> None:
    subscription = await subscribed(database)
    events = [(await happened(database)).id for _ in range(2 * STEP + 5)]
    replay = await begun(database, subscription)
    await replaying(database)._step()
    half = await find_replay(database, "ann", replay.id)
    assert half is not None and (half.scanned, half.ended) == (STEP, None)
    await finished(database, half)
    rows = await database.read(
        "deliveries_page",
        **{"owner": None, "status": None, "event_id": None},
        subscription_id=subscription.id,
        **Window(limit=1000).params(),
    )
    assert sorted(row["event_id"] for row in rows) == events


async def test_a_replay_is_no_faster_than_it_may_be(database: Database) -> None:
    subscription = await subscribed(database)
    for _ in range(STEP + 10):
        await happened(database)
    replay = await begun(database, subscription, per_second=10)
    await replaying(database)._step()
    assert await replaying(database, LATER + 100 * STEP - 1)._step() == []
    at = LATER + 100 * STEP
    await finished(database, replay, at)
    due = sorted(row["next_at"] for row in await database.write(sql, "SELECT next_at FROM deliveries"))
    assert due == [LATER + 100 * number for number in range(STEP)] + [at + 100 * number for number in range(10)]


async def test_only_the_events_of_a_span_are_told_again(database: Database) -> None:
    subscription = await subscribed(database)
    for at in (NOW - 1, NOW, NOW + 1, NOW + 2):
        await happened(database, id=new_id("evt", at), created_at=at)
    replay = await finished(database, await begun(database, subscription, since=NOW, until=NOW + 2))
    assert replay.replayed == 2


async def test_neither_tests_nor_what_was_expunged_is_told_again(database: Database) -> None:
    subscription = await subscribed(database)
    await happened(database, test=1)
    await happened(database, body="")
    assert (await finished(database, await begun(database, subscription))).replayed == 0


async def test_what_it_does_not_want_is_not_told_again(database: Database) -> None:
    subscription = await subscribed(database, filters={"gateway": ["south"]})
    await happened(database)
    await happened(database, owner="bob")
    assert (await finished(database, await begun(database, subscription))).replayed == 0


async def test_the_subscription_of_one_task_is_never_told_of_others(database: Database) -> None:
    own, _ = await happened(database), await happened(database)
    subscription = await subscribed(database, task_id=own.task_id)
    await finished(database, await begun(database, subscription))
    assert [one.event_id for one in await told(database, subscription)] == [own.id]


async def test_a_subscription_is_not_told_of_itself_by_a_replay(database: Database) -> None:
    subscription = await subscribed(database, events=("*",))
    about = body_of(subscription={"id": subscription.id})
    await happened(database, type="subscription.failing", task_id=None, body=about)
    assert (await finished(database, await begun(database, subscription))).replayed == 0


async def test_everybodys_events_are_replayed_to_who_hears_everybody(database: Database) -> None:
    operator = await subscribed(database, owner="root", everyone=1)
    for owner in ("ann", "bob"):
        await happened(database, owner=owner)
    assert (await finished(database, await begun(database, operator))).replayed == 2


async def test_of_two_replays_at_once_one_begins(database: Database, another: Database) -> None:
    for _ in range(5):
        subscription = await subscribed(database)
        sides = (database, another) * 4
        answers = await asyncio.gather(*(begun(side, subscription) for side in sides), return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, Problem)]
        assert (len(refused), {problem.code for problem in refused}) == (7, {"conflict"})


async def test_a_replay_of_a_disabled_subscription_is_refused_with_what_to_do(database: Database) -> None:
    subscription = await subscribed(database)
    await database.write(disable_subscription, subscription.id, "410 Gone", NOW)
    disabled = await Reads(database).subscription(subscription.id, None)
    assert disabled is not None
    with pytest.raises(Problem, match="/test") as caught:
        await begun(database, disabled)
    assert caught.value.code == "conflict"


@pytest.mark.parametrize("end", ["disable", "delete"])
async def test_a_replay_ends_with_its_subscription(database: Database, end: str) -> None:
    subscription = await subscribed(database)
    await happened(database)
    replay = await begun(database, subscription)
    if end == "disable":
        await database.write(disable_subscription, subscription.id, "410 Gone", NOW)
    else:
        await database.write(sql, "DELETE FROM subscriptions")
    done = await finished(database, replay)
    assert (done.ended, done.replayed) == ("failed", 0) and "disabled" in (done.note or "")


async def test_a_replay_rests_after_a_step_that_has_told_nothing(database: Database) -> None:
    subscription = await subscribed(database, filters={"gateway": ["south"]})
    for _ in range(STEP + 1):
        await happened(database)
    await begun(database, subscription)
    await replaying(database)._step()
    assert await replaying(database, LATER + 49)._step() == []
    assert await replaying(database, LATER + 50)._step() != []


async def test_a_step_reads_so_many_rows_however_many_were_expunged(database: Database) -> None:
    subscription = await subscribed(database)
    for _ in range(STEP + 1):
        await happened(database, body="")
    replay = await begun(database, subscription)
    await replaying(database)._step()
    half = await find_replay(database, None, replay.id)
    assert half is not None and (half.scanned, half.ended) == (STEP, None)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("name", "owner", "found"),
    [
        ("events_to_replay", {"owner": "ann"}, "events_of_owner (owner=? AND id>? AND id<?)"),
        ("everybodys_events_to_replay", {}, "sqlite_autoindex_events_1 (id>? AND id<?)"),
    ],
)
async def test_a_step_begins_where_the_last_one_ended(database: Database, name: str, owner: Any, found: str) -> None:
    text = f"EXPLAIN QUERY PLAN {statements()[name]}"
    [step] = await database.write(sql, text, **owner, position="evt_0", end="evt_1", limit=1)
    assert step["detail"].endswith(found)


async def test_a_cancelled_replay_tells_no_more(database: Database) -> None:
    subscription = await subscribed(database)
    for _ in range(STEP + 1):
        await happened(database)
    replay = await begun(database, subscription)
    await replaying(database)._step()
    assert (await replaying(database).cancel(replay)).ended == "cancelled"
    assert await replaying(database, LATER + MINUTE)._step() == []
    assert (await begun(database, subscription)).ended is None, "another may begin"


# --- one delivery, one event


async def test_a_delivery_begins_anew_with_the_same_bytes(database: Database) -> None:
    subscription = await subscribed(database)
    name = await delivery(database, await happened(database), subscription, "exhausted")
    again = await replaying(database).delivery((await told(database, subscription))[0])
    assert (again.id, again.status, again.attempts, again.base, again.next_at) == (name, "pending", 1, 1, LATER)


async def test_a_delivery_that_begins_anew_has_all_of_its_time_again(database: Database) -> None:
    subscription = await subscribed(database)
    await delivery(database, await happened(database), subscription, "exhausted")
    [old] = await told(database, subscription)
    await replaying(database).delivery(old)
    [claimed] = await database.write(claim_deliveries, LATER + 5, LATER + MINUTE, "lease_2", 10)
    assert (claimed.created_at, claimed.begun_at) == (old.created_at, LATER + 5)


@pytest.mark.parametrize("waits_for", ["its subscription", "a sender"])
async def test_a_delivery_that_waits_anyway_is_shown_as_it_waits(database: Database, waits_for: str) -> None:
    subscription = await subscribed(database)
    await delivery(database, await happened(database), subscription, "pending")
    await database.write(sql, "UPDATE deliveries SET lease = NULL")
    if waits_for == "its subscription":
        await database.write(pause_subscription, subscription.id, "ann", NOW)
        await database.write(claim_deliveries, LATER - 1, LATER + MINUTE, "lease_2", 1)
    (one,) = await told(database, subscription)
    assert await replaying(database).delivery(one) == one


async def test_a_delivery_that_is_being_attempted_is_not_begun_again(database: Database) -> None:
    subscription = await subscribed(database)
    await delivery(database, await happened(database), subscription, "pending")
    with pytest.raises(Problem, match="just now"):
        await replaying(database, NOW).delivery((await told(database, subscription))[0])


async def test_a_delivery_of_what_was_expunged_is_refused(database: Database) -> None:
    subscription = await subscribed(database)
    event = await happened(database)
    await delivery(database, event, subscription, "exhausted")
    await database.write(sql, "UPDATE events SET body = ''")
    with pytest.raises(Problem) as caught:
        await replaying(database).delivery((await told(database, subscription))[0])
    assert caught.value.code == "result_gone"
    expunged = await Reads(database).event(event.id, None)
    assert expunged is not None
    with pytest.raises(Problem):
        await replaying(database).event(expunged, None)


async def test_an_event_is_told_again_to_all_who_want_it_now(database: Database) -> None:
    event = await happened(database)
    before, since = await subscribed(database), await subscribed(database)
    await subscribed(database, events=("task.running",))
    name = await delivery(database, event, before, "delivered")
    made = await replaying(database).event(event, None)
    assert set(made) == {name, *(one.id for one in await told(database, since))} and len(made) == 2


async def test_an_event_that_is_replayed_many_times_at_once_is_told_once(database: Database, another: Database) -> None:
    subscription = await subscribed(database)
    events = [await happened(database) for _ in range(5)]
    for event in events:
        await asyncio.gather(*(replaying(side).event(event, None) for side in (database, another) * 4))
    assert sorted(one.event_id for one in await told(database, subscription)) == [event.id for event in events]


async def test_an_event_is_never_replayed_to_another_owner(database: Database) -> None:
    """By an admin, who sees both."""
    event, subscription = await happened(database), await subscribed(database, owner="bob")
    with pytest.raises(Problem, match="subscription"):
        await replaying(database).event(event, subscription)


async def test_an_event_is_not_replayed_to_the_subscription_of_another_task(database: Database) -> None:
    event, subscription = await happened(database), await subscribed(database, task_id="task_other")
    with pytest.raises(Problem, match="subscription"):
        await replaying(database).event(event, subscription)


# --- pauses that begin and end meanwhile


def slowly(begin: Callable[..., Transaction[Any]], *args: Any) -> Transaction[Any]:
    """A transaction that waits a little after each of its statements, where the database lets others in meanwhile."""
    transaction = begin(*args)
    statement = next(transaction)
    try:
        while True:
            rows = yield statement
            yield run("SELECT pg_sleep(0.02)")
            statement = transaction.send(rows)
    except StopIteration as end:
        return end.value


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
@pytest.mark.parametrize("after_ms", [10, 30, 50, 70, 90, 110])
@pytest.mark.parametrize("what", ["claim", "replay", "again"])
async def test_what_is_put_off_for_a_pause_that_ends_meanwhile_is_not_put_off_for_ever(
    database: Database, another: Database, what: str, after_ms: int
) -> None:
    subscription = await subscribed(database)
    await delivery(database, await happened(database), subscription, "pending" if what == "claim" else "exhausted")
    await database.write(sql, "UPDATE deliveries SET lease = NULL")
    await database.write(pause_subscription, subscription.id, "ann", NOW)
    await database.write(sql, f"UPDATE deliveries SET next_at = {NOW} WHERE next_at IS NOT NULL")
    if what == "claim":
        putting_off = database.write(slowly, claim_deliveries, LATER, LATER + MINUTE, "lease_2", 10)
    elif what == "replay":
        await begun(database, subscription)
        putting_off = database.write(slowly, replaying(database)._advance, LATER)
    else:
        (one,) = await told(database, subscription)
        putting_off = database.write(slowly, _replay_delivery, one, LATER)
    going = asyncio.create_task(putting_off)
    await asyncio.sleep(after_ms / 1000)
    await another.write(resume_subscription, subscription.id, "ann", LATER)
    await going
    (one,) = await told(database, subscription)
    assert one.next_at is not None and one.next_at <= LATER + MINUTE, "leased at the most"
