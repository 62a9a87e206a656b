"""What is kept, for how long, and what is left when its payload must go: over real HTTP."""

from dataclasses import replace

import pytest

from service.clock import DAY
from service.pruning import Pruning
from service.settings import RetentionSettings, Span
from tests.calling_back import called
from tests.dialects.given import SPOKEN
from tests.hub import SANDBOX, SETTINGS, hub
from tests.servers import Sink
from tests.test_compat import path_of
from tests.test_task_pages import opened

RUNS = replace(SANDBOX, run_ms=(60_000, 60_000))
EVERY_SURFACE = pytest.mark.parametrize("each", SPOKEN, ids=str)
SECRET = "a very particular cat"


async def prune(it, days=100, settings=None):
    """As it will be done in so many days."""
    later = it.services.clock() + days * DAY
    assert not await Pruning(it.services.database, settings or RetentionSettings(), lambda: later).turn()


async def trigger(it, event_type="task.succeeded"):
    return (await it.post("/v1/events", {"type": event_type})).json()["event"]


async def expunged(it, kind, name, client=None):
    answer = await (client or it.http).post(f"/v1/{kind}/{name}/expunge")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refusal(answer):
    return answer.status_code, answer.json()["error"]["code"]


async def event_of(it, task, event_type="task.succeeded"):
    (event,) = await it.listed(f"/v1/events?task={task['id']}&type={event_type}")
    return event


# --- an event


async def test_an_expunged_event_says_what_it_was_and_not_what_it_said(hub_without_worker):
    it = hub_without_worker
    made = await trigger(it)
    shown = await expunged(it, "events", made["id"])
    kept = {name: made[name] for name in ("id", "type", "timestamp", "api_version")}
    assert shown == kept | {"data": None, "expunged_at": shown["expunged_at"]}
    assert shown["expunged_at"]


async def test_an_expunged_event_is_shown_and_listed(hub_without_worker):
    it = hub_without_worker
    shown = await expunged(it, "events", (await trigger(it))["id"])
    assert (await it.http.get(f"/v1/events/{shown['id']}")).json() == shown
    assert await it.listed("/v1/events") == [shown]


async def test_an_expunged_event_is_passed_over_by_those_who_pull(hub_without_worker):
    it = hub_without_worker
    await expunged(it, "events", (await trigger(it))["id"])
    made = await trigger(it)
    page = (await it.http.get("/v1/events?after=0")).json()
    assert (page["data"], page["next_after"]) == ([made], "2")


async def test_the_log_shows_what_became_of_a_delivery_and_not_what_was_in_it(tmp_path):
    async with Sink().open() as sink, hub(tmp_path) as it:
        await it.subscribe(sink.url)
        made = await trigger(it)
        (delivery,) = await it.until(
            lambda: it.listed("/v1/deliveries?status=delivered"), lambda found: len(found) == 1
        )
        await expunged(it, "events", made["id"])
        shown = (await it.http.get(f"/v1/deliveries/{delivery['id']}")).json()
        (attempt,) = shown["attempts"]
        assert (shown["status"], shown["body"], bool(shown["expunged_at"])) == ("delivered", None, True)
        assert (attempt["status"], attempt["request_body"], attempt["request_headers"]) == (200, None, {})


async def test_what_was_still_to_be_sent_is_cancelled_and_never_sent(tmp_path):
    async with Sink().open() as sink, hub(tmp_path) as it:
        subscription = await it.subscribe(sink.url)
        await it.post(f"/v1/subscriptions/{subscription['id']}/pause")
        gone, kept = await trigger(it), await trigger(it)
        await expunged(it, "events", gone["id"])
        await it.post(f"/v1/subscriptions/{subscription['id']}/resume")
        (request,) = await sink.wait_for(len)
        assert request.headers["webhook-id"] == kept["id"]
        (cancelled,) = await it.listed(f"/v1/deliveries?event={gone['id']}")
        assert (cancelled["status"], "expunged" in cancelled["last_error"]) == ("cancelled", True)


async def test_what_was_expunged_cannot_be_told_again(tmp_path):
    async with Sink().open() as sink, hub(tmp_path) as it:
        await it.subscribe(sink.url)
        made = await trigger(it)
        (delivery,) = await it.until(
            lambda: it.listed("/v1/deliveries?status=delivered"), lambda found: len(found) == 1
        )
        await expunged(it, "events", made["id"])
        for path in (f"/v1/events/{made['id']}/replay", f"/v1/deliveries/{delivery['id']}/replay"):
            assert await refusal(await it.post(path)) == (410, "result_gone")


# --- a task


