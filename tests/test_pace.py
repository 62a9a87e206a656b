"""The pace is learned from the tasks themselves."""

from service.pace import Pace
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
