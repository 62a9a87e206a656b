"""What the sandbox does to those who trust it: lost replies, callbacks of every kind, and cancellations."""

import asyncio
from dataclasses import replace
from typing import Any

import aiohttp
import httpx
import pytest

from service.dialects import DIALECTS
from service.model import Status, VideoRequest
from service.sandbox_callbacks import FALSE_RESULT, forge, plan
from service.sandbox_script import read_script
from service.sandbox_task import ODD_WORD, SandboxTask
from service.signing import CallbackTokens, Forged
from service.wire import loads
from tests.dialects.given import Spoken
from tests.sandbox_caller import (
    DAY,
    EASYROUTER,
    EVERY_SURFACE,
    SEEDANCE2,
    SHOWING_LINKS,
    SUDDEN,
    bearer,
    listening,
    simulated,
    until,
)
from tests.servers import PATIENCE_S, Sink

# --- lost replies


@EVERY_SURFACE
async def test_a_dropped_create_makes_a_task_and_says_nothing(each: Spoken) -> None:
    async with listening(each) as caller:
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            await caller.create("[drop]")
        assert [note["answered"] for note in (await caller.log())["creates"]] == [False]


async def test_a_dropped_connection_is_a_disconnect_for_aiohttp_too() -> None:
    async with listening(EASYROUTER) as caller, aiohttp.ClientSession(headers=bearer()) as session:
        body = {"model": "dreamina-seedance-2-0", "prompt": "[drop]"}
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await session.post(f"{caller.simulator.base_url}/v1/video/generations", json=body)


async def test_after_a_drop_the_next_connection_works() -> None:
    async with listening(EASYROUTER) as caller:
        with pytest.raises(httpx.RemoteProtocolError):
            await caller.create("[drop]")
        assert (await caller.create()).status_code == 200


async def test_a_stalled_create_makes_a_task_and_keeps_the_caller_waiting() -> None:
    async with listening(EASYROUTER) as caller:
        caller.http.timeout = httpx.Timeout(0.1)
        with pytest.raises(httpx.ReadTimeout):
            await caller.create("[stall]")
        assert [note["answered"] for note in (await caller.log())["creates"]] == [False]


async def test_a_stalled_create_does_not_keep_the_sandbox_from_closing() -> None:
    async with listening(EASYROUTER) as caller:
        waiting = asyncio.create_task(caller.create("[stall]"))
        await until(lambda: bool(caller.simulator.log.creates))
    async with asyncio.timeout(PATIENCE_S):
        assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], httpx.TransportError)


async def test_a_slow_create_is_answered_in_the_end() -> None:
    async with listening(EASYROUTER) as caller:
        assert (await caller.create("[slow create 50ms]")).elapsed.total_seconds() >= 0.05
        assert [note["answered"] for note in (await caller.log())["creates"]] == [True]


async def test_a_slow_create_that_was_not_waited_for_counts_as_unanswered() -> None:
    async with listening(EASYROUTER) as caller:
        caller.http.timeout = httpx.Timeout(0.1)
        with pytest.raises(httpx.ReadTimeout):
            await caller.create("[slow create 200ms]")
    # closing waited for the create
    assert [note.answered for note in caller.simulator.log.creates.values()] == [False]


async def test_double_creates_share_a_fingerprint_whatever_their_callback() -> None:
    async with simulated(EASYROUTER) as caller:
        for number in (1, 2):
            await caller.made(callback_url=f"http://127.0.0.1:9/callbacks/easyrouter/token-{number}")
        await caller.made("a dog")
        log = await caller.log()
    assert sorted(log["tasks_by_fingerprint"].values()) == [1, 2]


# --- callbacks


@EVERY_SURFACE
async def test_a_callback_tells_of_the_end(each: Spoken) -> None:
    async with Sink().open() as sink, listening(each) as caller:
        task_id = await caller.made(callback_url=f"{sink.url}/callbacks/g/token")
        requests = await sink.wait_for(lambda got: bool(got) and b"running" not in got[-1].body)
    told = each.dialect.read_callback(loads(requests[-1].body))
    assert told.status is Status.SUCCEEDED
    assert task_id in (told.video_url or "")


async def test_ark_calls_back_on_each_change() -> None:
    async with Sink().open() as sink, listening(EASYROUTER) as caller:
        await caller.made("[take 50ms]", f"{sink.url}/callbacks/g/token")
        requests = await sink.wait_for(lambda got: len(got) == 2)
    assert [loads(request.body)["status"] for request in requests] == ["running", "succeeded"]


async def test_a_callback_is_repeated_until_it_is_acknowledged() -> None:
    """F1 callback body/sign/retry, as Ark has it."""
    async with Sink(500, 404, 200).open() as sink, listening(SEEDANCE2) as caller:
        await caller.made(callback_url=sink.url)
        await until(lambda: [note.status for note in caller.simulator.log.callbacks] == [500, 404, 200])


async def test_a_callback_is_sent_four_times_at_most() -> None:
    async with Sink(500).open() as sink, listening(SEEDANCE2) as caller:
        await caller.made("[duplicate]", sink.url)
        await until(lambda: "duplicate" in [note.kind for note in caller.simulator.log.callbacks])
        kinds = [note.kind for note in caller.simulator.log.callbacks]
    assert kinds.index("duplicate") == 4


