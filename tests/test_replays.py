"""Telling again, over real HTTP: one delivery, one event, and all that a subscription has missed."""

import asyncio
from dataclasses import replace

import pytest

from service.replaying import STEP
from service.settings import Span
from service.store.telling import insert_event
from tests.hub import SETTINGS, hub, smallest
from tests.servers import Sink
from tests.store.given import an_event, fresh_id, sql

URL = "http://127.0.0.1:9/"
NONE_LEFT = replace(SETTINGS, deliveries=replace(SETTINGS.deliveries, retries=()))


async def over(it, number, **query):
    """The deliveries, when there are so many and none is pending."""
    path = "/v1/deliveries?limit=200" + "".join(f"&{name}={value}" for name, value in query.items())
    return await it.until(
        lambda: it.listed(path),
        lambda found: len(found) == number and all(one["status"] != "pending" for one in found),
    )


async def ended(it, replay):
    return (
        await it.until(
            lambda: it.http.get(f"/v1/replays/{replay['id']}"), lambda found: found.json()["status"] != "running"
        )
    ).json()


async def accepted(it, path, **body):
    answer = await it.http.post(path, json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()


def sent(requests):
    return {(one.headers["webhook-id"], one.body) for one in requests}


async def test_a_delivery_is_told_again_with_the_same_id_and_bytes_and_its_attempts_go_on(tmp_path):
    async with Sink(500, 500, 200).open() as sink, hub(tmp_path) as it:
        await it.subscribe(sink.url, retry_seconds=[0])
        await it.submit()
        (given_up,) = await over(it, 1)
        await accepted(it, f"/v1/deliveries/{given_up['id']}/replay")
        requests = await sink.wait_for(lambda found: len(found) >= 3)
        (again,) = await over(it, 1)
        assert len(sent(requests)) == 1
        assert [one.headers["x-reelhook-attempt"] for one in requests] == ["1", "2", "3"]
        assert (again["id"], again["status"], again["attempt_count"]) == (given_up["id"], "delivered", 3)


async def test_what_is_told_again_has_a_schedule_anew(tmp_path):
    async with Sink(500).open() as sink, hub(tmp_path) as it:
        await it.subscribe(sink.url, retry_seconds=[0, 0])
        await it.submit()
        (given_up,) = await over(it, 1)
        await accepted(it, f"/v1/deliveries/{given_up['id']}/replay")
        await sink.wait_for(lambda found: len(found) >= 6)
        (again,) = await over(it, 1)
        assert (again["status"], again["attempt_count"]) == ("exhausted", 6)


async def test_an_event_is_told_again_in_its_gateways_own_words(tmp_path):
    path, body = smallest("seedance2")
    async with Sink(500, 200).open() as sink, hub(tmp_path, "seedance2", settings=NONE_LEFT) as it:
        callback = {"webhookUrl": sink.url}
        made = await it.http.post(path, json=body | callback)
        assert made.status_code < 300, made.text
        (given_up,) = await over(it, 1)
        assert given_up["status"] == "exhausted"
        told = await accepted(it, f"/v1/events/{given_up['event_id']}/replay")
        assert told == {"deliveries": [given_up["id"]]}
        first, second = await sink.wait_for(lambda found: len(found) >= 2)
        assert first.body == second.body


async def test_a_missing_delivery_is_made_in_the_gateways_own_words(tmp_path):
    path, body = smallest("seedance2")
    async with Sink().open() as sink, hub(tmp_path, "seedance2") as it:
        await it.http.post(path, json=body | {"webhookUrl": sink.url})
        (told,) = await over(it, 1)
        (first,) = sink.requests
        await it.services.database.write(sql, "DELETE FROM deliveries")
        again = await accepted(it, f"/v1/events/{told['event_id']}/replay")
        assert len(again["deliveries"]) == 1
        _, second = await sink.wait_for(lambda found: len(found) >= 2)
        assert second.body == first.body


async def test_an_event_is_told_to_a_subscription_that_came_later(tmp_path):
    async with Sink().open() as sink, hub(tmp_path) as it:
        await it.ended(await it.submit())
        (event,) = await it.listed("/v1/events?type=task.succeeded")
        made = await it.subscribe(sink.url)
        await accepted(it, f"/v1/events/{event['id']}/replay", subscription=made["id"])
        (request,) = await sink.wait_for(len)
        assert request.headers["webhook-id"] == event["id"]


async def test_what_was_missed_while_it_was_disabled_is_recovered(tmp_path):
    async with Sink(410, 200).open() as sink, hub(tmp_path) as it:
        made = await it.subscribe(sink.url)
        path = f"/v1/subscriptions/{made['id']}"
        for _ in range(3):
            await it.ended(await it.submit())
        await over(it, 1)
        refused = await it.post(path + "/replay")
        assert (refused.status_code, f"{path}/test" in refused.text) == (409, True)
        tried = (await it.post(path + "/test")).json()
        assert (tried["status"], tried["subscription_enabled"]) == ("delivered", True)
        assert (await it.http.get(path)).json()["status"] == "active"
        answer = await it.post(path + "/replay", {"only_missing": True})
        replay = await ended(it, (answer).json())
        assert (answer.headers["location"], replay["status"]) == (f"/v1/replays/{replay['id']}", "finished")
        requests = await sink.wait_for(lambda found: len(found) >= 1 + 1 + 3)
        assert len({one.headers["webhook-id"] for one in requests[2:]}) == 3


async def test_what_was_delivered_is_not_sent_again_where_only_the_missing_is_wanted(tmp_path):
    async with Sink().open() as sink, hub(tmp_path) as it:
        made = await it.subscribe(sink.url)
        for _ in range(3):
            await it.submit()
        await over(it, 3)
        replay = await ended(it, await accepted(it, f"/v1/subscriptions/{made['id']}/replay", only_missing=True))
        assert (replay["replayed"], len(sink.requests)) == (0, 3)
        replay = await ended(it, await accepted(it, f"/v1/subscriptions/{made['id']}/replay", status=["delivered"]))
        assert replay["replayed"] == 3
        assert len(sent(await sink.wait_for(lambda found: len(found) >= 6))) == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"only_missing": 0}, "only_missing"),
        ({"only_missing": "yes"}, "only_missing"),
        ({"only_missing": True, "status": "exhausted"}, "only_missing"),
        ({"status": "lost"}, "status"),
        ({"status": []}, "status"),
        ({"status": [{}]}, "status"),
        ({"since": 5}, "since"),
        ({"until": "tomorrow"}, "until"),
        ({"per_second": 0}, "per_second"),
        ({"per_second": True}, "per_second"),
        ({"from": "x"}, "from"),
    ],
)
async def test_an_odd_replay_is_refused(hub_without_worker, body, field):
    made = await hub_without_worker.subscribe(URL)
    answer = await hub_without_worker.post(f"/v1/subscriptions/{made['id']}/replay", body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)


