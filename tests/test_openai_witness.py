"""The openai library, as people have it, against /openai with a route to a gateway behind it: only the base URL and the
key are not OpenAI's."""

import base64
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from service.sandbox_video import last_frame_png
from service.settings import RouteSettings
from service.signing import new_secret, owner_secret
from service.wire import dump_text
from tests.hub import SANDBOX, SETTINGS, Hub, hub
from tests.servers import Sink
from tests.witness import OLDER, Witness

ROUTES = (RouteSettings(from_="openai", model="sora-*", to="easyrouter", to_model="dreamina-seedance-2-0"),)
PNG = last_frame_png(width=16, height=16, frames=1, fps=1, seed=1)
PROMPT = "A cat walking on the moon"


@pytest.fixture(scope="module", params=["current", "2.8.0"])
def library(request: pytest.FixtureRequest) -> Iterator[Witness]:
    older = request.param == "2.8.0"
    if older and not (OLDER / ".ready").exists():
        if os.environ.get("REQUIRE_WITNESSES"):
            pytest.fail("openai 2.8.0 is required here: run `make witness`")
        pytest.skip("openai 2.8.0 is not here; `make witness` fetches it")
    witness = Witness(OLDER if older else None)
    yield witness
    witness.close()


@dataclass(frozen=True)
class Client:
    """The library with the base URL and the key of anna."""

    library: Witness
    it: Hub

    async def __call__(self, name: str, **args: Any) -> Any:
        """What a call returns."""
        answer = await self.asked(name, **args)
        assert "value" in answer, answer
        return answer["value"]

    async def refused(self, name: str, **args: Any) -> Any:
        """The error that a call raises."""
        return (await self.asked(name, **args))["error"]

    async def asked(self, name: str, **args: Any) -> Any:
        key = self.it.http.headers["authorization"].removeprefix("Bearer ")
        return await self.library.call(f"{self.it.base_url}/openai/v1", key, name, **args)

    async def made(self, prompt: str = PROMPT, **more: Any) -> str:
        made: str = (await self("videos.create_and_poll", model="sora-2", prompt=prompt, **more))["id"]
        return made


@asynccontextmanager
async def opened(folder: Path, library: Witness, **sandbox: Any) -> AsyncIterator[Client]:
    async with hub(folder, settings=replace(SETTINGS, routes=ROUTES), sandbox=replace(SANDBOX, **sandbox)) as it:
        yield Client(library, it)


async def test_it_is_the_version_that_it_is_meant_to_be(library: Witness, request: pytest.FixtureRequest) -> None:
    assert library.version == "2.8.0" if "2.8.0" in request.node.name else library.version > "3"


async def test_create_and_poll_returns_a_completed_video(tmp_path: Path, library: Witness) -> None:
    async with opened(tmp_path, library) as client:
        video = await client("videos.create_and_poll", model="sora-2", prompt=PROMPT, seconds="5", size="1280x720")
        known = {name: video[name] for name in ("object", "model", "status", "progress", "prompt", "seconds", "size")}
    assert known == {
        "object": "video",
        "model": "sora-2",
        "status": "completed",
        "progress": 100,
        "prompt": PROMPT,
        "seconds": "5",
        "size": "1280x720",
    }


@pytest.mark.parametrize(
    ("marker", "code"),
    [("[fail OutputVideoSensitiveContentDetected]", "OutputVideoSensitiveContentDetected"), ("[expire]", "expired")],
)
async def test_create_and_poll_returns_a_failed_video_with_its_reason(
    tmp_path: Path, library: Witness, marker: str, code: str
) -> None:
    async with opened(tmp_path, library) as client:
        video = await client("videos.create_and_poll", model="sora-2", prompt=f"A cake {marker}")
    assert (video["status"], video["error"]["code"]) == ("failed", code)


