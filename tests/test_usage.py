"""What tasks cost, end to end: in the task, in its events, and summed at /v1/usage."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from service.settings import ArchiveSettings, OwnerSettings, PriceSettings
from service.wire import loads
from tests.hub import GATEWAY, SANDBOX, SETTINGS, hub, smallest
from tests.servers import Sink

PRICES = {
    "worldrouter": PriceSettings(unit="tokens", per=1_000_000, amount="10", currency="USD"),
    "easyrouter": PriceSettings(unit="quota", per=500_000, amount="1.00", currency="USD"),
    "seedance2": PriceSettings(unit="credits", per=100, amount="1.00", currency="USD"),
}
SLOW = replace(SANDBOX, run_ms=(400, 400))


def priced(dialect):
    return replace(GATEWAY, price=PRICES[dialect])


def priced_hub(tmp_path, dialect="easyrouter", **more):
    return hub(tmp_path, dialect, gateway=priced(dialect), **more)


@pytest.mark.parametrize(
    ("dialect", "amount"), [("worldrouter", "1.08"), ("easyrouter", "1.63625"), ("seedance2", "0.40")]
)
async def test_a_task_is_charged_what_its_gateway_finally_says(tmp_path, dialect, amount):
    async with priced_hub(tmp_path, dialect) as it:
        ended = await it.ended(await it.submit())
        assert (ended["cost"]["amount"], ended["cost"]["currency"]) == (amount, "USD")


async def test_an_event_says_what_the_task_cost(tmp_path):
    async with Sink().open() as sink, priced_hub(tmp_path) as it:
        await it.subscribe(sink.url)
        ended = await it.ended(await it.submit())
        [told] = await sink.wait_for(len)
        assert loads(told.body)["data"]["task"]["cost"] == ended["cost"]


async def test_without_a_price_there_is_no_cost(tmp_path):
    async with hub(tmp_path) as it:
        assert (await it.ended(await it.submit()))["cost"] is None


async def test_the_unused_part_of_what_was_held_is_given_back(tmp_path):
    """easyrouter holds a quarter more, which a look while it runs has seen."""
    async with priced_hub(tmp_path, sandbox=SLOW) as it:
        task = await it.submit("[lost]")
        await it.until(lambda: it.task(task["id"]), lambda shown: (shown["cost"] or {}).get("amount") == "2.04531")
        assert (await it.ended(task))["cost"] == {"amount": "1.63625", "currency": "USD", "refunded": "0.40906"}


async def test_a_failed_task_costs_nothing(tmp_path):
    async with priced_hub(tmp_path) as it:
        ended = await it.ended(await it.submit("[fail]"))
        assert (ended["cost"]["amount"], ended["cost"]["refunded"]) == ("0.00", "2.04531")


async def test_a_failed_task_of_seedance2_stays_charged(tmp_path):
    """ASSUME: its documentation says nothing of a refund."""
    async with priced_hub(tmp_path, "seedance2") as it:
        ended = await it.ended(await it.submit("[fail]"))
        assert ended["cost"] == {"amount": "0.40", "currency": "USD", "refunded": "0.00"}


async def test_the_count_of_a_receipt_outlives_answers_that_leave_it_out(tmp_path):
    """F6: creditsCharged stands in the receipt only."""
    async with hub(tmp_path, "seedance2") as it:
        assert (await it.ended(await it.submit()))["usage"] == {"creditsCharged": 40}


# --- /v1/usage


async def used(it, query="", http=None):
    return (await (http or it.http).get(f"/v1/usage{query}")).json()


async def test_usage_is_summed_by_gateway_and_model(tmp_path):
    async with priced_hub(tmp_path) as it:
        for prompt in ("a cat", "[fail]"):
            await it.ended(await it.submit(prompt))
        [sums] = (await used(it))["data"]
        costs = sums.pop("costs")
        assert sums == {
            "gateway": "easyrouter",
            "model": "dreamina-seedance-2-0",
            "tasks": 2,
            "succeeded": 1,
            "failed": 1,
            "cancelled": 0,
            "expired": 0,
            "usage": {"tokens": 108_000, "quota": 818_125, "credits": 0},  # the failed one is refunded
        }
        assert [(cost["amount"], cost["currency"]) for cost in costs] == [("1.63625", "USD")]


async def test_usage_is_told_to_its_owner_and_the_admin_only(tmp_path):
    async with priced_hub(tmp_path) as it:
        await it.ended(await it.submit())
        assert (await used(it, http=it.other))["data"] == []
        assert [row["owner"] for row in (await used(it, "?group_by=owner,day", it.admin))["data"]] == ["anna"]


async def test_a_day_is_shown_as_one(tmp_path):
    async with priced_hub(tmp_path) as it:
        await it.ended(await it.submit())
        today = datetime.fromtimestamp(it.services.clock() / 1000, UTC).date().isoformat()
        shown = await used(it, f"?from={today}&to={today}&group_by=day")
        assert (shown["from"], shown["to"], [row["day"] for row in shown["data"]]) == (today, today, [today])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=yesterday", "from"),
        ("from=2026-13-01", "from"),
        ("to=2026-11-21T00:00:00Z", "to"),
        ("from=2026-11-22&to=2026-11-21", "from"),
        ("from=2024-01-01&to=2026-01-01", "from"),
        ("from=0001-01-01&to=0001-01-02", "to"),
        ("to=", "to"),
        ("group_by=colour", "group_by"),
        ("group_by=owner,,day", "group_by"),
        ("owner=bert", "owner"),
        ("from=2026-11-01&from=2026-11-02", "from"),
    ],
)
async def test_a_bad_question_is_refused_by_name(hub_without_worker, query, field):
    answer = await hub_without_worker.http.get(f"/v1/usage?{query}")
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)


async def test_usage_wants_a_key(hub_without_worker):
    answer = await hub_without_worker.http.get("/v1/usage", headers={"authorization": ""})
    assert answer.status_code == 401


async def test_a_result_that_is_archived_first_is_charged_once(tmp_path):
    settings = replace(SETTINGS, archive=ArchiveSettings(directory=str(tmp_path / "archive")))
    async with priced_hub(tmp_path, settings=settings) as it:
        ended = await it.ended(await it.submit())
        [sums] = (await used(it))["data"]
        assert (sums["succeeded"], sums["costs"][0]["amount"], ended["cost"]["amount"]) == (1, "1.63625", "1.63625")


# --- limits of owners


def limited(**more):
    return replace(SETTINGS, owners={"anna": OwnerSettings(**more)})


@pytest.mark.parametrize(
    ("dialect", "status", "word"),
    [
        ("worldrouter", 429, "seedance_too_many_pending_tasks"),
        ("easyrouter", 429, "too_many_pending"),
        ("cubicspaces", 429, "too_many_pending"),
        ("videos", 200, "too_many_pending"),
        ("seedance2", 429, "too_many_pending"),
    ],
)
async def test_a_task_too_many_is_refused_as_the_gateway_would(tmp_path, dialect, status, word):
    """F2 429, F5 HTTP 200 with an error object, F6 success: false."""
    async with hub(tmp_path, dialect, settings=limited(pending=1), sandbox=SLOW) as it:
        path, body = smallest(dialect)
        await it.post(path, body)
        answer = await it.post(path, body)
        problem = it.dialect.read_error(answer.status_code, answer.json())
        assert problem is not None
        assert (answer.status_code, problem.code, problem.gateway_code) == (status, "too_many_pending", word)
        assert (answer.headers["retry-after"], it.made()) == ("5", 1)


@pytest.mark.parametrize(
    ("dialect", "status", "word"),
    [
        ("worldrouter", 402, "seedance_balance_too_low"),
        ("easyrouter", 402, "insufficient_user_quota"),
        ("seedance2", 402, "insufficient_credit"),
    ],
)
async def test_a_budget_that_is_used_up_is_refused_as_the_gateway_would(tmp_path, dialect, status, word):
    settings = limited(budget="0.01 USD")
    async with hub(tmp_path, dialect, gateway=priced(dialect), settings=settings) as it:
        path, body = smallest(dialect)
        await it.ended(await it.submit())
        answer = await it.post(path, body)
        problem = it.dialect.read_error(answer.status_code, answer.json())
        assert problem is not None
        assert (answer.status_code, problem.code, problem.gateway_code) == (status, "insufficient_credit", word)
        assert it.made() == 1


async def test_a_receipt_that_names_its_cost_counts_before_the_task_has_ended(tmp_path):
    """F6 creditsCharged."""
    settings = limited(budget="0.40 USD")
    async with hub(tmp_path, "seedance2", gateway=priced("seedance2"), settings=settings, worker=False) as it:
        answers = [(await it.submitted()).status_code for _ in range(2)]
        assert answers == [201, 402]


async def test_the_native_api_says_429_for_ones_own_limit_whatever_a_full_gateway_would_do(tmp_path):
    async with hub(tmp_path, settings=limited(pending=1), sandbox=SLOW) as it:
        await it.submit()
        answer = await it.submitted(when_full="queue")
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_pending")
        assert (answer.headers["retry-after"], len(await it.listed("/v1/tasks"))) == ("5", 1)


async def test_a_limit_for_everybody_holds_where_the_owner_has_none(tmp_path):
    settings = replace(SETTINGS, owners={"*": OwnerSettings(pending=1), "anna": OwnerSettings(budget="9 USD")})
    async with hub(tmp_path, settings=settings, sandbox=SLOW, gateway=priced("easyrouter")) as it:
        assert [(await it.submitted()).status_code for _ in range(2)] == [201, 429]


async def test_limits_of_one_owner_do_not_hold_for_another(tmp_path):
    async with hub(tmp_path, settings=limited(pending=0), sandbox=SLOW) as it:
        body = {"gateway": "easyrouter", "model": it.dialect.models[0], "prompt": "a cat"}
        assert (await it.other.post("/v1/tasks", json=body)).status_code == 201