async def test_a_second_replay_waits_for_the_end_of_the_first_or_for_its_cancellation(hub_without_worker):
    it = hub_without_worker
    path = f"/v1/subscriptions/{(await it.subscribe(URL))['id']}/replay"
    first = await accepted(it, path)
    assert (await it.post(path)).status_code == 409
    cancelled = (await it.post(f"/v1/replays/{first['id']}/cancel")).json()
    assert cancelled["status"] == "cancelled"
    assert (await it.post(path)).status_code == 202
    assert len(await it.listed("/v1/replays")) == 2


async def test_nobody_sees_or_ends_the_replays_of_others(hub_without_worker):
    it = hub_without_worker
    made = await it.subscribe(URL)
    replay = await accepted(it, f"/v1/subscriptions/{made['id']}/replay")
    assert (await it.other.get(f"/v1/replays/{replay['id']}")).status_code == 404
    assert (await it.other.post(f"/v1/replays/{replay['id']}/cancel")).status_code == 404
    assert (await it.other.get("/v1/replays")).json()["data"] == []
    assert (await it.other.post(f"/v1/events/{fresh_id('evt')}/replay")).status_code == 404


async def test_a_replay_that_was_left_behind_is_finished_by_the_next_process(tmp_path):
    async with hub(tmp_path, worker=False) as it:
        made = await it.subscribe(URL, retry_seconds=[])
        for _ in range(STEP + 5):
            event = an_event(
                id=fresh_id("evt"),
                owner="anna",
                task_id=fresh_id("task"),
                body='{"data":{"task":{}}}',
                created_at=it.services.clock() - 1,
            )
            await it.services.database.write(insert_event, event)
        since = "2020-01-01T00:00:00Z"
        replay = await accepted(it, f"/v1/subscriptions/{made['id']}/replay", since=since, per_second=1000)
        await it.services.replaying._step()
        key = it.http.headers["authorization"]
    async with hub(tmp_path) as it:
        it.http.headers["authorization"] = key
        done = await ended(it, replay)
        assert (done["scanned"], done["replayed"]) == (STEP + 5, STEP + 5)