async def test_what_it_asks_for_reaches_the_gateway_in_the_gateways_words(tmp_path: Path, library: Witness) -> None:
    async with opened(tmp_path, library) as client:
        extra = {"metadata": {"seed": 7, "watermark": False, "ratio": "9:16"}, "duration": 10}
        await client("videos.create", model="sora-2", prompt=PROMPT, extra_body=extra)
        (task,) = client.it.sandbox._tasks.values()
        request = task.request
    assert (request.model, request.seed, request.watermark, request.ratio, request.duration) == (
        "dreamina-seedance-2-0",
        7,
        False,
        "9:16",
        10,
    )


async def test_an_uploaded_image_reaches_the_gateway(tmp_path: Path, library: Witness) -> None:
    async with opened(tmp_path, library) as client:
        file = {"$file": ["first.png", base64.b64encode(PNG).decode(), "image/png"]}
        await client("videos.create", model="sora-2", prompt=PROMPT, input_reference=file)
        (task,) = client.it.sandbox._tasks.values()
    assert [media.url for media in task.request.media] == [f"data:image/png;base64,{base64.b64encode(PNG).decode()}"]


async def test_content_of_several_items_reaches_the_gateway_as_text(tmp_path: Path, library: Witness) -> None:
    """As a list the current version makes a form of it in which nobody can tell the items apart."""
    content = [
        {"type": "image_url", "image_url": {"url": f"https://example.com/{role}.png"}, "role": role}
        for role in ("first_frame", "last_frame")
    ]
    async with opened(tmp_path, library) as client:
        extra = {"metadata": {"content": dump_text(content)}}
        await client("videos.create", model="sora-2", prompt=PROMPT, extra_body=extra)
        (task,) = client.it.sandbox._tasks.values()
    assert [media.role for media in task.request.media] == ["first_frame", "last_frame"]


async def test_a_callback_url_of_extra_body_is_called_with_an_event_that_unwrap_takes(
    tmp_path: Path, library: Witness
) -> None:
    async with Sink().open() as sink, opened(tmp_path, library) as client:
        video_id = await client.made(extra_body={"metadata": {"callback_url": sink.url}})
        (request,) = await sink.wait_for(len)
        secret = client.it.services.secret_key
        event = await client(
            "webhooks.unwrap",
            payload=request.body.decode(),
            headers=dict(request.headers),
            secret=owner_secret(secret, "anna"),
        )
    assert (event["type"], event["data"]["id"]) == ("video.completed", video_id)


async def test_unwrap_takes_the_deliveries_of_a_subscription(tmp_path: Path, library: Witness) -> None:
    async with Sink().open() as sink, opened(tmp_path, library) as client:
        subscription = await client.it.subscribe(sink.url)
        await client.made()
        (request,) = await sink.wait_for(len)
        unwrapped = {"payload": request.body.decode(), "headers": dict(request.headers)}
        event = await client("webhooks.unwrap", secret=subscription["secret"], **unwrapped)
        forged = await client.refused("webhooks.unwrap", secret=new_secret(), **unwrapped)
    assert (event["type"], forged["type"]) == ("task.succeeded", "InvalidWebhookSignatureError")


async def test_a_video_is_retrieved(tmp_path: Path, library: Witness) -> None:
    async with opened(tmp_path, library) as client:
        video_id = await client.made()
        video = await client("videos.retrieve", video_id=video_id)
    assert (video["id"], video["status"]) == (video_id, "completed")


async def test_a_list_is_read_page_by_page(tmp_path: Path, library: Witness) -> None:
    async with opened(tmp_path, library) as client:
        made = [(await client("videos.create", model="sora-2", prompt=PROMPT))["id"] for _ in range(5)]
        newest_first = await client("videos.list", limit=2)
        oldest_first = await client("videos.list", limit=2, order="asc")
    assert (newest_first, oldest_first) == ({"first_page": 2, "ids": made[::-1]}, {"first_page": 2, "ids": made})


async def test_a_deleted_video_is_gone(tmp_path: Path, library: Witness) -> None:
    async with opened(tmp_path, library) as client:
        video_id = await client.made()
        deleted = await client("videos.delete", video_id=video_id)
        gone = await client.refused("videos.retrieve", video_id=video_id)
        listed = await client("videos.list")
    assert (deleted["deleted"], gone["type"], listed["ids"]) == (True, "NotFoundError", [])