async def test_an_expunged_task_keeps_its_status_its_ids_and_its_times(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.ended(await it.submit(SECRET, metadata={"k": SECRET}, external_id="order-7"))
        shown = await expunged(it, "tasks", task["id"])
        kept = ("id", "status", "gateway_task_id", "external_id", "model", "created_at", "finished_at", "usage", "cost")
        assert [shown[name] for name in kept] == [task[name] for name in kept]
        assert [shown[name] for name in ("prompt", "title", "video", "media", "metadata")] == [None, "", None, [], {}]
        assert shown["expunged_at"]


async def test_nothing_of_an_expunged_task_is_said_anywhere(tmp_path):
    async with Sink().open() as sink, hub(tmp_path) as it:
        await it.subscribe(sink.url, events=["*"])
        task = await it.ended(await it.submit(SECRET))
        await it.until(lambda: it.listed("/v1/deliveries?status=delivered"), lambda found: len(found) == 3)
        deliveries = await it.listed("/v1/deliveries")
        await expunged(it, "tasks", task["id"])
        paths = [
            f"/v1/tasks/{task['id']}",
            "/v1/tasks",
            f"/v1/tasks/{task['id']}/callbacks",
            "/v1/events",
            "/v1/events?after=0",
            *(f"/v1/deliveries/{delivery['id']}" for delivery in deliveries),
        ]
        answers = [await it.http.get(path) for path in paths]
        assert {answer.status_code for answer in answers} == {200}
        assert [path for path, answer in zip(paths, answers, strict=True) if SECRET in answer.text] == []


async def test_the_result_of_an_expunged_task_is_gone(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.ended(await it.submit())
        await expunged(it, "tasks", task["id"])
        assert await refusal(await it.http.get(f"/v1/tasks/{task['id']}/content")) == (410, "result_gone")
        assert await refusal(await it.http.get(task["video"]["content_url"])) == (410, "result_gone")


async def test_the_page_of_an_expunged_task_says_no_more_than_its_status(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.ended(await it.submit(SECRET))
        await expunged(it, "tasks", task["id"])
        page = await opened(task["links"]["self_html"])
        assert (page.status_code, SECRET in page.text, "<video" in page.text) == (200, False, False)


async def test_an_expunged_task_cannot_be_tried_again(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.ended(await it.submit("[fail]"))
        await expunged(it, "tasks", task["id"])
        assert await refusal(await it.post(f"/v1/tasks/{task['id']}/retry")) == (410, "result_gone")
        page = await opened(task["links"]["retry_html"])
        assert (page.status_code, "<form" in page.text) == (200, False)


async def test_a_task_that_is_not_over_is_not_expunged(tmp_path):
    async with hub(tmp_path, sandbox=RUNS) as it:
        task = await it.submit(SECRET)
        assert await refusal(await it.post(f"/v1/tasks/{task['id']}/expunge")) == (409, "conflict")
        assert (await it.task(task["id"]))["prompt"] == SECRET


async def test_what_is_expunged_twice_was_expunged_the_first_time(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.ended(await it.submit())
        event = await event_of(it, task)
        for kind, name in (("tasks", task["id"]), ("events", event["id"])):
            first = await expunged(it, kind, name)
            assert await expunged(it, kind, name) == first


async def test_nobody_expunges_what_is_anothers_but_an_admin(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.ended(await it.submit())
        event = await event_of(it, task)
        for kind, name in (("events", event["id"]), ("tasks", task["id"])):
            assert await refusal(await it.other.post(f"/v1/{kind}/{name}/expunge")) == (404, "not_found")
            assert (await expunged(it, kind, name, it.admin))["expunged_at"]


async def test_a_callback_that_comes_late_is_not_kept(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.ended(await it.submit())
        await expunged(it, "tasks", task["id"])
        assert (await called(it, task, {"prompt": SECRET})).status_code == 200
        assert SECRET not in (await it.http.get(f"/v1/tasks/{task['id']}/callbacks")).text


@EVERY_SURFACE
@pytest.mark.parametrize("prompt", ["a cat", "[fail]"])
async def test_a_program_for_a_gateway_survives_an_expunged_task(tmp_path, each, prompt):
    async with hub(tmp_path, each.dialect.name) as it:
        task = await it.ended(await it.submit(prompt))
        public = each.surface.id_prefix + task["id"].removeprefix("task_")
        await expunged(it, "tasks", task["id"])
        answer = await it.http.get(path_of(each, "get", public))
        seen = each.surface.read_task(answer.json())
        assert (answer.status_code, seen.status and seen.status.value) == (200, task["status"])
        assert not (seen.video_url or "").startswith("http")  # a path of ours says nothing, and answers 410
        others = [
            route.path.replace("{id}", public)
            for route in each.surface.routes
            if route.method == "GET" and route.operation not in ("get", "create")
        ]
        answers = [await it.http.get(f"/{each.dialect.name}{path}") for path in others]
        assert [answer.text for answer in answers if answer.status_code >= 500] == []


# --- pulling after some have been removed


async def pruned_feed(it):
    """A feed of three events, of which the first two are kept no longer."""
    for _ in range(2):
        await trigger(it)
    await prune(it)
    return await trigger(it)


async def test_a_puller_is_told_that_he_has_missed_something(hub_without_worker):
    it = hub_without_worker
    await pruned_feed(it)
    for after in ("0", "1"):
        answer = await it.http.get(f"/v1/events?after={after}")
        assert await refusal(answer) == (410, "result_gone")
        assert "events before 3 are no longer kept; begin again with after=2" in answer.json()["error"]["message"]


@pytest.mark.parametrize("after", ["2", "oldest"])
async def test_a_puller_goes_on_from_where_his_feed_is_whole(hub_without_worker, after):
    it = hub_without_worker
    kept = await pruned_feed(it)
    assert (await it.http.get(f"/v1/events?after={after}")).json()["data"] == [kept]


async def test_whoever_has_read_all_is_told_nothing(hub_without_worker):
    it = hub_without_worker
    await trigger(it)
    await prune(it)
    assert (await it.http.get("/v1/events?after=1")).json() == {"data": [], "next_after": "1", "has_more": False}


@pytest.mark.parametrize(
    ("headers", "query"), [({"last-event-id": "1"}, ""), ({}, "?after=0")], ids=["resumed", "begun"]
)
async def test_a_stream_does_not_begin_where_something_is_missing(hub_without_worker, headers, query):
    it = hub_without_worker
    await pruned_feed(it)
    assert await refusal(await it.http.get(f"/v1/stream{query}", headers=headers)) == (410, "result_gone")


async def test_an_event_that_is_kept_among_removed_ones_is_no_cursor(hub_without_worker):
    """What follows it is not all there."""
    it = hub_without_worker
    subscription = await it.subscribe("http://127.0.0.1:1/", events=["task.failed"])
    await it.post(f"/v1/subscriptions/{subscription['id']}/pause")
    waiting = await trigger(it, "task.failed")
    await trigger(it)
    await prune(it)
    assert await it.listed("/v1/events") == [waiting]
    assert await refusal(await it.http.get(f"/v1/events?after={waiting['id']}")) == (410, "result_gone")


# --- a task that is kept no longer


async def test_nothing_leads_to_a_pruned_task(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.ended(await it.submit("[fail]"))
        video = await it.ended(await it.submit())
        await prune(it)
        assert await it.listed("/v1/tasks") == []
        assert await refusal(await it.http.get(f"/v1/tasks/{task['id']}")) == (404, "not_found")
        assert await refusal(await it.http.get(video["video"]["content_url"])) == (404, "not_found")
        for link in ("self_html", "retry_html"):
            assert (await opened(task["links"][link])).status_code == 404
        assert (await called(it, task, {})).status_code in (401, 403, 404)


async def test_a_repeated_submit_is_told_of_a_pruned_task_what_it_was_told_first(tmp_path):
    async with hub(tmp_path) as it:
        key = {"idempotency-key": "k"}
        first = (await it.submitted(headers=key)).json()
        await it.ended(first)
        await prune(it)
        again = await it.submitted(headers=key)
        assert (again.status_code, again.json()["id"], it.made()) == (201, first["id"], 1)


async def test_a_replay_finds_nothing_older_than_the_log_of_deliveries(tmp_path):
    """Or it would send again what was delivered, and forgotten since."""
    forgetful = replace(SETTINGS, retention=RetentionSettings(deliveries=Span(0)))
    async with Sink().open() as sink, hub(tmp_path, settings=forgetful) as it:
        await it.ended(await it.submit())
        subscription = await it.subscribe(sink.url)
        begun = await it.post(f"/v1/subscriptions/{subscription['id']}/replay", {"since": "2020-01-01T00:00:00Z"})
        replay = await it.until(
            lambda: _get(it, f"/v1/replays/{begun.json()['id']}"), lambda shown: shown["status"] == "finished"
        )
        assert (replay["scanned"], replay["replayed"]) == (3, 0)


async def _get(it, path):
    return (await it.http.get(path)).json()


async def test_a_process_prunes_when_it_starts(tmp_path):
    async with hub(tmp_path, worker=False) as it:
        await trigger(it)
    at_once = replace(SETTINGS, retention=RetentionSettings(events=Span(0)))
    async with hub(tmp_path, settings=at_once) as it:
        await it.until(lambda: it.listed("/v1/events"), lambda found: not found)
