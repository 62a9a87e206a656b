"""The buttons of a Slack app: signed clicks, answered in time, done once, and said in the channel."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from functools import partial
from operator import eq
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from slack_sdk.models.blocks import Block
from slack_sdk.signature import SignatureVerifier

from service.clock import DAY
from service.dialects import DIALECTS
from service.errors import SettingsError
from service.settings import OwnerSettings, SlackSettings
from service.settings_file import read_settings
from service.signing import ActionTokens
from service.store.sqlite import BUSY_MS
from service.wire import dump_text, loads
from tests.hub import PATIENCE_S, SANDBOX, SETTINGS, TRUST, Hub, hub
from tests.servers import Sink

SQLITE_WAITS_S = BUSY_MS / 1000
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
ORACLE = SignatureVerifier(SECRET)
FORM = "application/x-www-form-urlencoded"
RUNS = replace(SANDBOX, run_ms=(60_000, 60_000))
MESSAGE = {
    "ts": "1790000000.000100",
    "text": "❌ Video failed: a cat",
    "blocks": [
        {"type": "header", "text": {"type": "plain_text", "text": "❌ Video failed"}},
        {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a still"},
        {"type": "actions", "elements": [{"type": "button", "action_id": "retry_task"}]},
    ],
}


@dataclass(slots=True, kw_only=True)
class Channel:
    """A hub with a Slack app, and the place where its answers to clicks arrive."""

    it: Hub
    sink: Sink

    async def click(self, name: str, value: Any, **more: Any) -> httpx.Response:
        return await self.sent(form(self.payload(name, value) | more))

    def payload(self, name: str, value: Any) -> dict[str, Any]:
        return {
            "type": "block_actions",
            "user": {"id": "U024BE7LH", "username": "bob"},
            "actions": [{"action_id": name, "block_id": "b", "type": "button", "value": value}],
            "response_url": self.sink.url + "/actions/T1/2/3",
            "message": MESSAGE,
        }

    async def sent(self, body: str, at: float | None = None, **headers: str) -> httpx.Response:
        """A request as Slack signs it."""
        timestamp = str(int(time.time() if at is None else at))
        signature = ORACLE.generate_signature(timestamp=timestamp, body=body)
        assert signature is not None
        given = {"content-type": FORM, "x-slack-request-timestamp": timestamp, "x-slack-signature": signature}
        return await self.post(body, given | headers)

    async def post(self, body: str, headers: dict[str, str]) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False, verify=TRUST, timeout=PATIENCE_S) as slack:
            return await slack.post(f"{self.it.base_url}/slack/interactions", content=body, headers=headers)

    async def heard(self, count: int = 1) -> list[Any]:
        requests = await self.sink.wait_for(lambda requests: len(requests) >= count)
        return [loads(request.body) for request in requests]


def form(payload: Any) -> str:
    return urlencode({"payload": dump_text(payload)})


@asynccontextmanager
async def channel(tmp_path, *statuses: int, **more: Any) -> AsyncIterator[Channel]:
    async with Sink(*statuses).open() as sink:
        slack = SlackSettings(signing_secret=SECRET, response_origins=(sink.url,))
        settings = replace(more.pop("settings", SETTINGS), slack=slack)
        async with hub(tmp_path, more.pop("dialect", "easyrouter"), settings=settings, **more) as it:
            yield Channel(it=it, sink=sink)


async def failed(it: Hub, prompt: str = "[fail]", **more):
    return await it.ended(await it.submit(prompt, **more))


def token_of(url: str) -> str:
    return url.rpartition("/")[2]


def retry_token(task) -> str:
    return token_of(task["links"]["retry_html"])


async def tries(it: Hub) -> list[Any]:
    found: list[Any] = await it.listed("/v1/tasks")
    return found


async def logged(caplog, word: str) -> int:
    """How often."""
    return sum(word in record.getMessage().split() for record in caplog.records)


def note_of(answer) -> str:
    text: str = answer["blocks"][-1]["elements"][0]["text"]
    return text


# --- clicks


async def test_a_click_on_retry_makes_a_new_task_and_says_who_did_it(tmp_path):
    async with channel(tmp_path) as slack:
        task = await failed(slack.it)
        answer = await slack.click("retry_task", retry_token(task))
        (said,) = await slack.heard()
        new, _ = await tries(slack.it)
        assert (answer.status_code, answer.content, new["attempt"]) == (200, b"", 2)
        assert note_of(said).startswith("<@U024BE7LH>: The task was re-submitted.")
        assert new["id"] in note_of(said)


async def test_a_retry_is_stored_before_slack_is_answered(tmp_path):
    """Its gateway takes longer than Slack waits."""
    async with channel(tmp_path) as slack:
        refused = (await slack.it.submitted("[402 x1] [slow create 1s] a cat")).json()["task"]
        answer = await slack.click("retry_task", retry_token(refused))
        new, _ = await tries(slack.it)
        assert (answer.status_code, new["submission"]) == (200, "sending")
        await slack.heard()


async def test_slack_is_answered_in_time_while_the_database_is_busy(tmp_path):
    async with channel(tmp_path) as slack:
        task = await failed(slack.it)
        with closing(sqlite3.connect(tmp_path / "hub.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # nothing else is written as long as it lasts
            async with asyncio.timeout(SQLITE_WAITS_S / 2):
                answer = await slack.click("retry_task", retry_token(task))
            assert (answer.status_code, len(await tries(slack.it))) == (200, 1)
        await slack.heard()
        assert len(await tries(slack.it)) == 2


async def test_a_second_click_says_that_it_is_done_already(tmp_path):
    async with channel(tmp_path) as slack:
        task = await failed(slack.it)
        for count in (1, 2):
            await slack.click("retry_task", retry_token(task))
            said = await slack.heard(count)
        assert "already re-submitted" in note_of(said[1])
        assert (len(await tries(slack.it)), slack.it.made()) == (2, 2)


async def test_a_click_on_what_was_retried_by_its_link_is_the_same_task(tmp_path):
    async with channel(tmp_path) as slack:
        task = await failed(slack.it)
        new = (await slack.it.post(f"/v1/tasks/{task['id']}/retry")).json()
        await slack.click("retry_task", retry_token(task))
        (said,) = await slack.heard()
        assert ("already re-submitted" in note_of(said), new["id"] in note_of(said)) == (True, True)


async def test_a_click_on_cancel_cancels(tmp_path):
    async with channel(tmp_path, dialect="seedance2", sandbox=RUNS) as slack:
        task = await slack.it.submit()
        for count in (1, 2):
            await slack.click("cancel_task", token_of(task["links"]["cancel_html"]))
            said = await slack.heard(count)
        assert (await slack.it.task(task["id"]))["status"] == "cancelled"
        assert "The task is cancelled." in note_of(said[0])
        assert "cancelled already" in note_of(said[1])


async def test_the_message_stays_without_its_buttons(tmp_path):
    async with channel(tmp_path) as slack:
        await slack.click("retry_task", retry_token(await failed(slack.it)))
        (said,) = await slack.heard()
        assert (said["replace_original"], said["text"]) == (True, MESSAGE["text"])
        assert [block["type"] for block in said["blocks"]] == ["header", "image", "context"]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (None, "<@U024BE7LH>: The task was"),
        ({"text": "Failed", "blocks": [{"type": "actions"}]}, "Failed\n<@U024BE7LH>: The task was"),
        ({"text": 3, "blocks": [3]}, "<@U024BE7LH>: The task was"),
    ],
)
async def test_a_message_without_blocks_gets_the_note_in_its_text(tmp_path, message, text):
    async with channel(tmp_path) as slack:
        await slack.click("retry_task", retry_token(await failed(slack.it)), message=message)
        (said,) = await slack.heard()
        assert (said["text"].startswith(text), "blocks" in said) == (True, False)


async def test_what_is_posted_is_what_slack_takes(tmp_path):
    async with channel(tmp_path) as slack:
        refused = (await slack.it.submitted("[402 x2] a cat")).json()["task"]
        await slack.click("retry_task", retry_token(refused))
        (said,) = await slack.heard()
        for block in Block.parse_all(said["blocks"]):
            assert isinstance(block, Block)
            block.validate_json()


@pytest.mark.parametrize(
    ("user", "mention"),
    [
        ({"id": "W1"}, "<@W1>"),
        ({"id": "<!channel>", "username": "<!here> & co"}, "&lt;!here&gt; &amp; co"),
        ({"id": 3}, "Somebody"),
        ("bob", "Somebody"),
        (None, "Somebody"),
    ],
)
async def test_whoever_clicked_mentions_nobody_else(tmp_path, user, mention):
    async with channel(tmp_path) as slack:
        await slack.click("retry_task", retry_token(await failed(slack.it)), user=user)
        (said,) = await slack.heard()
        assert note_of(said).startswith(mention + ": ")


# --- what cannot be done


async def test_a_refusal_of_the_gateway_is_said_with_the_new_task(tmp_path):
    async with channel(tmp_path) as slack:
        refused = (await slack.it.submitted("[402 x2] a cat")).json()["task"]
        await slack.click("retry_task", retry_token(refused))
        (said,) = await slack.heard()
        assert ("was refused" in note_of(said), "no credit left" in note_of(said)) == (True, True)


async def test_what_reelhook_refuses_is_whispered_and_the_button_stays(tmp_path):
    settings = replace(SETTINGS, owners={"anna": OwnerSettings(pending=1)})
    async with channel(tmp_path, settings=settings) as slack:
        task = await failed(slack.it)
        await slack.it.submit("[take 1m]")
        await slack.click("retry_task", retry_token(task))
        (said,) = await slack.heard()
        assert (said["response_type"], said["replace_original"]) == ("ephemeral", False)
        assert "may have 1 pending tasks" in said["text"]


@pytest.mark.parametrize(
    ("action", "name", "expires_in", "words"),
    [
        ("retry", "retry_task", -1, "too old"),
        ("view", "retry_task", DAY, "not one of this service"),
        ("cancel", "retry_task", DAY, "not one of this service"),
        ("cancel", "cancel_task", DAY, "already failed"),
    ],
)
async def test_a_button_that_is_not_good_does_nothing(tmp_path, action, name, expires_in, words):
    async with channel(tmp_path) as slack:
        task, services = await failed(slack.it), slack.it.services
        token = ActionTokens(services.secret_key).issue(task["id"], action, services.clock() + expires_in)
        answer = await slack.click(name, token)
        (said,) = await slack.heard()
        assert (answer.status_code, words in said["text"], len(await tries(slack.it))) == (200, True, 1)


# --- who may click


async def test_our_signature_is_the_one_of_the_sdk(tmp_path):
    async with channel(tmp_path) as slack:
        task = await failed(slack.it)
        body = form(slack.payload("retry_task", retry_token(task)))
        timestamp = str(int(time.time()))
        signature = ORACLE.generate_signature(timestamp=timestamp, body=body) or ""
        headers = {"x-slack-request-timestamp": timestamp, "x-slack-signature": signature}
        assert ORACLE.is_valid_request(body, headers)
        assert (await slack.post(body, {"content-type": FORM} | headers)).status_code == 200


@pytest.mark.parametrize("seconds", [-310, 310])
async def test_a_click_of_another_time_is_refused(tmp_path, seconds):
    async with channel(tmp_path) as slack:
        task = await failed(slack.it)
        answer = await slack.sent(form(slack.payload("retry_task", retry_token(task))), at=time.time() + seconds)
        assert (answer.status_code, len(await tries(slack.it))) == (401, 1)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-slack-signature": "v0=" + "0" * 64},
        {"x-slack-signature": ""},
        {"x-slack-signature": "v0=é"},
        {"x-slack-request-timestamp": "soon"},
        {"x-slack-request-timestamp": ""},
        {"x-slack-request-timestamp": "-1"},
        {"x-slack-request-timestamp": "1e9"},
        {"x-slack-request-timestamp": "9" * 400},
    ],
)
async def test_a_click_that_slack_did_not_sign_is_refused(tmp_path, headers):
    async with channel(tmp_path) as slack:
        task = await failed(slack.it)
        body = form(slack.payload("retry_task", retry_token(task)))
        answer = await slack.sent(body, **{name: value.encode("latin-1") for name, value in headers.items()})
        assert (answer.status_code, len(await tries(slack.it))) == (401, 1)


async def test_a_click_without_any_signature_is_refused(tmp_path):
    async with channel(tmp_path) as slack:
        assert (await slack.post("payload=%7B%7D", {"content-type": FORM})).status_code == 401


async def test_a_body_that_was_changed_on_the_way_is_refused(tmp_path):
    async with channel(tmp_path) as slack:
        task = await failed(slack.it)
        body = form(slack.payload("retry_task", retry_token(task)))
        timestamp = str(int(time.time()))
        signature = ORACLE.generate_signature(timestamp=timestamp, body=body) or ""
        headers = {"x-slack-request-timestamp": timestamp, "x-slack-signature": signature, "content-type": FORM}
        assert (await slack.post(body + "&x=1", headers)).status_code == 401


async def test_without_a_slack_app_there_is_no_such_route(hub_without_worker):
    answer = await hub_without_worker.http.post("/slack/interactions", data={"payload": "{}"})
    assert answer.status_code == 404


async def test_a_body_that_is_too_long_is_refused(tmp_path):
    async with channel(tmp_path, worker=False) as slack:
        assert (await slack.sent("payload=" + "x" * 2**20)).status_code == 413


# --- what else Slack sends


@pytest.mark.parametrize(
    "body",
    [
        "",
        "payload=",
        "payload=%7B",
        "payload=[]",
        "payload=%FF",
        "x=1",
        "&".join(f"x{number}=1" for number in range(50)),
        '{"type": "url_verification", "challenge": "x"}',
        form({"type": "shortcut"}),
        form({"actions": 3}),
        form({"actions": [3, None, {}, {"action_id": []}]}),
        form({"actions": [{"action_id": "other", "value": "x"}]}),
        form({"actions": [{"action_id": "retry_task", "value": 3}]}),
        form({"actions": [{"action_id": "open_task", "url": "https://example.com"}]}),
    ],
)
async def test_what_is_no_click_on_our_buttons_is_taken_and_ignored(tmp_path, body):
    async with channel(tmp_path, worker=False) as slack:
        answer = await slack.sent(body)
        assert (answer.status_code, answer.content, slack.sink.requests) == (200, b"", [])


# --- the answer in the channel


async def test_an_answer_that_slack_does_not_take_is_sent_once_more_without_its_images(tmp_path):
    async with channel(tmp_path, 400, 200) as slack:
        await slack.click("retry_task", retry_token(await failed(slack.it)))
        first, second = await slack.heard(2)
        assert [block["type"] for block in first["blocks"]] == ["header", "image", "context"]
        assert [block["type"] for block in second["blocks"]] == ["header", "context"]


async def test_an_answer_that_cannot_be_given_is_tried_twice_and_no_more(tmp_path, caplog):
    async with channel(tmp_path, 500) as slack:
        task = await failed(slack.it)
        for count in (2, 4):
            await slack.click("retry_task", retry_token(task))
            await slack.heard(count)
            await slack.it.until(partial(logged, caplog, "slack.unanswered"), partial(eq, count))
        assert len(slack.sink.requests) == 4
        assert "/actions/T1" not in caplog.text, "the address of the answer is a capability"


@pytest.mark.parametrize(
    "url", ["https://example.com/x", "http://hooks.slack.com/x", "https://hooks.slack.com.evil.com/x", "", "x://[", 3]
)
async def test_an_answer_goes_nowhere_but_to_slack(tmp_path, caplog, url):
    async with channel(tmp_path) as slack:
        task = await failed(slack.it)
        assert (await slack.click("retry_task", retry_token(task), response_url=url)).status_code == 200
        await slack.it.until(partial(logged, caplog, "slack.unanswerable"), partial(eq, 1))
        assert (len(await tries(slack.it)), slack.sink.requests) == (2, [])


def test_by_default_answers_go_to_slack_alone():
    assert SlackSettings(signing_secret="x").response_origins == ("https://hooks.slack.com",)


# --- settings


def test_a_slack_app_can_come_from_the_environment_alone(tmp_path):
    path = tmp_path / "reelhook.toml"
    path.write_text("")
    slack = read_settings(path, {"REELHOOK_SLACK__SIGNING_SECRET": SECRET}).slack
    assert slack is not None and slack.signing_secret == SECRET


def test_a_slack_app_without_a_secret_is_refused(tmp_path):
    path = tmp_path / "reelhook.toml"
    path.write_text('[slack]\nsigning_secret = ""')
    with pytest.raises(SettingsError, match="must not be empty"):
        read_settings(path, {})


@pytest.mark.parametrize("name", ["tasks", "actions", "slack"])
def test_no_gateway_takes_the_name_of_a_page(tmp_path, name):
    assert name not in DIALECTS
    path = tmp_path / "reelhook.toml"
    path.write_text(f"[gateways.{name}]\ndialect = 'ark'")
    with pytest.raises(SettingsError, match="is none of"):
        read_settings(path, {})
