"""REST hooks, as Zapier, n8n and Make make, find and end them, over real HTTP."""

import asyncio
import json
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from service.model import EVENT_TYPES
from service.store.telling import insert_event
from service.web.hooks import HOOK_FORMATS
from tests.hub import SETTINGS, Hub, hub
from tests.servers import Sink
from tests.store.given import an_event

TARGET = "http://127.0.0.1:9/hooks/standard/1/abc/"
ENDS = ["task.succeeded", "task.failed", "task.cancelled", "task.expired"]


async def hooked(it: Hub, **body: Any) -> Any:
    answer = await it.http.post("/v1/hooks", json={"target_url": TARGET} | body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def samples(it: Hub, query: str = "") -> Any:
    answer = await it.http.get(f"/v1/hooks/samples{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


# --- making one


async def test_a_hook_is_answered_with_its_id_and_its_secret(hub_without_worker):
    answer = await hub_without_worker.post("/v1/hooks", {"target_url": TARGET, "event": "task.succeeded"})
    hook = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/hooks/{hook['id']}")
    assert {name: hook[name] for name in ("target_url", "event", "events", "format", "status")} == {
        "target_url": TARGET,
        "event": "task.succeeded",
        "events": ["task.succeeded"],
        "format": "flat",
        "status": "active",
    }
    assert hook["secret"].startswith("whsec_") and hook["created_at"].endswith("Z")


@pytest.mark.parametrize("name", ["target_url", "url", "hookUrl"])
async def test_the_url_has_three_names(hub_without_worker, name):
    answer = await hub_without_worker.post("/v1/hooks", {name: TARGET})
    assert (answer.status_code, answer.json()["target_url"]) == (201, TARGET)


@pytest.mark.parametrize(
    ("body", "events"),
    [
        ({}, ENDS),
        ({"event": None}, ENDS),
        ({"event": "task.failed"}, ["task.failed"]),
        ({"event": "task.*"}, ["task.*"]),
        ({"event": "*"}, ["*"]),
        ({"event": ["task.failed", "delivery.exhausted"]}, ["task.failed", "delivery.exhausted"]),
        ({"events": ["task.failed", "task.failed"]}, ["task.failed"]),
        ({"events": "subscription.*"}, ["subscription.*"]),
    ],
)
async def test_a_hook_hears_what_it_asks_for(hub_without_worker, body, events):
    assert (await hooked(hub_without_worker, **body))["events"] == events


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "target_url"),
        ({"target_url": None}, "target_url"),
        ({"target_url": 5}, "target_url"),
        ({"url": ["x"]}, "url"),
        ({"target_url": ""}, "target_url"),
        ({"target_url": "ftp://127.0.0.1/"}, "target_url"),
        ({"target_url": "http://10.0.0.1/"}, "target_url"),
        ({"target_url": "http://a:b@127.0.0.1/"}, "target_url"),
        ({"target_url": "http://nosuch.invalid/"}, "target_url"),
        ({"target_url": "http://127.0.0.1/\r\nx"}, "target_url"),
        ({"target_url": "mailto:a@example.com"}, "target_url"),
        ({"target_url": TARGET, "url": TARGET}, "url"),
        ({"target_url": TARGET, "event": "task.done"}, "event"),
        ({"target_url": TARGET, "event": "nothing.*"}, "event"),
        ({"target_url": TARGET, "event": []}, "event"),
        ({"target_url": TARGET, "event": {}}, "event"),
        ({"target_url": TARGET, "event": [5]}, "event"),
        ({"target_url": TARGET, "events": ["task.failed", "x"]}, "events"),
        ({"target_url": TARGET, "event": "*", "events": ["*"]}, "events"),
        ({"target_url": TARGET, "format": "xml"}, "format"),
        ({"target_url": TARGET, "format": "gateway"}, "format"),
        ({"target_url": TARGET, "format": "email"}, "format"),
        ({"target_url": TARGET, "format": "webpush"}, "format"),
        ({"target_url": TARGET, "format": []}, "format"),
        ({"target_url": TARGET, "colour": "red"}, "colour"),
    ],
)
async def test_a_bad_hook_is_refused_by_the_name_of_what_is_wrong(hub_without_worker, body, field):
    answer = await hub_without_worker.post("/v1/hooks", body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"x"', b"{", b"\xff"])
async def test_a_body_that_is_no_object_is_refused(hub_without_worker, body):
    answer = await hub_without_worker.http.post("/v1/hooks", content=body)
    assert answer.status_code == 400


async def test_a_huge_body_is_refused(hub_without_worker):
    assert (await hub_without_worker.post("/v1/hooks", {"target_url": "x" * 70_000})).status_code == 413


async def test_one_url_may_have_many_hooks_for_one_event(hub_without_worker):
    it = hub_without_worker
    ids = {(await hooked(it, event="task.succeeded"))["id"] for _ in range(3)}
    assert {hook["id"] for hook in await it.listed(f"/v1/hooks?target_url={TARGET}")} == ids
    assert len(ids) == 3


async def test_hooks_count_towards_what_an_owner_may_have(tmp_path):
    settings = replace(SETTINGS, deliveries=replace(SETTINGS.deliveries, subscriptions=2))
    async with hub(tmp_path, settings=settings, worker=False) as it:
        await it.subscribe(TARGET)
        await hooked(it)
        answer = await it.post("/v1/hooks", {"target_url": TARGET})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")


async def test_a_hook_is_an_ordinary_subscription(hub_without_worker):
    it = hub_without_worker
    hook = await hooked(it)
    assert (await it.http.get(f"/v1/subscriptions/{hook['id']}")).json()["url"] == TARGET


# --- finding it


async def test_the_secret_is_shown_once(hub_without_worker):
    it = hub_without_worker
    hook = await hooked(it)
    shown = {name: value for name, value in hook.items() if name != "secret"}
    assert (await it.http.get(f"/v1/hooks/{hook['id']}")).json() == shown
    assert await it.listed("/v1/hooks") == [shown]


async def test_hooks_are_found_by_exactly_their_url(hub_without_worker):
    it = hub_without_worker
    hook = await hooked(it, target_url=TARGET + "?a=1&b=ü")
    await hooked(it, target_url=TARGET + "?a=1")
    await it.subscribe(TARGET + "?a=1&b=ü")
    answer = await it.http.get("/v1/hooks", params={"target_url": TARGET + "?a=1&b=ü"})
    assert [found["id"] for found in answer.json()["data"]] == [hook["id"]]


async def test_hooks_are_listed_page_by_page(hub_without_worker):
    it = hub_without_worker
    made = [(await hooked(it))["id"] for _ in range(3)]
    first = (await it.http.get("/v1/hooks?limit=2")).json()
    second = (await it.http.get(f"/v1/hooks?limit=2&cursor={first['next_cursor']}")).json()
    assert [hook["id"] for hook in first["data"] + second["data"]] == made[::-1]
    assert second["next_cursor"] is None


@pytest.mark.parametrize("query", ["url=x", "target_url=", "target_url=a&target_url=b", "limit=0", "cursor=x"])
async def test_an_odd_question_for_hooks_is_refused(hub_without_worker, query):
    assert (await hub_without_worker.http.get(f"/v1/hooks?{query}")).status_code == 400


# --- ending it


async def test_a_hook_can_be_deleted_again_and_again(hub_without_worker):
    it = hub_without_worker
    hook = await hooked(it)
    answers = [await it.http.delete(f"/v1/hooks/{hook['id']}") for _ in range(3)]
    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b"")] * 3
    assert (await it.http.get(f"/v1/hooks/{hook['id']}")).status_code == 404