async def test_the_content_is_downloaded(tmp_path: Path, library: Witness) -> None:
    async with opened(tmp_path, library) as client:
        video_id = await client.made()
        content = await client("videos.download_content", video_id=video_id)
        (task,) = client.it.sandbox._tasks
        expected = client.it.sandbox.video(task)
    assert (content["length"], bytes.fromhex(content["starts"])) == (len(expected), expected[:12])


async def test_the_thumbnail_is_the_last_frame(tmp_path: Path, library: Witness) -> None:
    async with opened(tmp_path, library) as client:
        video_id = await client.made(extra_body={"metadata": {"return_last_frame": True}})
        content = await client("videos.download_content", video_id=video_id, variant="thumbnail")
    assert bytes.fromhex(content["starts"]).startswith(b"\x89PNG")


@pytest.mark.parametrize(("variant", "error"), [("thumbnail", "NotFoundError"), ("spritesheet", "BadRequestError")])
async def test_a_variant_that_is_not_there_is_refused(
    tmp_path: Path, library: Witness, variant: str, error: str
) -> None:
    async with opened(tmp_path, library) as client:
        video_id = await client.made()
        refusal = await client.refused("videos.download_content", video_id=video_id, variant=variant)
    assert refusal["type"] == error


@pytest.mark.parametrize(
    ("wish", "type_", "param"),
    [
        ({"model": "nobody-knows"}, "BadRequestError", "model"),
        ({"prompt": " "}, "BadRequestError", "prompt"),
        ({"seconds": "soon"}, "BadRequestError", "seconds"),
        ({"size": "large"}, "BadRequestError", "size"),
        ({"size": "1792x1024"}, "BadRequestError", "size"),
        ({"extra_body": {"metadata": {"frames": 5}}}, "BadRequestError", "metadata.frames"),
        ({"extra_body": {"metadata": {"seed": -1}}}, "BadRequestError", "metadata.seed"),
    ],
    ids=str,
)
async def test_a_bad_create_is_refused_by_name(
    tmp_path: Path, library: Witness, wish: Any, type_: str, param: str
) -> None:
    async with opened(tmp_path, library) as client:
        error = await client.refused("videos.create", **{"model": "sora-2", "prompt": PROMPT} | wish)
        assert (error["type"], error["param"], client.it.made()) == (type_, param, 0)


async def test_a_gateway_without_room_raises_a_rate_limit_error(tmp_path: Path, library: Witness) -> None:
    async with opened(tmp_path, library, pending_cap=0) as client:
        error = await client.refused("videos.create", model="sora-2", prompt=PROMPT)
    assert (error["type"], error["status"]) == ("RateLimitError", 429)


async def test_a_lost_reply_is_one_task_and_an_error_that_is_not_tried_again(tmp_path: Path, library: Witness) -> None:
    async with opened(tmp_path, library) as client:
        error = await client.refused("videos.create", model="sora-2", prompt="A letter [drop]")
        assert (error["code"], client.it.made()) == ("outcome_unknown", 1)


async def test_a_remix_is_declined(tmp_path: Path, library: Witness) -> None:
    async with opened(tmp_path, library) as client:
        error = await client.refused("videos.remix", video_id=await client.made(), prompt="at night")
    assert (error["type"], "remix" in error["message"]) == ("BadRequestError", True)


async def test_a_wrong_key_raises_an_authentication_error(tmp_path: Path, library: Witness) -> None:
    async with opened(tmp_path, library) as client:
        error = (await library.call(f"{client.it.base_url}/openai/v1", "rh_wrong", "videos.retrieve", video_id="v"))[
            "error"
        ]
    assert (error["type"], error["code"]) == ("AuthenticationError", "invalid_api_key")


async def test_the_models_are_listed(tmp_path: Path, library: Witness) -> None:
    async with opened(tmp_path, library) as client:
        assert (await client("models.list"))["ids"] == ["sora-2", "sora-2-pro"]
