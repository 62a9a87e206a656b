"""Changing a subscription: what is named takes the place of what was, what is confided stays, and stays at home."""

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.clock import MINUTE
from service.store.rows import Window
from service.store.telling import PART, insert_deliveries, insert_event
from tests.certificates import certified
from tests.hub import hub
from tests.servers import Sink, serve
from tests.store.given import a_dispatch, an_event, fresh_id, sql

URL, ELSEWHERE = "https://127.0.0.1:9/one", "https://127.0.0.1:10/one"
CLIENT = certified("client")
TLS = {"certificate": CLIENT.pem, "key": CLIENT.key_pem}
NTFY = {"url": "http://127.0.0.1:9/", "format": "ntfy", "format_options": {"topic": "videos", "token": "tk_hidden"}}


async def changed(it, made, **change):
    answer = await it.http.patch(f"/v1/subscriptions/{made['id']}", json=change)
    assert answer.status_code == 200, answer.text
    return answer.json()


FULL = {
    "events": ["task.*"],
    "filters": {"gateway": "easyrouter"},
    "rate_per_minute": 60,
    "concurrency": 2,
    "timeout_seconds": 0.5,
    "retry_seconds": [1, 2],
    "signatures": ["v1", "sha256"],
    "description": "mine",
    "tags": ["a"],
}


async def test_what_is_not_named_stays(hub_without_worker):
    made = await hub_without_worker.subscribe(URL, headers={"authorization": "x"}, tls=TLS, **FULL)
    shown = await changed(hub_without_worker, made, description="ours")
    made.pop("secret")
    assert shown == made | {"description": "ours"}


async def test_null_makes_it_as_if_it_had_never_been_said(hub_without_worker):
    plain = await hub_without_worker.subscribe(URL)
    made = await hub_without_worker.subscribe(URL, **FULL)
    for name in FULL:
        assert made[name] != plain[name]
        assert (await changed(hub_without_worker, made, **{name: None}))[name] == plain[name]


async def test_a_subscription_without_a_url_cannot_be(hub_without_worker):
    made = await hub_without_worker.subscribe(URL)
    answer = await hub_without_worker.http.patch(f"/v1/subscriptions/{made['id']}", json={"url": None})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "url")


@pytest.mark.parametrize("url", [ELSEWHERE, "https://127.0.0.1/one"])
@pytest.mark.parametrize("named", [{}, {"headers": {"x-new": "1"}}, {"tls": {"ca": CLIENT.pem}}])
async def test_what_was_confided_for_one_host_is_not_taken_to_another(hub_without_worker, url, named):
    made = await hub_without_worker.subscribe(URL, headers={"authorization": "x"}, tls=TLS)
    shown = await changed(hub_without_worker, made, url=url, **named)
    assert {name: shown[name] for name in ("headers", "tls")} == {"headers": [], "tls": []} | {
        name: list(value) for name, value in named.items()
    }


async def test_another_path_of_the_host_keeps_what_was_confided(hub_without_worker):
    made = await hub_without_worker.subscribe(URL, headers={"authorization": "x"}, tls=TLS)
    shown = await changed(hub_without_worker, made, url=URL + "/two")
    assert (shown["headers"], shown["tls"]) == (["authorization"], ["certificate", "key"])


async def test_a_certificate_that_cannot_be_used_is_neither_stored_nor_taken_in_a_change(hub_without_worker):
    it, bad = hub_without_worker, TLS | {"key": certified().key_pem}
    made = await it.subscribe(URL, tls=TLS)
    answers = [
        await it.http.post("/v1/subscriptions", json={"url": URL, "tls": bad}),
        await it.http.patch(f"/v1/subscriptions/{made['id']}", json={"tls": bad}),
    ]
    assert [(each.status_code, each.json()["error"]["field"]) for each in answers] == [(400, "tls.key")] * 2


async def test_a_token_is_not_taken_to_another_host(hub_without_worker):
    made = await hub_without_worker.subscribe(**NTFY)
    shown = await changed(hub_without_worker, made, url="http://127.0.0.1:10/")
    assert (shown["secret_options"], shown["format_options"]["topic"]) == ([], "videos")