async def test_a_hook_that_never_was_can_be_deleted(hub_without_worker):
    assert (await hub_without_worker.http.delete("/v1/hooks/undefined")).status_code == 204


async def test_nobody_sees_or_ends_the_hooks_of_others(hub_without_worker):
    it = hub_without_worker
    hook = await hooked(it)
    assert (await it.other.get(f"/v1/hooks/{hook['id']}")).status_code == 404
    assert (await it.other.get("/v1/hooks", params={"target_url": TARGET})).json()["data"] == []
    assert (await it.other.delete(f"/v1/hooks/{hook['id']}")).status_code == 204
    assert len(await it.listed("/v1/hooks")) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/hooks"),
        ("POST", "/v1/hooks"),
        ("GET", "/v1/hooks/samples"),
        ("GET", "/v1/hooks/sub_1"),
        ("DELETE", "/v1/hooks/sub_1"),
    ],
)
async def test_nobody_gets_in_without_a_key(hub_without_worker, method, path):
    answer = await hub_without_worker.http.request(method, path, headers={"authorization": ""}, json={})
    assert answer.status_code == 401


# --- samples


@pytest.mark.parametrize("form", HOOK_FORMATS)
async def test_samples_are_a_bare_array_that_is_never_empty(hub_without_worker, form):
    for event in (*EVENT_TYPES, "*", "task.*", "task.failed,task.succeeded"):
        found = await samples(hub_without_worker, f"?event={event}&format={form}")
        assert isinstance(found, list) and 1 <= len(found) <= 3, event
        assert all(isinstance(sample, dict) for sample in found), event


