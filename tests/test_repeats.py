"""The same create again: one task for a caller who was not answered, two for one who was."""

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import httpx
import pytest

from service.settings import Span
from tests.dialects.given import SPOKEN, minimal
from tests.dropping import broken_wire
from tests.hub import GATEWAY, SETTINGS, client, hub
from tests.store.given import sql

EVERY_SURFACE = pytest.mark.parametrize("each", SPOKEN, ids=str)
ONE_SURFACE = pytest.mark.parametrize("each", [each for each in SPOKEN if each.dialect.name == "ark"], ids=str)
UNCALLED = replace(GATEWAY, callbacks=False)  # nothing claims what is in doubt
SLOW = "[slow create 400ms]"
AN_INSTANT = replace(SETTINGS, submit=replace(SETTINGS.submit, repeat_window=Span(1)))
NEVER = replace(SETTINGS, submit=replace(SETTINGS.submit, repeat_window=Span(0)))


def create_of(each, prompt):
    """(path, body) of the smallest create with this prompt."""
    route = each.surface.route("create")
    wanted = replace(each.surface.read_create(minimal(each)), prompt=prompt)
    return f"/{each.dialect.name}{route.path}", each.surface.write_create(wanted, None)


async def noted(it):
    """(task, whether its caller is gone) of every create that is noted as unanswered."""
    rows = await it.services.database.write(sql, "SELECT task_id, gone_at FROM unanswered_creates ORDER BY task_id")
    return [(row["task_id"], row["gone_at"] is not None) for row in rows]


@asynccontextmanager
async def left(tmp_path, each, prompt=SLOW, gateway=GATEWAY):
    """A hub to which a create was sent by somebody who has gone away since, with the path and body of it."""
    async with hub(tmp_path, each.dialect.name, gateway=gateway) as it:
        path, body = create_of(each, prompt)

        async def made():
            await it.until(lambda: it.listed("/v1/tasks"), len)

        async with broken_wire(it.base_url, made) as base_url, client(base_url, key_of(it.http)) as http:
            with pytest.raises(httpx.TransportError):
                await http.post(path, json=body)
        await it.until(lambda: noted(it), lambda notes: notes and notes[0][1])
        yield it, path, body


def key_of(http):
    return http.headers["authorization"].removeprefix("Bearer ")


async def public_ids(it, each):
    return [task["id"].replace("task_", each.surface.id_prefix) for task in await it.listed("/v1/tasks")]


@EVERY_SURFACE
async def test_a_caller_who_was_not_answered_and_sends_the_same_again_gets_the_same_task(tmp_path, each):
    """F8.3: a short window for SDKs that send no key."""
    async with left(tmp_path, each) as (it, path, body):
        receipt = each.surface.read_receipt((await it.post(path, body)).json())
        assert [receipt.gateway_task_id] == await public_ids(it, each)
        assert it.made() == 1


@EVERY_SURFACE
async def test_a_caller_who_was_answered_and_sends_the_same_again_gets_a_second_task(tmp_path, each):
    async with hub(tmp_path, each.dialect.name) as it:
        path, body = create_of(each, "a cat")
        for _ in range(2):
            assert (await it.post(path, body)).status_code == 200
        assert (it.made(), len(await it.listed("/v1/tasks"))) == (2, 2)


@EVERY_SURFACE
async def test_two_callers_who_wait_at_the_same_time_get_two_tasks(tmp_path, each):
    async with hub(tmp_path, each.dialect.name) as it:
        path, body = create_of(each, SLOW)
        await asyncio.gather(it.post(path, body), it.post(path, body))
        assert it.made() == 2