async def test_a_token_that_is_not_named_stays_though_other_options_change(hub_without_worker):
    made = await hub_without_worker.subscribe(**NTFY)
    shown = await changed(hub_without_worker, made, format_options={"topic": "films"})
    assert (shown["secret_options"], shown["format_options"]["topic"]) == (["token"], "films")


@pytest.mark.parametrize("change", [{"format_options": {"topic": "x", "token": None}}, {"format_options": None}])
async def test_a_token_goes_when_that_is_said(hub_without_worker, change):
    named = {"url": "http://127.0.0.1:9/x", "format_options": {"token": "t"}}
    made = await hub_without_worker.subscribe(**NTFY | named)
    shown = await changed(hub_without_worker, made, **change)
    assert shown["secret_options"] == []


@pytest.mark.parametrize("word", ["flat", None])
async def test_another_format_begins_without_options(hub_without_worker, word):
    made = await hub_without_worker.subscribe(URL, format="slack", format_options={"blocks": "always"})
    shown = await changed(hub_without_worker, made, format=word)
    assert shown["format"] == (word or "standard")
    assert "blocks" not in shown["format_options"]


async def test_options_of_the_old_format_are_refused_with_the_new_one(hub_without_worker):
    made = await hub_without_worker.subscribe(URL, format="slack")
    change = {"format": "flat", "format_options": {"blocks": "always"}}
    answer = await hub_without_worker.http.patch(f"/v1/subscriptions/{made['id']}", json=change)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "format_options.blocks")


async def test_of_changes_at_once_none_is_lost_silently(hub_without_worker):
    """Either it is there, or whoever made it was told."""
    it = hub_without_worker
    made = await it.subscribe(URL)
    path = f"/v1/subscriptions/{made['id']}"
    changes: list[dict[str, Any]] = [
        {"description": "new"},
        {"tags": ["new"]},
        {"rate_per_minute": 9},
        {"concurrency": 3},
    ]
    answers = await asyncio.gather(*(it.http.patch(path, json=change) for change in changes))
    shown = (await it.http.get(path)).json()
    assert {answer.status_code for answer in answers} <= {200, 409}
    for change, answer in zip(changes, answers, strict=True):
        ((name, value),) = change.items()
        assert (shown[name] == value) == (answer.status_code == 200)


async def test_a_bad_change_changes_nothing(hub_without_worker):
    made = await hub_without_worker.subscribe(URL, **FULL)
    path = f"/v1/subscriptions/{made['id']}"
    before = (await hub_without_worker.http.get(path)).json()
    answer = await hub_without_worker.http.patch(path, json={"description": "new", "url": "http://10.0.0.1/"})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "url")
    assert (await hub_without_worker.http.get(path)).json() == before


