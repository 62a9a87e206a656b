"""The sandbox gateway: the course of its tasks, its refusals, its markers and its log, in each dialect."""

import asyncio
import signal
import sys
from dataclasses import replace

import httpx
import pytest

from service.errors import Problem
from service.model import Status
from service.sandbox import SandboxSettings
from service.sandbox_script import MARKERS, REFUSALS, marker_table, read_script
from service.sandbox_task import ODD_WORD
from tests.dialects.given import Spoken
from tests.sandbox_caller import DAY, EASYROUTER, EVERY_SURFACE, SETTINGS, SHOWING_LINKS, WORLDROUTER, bearer, simulated
from tests.servers import PATIENCE_S

# --- the course of a task


@EVERY_SURFACE
async def test_a_task_is_queued_and_runs_and_succeeds(each: Spoken) -> None:
    async with simulated(each) as caller:
        task_id = await caller.made()
        seen = [(await caller.look(task_id, after)).status for after in (0, 1_000, 3_999, 1)]
    assert seen == [Status.QUEUED, Status.RUNNING, Status.RUNNING, Status.SUCCEEDED]


async def test_progress_grows_while_a_task_runs() -> None:
    async with simulated(EASYROUTER) as caller:
        task_id = await caller.made()
        seen = [(await caller.look(task_id, after)).progress for after in (0, 1_000, 2_000, 1_999, 1)]
    assert seen == [10, 10, 55, 99, 100]


@EVERY_SURFACE
async def test_the_result_can_be_fetched_from_the_sandbox(each: Spoken) -> None:
    async with simulated(each) as caller:
        link = (await caller.look(await caller.made(), after_ms=5_000)).video_url
        answer = await caller.http.get(link or "")
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.content[4:8] == b"ftyp"


async def test_the_same_seed_draws_the_same_course() -> None:
    drawn = []
    for seed in (1, 1, 2):
        async with simulated(EASYROUTER, SandboxSettings(seed=seed)) as caller:
            drawn.append([await caller.made() for _ in range(5)])
    assert drawn[0] == drawn[1] != drawn[2]


# --- refusals


@EVERY_SURFACE
@pytest.mark.parametrize("headers", [{"authorization": ""}, bearer("wrong"), bearer("schlüssel")])
async def test_a_caller_without_the_key_is_refused(each: Spoken, headers: dict[str, str]) -> None:
    """F1 auth: our client carries the key as a Bearer, and whoever does not is refused."""
    async with simulated(each) as caller:
        task_id = await caller.made()
        caller.http.headers = httpx.Headers(headers, encoding="utf-8")
        answers = [await caller.create(), await caller.get(task_id)]
    assert [(answer.status_code, caller.refusal(answer).code) for answer in answers] == [(401, "unauthorized")] * 2


@EVERY_SURFACE
async def test_an_unknown_task_is_refused_as_documented(each: Spoken) -> None:
    async with simulated(each) as caller:
        answer = await caller.get("task_nobody-made-this")
    status, body = each.dialect.write_error(Problem("not_found", "there is no task task_nobody-made-this"))
    assert (answer.status_code, answer.json()) == (status, body)


@EVERY_SURFACE
async def test_an_unknown_path_is_refused_in_the_words_of_the_dialect(each: Spoken) -> None:
    async with simulated(each) as caller:
        assert caller.refusal(await caller.http.get("/nothing/here")).code == "unknown_route"


@pytest.mark.parametrize("status", REFUSALS)
@EVERY_SURFACE
async def test_a_marker_refuses_the_create(each: Spoken, status: int) -> None:
    async with simulated(each) as caller:
        answer = await caller.create(f"a cat [{status}]")
        log = await caller.log()
    expected, _ = each.dialect.write_error(Problem(REFUSALS[status][0], ""))
    assert answer.status_code == expected
    assert each.dialect.read_error(answer.status_code, answer.json()) is not None
    assert (log["refusals"], log["creates"]) == (1, [])


@EVERY_SURFACE
async def test_a_counted_refusal_ends(each: Spoken) -> None:
    async with simulated(each) as caller:
        answers = [await caller.create("a cat [429 x2]") for _ in range(3)]
    refused = [each.dialect.read_error(answer.status_code, answer.json()) for answer in answers]
    assert [problem and problem.code for problem in refused] == ["rate_limited", "rate_limited", None]


async def test_a_counted_refusal_counts_each_prompt_alone() -> None:
    async with simulated(EASYROUTER) as caller:
        answers = [await caller.create(f"cat {number} [500 x1]") for number in (1, 2, 1)]
    assert [answer.status_code for answer in answers] == [500, 500, 200]


async def test_no_more_tasks_are_taken_than_may_be_pending() -> None:
    async with simulated(WORLDROUTER, replace(SETTINGS, pending_cap=2)) as caller:
        answers = [await caller.create() for _ in range(3)]
    assert caller.refusal(answers[-1]).code == "too_many_pending"


async def test_a_task_that_ended_makes_room() -> None:
    async with simulated(WORLDROUTER, replace(SETTINGS, pending_cap=1)) as caller:
        await caller.made()
        caller.clock.now += 5_000
        assert (await caller.create()).status_code == 200


# --- markers of the task


@EVERY_SURFACE
@pytest.mark.parametrize(
    ("marker", "status"), [("fail", Status.FAILED), ("cancel", Status.CANCELLED), ("expire", Status.EXPIRED)]
)
async def test_a_marker_decides_how_a_task_ends(each: Spoken, marker: str, status: Status) -> None:
    async with simulated(each) as caller:
        snapshot = await caller.look(await caller.made(f"[{marker}] a cat"), after_ms=5_000)
    assert (snapshot.status, snapshot.video_url) == (status, None)


