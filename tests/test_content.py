"""Results passed on: whole and in parts, to keys and to signed links, from links that die."""

import asyncio
import shutil
from dataclasses import replace
from random import Random

import pytest

from service.clock import DAY
from service.dialects import DIALECTS
from service.settings import ArchiveSettings, ContentSettings, Span
from tests.dialects.given import SPOKEN, minimal
from tests.hub import GATEWAY, SETTINGS, hub
from tests.test_compat import path_of, refusal

EVERY_GATEWAY = pytest.mark.parametrize("dialect", list(DIALECTS))
WITH_CONTENT = pytest.mark.parametrize("each", [each for each in SPOKEN if each.surface.route("content")], ids=str)
ONLY_LINKS = pytest.mark.parametrize("dialect", ["worldrouter", "cubicspaces", "seedance2"])


async def finished(it, prompt="a cat", **more):
    return await it.ended(await it.submit(prompt, **more))


def content(task):
    return f"/v1/tasks/{task['id']}/content"


def made_by(it, task):
    """The video, as the gateway itself has it."""
    return it.sandbox.video(task["gateway_task_id"])


@EVERY_GATEWAY
async def test_a_finished_task_gives_its_video(tmp_path, dialect):
    async with hub(tmp_path, dialect) as it:
        task = await finished(it)
        answer = await it.http.get(content(task))
        assert (answer.status_code, answer.content) == (200, made_by(it, task))
        assert answer.headers["content-type"] == "video/mp4"
        assert answer.headers["content-length"] == str(len(answer.content))


@EVERY_GATEWAY
async def test_the_link_in_an_event_opens_without_a_key(tmp_path, dialect):
    async with hub(tmp_path, dialect) as it:
        task = await finished(it)
        for name in ("url", "content_url"):
            answer = await it.http.get(task["video"][name], headers={"authorization": ""})
            assert answer.content == made_by(it, task)


async def test_many_readers_at_once_each_get_exactly_their_bytes(tmp_path):
    async with hub(tmp_path) as it:
        task = await finished(it)
        whole, luck = made_by(it, task), Random(7)
        windows = [sorted(luck.sample(range(len(whole)), 2)) for _ in range(40)]
        answers = await asyncio.gather(
            *(it.http.get(content(task), headers={"range": f"bytes={a}-{b}"}) for a, b in windows)
        )
        for (first, last), answer in zip(windows, answers, strict=True):
            assert (answer.status_code, answer.content) == (206, whole[first : last + 1])
            assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(whole)}"


@pytest.mark.parametrize(("asked", "start", "stop"), [("bytes=100-", 100, None), ("bytes=-100", -100, None)])
async def test_the_rest_and_the_end_can_be_had(tmp_path, asked, start, stop):
    async with hub(tmp_path) as it:
        task = await finished(it)
        answer = await it.http.get(content(task), headers={"range": asked})
        assert (answer.status_code, answer.content) == (206, made_by(it, task)[start:stop])


async def test_a_range_beyond_the_end_is_refused_with_the_length(tmp_path):
    async with hub(tmp_path) as it:
        task = await finished(it)
        answer = await it.http.get(content(task), headers={"range": "bytes=99999999-"})
        assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(made_by(it, task))}")


async def test_head_tells_the_length_and_sends_nothing(tmp_path):
    async with hub(tmp_path) as it:
        task = await finished(it)
        answer = await it.http.head(content(task))
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-length"] == str(len(made_by(it, task)))
        assert answer.headers["accept-ranges"] == "bytes"


async def test_what_a_reader_has_is_not_sent_again(tmp_path):
    async with hub(tmp_path) as it:
        task = await finished(it)
        etag = (await it.http.head(content(task))).headers["etag"]
        assert (await it.http.get(content(task), headers={"if-none-match": etag})).status_code == 304


async def test_a_download_goes_on_where_it_was(tmp_path):
    async with hub(tmp_path) as it:
        task = await finished(it)
        etag = (await it.http.head(content(task))).headers["etag"]
        answer = await it.http.get(content(task), headers={"range": "bytes=9-", "if-range": etag})
        assert (answer.status_code, answer.content) == (206, made_by(it, task)[9:])


async def test_the_rest_of_something_else_is_not_given(tmp_path):
    async with hub(tmp_path) as it:
        task = await finished(it)
        answer = await it.http.get(content(task), headers={"range": "bytes=9-", "if-range": '"another"'})
        assert (answer.status_code, answer.content) == (200, made_by(it, task))