async def test_another_owners_subscription_cannot_be_changed(hub_without_worker):
    it = hub_without_worker
    path = f"/v1/subscriptions/{(await it.subscribe(URL))['id']}"
    for method, tail in [("PATCH", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/rotate-secret")]:
        assert (await it.other.request(method, path + tail, json={})).status_code == 404
    for tail in ("/test", "/replay"):
        assert (await it.other.post(path + tail)).status_code == 404


# --- hearing everybody


async def test_an_admin_hears_everybody(tmp_path):
    async with Sink().open() as sink, hub(tmp_path) as it:
        answer = await it.admin.post("/v1/subscriptions", json={"url": sink.url, "owner": "*"})
        assert (answer.status_code, answer.json()["owner"]) == (201, "*")
        await it.submit()
        assert len(await sink.wait_for(len)) == 1


async def test_nobody_else_hears_everybody(hub_without_worker):
    answer = await hub_without_worker.post("/v1/subscriptions", {"url": URL, "owner": "*"})
    assert (answer.status_code, answer.json()["error"]["field"]) == (403, "owner")


@pytest.mark.parametrize(("before", "after"), [("*", None), (None, "*")])
async def test_whom_an_admin_hears_can_be_changed(hub_without_worker, before, after):
    admin = hub_without_worker.admin
    made = (await admin.post("/v1/subscriptions", json={"url": URL, "owner": before})).json()
    shown = (await admin.patch(f"/v1/subscriptions/{made['id']}", json={"owner": after})).json()
    assert shown["owner"] == (after or "root")


async def test_an_owners_subscription_is_not_made_to_hear_everybody(hub_without_worker):
    """He could read it all."""
    it = hub_without_worker
    made = await it.subscribe(URL)
    answer = await it.admin.patch(f"/v1/subscriptions/{made['id']}", json={"owner": "*"})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "owner")


# --- taking effect on what waits


async def test_what_waits_is_sent_to_where_it_is_wanted_now(tmp_path):
    async with Sink(500).open() as old, Sink().open() as new, hub(tmp_path) as it:
        made = await it.subscribe(old.url, retry_seconds=[60])
        await it.submit()
        await old.wait_for(len)
        (waiting,) = await it.until(
            lambda: it.listed("/v1/deliveries"), lambda found: found and found[0]["attempt_count"] == 1
        )
        await changed(it, made, url=new.url)
        await it.http.post(f"/v1/deliveries/{waiting['id']}/replay")
        assert len(await new.wait_for(len)) == 1


def slow_sink():
    """An app that answers late until it is told to hurry, and the requests in the order in which they came."""
    seen: list[str] = []
    hurry = asyncio.Event()

    async def receive(request: Request) -> Response:
        seen.append(request.url.path)
        await asyncio.sleep(0 if hurry.is_set() else 0.1)
        return Response()

    return Starlette(routes=[Route("/{path:path}", receive, methods=["POST"])]), seen, hurry


@pytest.mark.parametrize("end", ["pause", "delete", "move"])
async def test_what_stands_in_line_is_not_sent_any_more(tmp_path, end):
    """Leased, and waiting for a free sender of its own lane."""
    app, seen, hurry = slow_sink()
    async with serve(app) as url, Sink().open() as elsewhere, hub(tmp_path) as it:
        made = await it.subscribe(url, events=["task.accepted"], concurrency=1)
        path = f"/v1/subscriptions/{made['id']}"
        await asyncio.gather(*(it.submit() for _ in range(30)))
        if end == "pause":
            await it.http.post(path + "/pause")
        elif end == "delete":
            await it.http.delete(path)
        else:
            await changed(it, made, url=elsewhere.url)
        await asyncio.sleep(0.4)  # what was begun, and what was known of it a moment ago
        count = len(seen)
        assert count < 25
        await asyncio.sleep(0.5)
        assert len(seen) == count
        hurry.set()
        if end == "pause":
            await it.http.post(path + "/resume")
            await it.until(lambda: it.listed("/v1/deliveries?status=delivered"), lambda found: len(found) == 30)
            assert len(seen) == 30


async def test_a_pause_sends_nothing_and_loses_nothing(tmp_path):
    async with Sink().open() as sink, Sink().open() as other, hub(tmp_path) as it:
        made = await it.subscribe(sink.url)
        await it.subscribe(other.url)
        path = f"/v1/subscriptions/{made['id']}"
        assert (await it.http.post(path + "/pause")).json()["status"] == "paused"
        for _ in range(3):
            await it.submit()
        await other.wait_for(lambda found: len(found) >= 3)
        assert sink.requests == []
        assert (await it.http.post(path + "/resume")).json()["status"] == "active"
        assert len(await sink.wait_for(lambda found: len(found) >= 3)) == 3


async def test_all_that_has_gathered_is_released_however_much_it_is(tmp_path):
    async with Sink().open() as sink, hub(tmp_path, worker=False) as it:
        made = await it.subscribe(sink.url)
        path = f"/v1/subscriptions/{made['id']}"
        await it.http.post(path + "/pause")
        (paused,) = await it.services.reads.subscriptions(None, Window())

        def gather():
            for _ in range(PART + 1):
                event = an_event(id=fresh_id("evt"), task_id=fresh_id("task"), owner=paused.owner)
                dispatch = a_dispatch(event, paused, created_at=it.services.clock())
                yield from insert_event(event)
                yield from insert_deliveries(event, [dispatch], leased=False)

        await it.services.database.write(gather)
        await it.http.post(path + "/resume")
        soon = "SELECT COUNT(*) AS count FROM deliveries WHERE next_at < :soon"
        await it.until(
            lambda: it.services.database.write(sql, soon, soon=it.services.clock() + MINUTE),
            lambda rows: rows[0]["count"] == PART + 1,
        )


@pytest.mark.parametrize("what", ["tried out", "moved"])
async def test_what_waits_for_an_endpoint_that_wanted_a_pause_is_released_when_it_is(tmp_path, what):
    async with Sink().open() as sink, Sink().open() as other, hub(tmp_path) as it:
        made = await it.subscribe(sink.url)
        held = f"UPDATE subscriptions SET held_until = {it.services.clock() + 60 * MINUTE}"
        await it.services.database.write(sql, held)
        await it.submit()
        await it.until(lambda: it.listed("/v1/deliveries?status=pending"), lambda found: len(found) == 1)
        if what == "moved":
            await changed(it, made, url=other.url)
            await other.wait_for(lambda found: len(found) >= 1)
        else:
            await it.http.post(f"/v1/subscriptions/{made['id']}/test")
            await sink.wait_for(lambda found: len(found) >= 2)


async def test_what_fails_during_a_pause_waits_for_its_end(tmp_path):
    async with Sink(500).open() as sink, hub(tmp_path) as it:
        made = await it.subscribe(sink.url, retry_seconds=[3600, 3600])
        path = f"/v1/subscriptions/{made['id']}"
        await it.submit()
        await it.until(lambda: it.listed("/v1/deliveries"), lambda found: found and found[0]["attempt_count"] == 1)
        await it.http.post(path + "/pause")
        now = it.services.clock()
        await it.services.database.write(sql, "UPDATE deliveries SET next_at = 1")
        await it.until(lambda: it.services.reads.next_at("next_delivery"), lambda due_at: due_at > now)
        assert len(sink.requests) == 1
        await it.http.post(path + "/resume")
        assert len(await sink.wait_for(lambda found: len(found) >= 2)) == 2


async def test_a_hook_that_answers_while_it_is_paused_is_not_told_again(tmp_path):
    async with Sink(0).open() as sink, hub(tmp_path) as it:
        made = await it.subscribe(sink.url)
        path = f"/v1/subscriptions/{made['id']}"
        await it.submit()
        await sink.wait_for(len)
        await it.http.post(path + "/pause")
        sink.release()
        await it.until(lambda: it.listed("/v1/deliveries?status=delivered"), len)
        await it.http.post(path + "/resume")
        assert [one["attempt_count"] for one in await it.listed("/v1/deliveries")] == [1]


async def test_to_resume_what_is_not_paused_hurries_nothing(tmp_path):
    async with Sink(500).open() as sink, hub(tmp_path) as it:
        made = await it.subscribe(sink.url, retry_seconds=[3600, 3600])
        await it.submit()
        await it.until(lambda: it.listed("/v1/deliveries"), lambda found: found and found[0]["attempt_count"] == 1)
        (before,) = await it.listed("/v1/deliveries")
        await it.http.post(f"/v1/subscriptions/{made['id']}/resume")
        assert await it.listed("/v1/deliveries") == [before]


async def test_a_change_does_not_lose_what_cannot_be_opened(tmp_path):
    async with hub(tmp_path, worker=False) as it:
        made = await it.subscribe("http://127.0.0.1/", headers={"x-api": "secret"})
        await it.services.database.write(sql, "UPDATE subscriptions SET sealed = 's1.another.key'")
        answer = await it.http.patch(f"/v1/subscriptions/{made['id']}", json={"description": "new"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")
