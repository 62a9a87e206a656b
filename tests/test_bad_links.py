"""Successes whose link leads nowhere."""

from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.hub import GATEWAY, hub
from tests.servers import serve


def finished_as(body):
    async def app(request):
        if request.url.path.endswith("/content"):
            return Response(b"\x00\x00\x00\x18ftypmp42 the video", media_type="video/mp4")
        return JSONResponse({"task_id": "task_1", "status": "queued"} if request.method == "POST" else body)

    return Starlette(routes=[Route("/{path:path}", app, methods=["GET", "POST"])])


DONE_WITHOUT = {"task_id": "task_1", "status": "SUCCESS", "progress": "100%"}


@pytest.mark.parametrize(
    "more",
    [{}, {"result_url": "see dashboard"}, {"result_url": "https://[cdn/v.mp4"}, {"result_url": "http://h:99999/"}],
)
async def test_a_success_without_a_good_link_is_had_where_the_gateway_documents_the_download(tmp_path, more):
    body = {"code": "success", "data": DONE_WITHOUT | more}
    async with serve(finished_as(body)) as url, hub(tmp_path, gateway=replace(GATEWAY, base_url=url)) as it:
        task = await it.ended(await it.submit())
        assert (task["status"], task["video"]["url"]) == ("succeeded", task["video"]["content_url"])
        assert (await it.http.get(task["video"]["url"])).content.endswith(b"the video")


async def test_a_bad_link_hides_no_good_one(tmp_path):
    good = {"status": "succeeded", "content": {"video_url": "https://media.example.com/v.mp4"}}
    body = {"code": "success", "data": DONE_WITHOUT | {"result_url": "see dashboard", "data": good}}
    async with serve(finished_as(body)) as url, hub(tmp_path, gateway=replace(GATEWAY, base_url=url)) as it:
        task = await it.ended(await it.submit())
        assert task["video"]["url"] == "https://media.example.com/v.mp4"
