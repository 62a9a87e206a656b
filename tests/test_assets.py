"""Assets and moderation on the gateways' own APIs, as the hub serves them: whose they are, and what they may be."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from service.settings import Span
from service.wire import loads
from tests.golden import golden
from tests.hub import GATEWAY, SETTINGS, Hub, hub
from tests.pictures import Pictures

GROUPS = "/worldrouter/v1/asset-groups"
TASKS = "/worldrouter/api/v3/contents/generations/tasks"
MODERATIONS = "/cubicspaces/v1/images/moderations"
CUBICSPACES_TASKS = "/cubicspaces/api/v3/contents/generations/tasks"
CAT = "https://example.com/cat.png"
STRICT = replace(GATEWAY, foreign_assets=False)


@pytest.fixture
async def worldrouter(tmp_path) -> AsyncIterator[Hub]:
    async with hub(tmp_path, "worldrouter", worker=False) as it:
        yield it


@pytest.fixture
async def cubicspaces(tmp_path) -> AsyncIterator[Hub]:
    async with hub(tmp_path, "cubicspaces", worker=False) as it:
        yield it


@pytest.fixture
async def pictures() -> AsyncIterator[Pictures]:
    async with Pictures().open() as it:
        yield it


async def group_of(it: Hub) -> str:
    return str((await it.post(GROUPS, {"name": "mine"})).json()["id"])


async def asset_of(it: Hub, source: str = CAT) -> tuple[str, str]:
    """(asset URL, its group) of a fresh upload by anna."""
    group = await group_of(it)
    return (await it.post(f"{GROUPS}/{group}/assets", {"type": "image", "url": source})).json()["url"], group


def naming(url: str, group: str | None = None) -> dict[str, Any]:
    image = {"type": "image_url", "role": "reference_image", "image_url": {"url": url}}
    body: dict[str, Any] = {"model": "seedance-2.0", "content": [{"type": "text", "text": "a cat"}, image]}
    return body | ({"asset_group_id": group} if group else {})


def moderating(*sources: str) -> dict[str, Any]:
    return {"model": "doubao-seedance-2.0", "images": list(sources)}


def error_of(answer):
    return answer.status_code, answer.json()["error"]["code"]


# --- worldrouter


async def test_the_documented_asset_flow_works_from_end_to_end(worldrouter):
    """F2 Assets."""
    it = worldrouter
    wanted = golden("worldrouter", "asset-group-create.request").json
    group = (await it.post(GROUPS, wanted)).json()
    assert {name: group[name] for name in wanted} == wanted
    upload = golden("worldrouter", "asset-upload.request").json
    asset = (await it.post(f"{GROUPS}/{group['id']}/assets", upload)).json()
    assert (asset["source_url"], asset["asset_group_id"], asset["type"]) == (upload["url"], group["id"], "image")
    assert asset["url"] == f"asset://{asset['id']}"
    create = golden("worldrouter", "create-reference-image.request").json
    create["asset_group_id"], create["content"][1]["image_url"]["url"] = group["id"], asset["url"]
    answer = await it.post(TASKS, create)
    assert (answer.status_code, it.made()) == (200, 1)


async def test_a_public_image_url_is_refused_with_the_documented_words(worldrouter):
    answer = await worldrouter.post(TASKS, naming(CAT))
    assert error_of(answer) == (400, "invalid_request")
    assert "upload assets first" in answer.json()["error"]["message"]


async def test_the_asset_of_another_owner_is_denied(worldrouter):
    """F2 Assets, F2 Errors: media_resource_access_denied."""
    url, _ = await asset_of(worldrouter)
    answer = await worldrouter.other.post(TASKS, json=naming(url))
    assert error_of(answer) == (403, "media_resource_access_denied")
    assert worldrouter.made() == 0


async def test_a_denied_create_leaves_no_task(worldrouter):
    url, _ = await asset_of(worldrouter)
    await worldrouter.other.post(TASKS, json=naming(url))
    assert (await worldrouter.other.get("/v1/tasks")).json()["data"] == []


@pytest.mark.parametrize("hidden", ['{"references": ["%s"]}', '{"deep": {"er": [{"url": " %s"}]}}'])
async def test_an_asset_of_another_owner_hides_nowhere_in_a_request(worldrouter, hidden):
    url, _ = await asset_of(worldrouter)
    body = {"model": "seedance-2.0", "content": [{"type": "text", "text": "a cat"}]} | loads(hidden % url)
    assert error_of(await worldrouter.other.post(TASKS, json=body)) == (403, "media_resource_access_denied")


async def test_the_scheme_of_an_asset_may_be_spelled_in_capitals(worldrouter):
    url, _ = await asset_of(worldrouter)
    answer = await worldrouter.other.post(
        "/v1/tasks",
        json={
            "gateway": "worldrouter",
            "model": "seedance-2.0",
            "prompt": "a cat",
            "extra": {"image": url.replace("asset", "ASSET", 1)},
        },
    )
    assert answer.status_code == 403


async def test_the_group_of_another_owner_is_denied_to_a_create(worldrouter):
    _, group = await asset_of(worldrouter)
    answer = await worldrouter.other.post(TASKS, json=naming("asset://asset-1", group))
    assert error_of(answer) == (403, "media_resource_access_denied")


async def test_the_group_of_another_owner_is_denied_to_an_upload(worldrouter):
    group = await group_of(worldrouter)
    answer = await worldrouter.other.post(f"{GROUPS}/{group}/assets", json={"type": "image", "url": CAT})
    assert error_of(answer) == (403, "media_resource_access_denied")
    assert worldrouter.sandbox.log.uploads == []


async def test_an_asset_that_the_gateway_does_not_know_is_denied_by_it(worldrouter):
    answer = await worldrouter.post(TASKS, naming("asset://nowhere"))
    assert error_of(answer) == (403, "media_resource_access_denied")


async def test_an_asset_of_the_account_may_be_used(worldrouter):
    assert (await worldrouter.post(TASKS, naming("asset://asset-1", "group-1"))).status_code == 200


async def test_an_asset_of_the_account_is_denied_where_the_settings_say_so(tmp_path):
    async with hub(tmp_path, "worldrouter", worker=False, gateway=STRICT) as it:
        assert error_of(await it.post(TASKS, naming("asset://asset-1"))) == (403, "media_resource_access_denied")


async def test_ones_own_asset_may_be_used_even_so(tmp_path):
    async with hub(tmp_path, "worldrouter", worker=False, gateway=STRICT) as it:
        assert (await it.post(TASKS, naming(*await asset_of(it)))).status_code == 200


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": 5}, {"name": "a", "description": 5}, {"name": None, "description": "b"}]
)
async def test_a_bad_group_is_refused_in_the_gateways_words(worldrouter, body):
    assert error_of(await worldrouter.post(GROUPS, body)) == (400, "invalid_request")
    assert worldrouter.sandbox.log.groups == 0


@pytest.mark.parametrize(
    "body",
    [{}, {"url": 5}, {"url": "data:image/png;base64,aGk="}, {"url": CAT, "type": "video"}, {"url": CAT, "name": []}],
)
async def test_a_bad_upload_is_refused_in_the_gateways_words(worldrouter, body):
    assert error_of(await worldrouter.post(f"{GROUPS}/group-1/assets", body)) == (400, "invalid_request")
    assert worldrouter.sandbox.log.uploads == []


@pytest.mark.parametrize("path", [GROUPS, f"{GROUPS}/group-1/assets"])
async def test_nobody_uploads_without_a_key(worldrouter, path):
    answer = await worldrouter.http.post(path, json={}, headers={"authorization": "Bearer rh_wrong"})
    assert error_of(answer) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("marker", "told"),
    [
        ("[402]", (402, "seedance_balance_too_low")),
        ("[424]", (424, "upstream_failed")),
        ("[429]", (429, "rate_limited")),
        ("[drop]", (502, "gateway_error")),
    ],
)
async def test_what_goes_wrong_with_an_upload_is_told_in_the_gateways_words(worldrouter, marker, told):
    body = {"type": "image", "url": f"https://example.com/{quote(marker)}.png"}
    assert error_of(await worldrouter.post(f"{GROUPS}/group-1/assets", body)) == told


async def test_a_gateway_that_is_not_there_is_told_as_such(tmp_path):
    async with hub(
        tmp_path, "worldrouter", worker=False, gateway=replace(GATEWAY, base_url="http://127.0.0.1:1")
    ) as it:
        assert error_of(await it.post(GROUPS, {"name": "a"})) == (503, "gateway_unreachable")


# --- cubicspaces


@pytest.mark.parametrize("path", [MODERATIONS, "/cubicspaces/v1/assets/moderations"])
async def test_a_moderation_is_answered_in_the_documented_shape(cubicspaces, pictures, path):
    """F4 Moderation."""
    source = pictures.of("640x480")
    answer = (await cubicspaces.post(path, moderating(source))).json()
    documented = golden("cubicspaces", "moderation.response").json
    assert answer.keys() == documented.keys()
    assert answer["data"].keys() == documented["data"].keys()
    assert answer["data"]["items"] == [
        documented["data"]["items"][0] | {"source_url": source, "asset_url": answer["data"]["items"][0]["asset_url"]}
    ]


async def test_an_approved_image_can_be_used(cubicspaces, pictures):
    answer = (await cubicspaces.post(MODERATIONS, moderating(pictures.of("640x480")))).json()
    url = answer["data"]["items"][0]["asset_url"]
    create = naming(url) | {"model": "doubao-seedance-2.0"}
    assert (await cubicspaces.post(CUBICSPACES_TASKS, create)).status_code == 200


async def test_but_not_by_another_owner(cubicspaces, pictures):
    answer = (await cubicspaces.post(MODERATIONS, moderating(pictures.of("640x480")))).json()
    create = naming(answer["data"]["items"][0]["asset_url"]) | {"model": "doubao-seedance-2.0"}
    assert (await cubicspaces.other.post(CUBICSPACES_TASKS, json=create)).status_code == 403


async def test_of_several_images_each_is_told(cubicspaces, pictures):
    sources = [pictures.of("640x480", f"{name}.png") for name in ("a", quote("[rejected]"), "c")]
    data = (await cubicspaces.post(MODERATIONS, moderating(*sources))).json()["data"]
    told = [(item["source_url"], item["passed"], bool(item["asset_url"])) for item in data["items"]]
    assert told == list(zip(sources, (True, False, True), (True, False, True), strict=True))


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ("299x400", "from 300 to 6000"),
        ("6001x6000", "from 300 to 6000"),
        ("300x751", "from 0.4 to 2.5"),
        ("751x300", "from 0.4 to 2.5"),
        ("huge", "below 30 MB"),
        ("moved", "from 300 to 6000"),
    ],
)
async def test_an_image_beyond_the_limits_never_reaches_the_gateway(cubicspaces, pictures, size, words):
    """F4 Moderation: aspect, pixels, bytes."""
    answer = await cubicspaces.post(MODERATIONS, moderating(pictures.of("640x480"), pictures.of(size)))
    assert error_of(answer) == (400, "invalid_request")
    message = answer.json()["error"]["message"]
    assert ("images[1]" in message, words in message, cubicspaces.sandbox.log.uploads) == (True, True, [])


async def test_an_image_that_never_ends_is_not_read_for_ever(cubicspaces, pictures):
    answer = await cubicspaces.post(MODERATIONS, moderating(pictures.of("endless")))
    assert "below 30 MB" in answer.json()["error"]["message"]
    assert pictures.sent < 64 * 2**20


async def test_an_image_that_cannot_be_fetched_is_left_to_the_gateway(cubicspaces, pictures):
    answer = await cubicspaces.post(MODERATIONS, moderating(pictures.of("gone")))
    assert answer.json()["data"]["status"] == "approved"


async def test_no_image_is_fetched_from_a_private_address(cubicspaces):
    answer = await cubicspaces.post(MODERATIONS, moderating("http://192.168.0.1/cat.png"))
    assert error_of(answer) == (400, "invalid_request")
    assert "images[0]: 192.168.0.1 is not a public address" in answer.json()["error"]["message"]


async def test_a_field_is_named_as_the_caller_spells_it(cubicspaces, pictures):
    body = {"model": "doubao-seedance-2.0", "image_url": pictures.of("10x10")}
    assert (await cubicspaces.post(MODERATIONS, body)).json()["error"]["message"].startswith("image_url: ")


@pytest.mark.parametrize(
    "more",
    [
        {"images": []},
        {"images": None},
        {"images": [5]},
        {"images": [CAT] * 51},
        {"images": ["data:image/png;base64,aGk="]},
        {"images": ["https://example.com/cat.svg"]},
        {"asset_type": "Video"},
        {"model": None},
    ],
)
async def test_a_bad_moderation_is_refused_in_the_gateways_words(cubicspaces, more):
    assert error_of(await cubicspaces.post(MODERATIONS, moderating(CAT) | more)) == (400, "invalid_request")


async def test_a_moderation_that_is_not_ready_in_time_is_told_clearly(cubicspaces, pictures):
    source = pictures.of("640x480", quote("[delayed x1].png"))
    first = await cubicspaces.post(MODERATIONS, moderating(source))
    assert error_of(first) == (504, "moderation_delayed")
    assert ("same request" in first.json()["error"]["message"], first.headers["retry-after"]) == (True, "5")
    assert (await cubicspaces.post(MODERATIONS, moderating(source))).json()["data"]["status"] == "approved"


async def test_a_moderation_is_waited_for_as_long_as_the_settings_say(tmp_path, pictures):
    hasty = replace(SETTINGS, submit=replace(SETTINGS.submit, prepare_timeout=Span(200)))
    async with hub(tmp_path, "cubicspaces", worker=False, settings=hasty) as it:
        answer = await it.post(MODERATIONS, moderating(pictures.of("640x480", quote("[slow create 3s].png"))))
        assert error_of(answer) == (504, "moderation_delayed")