async def test_without_a_question_the_samples_are_flat_ends(hub_without_worker):
    found = await samples(hub_without_worker)
    assert [sample["event_type"] for sample in found] == ENDS[:3]
    assert len({sample["id"] for sample in found}) == 3


@pytest.mark.parametrize(
    "query", ["event=task.done", "event=", "event=,", "format=xml", "format=webpush", "limit=5", "event=*&event=*"]
)
async def test_an_odd_question_for_samples_is_refused(hub_without_worker, query):
    assert (await hub_without_worker.http.get(f"/v1/hooks/samples?{query}")).status_code == 400


@pytest.mark.parametrize("form", ["flat", "thin", "standard"])
@pytest.mark.parametrize(
    ("prompt", "event"), [("a cat", "task.succeeded"), ("[fail]", "task.failed"), ("[cancel]", "task.cancelled")]
)
async def test_a_sample_has_the_keys_of_what_is_posted(tmp_path, form, prompt, event):
    async with hub(tmp_path) as it, Sink().open() as sink:
        before = await samples(it, f"?event={event}&format={form}")
        await hooked(it, target_url=sink.url + "/", event=event, format=form)
        await it.submit(prompt)
        (request,) = await sink.wait_for(lambda requests: len(requests) == 1)
        posted = json.loads(request.body)
        after = await samples(it, f"?event={event}&format={form}")
        assert keys_of(before[0]) == keys_of(posted)
        assert after == [posted]


def keys_of(value: Any, at: str = "") -> set[str]:
    """The paths of all keys, in objects of any depth but for what gateways count in words of their own."""
    if not isinstance(value, dict) or at in (".data.task.usage", ".data.task.cost"):
        return set()
    return {f"{at}.{key}" for key in value}.union(*(keys_of(inner, f"{at}.{key}") for key, inner in value.items()))


async def test_samples_are_ones_own_latest_events_newest_first(tmp_path):
    async with hub(tmp_path) as it:
        tasks = [await it.ended(await it.submit(f"cat {number}")) for number in range(4)]
        found = await samples(it, "?event=task.*")
        newest = (await it.http.get("/v1/events?limit=3")).json()["data"]
        assert [sample["id"] for sample in found] == [event["id"] for event in newest]
        assert [sample["task_id"] for sample in await samples(it, "?event=task.succeeded")] == [
            task["id"] for task in tasks[:0:-1]
        ]
        others = (await it.other.get("/v1/hooks/samples?event=task.succeeded")).json()
        assert {sample["task_id"] for sample in others} & {task["id"] for task in tasks} == set()


async def test_tests_and_what_was_expunged_are_no_samples(hub_without_worker):
    it = hub_without_worker
    body = json.dumps({"id": "evt_1", "type": "task.failed", "timestamp": "2026-11-21T09:30:00.000Z", "data": {}})
    told = an_event(owner="anna", task_id=None, type="task.failed", body=body)
    await it.services.database.write(insert_event, told)
    await it.services.database.write(insert_event, an_event(owner="anna", task_id=None, type="task.failed", body=""))
    test = an_event(owner="anna", task_id=None, type="task.failed", body=body.replace("evt_1", "evt_2"), test=1)
    await it.services.database.write(insert_event, test)
    assert [sample["id"] for sample in await samples(it, "?event=task.failed")] == ["evt_1"]