@ONE_SURFACE
async def test_a_caller_who_goes_away_twice_gets_the_same_task_at_the_third_time(tmp_path, each):
    async with left(tmp_path, each, "[slow create 800ms]") as (it, path, body):

        async def taken():
            await it.until(lambda: noted(it), lambda notes: not notes[0][1])

        async with broken_wire(it.base_url, taken) as base_url, client(base_url, key_of(it.http)) as http:
            with pytest.raises(httpx.TransportError):
                await http.post(path, json=body)
            await it.until(lambda: noted(it), lambda notes: notes[0][1])
            assert (await http.post(path, json=body)).status_code == 200
        assert it.made() == 1


@ONE_SURFACE
async def test_once_he_was_answered_the_same_create_is_a_new_one(tmp_path, each):
    async with left(tmp_path, each) as (it, path, body):
        first, second = [(await it.post(path, body)).json()["id"] for _ in range(2)]
        assert (first != second, it.made()) == (True, 2)


@ONE_SURFACE
async def test_another_owner_or_another_body_is_another_create(tmp_path, each):
    async with left(tmp_path, each) as (it, path, body):
        await it.other.post(path, json=body)
        await it.post(path, body | {"watermark": True})
        assert it.made() == 3


@ONE_SURFACE
@pytest.mark.parametrize("settings", [AN_INSTANT, NEVER], ids=["an instant", "never"])
async def test_it_is_the_same_create_for_a_while_only(tmp_path, each, settings):
    async with hub(tmp_path, "ark", settings=settings) as it:
        path, body = create_of(each, SLOW)

        async def made():
            await it.until(lambda: it.listed("/v1/tasks"), len)

        async with broken_wire(it.base_url, made) as base_url, client(base_url, key_of(it.http)) as http:
            with pytest.raises(httpx.TransportError):
                await http.post(path, json=body)
        await it.until(lambda: noted(it), lambda notes: all(gone for _, gone in notes))
        await it.post(path, body)
        assert it.made() == 2


@ONE_SURFACE
async def test_a_doubt_is_told_again_and_nothing_is_sent_again(tmp_path, each):
    async with left(tmp_path, each, SLOW + " [drop]", UNCALLED) as (it, path, body):
        answer = await it.post(path, body)
        assert (answer.status_code, answer.headers["x-should-retry"]) == (504, "false")
        assert it.made() == 1


@ONE_SURFACE
async def test_who_was_answered_is_not_noted_any_more(tmp_path, each):
    async with hub(tmp_path, "ark", worker=False) as it:
        for prompt in ("a cat", "[402]", "[drop]"):
            await it.post(*create_of(each, prompt))
        assert await it.until(lambda: noted(it), lambda notes: not notes) == []


@ONE_SURFACE
async def test_a_refused_create_is_no_task_to_come_back_to(tmp_path, each):
    async with hub(tmp_path, "ark", worker=False) as it:
        path, body = create_of(each, "[402 x1]")
        with suppress(httpx.TransportError):
            async with broken_wire(it.base_url, lambda: refused(it)) as url, client(url, key_of(it.http)) as http:
                await http.post(path, json=body)
        assert (await it.post(path, body)).status_code == 200


async def refused(it):
    await it.until(lambda: it.listed("/v1/tasks?status=failed"), len)


@ONE_SURFACE
async def test_whoever_waited_for_a_process_that_is_no_more_has_gone(tmp_path, each):
    async with hub(tmp_path, "ark") as it:
        path, body = create_of(each, SLOW)
        waiting = asyncio.create_task(it.post(path, body))
        await it.until(lambda: it.listed("/v1/tasks"), len)
        await it.services.unanswered.begin()  # as the next process does
        second = (await it.post(path, body)).json()["id"]
        assert ((await waiting).json()["id"], it.made()) == (second, 1)


async def test_an_idempotency_key_needs_no_note(tmp_path):
    (each,) = [each for each in SPOKEN if each.dialect.name == "ark"]
    async with hub(tmp_path, "ark", worker=False) as it:
        calling = asyncio.create_task(it.post(*create_of(each, SLOW), idempotency_key="k"))
        await it.until(lambda: it.listed("/v1/tasks"), len)
        assert await noted(it) == []
        await calling
