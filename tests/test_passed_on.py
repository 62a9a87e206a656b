"""`extra`, passed on as it is: held to the same rules as what has a name."""

import pytest

from tests.hub import hub


@pytest.mark.parametrize(
    "extra", [{"duration": "x"}, {"metadata": {"seed": -7}}, {"metadata": {"ratio": "1:7"}}], ids=str
)
async def test_what_is_passed_on_is_held_to_the_same_rules(tmp_path, extra):
    async with hub(tmp_path, worker=False) as it:
        answer = await it.submitted(extra=extra)
        assert (answer.status_code, it.made()) == (400, 0)


async def test_a_callback_cannot_be_passed_on(tmp_path):
    async with hub(tmp_path, "cubicspaces", worker=False) as it:
        answer = await it.submitted(extra={"callback_url": "https://example.com/"})
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, "extra")


async def test_another_owners_group_cannot_be_passed_on(tmp_path):
    async with hub(tmp_path, "worldrouter", worker=False) as it:
        group = (await it.post("/worldrouter/v1/asset-groups", {"name": "annas"})).json()["id"]
        body = {"gateway": "worldrouter", "model": "seedance-2.0", "prompt": "a"}
        answers = [
            await it.other.post("/v1/tasks", json=body | more)
            for more in ({"asset_group_id": group}, {"extra": {"asset_group_id": group}})
        ]
        assert [answer.status_code for answer in answers] == [403, 400]


@pytest.mark.parametrize("odd", ["asset://ID/", "asset://ID?x", "asset://%61bc", "asset:///ID", "asset://a b"])
async def test_another_spelling_of_an_asset_is_refused(tmp_path, odd):
    async with hub(tmp_path, "worldrouter", worker=False) as it:
        answer = await it.submitted(media=[{"type": "image", "url": odd, "role": "reference_image"}])
        assert (answer.status_code, it.made()) == (400, 0)