async def test_the_last_frame_is_a_variant(tmp_path):
    async with hub(tmp_path) as it:
        task = await finished(it, return_last_frame=True)
        answer = await it.http.get(content(task), params={"variant": "last_frame"})
        assert answer.headers["content-type"] == "image/png"
        assert answer.content == it.sandbox.last_frame(task["gateway_task_id"])


async def test_a_last_frame_that_nobody_asked_for_is_not_there(tmp_path):
    async with hub(tmp_path) as it:
        answer = await it.http.get(content(await finished(it)), params={"variant": "last_frame"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


async def test_an_unknown_variant_is_refused_by_name(tmp_path):
    async with hub(tmp_path) as it:
        answer = await it.http.get(content(await finished(it)), params={"variant": "gif"})
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, "variant")


async def test_a_task_under_way_has_no_content_yet(tmp_path):
    async with hub(tmp_path) as it:
        answer = await it.http.get(content(await it.submit("[hang]")))
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")


async def test_a_failed_task_has_no_content(tmp_path):
    async with hub(tmp_path) as it:
        answer = await it.http.get(content(await finished(it, "[fail]")))
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("who", ["other", "nobody"])
async def test_nobody_else_gets_in(tmp_path, who):
    async with hub(tmp_path) as it:
        task = await finished(it)
        reader, headers = (it.other, {}) if who == "other" else (it.http, {"authorization": ""})
        assert (await reader.get(content(task), headers=headers)).status_code == {"other": 404, "nobody": 401}[who]


async def test_a_tampered_link_opens_nothing(tmp_path):
    async with hub(tmp_path) as it:
        link = (await finished(it))["video"]["content_url"]
        assert (await it.http.get(link[:-4] + ("A" if link[-4] != "A" else "B") + link[-3:])).status_code == 404


async def test_an_expired_link_opens_nothing(tmp_path):
    brief = replace(SETTINGS, content=ContentSettings(link_lifetime=Span(1)))
    async with hub(tmp_path, settings=brief) as it:
        link = (await finished(it))["video"]["content_url"]
        assert (await it.http.get(link)).status_code == 404


async def test_a_callback_token_is_no_content_link(tmp_path):
    async with hub(tmp_path) as it:
        task = await finished(it)
        token = it.services.tokens.issue("easyrouter", task["id"])
        assert (await it.http.get(f"/content/{token}")).status_code == 404


async def test_a_gateways_link_is_said_to_live_for_a_day(tmp_path):
    """F8.6: record when it expires."""
    async with hub(tmp_path) as it:
        task = await finished(it)
        stored = await it.services.reads.task(task["id"], None)
        assert stored and stored.finished_at
        link = it.services.links.of(stored, "video")
        assert link and (link.expires_at - stored.finished_at, link.stored) == (DAY, "gateway")


@ONLY_LINKS
async def test_a_dead_link_is_asked_for_anew(tmp_path, dialect):
    """F8.6: re-resolve by GET."""
    async with hub(tmp_path, dialect) as it:
        task = await finished(it, "[new links]")
        await asyncio.to_thread(it.sandbox.get, it.dialect.surfaces[0], task["gateway_task_id"])  # the known link dies
        assert (await it.http.get(task["video"]["url"])).status_code == 403
        answer = await it.http.get(content(task))
        assert (answer.status_code, answer.content) == (200, made_by(it, task))


async def test_a_fresh_link_is_kept(tmp_path):
    async with hub(tmp_path, "seedance2") as it:
        task = await finished(it, "[new links]")
        it.sandbox.get(it.dialect.surfaces[0], task["gateway_task_id"])
        await it.http.get(content(task))
        shown = await it.task(task["id"])
        assert shown["video"]["url"] != task["video"]["url"]
        assert (await it.http.get(shown["video"]["url"])).content == made_by(it, task)


async def test_a_result_that_its_gateway_has_forgotten_is_gone(tmp_path):
    async with hub(tmp_path, "seedance2") as it:
        task = await finished(it)
        it.sandbox._tasks.clear()
        answer = await it.http.get(content(task))
        assert (answer.status_code, answer.json()["error"]["code"]) == (410, "result_gone")


async def test_the_key_of_the_gateway_is_sent_to_nobody_else(tmp_path):
    async with hub(tmp_path) as it:
        gateway = it.services.gateways["easyrouter"]
        for url in ("https://media.example.com/x.mp4", gateway.base_url.replace("http://", "https://") + "/x"):
            assert gateway.credentials_for(url) == {}
        assert gateway.credentials_for(gateway.base_url + "/v1/x") == {"authorization": "Bearer sandbox-key"}


async def dead_link(it):
    """A finished task whose link has died, and whose gateway gives another one when it is asked."""
    task = await finished(it, "[new links]")
    it.sandbox.get(it.dialect.surfaces[0], task["gateway_task_id"])
    return task


async def test_a_result_is_not_called_gone_when_its_gateway_may_not_be_asked_yet(tmp_path):
    seldom = replace(GATEWAY, trust="trust", min_interval=Span(60_000))
    async with hub(tmp_path, "seedance2", gateway=seldom) as it:
        task = await dead_link(it)
        assert (await it.http.get(content(task))).status_code == 200
        it.sandbox.get(it.dialect.surfaces[0], task["gateway_task_id"])  # the new one dies as well
        answer = await it.http.get(content(task))
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "gateway_error")
        assert 50 < int(answer.headers["retry-after"]) <= 60


