"""The pace is learned from the tasks themselves."""

import pytest

from service.pace import Pace
from service.schedule import first_look, next_look, taken
from tests.hub import hub


async def test_the_first_guess_holds_until_five_tasks_have_been_measured(tmp_path):
    async with hub(tmp_path) as it:
        for _ in range(4):
            await it.ended(await it.submit())
        pace = Pace(it.services.reads, it.services.clock, 77_000)
        assert await pace.usual_ms("easyrouter", "dreamina-seedance-2-0") == 77_000


async def test_five_tasks_are_enough_to_know_the_pace(tmp_path):
    async with hub(tmp_path) as it:
        for _ in range(5):
            await it.ended(await it.submit())
        pace = Pace(it.services.reads, it.services.clock, 77_000)
        assert 0 < await pace.usual_ms("easyrouter", "dreamina-seedance-2-0") < 10_000


async def test_each_model_has_its_own_pace(tmp_path):
    async with hub(tmp_path) as it:
        for _ in range(5):
            await it.ended(await it.submit())
        pace = Pace(it.services.reads, it.services.clock, 77_000)
        assert await pace.usual_ms("easyrouter", "dreamina-seedance-2-0-fast") == 77_000


def looks_of(usual_ms, really_ms, *, callback_expected):
    """What a task that no callback ends is measured to have taken, when it is looked at as the pace asks."""
    open_at, at = 0, first_look(usual_ms, callback_expected=callback_expected)
    while at < really_ms:
        open_at = at
        at += next_look(at, usual_ms, shortest_ms=1_000, callback_expected=callback_expected)
    return taken(0, open_at, at, told=False)


@pytest.mark.parametrize("really_ms", [2_000, 60_000, 600_000])
@pytest.mark.parametrize("guess_ms", [1_000, 90_000, 7_200_000])
@pytest.mark.parametrize("callback_expected", [True, False])
def test_without_callbacks_the_pace_comes_to_the_truth_and_stays_there(really_ms, guess_ms, callback_expected):
    usual_ms = guess_ms
    for _ in range(60):
        usual_ms = looks_of(usual_ms, really_ms, callback_expected=callback_expected)
    assert really_ms / 2 <= usual_ms <= 2 * really_ms


async def test_a_task_that_was_never_called_back_does_not_make_the_next_look_later(tmp_path):
    async with hub(tmp_path) as it:
        looks = []
        for _ in range(6):
            task = await it.ended(await it.submit("[lost] [take 0ms]"))
            stored = await it.services.reads.task(task["id"], None)
            assert stored and stored.finished_at and stored.accepted_at
            looks.append(stored.finished_at - stored.accepted_at)
        durations = await it.services.reads.durations("easyrouter", "dreamina-seedance-2-0", 10)
        assert all(took <= look for took, look in zip(sorted(durations), sorted(looks), strict=True))
        assert sum(durations) <= 0.6 * sum(looks)