async def test_a_failure_has_the_code_that_was_asked_for() -> None:
    code = "OutputVideoSensitiveContentDetected.PolicyViolation"
    async with simulated(WORLDROUTER) as caller:
        error = (await caller.look(await caller.made(f"[fail {code}]"), after_ms=5_000)).error
    assert error is not None
    assert error.gateway_code == code


@EVERY_SURFACE
async def test_a_hanging_task_runs_for_ever(each: Spoken) -> None:
    async with simulated(each) as caller:
        assert (await caller.look(await caller.made("[hang]"), after_ms=10 * DAY)).status is Status.RUNNING


async def test_a_marker_says_how_long_a_task_runs() -> None:
    async with simulated(EASYROUTER) as caller:
        task_id = await caller.made("[take 2m]")
        seen = [(await caller.look(task_id, after)).status for after in (120_999, 1)]
    assert seen == [Status.RUNNING, Status.SUCCEEDED]


@EVERY_SURFACE
async def test_an_odd_status_word_is_shown_before_the_task_goes_on(each: Spoken) -> None:
    async with simulated(each) as caller:
        task_id = await caller.made("[odd status]")
        seen = [await caller.look(task_id, after) for after in (0, 1_000, 4_000)]
    assert [(one.status, one.word == ODD_WORD) for one in seen] == [
        (Status.QUEUED, False),
        (None, True),
        (Status.SUCCEEDED, False),
    ]


@SHOWING_LINKS
async def test_a_result_can_be_announced_before_its_link_is_there(each: Spoken) -> None:
    async with simulated(each) as caller:
        task_id = await caller.made("[no url yet 300ms]")
        seen = [await caller.look(task_id, after) for after in (5_000, 299, 1)]
    assert [(one.status, one.video_url is not None) for one in seen] == [
        (Status.SUCCEEDED, False),
        (Status.SUCCEEDED, False),
        (Status.SUCCEEDED, True),
    ]


@EVERY_SURFACE
async def test_a_query_can_lag_behind_the_end(each: Spoken) -> None:
    async with simulated(each) as caller:
        task_id = await caller.made("[lag 2s]")
        seen = [(await caller.look(task_id, after)).status for after in (5_000, 1_999, 1)]
    assert seen == [Status.RUNNING, Status.RUNNING, Status.SUCCEEDED]


@EVERY_SURFACE
async def test_queries_can_fail_before_they_work(each: Spoken) -> None:
    async with simulated(each) as caller:
        task_id = await caller.made("[get 500 x3] [html]")
        answers = [await caller.get(task_id) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [500, 500, 500, 502, 200]
    assert answers[3].text.startswith("<html>")


async def test_words_in_brackets_that_are_no_marker_are_prompt_text() -> None:
    script = read_script("[close-up] of a cat [take soon] [418] [late 3s extra] [slow] [] [[hang]")
    assert dict(script.numbers) == {"hang": 0}


def test_a_marker_is_read_whatever_its_case_and_blanks() -> None:
    script = read_script("[ SLOW  Create 1.5s ] [Fail Some_Code.X] [duplicate x3]")
    assert dict(script.numbers) == {"slow create": 1_500, "fail": 0, "duplicate": 3}
    assert script.code == "Some_Code.X"


def test_every_marker_is_read_as_it_is_spelled_and_stands_in_the_table() -> None:
    given = {"xN": " x2", "TIME": " 1s", "CODE": " oops", "": ""}
    for marker in MARKERS:
        assert marker.name in read_script(f"[{marker.name}{given[marker.argument]}]")
        assert marker.spelling in marker_table()


async def test_rates_decide_where_the_prompt_has_no_markers() -> None:
    async with simulated(EASYROUTER, replace(SETTINGS, rates={"fail": 1.0})) as caller:
        ends = [(await caller.look(await caller.made(prompt), 5_000)).status for prompt in ("a cat", "[take 1s]")]
    assert ends == [Status.FAILED, Status.SUCCEEDED]


def test_a_rate_of_no_marker_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no rate of 'explode'"):
        SandboxSettings(rates={"explode": 0.5})


# --- the log


async def test_the_log_knows_how_often_and_how_closely_each_task_was_asked_about() -> None:
    async with simulated(EASYROUTER) as caller:
        first, second = await caller.made(), await caller.made()
        for task_id, after in ((first, 0), (second, 5), (first, 300), (second, 200), (first, 1_000)):
            await caller.look(task_id, after)
        log = await caller.log()
    assert (log["gets"], log["gets_by_task"], log["closest_gets_ms"]) == (5, {first: 3, second: 2}, 305)


async def test_the_log_says_where_each_task_stands() -> None:
    async with simulated(EASYROUTER) as caller:
        task_id = await caller.made()
        caller.clock.now += 1_000
        assert (await caller.log())["tasks"] == [{"id": task_id, "status": "running"}]


# --- the command


async def test_the_command_prints_its_url_and_stops_at_a_signal() -> None:
    code = (
        "import asyncio; from service.web.sandbox import run_sandbox; from service.sandbox import SandboxSettings; "
        "asyncio.run(run_sandbox('videos', '127.0.0.1', 0, SandboxSettings()))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(3 * PATIENCE_S), httpx.AsyncClient(trust_env=False) as http:
        base_url = (await process.stdout.readline()).decode().strip()
        log = (await http.get(f"{base_url}/sandbox/log")).json()
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert log["dialect"] == "videos"
