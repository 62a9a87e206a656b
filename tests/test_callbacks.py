"""Callbacks, as a gateway sends them: over HTTP, by hand. Who may not send any, tests/dialects/contract.py tests."""

import base64
import hmac
from dataclasses import replace

import pytest

from service.settings import SignatureSettings, Span
from service.signing import new_secret, sign
from service.wire import dumps
from tests.calling_back import DONE, SLOW, TRUSTING, called
from tests.hub import SETTINGS, hub

UNHURRIED = replace(SETTINGS, sweep=replace(SETTINGS.sweep, first_guess=Span(60_000)))


async def test_a_trusted_callback_ends_its_task(tmp_path):
    async with hub(tmp_path, sandbox=SLOW, gateway=TRUSTING) as it:
        task = await it.submit()
        assert (await called(it, task)).status_code == 200
        assert (await it.task(task["id"]))["video"]["url"] == "https://media.example.com/v.mp4"


async def test_a_verified_callback_that_the_gateway_denies_changes_nothing(tmp_path):
    async with hub(tmp_path, sandbox=SLOW) as it:
        task = await it.submit()
        await called(it, task)
        await it.until(lambda: it.task(task["id"]), lambda _: it.sandbox.log.gets_by_task.total())
        assert (await it.task(task["id"]))["status"] in ("queued", "running")


@pytest.mark.parametrize(("status", "outcome", "sooner"), [("queued", "noted", False), ("running", "look", True)])
async def test_a_callback_on_the_way_is_asked_about_once_or_not_at_all(tmp_path, status, outcome, sooner):
    async with hub(tmp_path, sandbox=SLOW, settings=UNHURRIED, worker=False) as it:
        task = await it.submit()
        await called(it, task, {"id": "cgt-1", "status": status})
        assert [each["outcome"] for each in await it.listed(f"/v1/tasks/{task['id']}/callbacks")] == [outcome]
        shown = await it.task(task["id"])
        assert (shown["status"], shown["next_look_at"] < task["next_look_at"]) == ("queued", sooner)


async def test_a_second_callback_is_acknowledged_and_changes_nothing(tmp_path):
    async with hub(tmp_path, sandbox=SLOW, gateway=TRUSTING) as it:
        task = await it.submit()
        await called(it, task)
        before = await it.task(task["id"])
        again = await called(it, task, {"id": "cgt-1", "status": "failed"})
        assert (again.status_code, await it.task(task["id"])) == (200, before)


@pytest.mark.parametrize(
    ("bodies", "outcomes"),
    [
        ([DONE, DONE], ["settled", "duplicate"]),
        ([DONE, {"status": "running"}], ["settled", "late"]),
        ([{"status": "running"}, DONE], ["noted", "settled"]),
        ([{"status": "thinking"}], ["look"]),
    ],
)
async def test_what_became_of_each_callback_is_kept(tmp_path, bodies, outcomes):
    async with hub(tmp_path, sandbox=SLOW, gateway=TRUSTING) as it:
        task = await it.submit()
        for body in bodies:
            await called(it, task, body)
        kept = await it.listed(f"/v1/tasks/{task['id']}/callbacks")
        assert [callback["outcome"] for callback in reversed(kept)] == outcomes


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\x00\xfe", b"null", b'"x"', b"a=b"])
async def test_a_body_that_nobody_can_read_is_kept_and_says_look(tmp_path, content):
    async with hub(tmp_path, sandbox=SLOW, gateway=TRUSTING) as it:
        task = await it.submit()
        assert (await called(it, task, content=content)).status_code == 200
        (kept,) = await it.listed(f"/v1/tasks/{task['id']}/callbacks")
        assert kept["outcome"] == "look"


async def test_a_flood_of_callbacks_is_acknowledged_and_not_all_kept(tmp_path):
    async with hub(tmp_path, sandbox=SLOW, gateway=TRUSTING) as it:
        task = await it.submit()
        answers = [await called(it, task, {"status": "queued", "n": number}) for number in range(110)]
        kept = await it.listed(f"/v1/tasks/{task['id']}/callbacks?limit=200")
        assert ({answer.status_code for answer in answers}, len(kept)) == ({200}, 100)


SECRET = new_secret()
HMAC = SignatureSettings(scheme="hmac-sha256", secret="s3cret", header="X-Sig", prefix="sha256=")


def signed(kind, body, now):
    digest = hmac.digest(b"s3cret", body, "sha256")
    return {
        "hex": {"x-sig": "sha256=" + digest.hex()},
        "base64": {"x-sig": "sha256=" + base64.b64encode(digest).decode()},
        "standard": dict(sign([SECRET], "msg_1", now // 1000, body)),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "signature"),
    [
        ("hex", HMAC),
        ("base64", replace(HMAC, encoding="base64")),
        ("standard", SignatureSettings(scheme="standard-webhooks", secret=SECRET)),
    ],
)
async def test_a_signature_is_required_where_it_is_configured(tmp_path, kind, signature):
    """F1 callback body/sign/retry: no gateway signs; a proxy may."""
    async with hub(tmp_path, sandbox=SLOW, gateway=replace(TRUSTING, signature=signature)) as it:
        task = await it.submit()
        assert (await called(it, task)).status_code == 404
        headers = signed(kind, dumps(DONE), it.services.clock())
        assert (await called(it, task, headers=headers)).status_code == 200
        assert (await it.task(task["id"]))["status"] == "succeeded"


async def test_per_status_callbacks_are_told_as_events(tmp_path):
    async with hub(tmp_path, sandbox=SLOW, gateway=TRUSTING) as it:
        task = await it.submit()
        for body in ({"status": "queued"}, {"status": "running"}, DONE):
            await called(it, task, body)
        told = await it.listed(f"/v1/events?task={task['id']}")
        assert [event["type"] for event in reversed(told)] == ["task.accepted", "task.running", "task.succeeded"]
