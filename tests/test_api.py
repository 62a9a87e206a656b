"""The native API: what it takes, what it refuses, and in which words."""

import asyncio
import urllib.error
import urllib.request
from dataclasses import replace

import pytest

from service.model import TASK_EVENTS
from tests.hub import GATEWAY, SANDBOX, hub, smallest

BODY = {"gateway": "easyrouter", "model": "dreamina-seedance-2-0", "prompt": "a cat"}


async def test_a_task_is_shown_as_it_was_submitted(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.submit(duration=5, ratio="16:9", seed=3, metadata={"shot": "7", "empty": None})
        shown = await it.task(task["id"])
        assert (shown["duration"], shown["ratio"], shown["metadata"]) == (5, "16:9", {"shot": "7", "empty": None})


async def test_an_accepted_task_is_answered_with_201_and_its_place(tmp_path):
    async with hub(tmp_path) as it:
        answer = await it.submitted()
        assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/tasks/{answer.json()['id']}")


async def test_a_slow_gateway_is_answered_with_202_and_the_create_goes_on(tmp_path):
    from service.settings import Span
    from tests.hub import SETTINGS

    settings = replace(SETTINGS, submit=replace(SETTINGS.submit, wait=Span(50)))
    async with hub(tmp_path, settings=settings) as it:
        answer = await it.submitted("[slow create 300ms]")
        assert (answer.status_code, answer.json()["submission"]) == (202, "sending")
        assert (await it.ended(answer.json()))["status"] == "succeeded"


async def test_a_full_gateway_is_answered_with_202_where_the_task_may_wait(tmp_path):
    async with hub(tmp_path) as it:
        assert (await it.submitted("[429 x1]")).status_code == 202


async def test_a_full_gateway_is_answered_with_429_where_the_caller_wants_a_plain_answer(tmp_path):
    async with hub(tmp_path) as it:
        assert (await it.submitted("[429 x1]", when_full="refuse")).status_code == 429


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"gateway": "nowhere"}, "gateway"),
        ({"gateway": None}, "gateway"),
        ({"gateway": 5}, "gateway"),
        ({"gateway": []}, "gateway"),
        ({"model": "sora"}, "model"),
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "  "}, "prompt"),
        ({"prompt": ["a"]}, "prompt"),
        ({"duration": "5"}, "duration"),
        ({"duration": 5.5}, "duration"),
        ({"duration": True}, "duration"),
        ({"duration": 10**30}, "duration"),
        ({"duration": -7}, "duration"),
        ({"ratio": "2:1"}, "ratio"),
        ({"resolution": "9k"}, "resolution"),
        ({"seed": -5}, "seed"),
        ({"seed": 2**31}, "seed"),
        ({"camera_fixed": "yes"}, "camera_fixed"),
        ({"watermark": 1}, "watermark"),
        ({"execution_expires_after": 0}, "execution_expires_after"),
        ({"asset_group_id": "g"}, "asset_group_id"),
        ({"media": {}}, "media"),
        ({"media": ["x"]}, "media[0]"),
        ({"media": [{"type": "smell", "url": "https://e.com/x"}]}, "media[0].type"),
        ({"media": [{"type": "image"}]}, "media[0].url"),
        ({"media": [{"type": "image", "url": 5}]}, "media[0].url"),
        ({"media": [{"type": "image", "url": "https://e.com/x", "role": "hero"}]}, "media[0].role"),
        ({"media": [{"type": "image", "url": "https://e.com/x", "size": 3}]}, "media[0].size"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"a": "x" * 20_000}}, "metadata"),
        ({"extra": 3}, "extra"),
        ({"extra": {"prompt": "another"}}, "extra.prompt"),
        ({"extra": {"metadata": {"callback_url": "http://evil.example"}}}, "extra.metadata.callback_url"),
        ({"webhook_url": "ftp://x.example"}, "webhook_url"),
        ({"webhook_url": "http://10.0.0.1/x"}, "webhook_url"),
        ({"webhook_url": 5}, "webhook_url"),
        ({"when_full": "wait"}, "when_full"),
        ({"durration": 5}, "durration"),
    ],
)
async def test_a_bad_field_is_named(hub_without_worker, change, field):
    answer = await hub_without_worker.post("/v1/tasks", BODY | change)
    assert (answer.status_code, answer.json()["error"].get("field")) == (400, field)


async def test_nothing_is_stored_of_a_bad_request(tmp_path):
    async with hub(tmp_path) as it:
        await it.post("/v1/tasks", BODY | {"ratio": "2:1"})
        assert await it.listed("/v1/tasks") == []


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"null", "application/json", 400),
        (b'"x"', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"prompt": NaN}', "application/json", 400),
        (b'{"prompt": "\\ud800"}', "application/json", 400),
        (b"[" * 50_000, "application/json", 400),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "application/json", 400),
        (b"prompt=x", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
        (b"x", "", 415),
    ],
)
@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/subscriptions", smallest("easyrouter")[0]])
async def test_a_body_that_is_no_json_object_is_refused(hub_without_worker, path, content, kind, status):
    answer = await hub_without_worker.http.post(path, content=content, headers={"content-type": kind})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")


