"""Images that a gateway wants first, as part of a native submit: stored, resumable, never twice."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from service.settings import RouteSettings, Span
from service.store.tasks import claim_tasks
from service.wiring import open_services
from service.worker import working
from tests.hub import GATEWAY, SETTINGS, Hub, hub
from tests.pictures import Pictures
from tests.servers import serve

MODERATED = replace(GATEWAY, moderate=True)
CAT, DOG = "https://example.com/cat.png", "https://example.com/dog.png"


@pytest.fixture
async def worldrouter(tmp_path) -> AsyncIterator[Hub]:
    async with hub(tmp_path, "worldrouter") as it:
        yield it


@pytest.fixture
async def pictures() -> AsyncIterator[Pictures]:
    async with Pictures().open() as it:
        yield it


def marked(marker: str) -> str:
    return f"https://example.com/{quote(marker)}.png"


def references(*urls: str) -> list[dict[str, str]]:
    return [{"type": "image", "url": url, "role": "reference_image"} for url in urls]


async def submitted(it: Hub, *urls: str, **more: Any) -> Any:
    return await it.submit("image 1 dances", media=references(*urls), **more)


def sources(it: Hub) -> list[str]:
    return [note.source for note in it.sandbox.log.uploads]


def made_of(it: Hub) -> Any:
    """The one request that the gateway got."""
    (task,) = it.sandbox._tasks.values()
    return task.request


# --- the way it goes


async def test_public_images_become_assets_of_the_create(worldrouter):
    task = await submitted(worldrouter, CAT, DOG)
    assert (task["submission"], sources(worldrouter)) == ("accepted", [CAT, DOG])
    assert [media.url for media in made_of(worldrouter).media] == ["asset://asset-2", "asset://asset-3"]


async def test_the_create_names_the_group_of_its_assets(worldrouter):
    await submitted(worldrouter, CAT)
    (note,) = worldrouter.sandbox.log.uploads
    assert (made_of(worldrouter).asset_group_id, worldrouter.sandbox.log.groups) == (note.group, 1)


async def test_the_caller_sees_the_media_that_he_wrote(worldrouter):
    task = await worldrouter.ended(await submitted(worldrouter, CAT))
    assert (task["status"], [media["url"] for media in task["media"]]) == ("succeeded", [CAT])


async def test_an_image_is_uploaded_once_for_an_owner(worldrouter):
    for _ in range(3):
        await submitted(worldrouter, CAT)
    assert (sources(worldrouter), worldrouter.sandbox.log.groups, worldrouter.made()) == ([CAT], 1, 3)


async def test_an_image_is_uploaded_once_by_tasks_that_come_at_once(worldrouter):
    tasks = await asyncio.gather(*(submitted(worldrouter, CAT, DOG) for _ in range(5)))
    assert {task["submission"] for task in tasks} == {"accepted"}
    assert (sorted(sources(worldrouter)), worldrouter.sandbox.log.groups) == ([CAT, DOG], 1)


async def test_another_owner_uploads_it_for_himself(worldrouter):
    await submitted(worldrouter, CAT)
    worldrouter.http = worldrouter.other
    await submitted(worldrouter, CAT)
    assert (sources(worldrouter), worldrouter.sandbox.log.groups) == ([CAT, CAT], 2)


async def test_the_same_image_twice_in_a_request_is_one_upload(worldrouter):
    await submitted(worldrouter, CAT, CAT)
    assert sources(worldrouter) == [CAT]


async def test_an_image_joins_the_group_that_the_caller_names(worldrouter):
    group = (await worldrouter.post("/worldrouter/v1/asset-groups", {"name": "mine"})).json()["id"]
    await submitted(worldrouter, CAT, asset_group_id=group)
    assert [note.group for note in worldrouter.sandbox.log.uploads] == [group]


async def test_an_image_joins_the_group_of_the_callers_other_assets(worldrouter):
    group = (await worldrouter.post("/worldrouter/v1/asset-groups", {"name": "mine"})).json()["id"]
    path = f"/worldrouter/v1/asset-groups/{group}/assets"
    asset = (await worldrouter.post(path, {"type": "image", "url": DOG})).json()["url"]
    await submitted(worldrouter, asset, CAT)
    assert (made_of(worldrouter).asset_group_id, sources(worldrouter)) == (group, [DOG, CAT])


async def test_an_image_that_the_caller_uploaded_himself_is_not_uploaded_again(worldrouter):
    group = (await worldrouter.post("/worldrouter/v1/asset-groups", {"name": "mine"})).json()["id"]
    await worldrouter.post(f"/worldrouter/v1/asset-groups/{group}/assets", {"type": "image", "url": CAT})
    await submitted(worldrouter, CAT, asset_group_id=group)
    assert sources(worldrouter) == [CAT]


async def test_videos_go_as_they_are(worldrouter):
    await worldrouter.submit(media=[{"type": "video", "url": "https://example.com/v.mp4"}])
    assert (sources(worldrouter), worldrouter.sandbox.log.groups, worldrouter.made()) == ([], 0, 1)


async def test_an_inline_image_is_refused_before_anything_is_stored(worldrouter):
    answer = await worldrouter.submitted(media=references("data:image/png;base64,aGk="))
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "media[0].url")


# --- moderation where the settings ask for it


async def test_images_are_moderated_where_the_settings_say_so(tmp_path, pictures):
    async with hub(tmp_path, "cubicspaces", gateway=MODERATED) as it:
        source = pictures.of("640x480")
        assert (await submitted(it, source))["submission"] == "accepted"
        assert (sources(it), made_of(it).media[0].url[:8]) == ([source], "asset://")


async def test_they_are_not_moderated_otherwise(tmp_path, pictures):
    async with hub(tmp_path, "cubicspaces") as it:
        await submitted(it, pictures.of("640x480"))
        assert (sources(it), made_of(it).media[0].url) == ([], pictures.of("640x480"))


async def test_an_image_that_is_not_approved_is_refused_by_name(tmp_path, pictures):
    async with hub(tmp_path, "cubicspaces", gateway=MODERATED) as it:
        rejected = pictures.of("640x480", quote("[rejected].png"))
        answer = await it.submitted(media=references(pictures.of("640x480"), rejected))
        error = answer.json()["error"]
        assert (answer.status_code, error["field"], error["gateway_code"]) == (400, "media[1].url", "image_rejected")
        assert (answer.json()["task"]["submission"], it.made()) == ("refused", 0)


async def test_an_image_beyond_the_limits_is_refused_by_name(tmp_path, pictures):
    async with hub(tmp_path, "cubicspaces", gateway=MODERATED) as it:
        answer = await it.submitted(media=references(pictures.of("100x100")))
        assert (answer.status_code, answer.json()["error"]["field"], sources(it)) == (400, "media[0].url", [])


async def test_an_image_of_a_wrong_kind_is_refused_before_anything_is_stored(tmp_path):
    async with hub(tmp_path, "cubicspaces", gateway=MODERATED) as it:
        answer = await it.submitted(media=references("https://example.com/cat.svg"))
        assert (answer.json()["error"]["field"], await it.listed("/v1/tasks")) == ("media[0].url", [])


async def test_a_moderation_that_takes_longer_is_asked_for_again(tmp_path, pictures):
    async with hub(tmp_path, "cubicspaces", gateway=MODERATED) as it:
        task = await submitted(it, pictures.of("640x480", quote("[delayed x2].png")))
        assert (task["submission"], task["error"]["code"]) == ("unsent", "moderation_delayed")
        assert ((await it.ended(task))["status"], it.made()) == ("succeeded", 1)


async def test_a_caller_of_the_gateways_own_api_is_moderated_too(tmp_path, pictures):
    async with hub(tmp_path, "cubicspaces", gateway=MODERATED) as it:
        source = pictures.of("640x480")
        image = {"type": "image_url", "image_url": {"url": source}, "role": "reference_image"}
        body = {"model": "doubao-seedance-2.0", "content": [{"type": "text", "text": "image 1"}, image]}
        answer = await it.post("/cubicspaces/api/v3/contents/generations/tasks", body)
        assert (answer.status_code, sources(it)) == (200, [source])


# --- what goes wrong


async def test_a_refused_upload_is_told_under_the_callers_own_name_for_it(worldrouter):
    answer = await worldrouter.submitted(media=references(CAT, marked("[400]")))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (400, "invalid_request", "media[1].url")
    assert (answer.json()["task"]["status"], worldrouter.made()) == ("failed", 0)


@pytest.mark.parametrize("status", [401, 402, 403])
async def test_a_refusal_of_the_account_is_given_back(worldrouter, status):
    answer = await worldrouter.submitted(media=references(marked(f"[{status} x1]")))
    assert (answer.status_code, answer.json()["task"]["submission"], worldrouter.made()) == (status, "refused", 0)


async def test_a_refusal_of_the_account_is_not_said_of_an_image(worldrouter):
    answer = await worldrouter.submitted(media=references(marked("[402]")))
    assert "field" not in answer.json()["error"]


@pytest.mark.parametrize(
    ("dialect", "gateway", "prepares"),
    [
        ("worldrouter", GATEWAY, True),
        ("cubicspaces", GATEWAY, False),
        ("cubicspaces", MODERATED, True),
        ("easyrouter", MODERATED, False),
    ],
)
async def test_a_gateway_says_whether_images_are_prepared_for_it(tmp_path, dialect, gateway, prepares):
    async with hub(tmp_path, dialect, gateway=gateway, worker=False) as it:
        (shown,) = await it.listed("/v1/gateways")
        assert shown["prepares_images"] is prepares


async def test_a_refused_upload_may_be_tried_by_the_next_task(worldrouter):
    source = marked("[402 x1]")
    await submitted(worldrouter, source)
    assert (await submitted(worldrouter, source))["submission"] == "accepted"


@pytest.mark.parametrize("marker", ["[429 x2]", "[500 x2]", "[424 x2]"])
async def test_an_upload_that_came_to_nothing_is_sent_again_later(worldrouter, marker):
    task = await submitted(worldrouter, marked(marker))
    assert task["submission"] == "unsent"
    ended = await worldrouter.ended(task)
    assert (ended["status"], ended["error"], worldrouter.made()) == ("succeeded", None, 1)


async def test_an_asset_that_the_gateway_has_lost_is_made_anew_for_the_next_task(worldrouter):
    await submitted(worldrouter, CAT)
    worldrouter.sandbox._library._assets.clear()
    assert (await submitted(worldrouter, CAT))["task"]["submission"] == "refused"
    assert (await submitted(worldrouter, CAT))["submission"] == "accepted"
    assert sources(worldrouter) == [CAT, CAT]


async def test_a_create_that_finds_nothing_there_has_its_assets_made_anew_for_the_next_task(worldrouter):
    await submitted(worldrouter, CAT)
    gateway = worldrouter.services.gateways["worldrouter"]
    there, gateway.base_url = gateway.base_url, gateway.base_url + "/wrong"
    assert (await submitted(worldrouter, CAT))["error"]["code"] == "unknown_route"
    gateway.base_url = there
    await submitted(worldrouter, CAT)
    assert sources(worldrouter) == [CAT, CAT]


async def nothing_there(request):
    return JSONResponse({"error": {"message": "no such group"}}, 404)


async def test_an_upload_that_finds_nothing_there_is_told_as_such(tmp_path):
    app = Starlette(routes=[Route("/{path:path}", nothing_there, methods=["POST"])])
    async with serve(app) as url, hub(tmp_path, "worldrouter", gateway=replace(GATEWAY, base_url=url)) as it:
        answer = await it.submitted(media=references(CAT))
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


async def test_more_images_than_any_gateway_takes_are_refused_before_anything_is_stored(tmp_path):
    async with hub(tmp_path, "cubicspaces", gateway=replace(MODERATED, surface="unified"), worker=False) as it:
        media = [{"type": "image", "url": f"https://example.com/{number}.png"} for number in range(51)]
        answer = await it.submitted(media=media)
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, "media")


async def test_a_full_gateway_is_told_to_a_caller_who_does_not_wait(worldrouter):
    answer = await worldrouter.submitted(media=references(marked("[429 x1]")), when_full="refuse")
    assert (answer.status_code, worldrouter.made()) == (429, 0)


async def test_an_upload_whose_reply_is_always_lost_is_given_up_after_three(worldrouter):
    ended = await worldrouter.ended(await submitted(worldrouter, marked("[drop]")))
    assert (ended["status"], ended["submission"], len(sources(worldrouter))) == ("failed", "refused", 3)


async def test_a_gateway_out_of_reach_is_waited_for(tmp_path):
    async with hub(tmp_path, "worldrouter", gateway=replace(GATEWAY, base_url="http://127.0.0.1:1")) as it:
        task = await submitted(it, CAT)
        assert (task["submission"], task["error"]["code"]) == ("unsent", "gateway_unreachable")


async def test_a_task_that_cannot_be_prepared_ends_by_its_deadline(tmp_path):
    settings = replace(SETTINGS, sweep=replace(SETTINGS.sweep, deadline=Span(1_000)))
    nowhere = replace(GATEWAY, base_url="http://127.0.0.1:1")
    async with hub(tmp_path, "worldrouter", gateway=nowhere, settings=settings) as it:
        assert (await it.ended(await submitted(it, CAT)))["status"] == "expired"


async def test_an_impatient_caller_is_told_that_it_goes_on(tmp_path):
    settings = replace(SETTINGS, submit=replace(SETTINGS.submit, wait=Span(50)))
    async with hub(tmp_path, "worldrouter", settings=settings) as it:
        answer = await it.submitted(media=references(marked("[slow create 300ms]")))
        assert (answer.status_code, answer.json()["submission"]) == (202, "unsent")
        assert (await it.ended(answer.json()))["status"] == "succeeded"


async def test_a_repeated_submit_uploads_nothing_and_gets_the_same_answer(worldrouter):
    answers = [
        await worldrouter.submitted(media=references(CAT), headers={"idempotency-key": "order-1"}) for _ in range(2)
    ]
    assert (answers[0].content, len(sources(worldrouter))) == (answers[1].content, 1)


async def test_a_task_can_be_cancelled_while_it_is_being_prepared(tmp_path):
    settings = replace(SETTINGS, submit=replace(SETTINGS.submit, wait=Span(50)))
    async with hub(tmp_path, "worldrouter", settings=settings) as it:
        task = await submitted(it, marked("[slow create 300ms]"))
        answer = await it.post(f"/v1/tasks/{task['id']}/cancel")
        assert answer.json()["status"] == "cancelled"
        await it.services.tasks.drain(5_000)
        assert ((await it.task(task["id"]))["status"], it.made()) == ("cancelled", 0)


async def test_nobody_uses_the_asset_of_another_in_a_native_submit(worldrouter):
    await submitted(worldrouter, CAT)
    worldrouter.http = worldrouter.other
    answer = await worldrouter.submitted(media=references("asset://asset-2"))
    assert (answer.status_code, answer.json()["error"]["code"], worldrouter.made()) == (403, "forbidden", 1)


# --- a process dies


async def test_a_task_whose_process_dies_half_way_is_prepared_and_sent_by_another(tmp_path):
    settings = replace(SETTINGS, submit=replace(SETTINGS.submit, wait=Span(20), lease=Span(500)))
    async with hub(tmp_path, "worldrouter", settings=settings, worker=False) as it:
        task = await submitted(it, CAT, marked("[slow create 1s]"))
        database = it.services.database
        kept = {"owner": "anna", "gateway": "worldrouter", "url": "asset://asset-2", "foreign": 0}
        await it.until(lambda: database.read("usable_asset", **kept), bool)
        for sending in list(it.services.tasks._sending.values()):
            sending.cancel()
        assert (await it.task(task["id"]))["submission"] == "unsent"
        async with open_services(it.services.settings) as other, working(other):
            await it.until(lambda: it.task(task["id"]), lambda shown: shown["submission"] == "accepted")
        assert (sources(it).count(CAT), it.made()) == (1, 1)


async def test_a_process_that_comes_too_late_sends_nothing(tmp_path):
    settings = replace(SETTINGS, submit=replace(SETTINGS.submit, wait=Span(50)))
    async with hub(tmp_path, "worldrouter", settings=settings, worker=False) as it:
        task = await submitted(it, marked("[slow create 300ms]"))
        in_a_year = it.services.clock() + 10**10
        due = {"gateway": "worldrouter", "now": in_a_year, "until": in_a_year, "lease": "lease_other", "limit": 5}
        (claimed,) = await it.services.database.write(claim_tasks, "claim_tasks_to_send", **due)
        await it.services.tasks.drain(5_000)
        assert (claimed.id, it.made()) == (task["id"], 0)


# --- any way in


async def test_a_task_that_comes_in_by_another_api_is_prepared_too(tmp_path):
    route = RouteSettings(from_="easyrouter", model="*", to="worldrouter", to_model="seedance-2.0")
    async with hub(tmp_path, "worldrouter", settings=replace(SETTINGS, routes=(route,))) as it:
        body = {"model": "dreamina-seedance-2-0", "prompt": "image 1 walks", "image": CAT}
        answer = await it.post("/easyrouter/v1/video/generations", body)
        assert (answer.status_code, sources(it)) == (200, [CAT])


async def test_an_api_that_is_only_a_way_to_another_keeps_no_assets(tmp_path):
    route = RouteSettings(from_="worldrouter", model="*", to="easyrouter", to_model="dreamina-seedance-2-0")
    async with hub(tmp_path, "easyrouter", settings=replace(SETTINGS, routes=(route,)), worker=False) as it:
        answer = await it.post("/worldrouter/v1/asset-groups", {"name": "mine"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "media_resource_access_denied")
