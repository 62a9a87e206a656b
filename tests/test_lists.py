"""Gateways that list their tasks: one question about many of them, and the list that we serve."""

from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from service.model import iso
from service.worker import working
from tests.hub import GATEWAY, SANDBOX, hub, smallest

SWEPT = replace(GATEWAY, callbacks=False)
PATH, BODY = smallest("ark")
LONG = replace(SANDBOX, queue_ms=(60_000, 60_000))


@asynccontextmanager
async def due(tmp_path, prompts, **more):
    """A hub in front of Ark whose tasks have all ended there before anybody looks; then the worker starts."""
    async with hub(tmp_path, "ark", gateway=SWEPT, worker=False, **more) as it:
        for prompt in prompts:
            wish = prompt if isinstance(prompt, dict) else {"prompt": prompt}
            await it.submit(**{"model": "ep-1", "prompt": "a cat"} | wish)
        await it.until(lambda: over(it), bool)
        async with working(it.services):
            await it.until(lambda: it.listed("/v1/tasks?limit=200"), lambda tasks: all(map(ended, tasks)))
            yield it


async def over(it):
    """Whether the gateway has ended all tasks, and all are due here."""
    ends = {task["status"] for task in it.sandbox.report()["tasks"]}
    tasks = await it.listed("/v1/tasks?limit=200")
    return ends == {"succeeded"} and max(task["next_look_at"] for task in tasks) < str(iso(it.services.clock()))


def ended(task):
    return task["status"] == "succeeded"


async def test_one_question_asks_about_all_tasks_that_are_due(tmp_path):
    async with due(tmp_path, ["a cat"] * 20) as it:
        assert it.sandbox.log.lists == 1
        assert set(it.sandbox.log.gets_by_task.values()) == {1}


async def test_no_question_is_about_more_tasks_than_its_bound(tmp_path):
    async with due(tmp_path, ["a cat"] * 60) as it:
        assert it.sandbox.log.lists == 2
        assert set(it.sandbox.log.gets_by_task.values()) == {1}


async def test_a_task_that_is_due_alone_is_asked_about_by_its_id(tmp_path):
    async with due(tmp_path, ["a cat"]) as it:
        assert (it.sandbox.log.lists, it.sandbox.log.gets_by_task.total()) == (0, 1)


async def test_a_task_that_the_list_does_not_show_is_asked_about_alone(tmp_path):
    async with due(tmp_path, ["a cat", "a cat", "[unlisted]"]) as it:
        assert it.sandbox.log.lists == 1
        assert sorted(it.sandbox.log.gets_by_task.values()) == [1, 1, 2]


async def test_tasks_of_two_tiers_are_asked_about_apart(tmp_path):
    """gateways.md section 2: `filter.service_tier (def default)`."""
    async with due(tmp_path, ["a cat", "a cat", *[{"service_tier": "flex"}] * 2]) as it:
        assert it.sandbox.log.lists == 2
        assert set(it.sandbox.log.gets_by_task.values()) == {1}


# --- the list that we serve


async def made(it, http=None, **more):
    answer = await (http or it.http).post(PATH, json=BODY | {"model": "ep-1"} | more)
    return answer.json()["id"]


async def shown(it, query="", http=None):
    answer = (await (http or it.http).get(f"{PATH}{query}")).json()
    return answer["total"], [item["id"] for item in answer["items"]]


async def test_a_list_has_pages_and_a_total(tmp_path):
    async with hub(tmp_path, "ark", sandbox=LONG, worker=False) as it:
        ids = [await made(it) for _ in range(5)][::-1]
        assert await shown(it) == (5, ids)
        assert await shown(it, "?page_num=2&page_size=2") == (5, ids[2:4])
        assert await shown(it, "?page_num=9&page_size=2") == (5, [])


async def test_a_list_shows_each_task_as_a_query_does(tmp_path):
    async with hub(tmp_path, "ark", sandbox=LONG, worker=False) as it:
        task_id = await made(it)
        (item,) = (await it.http.get(PATH)).json()["items"]
        assert item == (await it.http.get(f"{PATH}/{task_id}")).json()


async def test_a_list_is_of_its_owner(tmp_path):
    async with hub(tmp_path, "ark", sandbox=LONG, worker=False) as it:
        mine, others = await made(it), await made(it, it.other)
        assert await shown(it) == await shown(it, f"?filter.task_ids={mine}&filter.task_ids={others}") == (1, [mine])
        assert await shown(it, http=it.other) == (1, [others])
        assert await shown(it, http=it.admin) == (2, [others, mine])


async def test_a_list_is_filtered(tmp_path):
    async with hub(tmp_path, "ark", sandbox=LONG, worker=False) as it:
        plain, flex, other = await made(it), await made(it, service_tier="flex"), await made(it, model="ep-2")
        assert await shown(it, "?filter.model=ep-2") == (1, [other])
        assert await shown(it, "?filter.service_tier=flex") == (1, [flex])
        assert await shown(it, "?filter.status=queued") == (2, [other, plain])
        assert await shown(it, "?filter.status=running") == (0, [])
        assert await shown(it, f"?filter.task_ids={plain}&filter.task_ids=cgt-nothing") == (1, [plain])


@pytest.mark.parametrize(
    ("query", "name", "words"),
    [
        ("?page_num=0", "page_num", "from 1 to 500"),
        ("?page_size=501", "page_size", "from 1 to 500"),
        ("?page_size=x", "page_size", "from 1 to 500"),
        ("?page_size=1&page_size=2", "page_size", "more than once"),
        ("?filter.status=done", "filter.status", "queued, running, succeeded, failed, cancelled, expired"),
        ("?filter.model=", "filter.model", "must not be empty"),
        ("?filter.colour=red", "filter.colour", "known: page_num, page_size"),
        ("?" + "&".join(["filter.task_ids=x"] * 501), "filter.task_ids", "at most 500"),
    ],
    ids=lambda value: value[:30],
)
async def test_a_bad_list_query_is_refused_by_name(hub_of_ark, query, name, words):
    answer = await hub_of_ark.http.get(f"{PATH}{query}")
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], words in error["message"]) == (400, name, True)


async def test_a_list_needs_a_key(hub_of_ark):
    answer = await hub_of_ark.http.get(PATH, headers={"authorization": "Bearer rh_wrong"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "AuthenticationError")


@pytest.fixture
async def hub_of_ark(tmp_path):
    async with hub(tmp_path, "ark", worker=False) as it:
        yield it