async def test_a_body_over_the_limit_is_refused(hub_without_worker):
    answer = await hub_without_worker.http.post(
        "/v1/subscriptions", content=b"x" * 300_000, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413


async def test_a_client_that_sends_all_of_a_huge_body_first_hears_why_it_is_refused(hub_without_worker):
    def post():
        asked = urllib.request.Request(
            f"{hub_without_worker.base_url}/v1/subscriptions",
            data=b"x" * 8 * 2**20,
            headers={
                "authorization": hub_without_worker.http.headers["authorization"],
                "content-type": "application/json",
            },
        )
        try:
            return urllib.request.urlopen(asked, timeout=10)
        except urllib.error.HTTPError as answer:
            return answer

    asked = await asyncio.to_thread(post)
    with asked:
        assert asked.status == 413


async def test_json_in_another_alphabet_is_refused(hub_without_worker):
    answer = await hub_without_worker.http.post(
        "/v1/tasks", content='{"a": 1}'.encode("utf-16"), headers={"content-type": "application/json; charset=utf-16"}
    )
    assert (answer.status_code, "utf-16" in answer.json()["error"]["message"]) == (415, True)


async def test_a_body_over_the_limit_that_does_not_say_how_long_it_is_is_refused(hub_without_worker):
    async def chunks():
        for _ in range(300):
            yield b"x" * 1_000

    answer = await hub_without_worker.http.post(
        "/v1/subscriptions", content=chunks(), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1", 404),
        ("GET", "/v1/tasks/", 404),
        ("PUT", "/v1/tasks", 405),
        ("DELETE", "/v1/tasks/task_1", 405),
        ("GET", "/v1/tasks/task_1", 404),
        ("POST", "/v1/tasks/task_1/cancel", 404),
        ("GET", "/v1/events/evt_1", 404),
        ("GET", "/v1/subscriptions/sub_1", 404),
        ("GET", "/v1/deliveries/dlv_1", 404),
        ("GET", "/v1/tasks/%00", 404),
        ("GET", "/v1/tasks/" + "x" * 5_000, 404),
    ],
)
async def test_what_is_not_there_is_said_in_our_words(hub_without_worker, method, path, status):
    answer = await hub_without_worker.http.request(method, path)
    assert (answer.status_code, set(answer.json())) == (status, {"error"})


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("limit=²", "limit"),
        ("limit=1&limit=2", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=", "cursor"),
        ("status=done", "status"),
        ("created_after=yesterday", "created_after"),
        ("created_before=99999-01-01", "created_before"),
        ("colour=red", "colour"),
    ],
)
async def test_a_bad_parameter_of_a_list_is_named(hub_without_worker, query, field):
    answer = await hub_without_worker.http.get(f"/v1/tasks?{query}")
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": 5}, "url"),
        ({"url": "example.com"}, "url"),
        ({"url": "https://user:pw@example.com"}, "url"),
        ({"url": "http://192.168.0.1/"}, "url"),
        ({"url": "http://no-such-host.invalid/"}, "url"),
        ({"url": "http://127.0.0.1/", "events": "task.succeeded"}, "events"),
        ({"url": "http://127.0.0.1/", "events": []}, "events"),
        ({"url": "http://127.0.0.1/", "events": ["task.done"]}, "events"),
        ({"url": "http://127.0.0.1/", "events": [{}]}, "events"),
        ({"url": "http://127.0.0.1/", "format": "xml"}, "format"),
        ({"url": "http://127.0.0.1/", "format": []}, "format"),
        ({"url": "http://127.0.0.1/", "description": 5}, "description"),
        ({"url": "http://127.0.0.1/", "uri": "x"}, "uri"),
    ],
)
async def test_a_bad_subscription_is_refused_with_the_reason(hub_without_worker, body, field):
    answer = await hub_without_worker.post("/v1/subscriptions", body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)


async def test_a_secret_is_shown_once(hub_without_worker):
    subscription = await hub_without_worker.subscribe("http://127.0.0.1/")
    shown = await hub_without_worker.http.get(f"/v1/subscriptions/{subscription['id']}")
    assert "secret" in subscription
    assert subscription["secret"] not in shown.text


async def test_a_subscription_that_names_no_events_gets_the_four_ends(hub_without_worker):
    subscription = await hub_without_worker.subscribe("http://127.0.0.1/")
    assert set(subscription["events"]) == set(TASK_EVENTS) - {"task.accepted", "task.running"}


async def test_pages_lead_through_all_tasks_newest_first(tmp_path):
    async with hub(tmp_path) as it:
        made = [(await it.submit())["id"] for _ in range(5)]
        first = (await it.http.get("/v1/tasks?limit=3")).json()
        second = (await it.http.get(f"/v1/tasks?limit=3&cursor={first['next_cursor']}")).json()
        listed = [task["id"] for task in first["data"] + second["data"]]
        assert (sorted(made, reverse=True), second["next_cursor"]) == (listed, None)