async def test_a_result_is_not_called_gone_when_its_gateway_does_not_answer(tmp_path):
    async with hub(tmp_path, "seedance2") as it:
        task = await dead_link(it)
        it.services.gateways["seedance2"].base_url = "http://127.0.0.1:9"
        answer = await it.http.get(content(task))
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "gateway_error")
        assert "HTTP 403" in answer.text
        assert "cannot be reached" in answer.text


@pytest.mark.parametrize("said", ["{}", "W/{}", '"a,b", {}', 'W/"x" ,W/{} , "y"', "*"])
async def test_what_a_reader_has_is_not_even_looked_for_once_its_size_is_known(tmp_path, said):
    async with hub(tmp_path, "seedance2") as it:
        task = await finished(it)
        etag = (await it.http.head(content(task))).headers["etag"]
        it.sandbox._tasks.clear()  # whoever looks finds nothing
        answer = await it.http.get(content(task), headers={"if-none-match": said.format(etag), "range": "bytes=0-1"})
        assert (answer.status_code, answer.headers["etag"]) == (304, etag)


async def test_what_a_reader_has_is_not_looked_for_in_the_archive(tmp_path):
    kept = replace(SETTINGS, archive=ArchiveSettings(directory=str(tmp_path / "kept")))
    async with hub(tmp_path, settings=kept) as it:
        task = await finished(it)
        shutil.rmtree(tmp_path / "kept")
        it.sandbox._tasks.clear()
        etag = f'"{task["id"]}-video-{task["video"]["size_bytes"]}"'
        assert (await it.http.get(content(task), headers={"if-none-match": etag})).status_code == 304


@pytest.mark.parametrize("said", ['"another"', 'W/"another"', '"', "", "task"])
async def test_a_reader_who_has_something_else_is_given_the_result(tmp_path, said):
    async with hub(tmp_path, "seedance2") as it:
        task = await finished(it)
        for _ in range(2):  # when its size is not known, and when it is
            answer = await it.http.get(content(task), headers={"if-none-match": said})
            assert (answer.status_code, answer.content) == (200, made_by(it, task))


@WITH_CONTENT
async def test_a_program_downloads_on_the_gateways_own_route(tmp_path, each):
    """F3 Content, F5 Content: Range gives 206."""
    async with hub(tmp_path, each.dialect.name) as it:
        receipt = each.surface.read_receipt((await it.post(path_of(each), minimal(each))).json())
        path = path_of(each, "content", receipt.gateway_task_id)
        answer = await it.until(lambda: it.http.get(path, headers={"range": "bytes=5-24"}), lambda got: got.is_success)
        whole = await it.http.get(path)
        assert (answer.status_code, answer.content) == (206, whole.content[5:25])
        assert whole.content[4:8] == b"ftyp"


@WITH_CONTENT
async def test_content_of_an_unfinished_task_is_refused_in_the_gateways_words(tmp_path, each):
    """F5 Not said: /content before SUCCESS."""
    async with hub(tmp_path, each.dialect.name, worker=False) as it:
        receipt = each.surface.read_receipt((await it.post(path_of(each), minimal(each))).json())
        answer = await it.http.get(path_of(each, "content", receipt.gateway_task_id))
        assert (answer.status_code, "the task is still" in refusal(each, answer).message) == (409, True)


@WITH_CONTENT
async def test_content_of_somebody_elses_task_is_not_there(tmp_path, each):
    async with hub(tmp_path, each.dialect.name) as it:
        receipt = each.surface.read_receipt((await it.post(path_of(each), minimal(each))).json())
        answer = await it.other.get(path_of(each, "content", receipt.gateway_task_id))
        assert refusal(each, answer).code == "not_found"