async def test_metadata_of_a_task_are_in_what_is_posted_and_in_no_made_sample(tmp_path):
    async with hub(tmp_path) as it, Sink().open() as sink:
        made = await samples(it)
        await hooked(it, target_url=sink.url + "/", event="task.succeeded")
        await it.submit(metadata={"shot": 7})
        (request,) = await sink.wait_for(lambda requests: len(requests) == 1)
        assert [key for sample in made for key in sample if key.startswith("meta_")] == []
        assert json.loads(request.body)["meta_shot"] == "7"


# --- n8n


@dataclass(slots=True)
class Trigger:
    """The webhookMethods of an n8n trigger node, as its authors write them: what it stores is its static data."""

    http: httpx.AsyncClient
    webhook_url: str
    hook_id: str | None = None

    async def check_exists(self) -> bool:
        answer = await self.http.get("/v1/hooks", params={"target_url": self.webhook_url})
        answer.raise_for_status()
        for hook in answer.json()["data"]:
            if hook["target_url"] == self.webhook_url:
                self.hook_id = hook["id"]
                return True
        return False

    async def create(self) -> bool:
        answer = await self.http.post("/v1/hooks", json={"target_url": self.webhook_url, "event": "task.succeeded"})
        answer.raise_for_status()
        self.hook_id = answer.json().get("id")
        return self.hook_id is not None

    async def delete(self) -> bool:
        if self.hook_id is not None:
            (await self.http.delete(f"/v1/hooks/{self.hook_id}")).raise_for_status()
            self.hook_id = None
        return True

    async def activate(self) -> None:
        assert await self.check_exists() or await self.create()


async def test_an_n8n_workflow_is_activated_hears_an_event_and_is_deactivated(tmp_path):
    async with hub(tmp_path) as it, Sink().open() as sink:
        node = Trigger(it.http, sink.url + "/webhook/a1")
        await node.activate()
        task = await it.ended(await it.submit())
        (request,) = await sink.wait_for(lambda requests: len(requests) == 1)
        assert json.loads(request.body)["task_id"] == task["id"]
        await node.delete()
        assert await it.listed("/v1/hooks") == []


async def test_an_n8n_that_was_stopped_finds_its_hook_again(hub_without_worker):
    it = hub_without_worker
    await Trigger(it.http, TARGET).activate()
    again = Trigger(it.http, TARGET)
    await again.activate()
    assert [hook["id"] for hook in await it.listed("/v1/hooks")] == [again.hook_id]


async def test_an_n8n_deactivates_a_hook_that_was_deleted_here(hub_without_worker):
    it = hub_without_worker
    node = Trigger(it.http, TARGET)
    await node.activate()
    await it.http.delete(f"/v1/hooks/{node.hook_id}")
    assert await node.delete()


# --- Zapier


async def test_two_zaps_that_are_switched_on_at_once_hear_the_same_event_each(tmp_path):
    async with hub(tmp_path) as it, Sink().open() as sink:
        zaps = await asyncio.gather(*(hooked(it, target_url=f"{sink.url}/zap/{number}") for number in range(2)))
        await it.submit("[fail]")
        requests = await sink.wait_for(lambda requests: len(requests) == 2)
        bodies = [json.loads(request.body) for request in requests]
        assert bodies[0] == bodies[1]
        assert sorted(request.url for request in requests) == [zap["target_url"] for zap in zaps]


async def test_a_zap_that_is_gone_ends_its_hook(tmp_path):
    async with hub(tmp_path) as it, Sink(410).open() as sink:
        hook = await hooked(it, target_url=sink.url + "/")
        await it.submit()

        async def shown() -> Any:
            return (await it.http.get(f"/v1/hooks/{hook['id']}")).json()

        await it.until(shown, lambda hook: hook["status"] == "disabled")


async def test_a_subscription_that_no_hook_made_is_no_hook(hub_without_worker):
    it = hub_without_worker
    made = await it.subscribe("http://127.0.0.1/", format="slack")
    shown, deleted = (
        await it.http.get(f"/v1/hooks/{made['id']}"),
        await it.http.delete(f"/v1/hooks/{made['id']}"),
    )
    still = await it.http.get(f"/v1/subscriptions/{made['id']}")
    assert (shown.status_code, deleted.status_code, still.status_code) == (404, 204, 200)
