"""A clean stop of the sweeper: questions under way are let finish, and what was claimed and not begun goes back."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.model import Submission
from service.store.tasks import step
from service.worker import working
from tests.hub import GATEWAY, hub
from tests.servers import serve
from tests.test_stopping import Gated


@asynccontextmanager
async def slow_gateway():
    """An easyrouter whose answer to a question comes when it is let; (its URL, asked, answer)."""
    asked, let = asyncio.Event(), asyncio.Event()

    async def create(request: Request) -> Response:
        return JSONResponse({"task_id": "task_1", "status": "queued"})

    async def get(request: Request) -> Response:
        asked.set()
        await let.wait()
        task = {"task_id": "task_1", "status": "SUCCESS", "result_url": "https://media.example.com/x.mp4"}
        return JSONResponse({"code": "success", "data": task})

    path = "/v1/video/generations"
    app = Starlette(routes=[Route(path, create, methods=["POST"]), Route(path + "/{id}", get)])
    async with serve(app) as url:
        yield url, asked, let


async def test_a_question_under_way_is_let_finish_and_its_answer_counts(tmp_path):
    async with slow_gateway() as (url, asked, let):
        gateway = replace(GATEWAY, base_url=url, callbacks=False)
        async with hub(tmp_path, gateway=gateway, worker=False) as it:
            task = await it.submit()
            async with working(it.services):
                await asked.wait()
                asyncio.get_running_loop().call_later(0.2, let.set)  # when the stop has begun
            assert (await it.task(task["id"]))["status"] == "succeeded"


async def test_a_create_that_was_claimed_when_the_stop_came_is_unsent_again(tmp_path):
    async with hub(tmp_path, worker=False) as it:
        task = await it.submit("[429 x1] a cat")
        it.services.gateways["easyrouter"].full_until = 0
        await it.services.database.write(step, "look_soon", id=task["id"], next_at=it.services.clock())
        gated = Gated(it.services.database, held="claim_tasks")
        it.services.sweeper._database = gated
        async with working(it.services):
            await gated.begun.wait()
            asyncio.get_running_loop().call_later(0.2, gated.gate.set)  # when the stop has begun
        stored = await it.services.reads.task(task["id"], None)
        assert stored and (stored.submission, stored.lease, it.made()) == (Submission.UNSENT, None, 0)