async def test_tasks_are_found_by_status_and_gateway_and_time(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.ended(await it.submit())
        later = "2100-01-01T00:00:00Z"
        assert await it.listed("/v1/tasks?status=failed") == []
        assert await it.listed("/v1/tasks?gateway=videos") == []
        assert await it.listed(f"/v1/tasks?created_after={later}") == []
        found = await it.listed(f"/v1/tasks?status=succeeded&gateway=easyrouter&created_before={later}")
        assert [one["id"] for one in found] == [task["id"]]


# --- who may come in


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/events", "/v1/subscriptions", "/v1/deliveries", "/v1/gateways"])
@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer rh_wrong", "Basic cm9vdDo=", "rh_x"])
async def test_nobody_gets_in_without_a_key(hub_without_worker, path, header):
    headers = {"authorization": header} if header is not None else {}
    it = hub_without_worker
    answer = await it.http.request("GET", path, headers=headers) if headers else await bare_get(it, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")


async def bare_get(it, path):
    import httpx

    async with httpx.AsyncClient(base_url=it.base_url, trust_env=False) as nobody:
        return await nobody.get(path)


async def test_another_owners_task_is_not_there(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.submit()
        answers = [
            await it.other.get(f"/v1/tasks/{task['id']}"),
            await it.other.post(f"/v1/tasks/{task['id']}/cancel"),
            await it.other.get(f"/v1/tasks/{task['id']}/callbacks"),
            await it.other.get(f"/easyrouter/v1/video/generations/{task['id']}"),
        ]
        assert [answer.status_code for answer in answers] == [404, 404, 404, 400]


async def test_another_owners_lists_are_empty(tmp_path):
    async with hub(tmp_path) as it:
        await it.subscribe("http://127.0.0.1:1/")
        await it.ended(await it.submit())
        paths = ("/v1/tasks", "/v1/events", "/v1/subscriptions", "/v1/deliveries")
        assert [(await it.other.get(path)).json()["data"] for path in paths] == [[], [], [], []]


async def test_another_owners_subscription_cannot_be_deleted(tmp_path):
    async with hub(tmp_path) as it:
        subscription = await it.subscribe("http://127.0.0.1:1/")
        answer = await it.other.delete(f"/v1/subscriptions/{subscription['id']}")
        assert (answer.status_code, len(await it.listed("/v1/subscriptions"))) == (204, 1)


async def test_to_delete_a_subscription_again_changes_nothing(tmp_path):
    async with hub(tmp_path) as it:
        path = f"/v1/subscriptions/{(await it.subscribe('http://127.0.0.1:1/'))['id']}"
        assert [(await it.http.delete(path)).status_code for _ in range(2)] == [204, 204]
        assert await it.listed("/v1/subscriptions") == []


async def test_an_admin_sees_everybodys(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.submit()
        assert (await it.admin.get(f"/v1/tasks/{task['id']}")).status_code == 200


async def test_a_key_of_a_gateway_is_never_shown(tmp_path):
    async with hub(tmp_path) as it:
        assert "sandbox-key" not in (await it.http.get("/v1/gateways")).text


# --- cancel


async def test_a_task_is_cancelled_where_the_gateway_can(tmp_path):
    async with hub(tmp_path, "seedance2", sandbox=replace(SANDBOX, run_ms=(60_000, 60_000))) as it:
        task = await it.submit()
        answer = await it.post(f"/v1/tasks/{task['id']}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


async def test_to_cancel_twice_changes_nothing(tmp_path):
    async with hub(tmp_path, "seedance2", sandbox=replace(SANDBOX, run_ms=(60_000, 60_000))) as it:
        task = await it.submit()
        answers = [await it.post(f"/v1/tasks/{task['id']}/cancel") for _ in range(2)]
        assert [answer.json()["status"] for answer in answers] == ["cancelled", "cancelled"]


async def test_a_task_that_is_over_cannot_be_cancelled(tmp_path):
    async with hub(tmp_path, "seedance2") as it:
        task = await it.ended(await it.submit())
        answer = await it.post(f"/v1/tasks/{task['id']}/cancel")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_cancellable")


async def test_a_gateway_that_cannot_cancel_is_said_to(tmp_path):
    async with hub(tmp_path, "easyrouter", sandbox=replace(SANDBOX, run_ms=(60_000, 60_000))) as it:
        task = await it.submit()
        answer = await it.post(f"/v1/tasks/{task['id']}/cancel")
        assert (answer.status_code, "no way to cancel" in answer.json()["error"]["message"]) == (409, True)


async def test_a_task_that_waits_to_be_sent_is_cancelled_without_the_gateway(tmp_path):
    async with hub(tmp_path, gateway=replace(GATEWAY, base_url="http://127.0.0.1:1")) as it:
        task = await it.submit()
        answer = await it.post(f"/v1/tasks/{task['id']}/cancel")
        assert answer.json()["status"] == "cancelled"


async def test_health_needs_no_key(hub_without_worker):
    assert (await bare_get(hub_without_worker, "/health")).json()["status"] == "ok"
