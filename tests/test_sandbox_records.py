"""The sandbox of Ark: its list of tasks, and its DELETE. gateways.md section 2."""

import pytest

from service.sandbox_callbacks import plan
from tests.sandbox_caller import ARK, simulated


async def test_a_list_shows_the_newest_first() -> None:
    async with simulated(ARK) as caller:
        made = [await caller.made() for _ in range(3)]
        assert await caller.listed() == made[::-1]


async def test_a_list_is_filtered_by_status_tier_and_id() -> None:
    async with simulated(ARK) as caller:
        first = await caller.made()
        caller.clock.now += 2_000
        second = await caller.made()
        assert await caller.listed(filter_status="running") == [first]
        assert await caller.listed(filter_task_ids=[second, "cgt-nothing"]) == [second]
        assert await caller.listed(filter_service_tier="flex") == []


async def test_an_unlisted_task_is_shown_to_a_query_about_it_only() -> None:
    async with simulated(ARK) as caller:
        task_id = await caller.made("[unlisted]")
        assert await caller.listed() == []
        assert (await caller.look(task_id)).gateway_task_id == task_id


async def test_a_task_that_breaks_queries_is_missing_from_as_many_lists() -> None:
    async with simulated(ARK) as caller:
        task_id = await caller.made("[get 500 x2]")
        seen = [await caller.listed(filter_task_ids=[task_id]) for _ in range(3)]
        assert seen == [[], [], [task_id]]


async def test_lists_are_counted_and_so_are_the_tasks_that_they_ask_about() -> None:
    async with simulated(ARK) as caller:
        task_id = await caller.made()
        await caller.listed(filter_task_ids=[task_id])
        await caller.listed()
        log = await caller.log()
        assert (log["lists"], log["gets_by_task"]) == (2, {task_id: 1})


async def test_delete_cancels_a_queued_task() -> None:
    async with simulated(ARK) as caller:
        task_id = await caller.made()
        assert (await caller.delete(task_id)).json() == {}
        assert (await caller.look(task_id)).status == "cancelled"


@pytest.mark.parametrize("marker", ["", "[fail]", "[expire]"])
async def test_delete_deletes_the_record_of_a_task_that_is_over(marker: str) -> None:
    async with simulated(ARK) as caller:
        task_id = await caller.made(marker + " a cat")
        caller.clock.now += 5_000
        assert (await caller.delete(task_id)).json() == {}
        assert caller.refusal(await caller.get(task_id)).code == "not_found"


async def test_delete_is_refused_for_a_running_and_for_a_cancelled_task() -> None:
    async with simulated(ARK) as caller:
        running, cancelled = await caller.made(), await caller.made("[cancel]")
        caller.clock.now += 1_000
        assert caller.refusal(await caller.delete(running)).code == "not_cancellable"
        caller.clock.now += 4_000
        assert caller.refusal(await caller.delete(cancelled)).code == "conflict"


async def test_every_status_but_cancelled_is_called_back() -> None:
    """Section 2 "callback_url contract"."""
    async with simulated(ARK) as caller:
        for prompt, statuses in (("a cat", ["queued", "running", "succeeded"]), ("[cancel]", ["queued", "running"])):
            task = caller.simulator._tasks[await caller.made(prompt, callback_url="http://127.0.0.1:9/hook")]
            chains = plan(ARK.dialect, task)
            assert [planned.body["status"] for chain in chains for planned in chain] == statuses


async def test_nothing_is_called_back_about_a_task_that_its_caller_has_cancelled() -> None:
    async with simulated(ARK) as caller:
        task_id = await caller.made(callback_url="http://127.0.0.1:9/hook")
        await caller.delete(task_id)
        assert plan(ARK.dialect, caller.simulator._tasks[task_id]) == ((),)
