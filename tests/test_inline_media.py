"""Inline media: kept apart from their task, whole for the create, and no longer than that."""

import base64

from service.model import shown_url
from service.worker import working
from tests.hub import hub
from tests.store.given import sql

BIG = "data:image/png;base64," + base64.b64encode(bytes(60_000)).decode()


async def rows(it, statement, **params):
    return await it.services.database.read(statement, **params)


async def test_inline_media_are_kept_apart_and_reach_the_gateway_whole(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.submit(media=[{"type": "image", "url": BIG}])
        (made,) = it.sandbox._tasks.values()
        (row,) = await rows(it, "task_of_owner", id=task["id"], owner=None)
        assert (made.request.media[0].url, len(row["request"]) < 1_000) == (BIG, True)


async def test_inline_media_of_a_create_that_waited_reach_the_gateway_whole(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.submit("[429 x1] a cat", media=[{"type": "image", "url": BIG}])
        await it.ended(task)
        (made,) = it.sandbox._tasks.values()
        assert made.request.media[0].url == BIG


async def test_inline_media_are_forgotten_when_the_create_is_through(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.submit(media=[{"type": "image", "url": BIG}])
        assert await rows(it, "request", task_id=task["id"]) == []


async def test_inline_media_of_a_create_that_waits_are_kept(tmp_path):
    async with hub(tmp_path, worker=False) as it:
        task = await it.submit("[429 x1] a cat", media=[{"type": "image", "url": BIG}])
        assert len(await rows(it, "request", task_id=task["id"])) == 1


async def test_a_small_request_is_kept_in_one_piece(tmp_path):
    async with hub(tmp_path, worker=False) as it:
        task = await it.submit("[429 x1] a cat")
        assert await rows(it, "request", task_id=task["id"]) == []


def test_inline_data_is_shown_by_its_kind_and_length():
    assert shown_url(BIG) == f"data:image/png;base64,… ({len(BIG)} characters)"


async def test_a_create_whose_media_cannot_be_read_is_no_doubt(tmp_path):
    """Nothing has left: it is tried again."""
    async with hub(tmp_path, worker=False) as it:
        task = await it.submit("[429 x1] a cat", media=[{"type": "image", "url": BIG}])
        kept = "SELECT body FROM requests WHERE task_id = :id"
        (row,) = await it.services.database.write(sql, kept, id=task["id"])
        await it.services.database.write(sql, "DELETE FROM requests WHERE task_id = :id", id=task["id"])
        async with working(it.services):
            waits = await it.until(lambda: it.task(task["id"]), lambda shown: shown["error"]["code"] == "internal")
            assert (waits["submission"], it.made()) == ("unsent", 0)
            back = "INSERT INTO requests (task_id, body) VALUES (:id, :body)"
            await it.services.database.write(sql, back, id=task["id"], body=row["body"])
            await it.ended(task)
        (made,) = it.sandbox._tasks.values()
        assert made.request.media[0].url == BIG