async def test_a_test_is_one_attempt_and_held_against_nobody(tmp_path):
    async with Sink(500).open() as sink, hub(tmp_path) as it:
        made = await it.subscribe(sink.url)
        tried = (await it.post(f"/v1/subscriptions/{made['id']}/test", {"event_type": "task.failed"})).json()
        assert (tried["status"], tried["attempt_count"], tried["event_type"]) == ("exhausted", 1, "task.failed")
        shown = (await it.http.get(f"/v1/subscriptions/{made['id']}")).json()
        assert (shown["failures"], shown["status"]) == (0, "active")


async def test_a_test_is_nobody_elses_to_send(tmp_path):
    async with Sink(500).open() as sink, hub(tmp_path) as it:
        made = await it.subscribe(sink.url)
        await it.post(f"/v1/subscriptions/{made['id']}/test")
        assert [dict(row) for row in await it.services.database.write(sql, "SELECT once FROM deliveries")] == [
            {"once": 1}
        ]


@pytest.mark.parametrize("body", [{"event_type": "task.done"}, {"event_type": []}, {"type": "x"}, [1], "x"])
async def test_an_odd_test_is_refused(hub_without_worker, body):
    made = await hub_without_worker.subscribe(URL)
    assert (await hub_without_worker.post(f"/v1/subscriptions/{made['id']}/test", body)).status_code == 400


async def test_the_subscription_of_one_task_cannot_be_tried_out_in_words_of_no_task(tmp_path):
    path, body = smallest("seedance2")
    async with Sink().open() as sink, hub(tmp_path, "seedance2", worker=False) as it:
        await it.http.post(path, json=body | {"webhookUrl": sink.url})
        (row,) = await it.services.database.write(sql, "SELECT id FROM subscriptions")
        answer = await it.post(f"/v1/subscriptions/{row['id']}/test")
        assert answer.status_code in (400, 409), answer.text


async def test_a_pause_holds_a_replay_back_too(tmp_path):
    slow = replace(SETTINGS, deliveries=replace(SETTINGS.deliveries, timeout=Span(2_000)))
    async with Sink().open() as sink, hub(tmp_path, settings=slow) as it:
        made = await it.subscribe(sink.url)
        await it.submit()
        (told,) = await over(it, 1)
        await it.post(f"/v1/subscriptions/{made['id']}/pause")
        await accepted(it, f"/v1/deliveries/{told['id']}/replay")
        await asyncio.sleep(0.4)
        assert len(sink.requests) == 1
        await it.post(f"/v1/subscriptions/{made['id']}/resume")
        await sink.wait_for(lambda found: len(found) >= 2)


async def test_an_owner_tells_the_operator_nothing_again(tmp_path):
    async with Sink().open() as sink, hub(tmp_path) as it:
        await it.admin.post("/v1/subscriptions", json={"url": sink.url, "owner": "*"})
        await it.ended(await it.submit())
        await sink.wait_for(len)
        (event,) = await it.listed("/v1/events?type=task.succeeded")
        by_owner = (await it.post(f"/v1/events/{event['id']}/replay")).json()
        by_admin = (await it.admin.post(f"/v1/events/{event['id']}/replay")).json()
        assert (by_owner["deliveries"], len(by_admin["deliveries"])) == ([], 1)


async def test_a_made_up_event_is_not_told_to_the_operator(tmp_path):
    async with Sink().open() as sink, hub(tmp_path) as it:
        await it.admin.post("/v1/subscriptions", json={"url": sink.url, "owner": "*", "events": ["*"]})
        made = (await it.post("/v1/events", {"type": "subscription.disabled"})).json()
        assert made["deliveries"] == []


async def test_a_time_before_all_that_can_be_shown_is_refused(hub_without_worker):
    it = hub_without_worker
    made = await it.subscribe("http://127.0.0.1/")
    answer = await it.post(f"/v1/subscriptions/{made['id']}/replay", {"since": "0001-01-01T00:00:00+14:00"})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "since")