async def test_an_expiry_is_told_once_whether_it_arrives_or_not() -> None:
    async with Sink(500).open() as sink, listening(SEEDANCE2) as caller:
        await caller.made("[expire] [duplicate]", sink.url)
        await sink.wait_for(lambda got: len(got) == 2)
        assert [note.kind for note in caller.simulator.log.callbacks] == ["genuine", "duplicate"]


async def test_a_receiver_that_does_not_answer_in_time_gets_the_callback_again() -> None:
    settings = replace(SUDDEN, callback_timeout_ms=50)
    async with Sink(0, 200).open() as sink, listening(SEEDANCE2, settings) as caller:
        await caller.made(callback_url=sink.url)
        await until(lambda: [note.status for note in caller.simulator.log.callbacks] == [None, 200])


async def test_a_receiver_that_is_not_there_is_noted_without_a_status() -> None:
    async with listening(SEEDANCE2, replace(SUDDEN, callback_attempts=1)) as caller:
        await caller.made(callback_url="http://127.0.0.1:9/nobody")
        await until(lambda: bool(caller.simulator.log.callbacks))
        assert (await caller.log())["callbacks"][0]["status"] is None


async def test_closing_ends_the_callbacks_that_are_pending() -> None:
    before = asyncio.all_tasks()
    async with listening(EASYROUTER) as caller:
        await caller.made("[late 1m] [forge]", "http://127.0.0.1:9/callbacks/easyrouter/token")
    assert {task for task in asyncio.all_tasks() - before if task.get_name().startswith("callbacks")} == set()


def planned(prompt: str, each: Spoken = SEEDANCE2) -> list[tuple[str, int, dict[str, Any]]]:
    """(kind, ms after the end, body) of all callbacks of a task with this prompt."""
    task = SandboxTask(
        id="t1",
        dialect=each.dialect.name,
        request=VideoRequest(model="m", prompt=prompt, webhook_url="http://127.0.0.1:9/callbacks/seedance2/token"),
        script=read_script(prompt),
        created_at=0,
        running_at=1_000,
        run_ms=4_000,
        media_base="http://sandbox/media/",
    )
    return [(one.kind, one.at - 5_000, one.body) for chain in plan(each.dialect, task) for one in chain]


def test_a_lost_callback_is_not_sent() -> None:
    assert planned("[lost] [duplicate] [reorder]") == []


def test_a_late_callback_is_late_and_says_so() -> None:
    assert [(kind, after) for kind, after, _ in planned("[late 3s]")] == [("late", 3_000)]


def test_duplicates_are_the_same_message() -> None:
    sent = planned("[duplicate x3]")
    assert [kind for kind, _, _ in sent] == ["genuine", "duplicate", "duplicate", "duplicate"]
    assert len({str(body) for _, _, body in sent}) == 1


def test_a_reordered_callback_says_running_after_the_end() -> None:
    kinds = [(kind, body["status"]) for kind, _, body in planned("[reorder]")]
    assert kinds == [("genuine", "succeeded"), ("reordered", "processing")]


def test_an_odd_status_is_called_back_too() -> None:
    assert [body["status"] for _, _, body in planned("[odd status]", EASYROUTER)] == [ODD_WORD, "succeeded"]


@SHOWING_LINKS
def test_forged_callbacks_claim_a_false_success_before_the_end(each: Spoken) -> None:
    forged = [
        (after, each.dialect.read_callback(body)) for kind, after, body in planned("[forge]", each) if "f" in kind
    ]
    assert [(after < 0, told.status, told.video_url) for after, told in forged] == [
        (True, Status.SUCCEEDED, FALSE_RESULT)
    ] * 3


def test_no_forged_url_opens_a_door() -> None:
    tokens = CallbackTokens("a secret", lifetime_ms=DAY)
    for number in range(200):
        real = tokens.issue("easyrouter", f"task_{number}")
        for url in forge(f"https://hub.example/callbacks/easyrouter/{real}"):
            gateway, token = url.split("/")[-2:]
            assert gateway in DIALECTS
            with pytest.raises(Forged):
                tokens.read(gateway, token)


# --- cancel


async def test_a_task_can_be_cancelled_while_it_is_under_way() -> None:
    async with simulated(SEEDANCE2) as caller:
        task_id = await caller.made()
        assert (await caller.cancel(task_id)).json() == {"success": True, "requestId": task_id, "status": "cancelled"}
        assert (await caller.look(task_id, after_ms=DAY)).status is Status.CANCELLED


@pytest.mark.parametrize("prompt", ["a cat", "[fail]", "[expire]", "[cancel]", "[lag 10s]"])
async def test_a_task_that_ended_cannot_be_cancelled(prompt: str) -> None:
    async with simulated(SEEDANCE2) as caller:
        task_id = await caller.made(prompt)
        caller.clock.now += 5_000
        answer = await caller.cancel(task_id)
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "not_cancellable"


async def test_a_cancellation_is_called_back_and_the_planned_end_is_not() -> None:
    async with Sink().open() as sink, listening(SEEDANCE2) as caller:
        task_id = await caller.made("[take 1500ms]", sink.url)
        await caller.cancel(task_id)
        await until(lambda: len(caller.simulator.log.callbacks) == 1)
        await until(lambda: not caller.simulator.pending_callbacks)
    assert [loads(request.body)["status"] for request in sink.requests] == ["cancelled"]
