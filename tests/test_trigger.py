"""Sample events on demand: told by the service like live ones, or posted straight to a URL."""

import asyncio
import sys

import pytest
from standardwebhooks import Webhook

from service.cli import main
from service.clock import system_clock
from service.formats import FORMATS, OFFERED
from service.forwarding import open_forwarder
from service.model import EVENT_TYPES
from service.signing import new_secret
from service.triggering import post_sample, read_values
from service.wire import loads
from tests.hub import hub
from tests.servers import Sink


async def reelhook(*words, **environment):
    """Run `reelhook trigger` to its end: (status, stdout, stderr)."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service", "trigger", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment or None,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def key_of(it):
    return it.http.headers["authorization"].removeprefix("Bearer ")


# --- by the service


@pytest.mark.parametrize("event_type", EVENT_TYPES)
async def test_a_sample_of_every_type_is_made(hub_without_worker, event_type):
    made = (await hub_without_worker.post("/v1/events", {"type": event_type})).json()["event"]
    assert (made["type"], made["test"]) == (event_type, True)


async def test_a_sample_is_sent_to_whoever_wants_it(tmp_path):
    async with hub(tmp_path) as it, Sink().open() as sink:
        subscription = await it.subscribe(sink.url, events=["task.failed"])
        await it.subscribe(sink.url, events=["task.succeeded"])
        answer = (await it.post("/v1/events", {"type": "task.failed"})).json()
        (request,) = await sink.wait_for(len)
        body = Webhook(subscription["secret"]).verify(request.body, dict(request.headers))
        assert body == answer["event"]
        assert [delivery["subscription_id"] for delivery in answer["deliveries"]] == [subscription["id"]]


async def test_a_sample_stays_in_the_feed_of_its_owner_as_what_it_is(hub_without_worker):
    it = hub_without_worker
    made = (await it.post("/v1/events", {"type": "task.failed"})).json()["event"]
    stored = await it.services.reads.event(made["id"], "anna")
    assert (stored.test, stored.task_id, loads(stored.body)) == (1, None, made)
    assert await it.services.reads.event(made["id"], "bert") is None


async def test_values_of_a_sample_can_be_chosen(hub_without_worker):
    chosen = {"data.task.prompt": "hello", "data.task.seed": 7, "data.task.metadata": {"order": "1"}}
    made = (await hub_without_worker.post("/v1/events", {"type": "task.failed", "set": chosen})).json()["event"]
    task = made["data"]["task"]
    assert (task["prompt"], task["seed"], task["metadata"]) == ("hello", 7, {"order": "1"})


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({}, "type", "is required"),
        ({"type": "task.done"}, "type", "must be one of task.accepted"),
        ({"type": ["task.failed"]}, "type", "must be one of"),
        ({"type": "task.failed", "sets": {}}, "sets", "is no parameter here"),
        ({"type": "task.failed", "set": []}, "set", "must be an object of paths and values, not an array"),
        (
            {"type": "task.failed", "set": {"data.task.promt": "x"}},
            "set.data.task.promt",
            "there is no promt in data.task",
        ),
        (
            {"type": "task.failed", "set": {"data.task.prompt": 1}},
            "set.data.task.prompt",
            "must be a string, as in live",
        ),
        (
            {"type": "task.failed", "set": {"data.task.prompt.x": 1}},
            "set.data.task.prompt.x",
            "is a string in this event",
        ),
        ({"type": "task.failed", "set": {"data.task.progress": True}}, "set.data.task.progress", "must be a number"),
        ({"type": "task.failed", "set": {"id": "x"}}, "set.id", 'a path begins with "data."'),
        ({"type": "task.failed", "set": {"data": {}}}, "set.data", 'a path begins with "data."'),
    ],
)
async def test_what_cannot_be_made_is_refused_by_name(hub_without_worker, body, field, said):
    answer = await hub_without_worker.post("/v1/events", body)
    error = answer.json()["error"]
    assert (answer.status_code, error["field"], said in error["message"]) == (400, field, True)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("data.task.promt", "x", "there is no promt in data.task of this event; there are id,"),
        ("data.task.prompt", 1, "must be a string, as in live events, not a number"),
        ("data.task.prompt.x", 1, "data.task.prompt is a string in this event"),
        ("data.task.progress", True, "must be a number"),
        ("data..prompt", "x", "there is no  in data"),
        ("id", "x", 'a path begins with "data."'),
        ("data", {}, 'a path begins with "data."'),
    ],
)
async def test_a_sample_keeps_the_shape_of_live_events(hub_without_worker, path, value, said):
    answer = await hub_without_worker.post("/v1/events", {"type": "task.failed", "set": {path: value}})
    error = answer.json()["error"]
    assert (answer.status_code, error["field"], said in error["message"]) == (400, f"set.{path}", True)


async def test_the_command_says_whom_it_was_told_to(tmp_path):
    async with hub(tmp_path) as it, Sink().open() as sink:
        subscription = await it.subscribe(sink.url, events=["task.failed"])
        words = ("task.failed", "--set", "data.task.prompt=hello", "--server", it.base_url)
        status, out, _ = await reelhook(*words, REELHOOK_KEY=key_of(it))
        (request,) = await sink.wait_for(len)
        assert (status, "told to 1 subscriptions" in out, subscription["id"] in out) == (0, True, True)
        assert loads(request.body)["data"]["task"]["prompt"] == "hello"


async def test_the_command_answers_scripts_in_json(hub_without_worker):
    it = hub_without_worker
    _, out, _ = await reelhook("task.failed", "--server", it.base_url, "--key", key_of(it), "--json")
    assert loads(out)["event"] == (await it.listed("/v1/events"))[0]


async def test_the_command_says_why_nothing_was_made(hub_without_worker):
    found, _, err = await reelhook("task.failed", "--server", hub_without_worker.base_url, "--key", "rh_wrong")
    assert (found, "no event was made: this API key is not known" in err) == (1, True)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ([], 2, "--key: is required"),
        (["--key", "rh_x", "--secret", "whsec_YWJj"], 2, "--secret: goes with --to"),
        (["--key", "rh_x", "--format", "standard"], 2, "--format: goes with --to"),
        (["--key", "rh_x", "--set", "prompt"], 2, "--set: write it as name=value"),
        (["--key", "rh_x", "--server", "ftp://x"], 2, "--server: must start with https:// or http://"),
        (["--key", "rh_x", "--server", "http://127.0.0.1:1"], 1, "cannot connect"),
    ],
)
def test_what_cannot_be_asked_for_is_said(capsys, monkeypatch, words, status, said):
    monkeypatch.delenv("REELHOOK_KEY", raising=False)
    found = main(["trigger", "task.failed", *words])
    assert (found, said in capsys.readouterr().err) == (status, True)


# --- straight to a URL


async def test_a_sample_is_posted_without_any_service():
    secret = new_secret()
    async with Sink().open() as sink:
        status, out, _ = await reelhook("task.failed", "--to", sink.url + "/hook", "--secret", secret)
        (request,) = sink.requests
        body = Webhook(secret).verify(request.body, dict(request.headers))
        assert (status, body["type"], body["id"] in out, "HTTP 200" in out) == (0, "task.failed", True, True)
        assert request.headers["x-reelhook-event"] == "task.failed"


@pytest.mark.parametrize("shape", [FORMATS[name] for name in OFFERED if FORMATS[name].transport == "http"])
async def test_every_format_that_is_sent_to_a_url_can_be_tried(shape):
    options = {option.name: "x" for option in shape.options if option.required}
    async with Sink().open() as sink:
        opened = open_forwarder(
            sink.url, field="--to", format=shape.name, secret=new_secret(), clock=system_clock, options=options
        )
        async with opened as forwarder:
            event_id, forwarded = await post_sample(forwarder, "task.succeeded", {}, system_clock)
        (request,) = sink.requests
        assert (forwarded.status, request.headers.get("webhook-id")) == (200, event_id if shape.signed else None)


@pytest.mark.parametrize("name", [name for name in OFFERED if FORMATS[name].transport != "http"])
def test_a_format_that_is_not_sent_to_a_url_is_refused(capsys, name):
    status = main(["trigger", "task.failed", "--to", "http://127.0.0.1:1", "--format", name, "--secret", new_secret()])
    assert (status, f"--format: {name} is not sent to a URL" in capsys.readouterr().err) == (2, True)


async def test_an_answer_that_is_no_success_is_told():
    async with Sink(500).open() as sink:
        status, out, _ = await reelhook("task.failed", "--to", sink.url, "--secret", new_secret(), "--json")
        assert (status, loads(out)["status"], loads(out)["error"]) == (1, 500, "the endpoint answered HTTP 500")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--to", "http://127.0.0.1:1"], 2, "--secret: is required"),
        (["--to", "http://127.0.0.1:1", "--secret", "whsec_!"], 2, "--secret: a signing secret is whsec_"),
        (["--to", "http://10.1.2.3/", "--secret", "whsec_YWJj"], 2, "name its network by --allow"),
        (["--to", "http://10.1.2.3/", "--secret", "whsec_YWJj", "--allow", "10/99"], 2, "--allow"),
        (["--to", "http://127.0.0.1:1", "--secret", "whsec_YWJj", "--set", "data.x=1"], 2, "set.data.x: there is no x"),
        (["--to", "http://127.0.0.1:1", "--secret", "whsec_YWJj", "--option", "a=1"], 2, "--option.a: is no option of"),
    ],
)
def test_what_cannot_be_posted_is_said(capsys, words, status, said):
    found = main(["trigger", "task.failed", *words])
    assert (found, said in capsys.readouterr().err) == (status, True)


def test_values_are_json_and_text_where_they_are_none():
    words = ["a=1", "b=hello", 'c="1"', "d=x=y", "e=null", "f="]
    assert read_values(words, "--set") == {"a": 1, "b": "hello", "c": "1", "d": "x=y", "e": None, "f": ""}
