"""The assets of a sandbox: what it knows, what it refuses, and what can be made to go wrong with an image."""

from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest

from service.errors import Problem
from service.sandbox_library import DOCUMENTED
from tests.dialects.given import spoken
from tests.golden import golden, goldens
from tests.pictures import Pictures
from tests.sandbox_caller import WORLDROUTER, Caller, listening, simulated

CUBICSPACES = spoken("cubicspaces", "/api/v3/contents/generations/tasks")
EASYROUTER = spoken("easyrouter", "/v1/video/generations")
UPLOAD = "/v1/asset-groups/group-1/assets"
MODERATION = "/v1/images/moderations"
PLAYABLE = [each for each in goldens("create-*.request") if each.gateway in DOCUMENTED]


@pytest.fixture
async def pictures() -> AsyncIterator[Pictures]:
    async with Pictures().open() as it:
        yield it


def image(marker: str = "") -> dict[str, str]:
    return {"type": "image", "url": f"http://127.0.0.1:1/{quote(marker)}.png"}


def moderated(*urls: str) -> dict[str, object]:
    return {"model": "doubao-seedance-2.0", "images": list(urls)}


def refusal(caller: Caller, answer) -> Problem:
    library = caller.each.dialect.library
    assert library is not None
    problem = (library.read_error or caller.each.dialect.read_error)(answer.status_code, answer.json())
    assert problem is not None
    return problem


@pytest.mark.parametrize("name", ["asset-group-create", "asset-upload"])
async def test_the_documented_request_has_the_documented_answer(name: str) -> None:
    async with simulated(WORLDROUTER) as caller:
        request = golden("worldrouter", f"{name}.request")
        answer = await caller.http.post(request.path, json=request.json)
        documented = golden("worldrouter", f"{name}.response")
        assert (answer.status_code, answer.json().keys()) == (documented.status, documented.json.keys())


@pytest.mark.parametrize("request_", PLAYABLE, ids=str)
async def test_the_documented_creates_can_be_played(request_) -> None:
    async with simulated(spoken(request_.gateway, request_.path)) as caller:
        assert (await caller.http.post(request_.path, json=request_.json)).status_code == 200


async def test_what_was_uploaded_can_be_used() -> None:
    async with simulated(WORLDROUTER) as caller:
        group = (await caller.http.post("/v1/asset-groups", json={"name": "mine"})).json()["id"]
        url = (await caller.http.post(f"/v1/asset-groups/{group}/assets", json=image())).json()["url"]
        create = golden("worldrouter", "create-reference-image.request").json | {"asset_group_id": group}
        create["content"][1]["image_url"]["url"] = url
        assert (await caller.http.post("/api/v3/contents/generations/tasks", json=create)).status_code == 200


@pytest.mark.parametrize(("place", "value"), [("asset_group_id", "group-9"), ("image", {"url": "asset://asset-9"})])
async def test_what_it_does_not_know_is_refused(place: str, value: object) -> None:
    async with simulated(WORLDROUTER) as caller:
        create = golden("worldrouter", "create-text.request").json | {place: value}
        answer = await caller.http.post("/api/v3/contents/generations/tasks", json=create)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "media_resource_access_denied")


async def test_an_upload_into_an_unknown_group_is_refused() -> None:
    async with simulated(WORLDROUTER) as caller:
        assert (await caller.http.post("/v1/asset-groups/group-9/assets", json=image())).status_code == 403


async def test_a_gateway_without_assets_has_no_such_route() -> None:
    async with simulated(EASYROUTER) as caller:
        answer = await caller.http.post("/v1/asset-groups", json={"name": "a"})
        assert caller.refusal(answer).code in ("not_found", "unknown_route")


@pytest.mark.parametrize("path", ["/v1/asset-groups", UPLOAD])
async def test_a_wrong_key_is_refused(path: str) -> None:
    async with simulated(WORLDROUTER) as caller:
        answer = await caller.http.post(path, json={}, headers={"authorization": "Bearer wrong"})
        assert answer.status_code == 401


@pytest.mark.parametrize("status", [400, 402, 403, 424, 429, 500])
async def test_a_status_in_the_url_of_an_image_is_its_answer(status: int) -> None:
    async with simulated(WORLDROUTER) as caller:
        answers = [await caller.http.post(UPLOAD, json=image(f"[{status} x1]")) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [status, 200]


async def test_an_image_can_be_rejected() -> None:
    async with simulated(CUBICSPACES) as caller:
        answer = await caller.http.post(MODERATION, json=moderated(image()["url"], image("[rejected]")["url"]))
        assert [item["passed"] for item in answer.json()["data"]["items"]] == [True, False]


async def test_a_moderation_can_be_delayed() -> None:
    async with simulated(CUBICSPACES) as caller:
        answers = [await caller.http.post(MODERATION, json=moderated(image("[delayed x2]")["url"])) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [504, 504, 200]
        assert refusal(caller, answers[0]).code == "moderation_delayed"


@pytest.mark.parametrize("size", ["100x100", "7000x6000", "300x900", "huge"])
async def test_an_image_beyond_the_documented_limits_is_refused(pictures: Pictures, size: str) -> None:
    async with simulated(CUBICSPACES) as caller:
        answer = await caller.http.post(MODERATION, json=moderated(pictures.of(size)))
        assert (answer.status_code, refusal(caller, answer).code) == (400, "invalid_request")


async def test_the_log_notes_what_was_uploaded() -> None:
    async with simulated(WORLDROUTER) as caller:
        await caller.http.post("/v1/asset-groups", json={"name": "mine"})
        await caller.http.post(UPLOAD, json=image())
        log = await caller.log()
        assert (log["groups"], log["uploads"]) == (
            1,
            [{"source": image()["url"], "group": "group-1", "approved": True}],
        )


async def test_an_upload_whose_answer_is_lost_was_made() -> None:
    async with listening(WORLDROUTER) as caller:
        with pytest.raises(httpx.TransportError, match=r"disconnected|closed|ended"):
            await caller.http.post(UPLOAD, json=image("[drop]"))
        assert len(caller.simulator.log.uploads) == 1
