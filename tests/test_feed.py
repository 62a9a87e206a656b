"""Events pulled from a cursor, and how many may wait for more."""

import pytest

from service.errors import Problem
from service.feed import Feed
from service.settings import StreamSettings
from tests.hub import hub


async def trigger(it, event_type="task.succeeded", client=None):
    answer = await (client or it.http).post("/v1/events", json={"type": event_type})
    assert answer.status_code == 201, answer.text
    return answer.json()["event"]


async def pull(it, after="0", client=None, **query):
    return (await (client or it.http).get("/v1/events", params={"after": after} | query)).json()


async def refusal(it, client=None, **query):
    answer = await (client or it.http).get("/v1/events", params=query)
    return answer.status_code, answer.json()["error"].get("field")


async def test_events_are_pulled_oldest_first(hub_without_worker):
    made = [await trigger(hub_without_worker) for _ in range(3)]
    assert await pull(hub_without_worker) == {"data": made, "next_after": "3", "has_more": False}


async def test_pages_follow_each_other_without_a_gap(hub_without_worker):
    made = [await trigger(hub_without_worker) for _ in range(5)]
    pages = [await pull(hub_without_worker, limit="2")]
    while pages[-1]["data"]:
        pages.append(await pull(hub_without_worker, pages[-1]["next_after"], limit="2"))
    assert [len(page["data"]) for page in pages] == [2, 2, 1, 0]
    assert [event for page in pages for event in page["data"]] == made


async def test_an_empty_page_says_where_to_go_on(hub_without_worker):
    await trigger(hub_without_worker)
    end = (await pull(hub_without_worker))["next_after"]
    assert (await pull(hub_without_worker, end))["next_after"] == end
    made = await trigger(hub_without_worker)
    assert (await pull(hub_without_worker, end))["data"] == [made]


async def test_an_event_is_a_cursor_too(hub_without_worker):
    first, second = await trigger(hub_without_worker), await trigger(hub_without_worker)
    assert (await pull(hub_without_worker, first["id"]))["data"] == [second]


async def test_a_pattern_leaves_out_what_does_not_match_it(hub_without_worker):
    await trigger(hub_without_worker, "subscription.failing")
    made = await trigger(hub_without_worker, "task.failed")
    await trigger(hub_without_worker, "delivery.exhausted")
    page = await pull(hub_without_worker, type="task.*,subscription.disabled")
    assert (page["data"], page["next_after"]) == ([made], "3")


async def test_the_events_of_one_task_are_pulled_by_its_id(tmp_path):
    async with hub(tmp_path) as it:
        await trigger(it)
        task = await it.ended(await it.submit())
        found = (await pull(it, task=task["id"]))["data"]
        assert [event["type"] for event in found] == ["task.accepted", "task.running", "task.succeeded"]


async def test_without_a_cursor_the_newest_come_first(hub_without_worker):
    made = [await trigger(hub_without_worker) for _ in range(2)]
    assert await hub_without_worker.listed("/v1/events") == made[::-1]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"after": "2"}, "after"),
        ({"after": "-1"}, "after"),
        ({"after": "9" * 40}, "after"),
        ({"after": "evt_01M7ZH3BMNK815Q5HRGJC7M4HF"}, "after"),
        ({"after": "0", "type": "task.*,video.*"}, "type"),
        ({"after": "0", "type": ","}, "type"),
        ({"after": "0", "limit": "0"}, "limit"),
        ({"after": "0", "cursor": "evt_01M7ZH3BMNK815Q5HRGJC7M4HF"}, "cursor"),
    ],
)
async def test_what_cannot_be_pulled_is_refused_by_name(hub_without_worker, query, field):
    await trigger(hub_without_worker)
    assert await refusal(hub_without_worker, **query) == (400, field)


async def test_nobody_sees_the_feed_of_another(hub_without_worker):
    await trigger(hub_without_worker)
    assert (await pull(hub_without_worker, client=hub_without_worker.other))["data"] == []


async def test_an_event_of_another_is_no_cursor(hub_without_worker):
    made = await trigger(hub_without_worker)
    assert await refusal(hub_without_worker, hub_without_worker.other, after=made["id"]) == (400, "after")


async def test_an_admin_names_whose_feed_he_reads(hub_without_worker):
    it = hub_without_worker
    made, own = await trigger(it), await trigger(it, client=it.admin)
    assert (await pull(it, client=it.admin, owner="anna"))["data"] == [made]
    assert (await pull(it, client=it.admin))["data"] == [own]


async def test_nobody_else_may_name_an_owner(hub_without_worker):
    it = hub_without_worker
    assert await refusal(it, it.other, after="0", owner="anna") == (403, "owner")


@pytest.mark.parametrize("settings", [StreamSettings(per_owner=1), StreamSettings(concurrency=1)])
async def test_so_many_may_wait_and_no_more(hub_without_worker, settings):
    feed = Feed(hub_without_worker.services.reads, settings)
    with feed.watching("anna"), pytest.raises(Problem, match="too many streams") as refused, feed.watching("anna"):
        pass
    with feed.watching("anna"):  # a place that was left is free again
        assert refused.value.code == "rate_limited"


async def test_whoever_waits_is_woken_by_the_commit_itself(hub_without_worker):
    """And not by the timer, which comes twice a second."""
    it = hub_without_worker
    with it.services.feed.watching("anna") as watch:
        await watch.wait(10_000)
        watch.begin()
        await trigger(it)
        assert watch.woken
