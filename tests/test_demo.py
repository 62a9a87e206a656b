"""The demo, as a person or a program runs it: each promise is a figure of its last line."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from service.demo_cases import bad_cases, documented_cases
from service.demo_channels import faults
from service.demo_count import FIGURES
from service.demo_turns import MISSED_LEAST
from service.dialects import DIALECTS
from service.wire import Json, loads, pick
from tests.dialects.given import spoken
from tests.golden import goldens

DEMO = (sys.executable, "-m", "service", "demo", "--json")
A_MINUTE_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    status: int
    line: Json
    shown: str
    seconds: float


@pytest.fixture(scope="module")
def played() -> Played:
    started_at = time.monotonic()
    run = subprocess.run(DEMO, capture_output=True, text=True, timeout=2 * A_MINUTE_S, check=False)
    seconds = time.monotonic() - started_at
    return Played(status=run.returncode, line=loads(run.stdout.splitlines()[-1]), shown=run.stderr, seconds=seconds)


def test_it_breaks_no_promise_and_says_so_by_its_exit_status(played: Played) -> None:
    assert played.line["broken"] == []
    assert played.status == 0


def test_it_ends_within_a_minute(played: Played) -> None:
    assert played.seconds < A_MINUTE_S


def test_its_last_line_has_every_figure_in_order(played: Played) -> None:
    assert tuple(played.line) == (*FIGURES, "broken")


def test_every_documented_create_is_submitted_as_it_stands_but_for_its_callback_url() -> None:
    cases = documented_cases("http://127.0.0.1:9")
    documented = goldens("create-*.request")
    assert [(case.gateway, case.path) for case in cases] == [
        (one.gateway, f"/{one.gateway}{one.path}") for one in documented
    ]
    changed = [case.gateway for case, one in zip(cases, documented, strict=True) if case.body != one.body]
    calling = [one.gateway for one in documented if pick(one.json, spoken(one.gateway, one.path).surface.callback_path)]
    assert changed == calling


def test_every_gateway_has_its_bad_cases() -> None:
    assert {case.gateway for case in bad_cases("http://127.0.0.1:9")} == set(DIALECTS)


def test_every_submit_is_one_task_and_the_sent_twice_and_the_cancelled_one_are_two_more(played: Played) -> None:
    submits = len(documented_cases("")) + len(bad_cases("")) + 2
    assert played.line["tasks"] == submits


def test_every_task_ends_in_one_of_four_ways(played: Played) -> None:
    ends = [played.line[name] for name in ("succeeded", "failed", "expired", "cancelled")]
    assert all(ends)
    assert sum(ends) == played.line["tasks"]


def test_results_come_by_callback_and_by_sweep(played: Played) -> None:
    lost_callbacks = 3
    assert played.line["by_callback"] > 0
    assert played.line["by_sweep"] >= lost_callbacks


def test_every_forged_callback_is_refused(played: Played) -> None:
    assert played.line["forged_refused"] == 3 * 3


def test_every_repeated_callback_is_acknowledged_and_changes_nothing(played: Played) -> None:
    assert played.line["duplicates_ignored"] == 3


def test_a_create_of_unknown_outcome_is_never_sent_again(played: Played) -> None:
    assert played.line["ambiguous_creates"] == 2
    assert played.line["double_creates"] == 0


def test_the_verifier_verifies_every_request_that_it_gets(played: Played) -> None:
    assert played.line["verified"] >= played.line["events"] > played.line["tasks"]


def test_the_flaky_subscriber_needs_more_attempts_than_there_are_deliveries(played: Played) -> None:
    assert played.line["attempts"] > played.line["deliveries"] > played.line["events"]


def test_after_a_change_events_are_signed_with_both_secrets(played: Played) -> None:
    assert 0 < played.line["signed_twice"] < played.line["verified"]


def test_a_zap_gets_every_success_and_every_failure_with_the_keys_of_its_sample(played: Played) -> None:
    assert played.line["hooked"] == played.line["succeeded"] + played.line["failed"]


def test_a_channel_gets_a_card_for_every_failure_and_for_nothing_else(played: Played) -> None:
    assert played.line["cards"] == played.line["failed"]


HEADER: Json = {"type": "header", "text": {"type": "plain_text", "text": "Video failed"}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"blocks": [HEADER]},
        {"text": "Video failed", "blocks": []},
        {"text": "Video failed", "blocks": [HEADER] * 51},
        {"text": "Video failed", "blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]},
        {"text": "Video failed", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": ""}}]},
        {"text": "Video failed", "blocks": [{"type": "section", "fields": []}]},
        {"text": "Video failed", "blocks": [{"type": "image", "image_url": "https://x.test/a.png"}]},
        {"text": "Video failed", "blocks": [{"type": "banner"}]},
    ],
)
def test_the_channel_takes_no_card_that_slack_would_not_take(wrong: Json) -> None:
    assert list(faults(wrong))
    assert not list(faults({"text": "Video failed", "blocks": [HEADER]}))


def test_one_of_the_cards_is_shown(played: Played) -> None:
    assert "─ Slack, #videos ─" in played.shown
    assert "Video failed: " in played.shown


def test_who_was_down_is_told_what_it_missed(played: Played) -> None:
    assert played.line["replayed"] >= MISSED_LEAST


def test_a_reader_that_was_cut_off_hears_every_event_once(played: Played) -> None:
    assert played.line["streamed"] == played.line["events"]
    assert re.search(r"a reader was cut off behind event \d+, and goes on from there", played.shown)


def test_nothing_is_lost(played: Played) -> None:
    assert played.line["lost"] == 0


def test_the_story_is_told_in_plain_words_where_there_is_no_terminal(played: Played) -> None:
    assert re.search(r"callback lost, the sweep found it after \d\.\d s", played.shown)
    assert "\x1b" not in played.shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    process: "subprocess.Popen[str]"
    line: Json


@pytest.fixture
def kept() -> Iterator[Kept]:
    """A demo that goes on, its last line printed."""
    with subprocess.Popen(
        (*DEMO, "--keep"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Kept(process=process, line=loads(process.stdout.readline()))
        finally:
            process.terminate()


def test_with_keep_it_goes_on_until_ctrl_c_and_leaves_no_process(kept: Kept) -> None:
    line = kept.line
    assert set(line["sandboxes"]) == set(DIALECTS)
    assert len(ask(f"{line['base_url']}/v1/tasks", line["api_key"])["data"]) == line["tasks"]
    assert len(ask(f"{line['base_url']}/v1/tasks", line["admin_key"])["data"]) == line["tasks"]
    assert ask(f"{line['sandboxes']['videos']}/sandbox/log", "")["dialect"] == "videos"
    os.killpg(kept.process.pid, signal.SIGINT)  # as a terminal does it: to all of them
    assert kept.process.wait(A_MINUTE_S) == 0
    assert not any(listens(url) for url in (line["base_url"], *line["sandboxes"].values()))
    folder = Path(line["database"]).parent
    assert Path(line["database"]).exists()
    for path in (*folder.iterdir(), folder):
        path.rmdir() if path.is_dir() else path.unlink()


def test_ctrl_c_half_way_ends_everything_without_a_traceback() -> None:
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        service = next(found for line in process.stderr if (found := re.search(r"at (\S+), process (\d+)", line)))
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=A_MINUTE_S)
    assert process.returncode == 130
    assert "Traceback" not in shown
    assert not listens(service[1])
    with pytest.raises(ProcessLookupError):
        os.kill(int(service[2]), 0)


def test_it_says_so_when_the_service_dies_half_way() -> None:
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        service = next(found for line in process.stderr if (found := re.search(r"process (\d+)", line)))
        os.kill(int(service[1]), signal.SIGKILL)
        last, shown = process.communicate(timeout=A_MINUTE_S)
    assert process.returncode == 1
    assert "the service ended half way" in shown
    assert "the service ended half way" in loads(last)["broken"][0]


def ask(url: str, key: str) -> Any:
    with urlopen(
        Request(url + "?limit=200" if "/v1/" in url else url, headers={"authorization": f"Bearer {key}"})
    ) as answer:
        return loads(answer.read())


def listens(url: str) -> bool:
    parts = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((parts.hostname, parts.port)) == 0
