"""Usage and limits: sums that hold over both databases, and submits that cannot slip past each other."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from service.clock import DAY
from service.errors import Problem
from service.events import Publisher
from service.limits import Limits, month_of
from service.links import Links
from service.model import Snapshot, Status, Task
from service.settings import GatewaySettings, OwnerSettings, PriceSettings, Settings
from service.settling import End, settle
from service.signing import ContentTokens
from service.store.reads import Reads
from service.store.rows import IdempotencyKey, Repeat, Window
from service.store.statements import Database, Params
from service.usage import COUNTS, GROUPS, MOST_ROWS, book, read_totals
from service.wire import Json
from tests.store.given import MINUTE, NOW, a_subscription, a_task, accepted_task, each, settled_task, sql, stored_task

TODAY = NOW // DAY
KEY = IdempotencyKey(key="order-7", fingerprint="abc")


def usd(amount: str, refunded: str = "0.00") -> Json:
    return {"amount": amount, "currency": "USD", "refunded": refunded}


def with_cost(task: Task, cost: Json | None, **more: Any) -> Task:
    return replace(task, result={"cost": cost, "usage": {"quota": 7}}, **more)


async def sums(database: Database, owner: str | None = "ann", groups: tuple[str, ...] = ()) -> list[Json]:
    found = await read_totals(database, owner, TODAY, TODAY + 1, groups)
    assert found is not None
    return [totals.keys | {"costs": totals.costs} | totals.counts for totals in found]


async def test_what_is_held_charged_and_given_back_meets_in_one_sum(database: Database) -> None:
    task = a_task()
    held, charged = usd("2.00"), usd("1.50", "0.50")
    await database.write(book, {}, with_cost(task, held), ended=False)
    await database.write(book, {"cost": held}, with_cost(task, charged, status=Status.SUCCEEDED), ended=True)
    [found] = await sums(database)
    assert (found["tasks"], found["succeeded"], found["quota"], found["costs"]) == (1, 1, 7, [charged])


async def test_a_cost_in_another_currency_leaves_nothing_in_the_first(database: Database) -> None:
    task = a_task()
    euros = {"amount": "1.00", "currency": "EUR", "refunded": "0.00"}
    await database.write(book, {}, with_cost(task, usd("2.00")), ended=False)
    await database.write(book, {"cost": usd("2.00")}, with_cost(task, euros, status=Status.SUCCEEDED), ended=True)
    [found] = await sums(database)
    assert found["costs"] == [euros, usd("0.00")]


async def test_what_says_nothing_new_books_nothing(database: Database) -> None:
    await database.write(book, {"cost": usd("2.00")}, with_cost(a_task(), usd("2.00")), ended=False)
    assert await sums(database) == []


async def test_a_task_counts_on_the_day_of_its_submit_whenever_it_ends(database: Database) -> None:
    task = a_task(created_at=NOW - DAY)
    await database.write(book, {}, with_cost(task, None, status=Status.FAILED, finished_at=NOW), ended=True)
    assert await sums(database) == []


@pytest.mark.parametrize(
    ("groups", "keys"),
    [
        ((), [{}]),
        (("gateway",), [{"gateway": "north"}, {"gateway": "south"}]),
        (("day", "owner"), [{"day": TODAY, "owner": "ann"}, {"day": TODAY, "owner": "bob"}]),
        (GROUPS, None),
    ],
)
async def test_sums_are_told_apart_by_what_is_asked_for(
    database: Database, groups: tuple[str, ...], keys: list[Json] | None
) -> None:
    for owner, gateway in (("ann", "north"), ("ann", "south"), ("bob", "south")):
        task = a_task(owner=owner, gateway=gateway, status=Status.FAILED)
        await database.write(book, {}, with_cost(task, usd("0.10")), ended=True)
    found = await sums(database, None, groups)
    assert sum(one["tasks"] for one in found) == 3
    if keys is not None:
        assert [{name: one[name] for name in groups} for one in found] == keys


async def test_an_owner_sees_his_own_sums_only(database: Database) -> None:
    await database.write(book, {}, with_cost(a_task(owner="bob", status=Status.FAILED), usd("1.00")), ended=True)
    assert [await sums(database, owner) for owner in ("ann", "bo", "")] == [[], [], []]
    assert len(await sums(database, "bob")) == len(await sums(database, None)) == 1


async def test_of_concurrent_ends_each_is_counted_once(database: Database, another: Database) -> None:
    links = Links("https://hook.example", ContentTokens("a secret of the tests"), MINUTE)
    publisher = Publisher(links, lambda: None)
    snapshot = Snapshot(status=Status.SUCCEEDED, video_url="https://a/v.mp4", cost=usd("0.10"))
    end = End(status=Status.SUCCEEDED, by="sweep", snapshot=snapshot)
    tasks = [await accepted_task(database) for _ in range(10)]
    ends = ((one, task.id) for task in tasks for one in (database, another, database))
    await asyncio.gather(*(one.write(settle, task_id, end, publisher, NOW) for one, task_id in ends))
    [found] = await sums(database)
    assert (found["tasks"], found["succeeded"], found["costs"]) == (10, 10, [usd("1.00")])


async def test_more_sums_than_anybody_reads_are_not_read(database: Database) -> None:
    zeros = dict.fromkeys((*COUNTS, "cost", "refunded"), 0)
    rows: list[Params] = [
        {"owner": f"owner-{number}", "day": TODAY, "gateway": "north", "model": "m", "currency": ""} | zeros
        for number in range(MOST_ROWS + 1)
    ]
    await database.write(each, "add_usage", rows)
    assert await read_totals(database, None, TODAY, TODAY + 1, ("owner",)) is None
    assert len(await sums(database, None, ("gateway",))) == 1


async def test_a_month_is_that_of_the_calendar() -> None:
    assert [month_of(at) for at in (0, 31 * DAY - 1, 31 * DAY, 365 * DAY - 1)] == [
        (0, 31),
        (0, 31),
        (31, 59),
        (334, 365),
    ]


# --- limits


def limits(**more: Any) -> Limits:
    priced = GatewaySettings(price=PriceSettings(unit="tasks", amount="1", currency="USD"))
    return Limits(Settings(owners={"ann": OwnerSettings(**more)}, gateways={"north": priced}))


async def stored(database: Database, limits: Limits, **more: Any) -> Problem | Repeat | None:
    try:
        return await database.write(limits.store, a_task(**more), None, None)
    except Problem as problem:
        return problem


async def test_one_task_too_many_is_refused_and_nothing_of_it_is_stored(database: Database, reads: Reads) -> None:
    await stored_task(database)
    task = a_task()
    with pytest.raises(Problem) as refused:
        await database.write(limits(pending=1).store, task, KEY, a_subscription(task_id=task.id))
    assert (refused.value.code, refused.value.retry_after_ms) == ("too_many_pending", 5_000)
    left = await database.write(sql, "SELECT id FROM subscriptions UNION SELECT key FROM idempotency_keys")
    assert (await reads.task(task.id, None), list(left)) == (None, [])


async def test_a_task_that_has_ended_makes_room(database: Database) -> None:
    await settled_task(database, await accepted_task(database))
    assert await stored(database, limits(pending=1)) is None


async def test_the_tasks_of_others_take_no_room(database: Database) -> None:
    await stored_task(database, owner="bob")
    assert await stored(database, limits(pending=1)) is None


async def test_a_limit_of_none_at_all_lets_nobody_in(database: Database) -> None:
    refused = await stored(database, limits(pending=0))
    assert isinstance(refused, Problem)


async def test_of_concurrent_submits_no_more_than_the_limit_are_stored(
    database: Database, another: Database, reads: Reads
) -> None:
    allowed = limits(pending=5)
    answers = await asyncio.gather(*(stored((database, another)[number % 2], allowed) for number in range(30)))
    tasks = await reads.tasks("ann", Window(), status=None, gateway=None)
    assert (len(tasks), answers.count(None)) == (5, 5)


async def test_a_repeated_submit_is_answered_beyond_the_limit_too(database: Database) -> None:
    first = a_task()
    assert await database.write(limits(pending=1).store, first, KEY, None) is None
    told = await database.write(limits(pending=1).store, a_task(), KEY, None)
    assert told == Repeat(task_id=first.id, fingerprint="abc", answer=None)


async def test_a_budget_that_is_used_up_lets_nothing_in(database: Database) -> None:
    allowed = limits(budget="1.00 USD")
    await database.write(book, {}, with_cost(a_task(), usd("0.99")), ended=False)
    assert await stored(database, allowed) is None
    await database.write(book, {}, with_cost(a_task(), usd("0.01")), ended=False)
    refused = await stored(database, allowed)
    assert isinstance(refused, Problem)
    assert (refused.code, "1.00 of 1.00 USD" in refused.message) == ("insufficient_credit", True)


async def test_what_is_given_back_is_there_to_be_spent_again(database: Database) -> None:
    held = usd("1.00")
    await database.write(book, {}, with_cost(a_task(), held), ended=False)
    failed = with_cost(a_task(status=Status.FAILED), usd("0.00", "1.00"))
    await database.write(book, {"cost": held}, failed, ended=True)
    assert await stored(database, limits(budget="1.00 USD")) is None


async def test_a_new_month_has_a_budget_of_its_own(database: Database) -> None:
    first_day, end_day = month_of(NOW)
    for day in (first_day - 1, end_day):
        await database.write(book, {}, with_cost(a_task(created_at=day * DAY), usd("5.00")), ended=False)
    assert await stored(database, limits(budget="1.00 USD")) is None
