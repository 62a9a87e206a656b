"""OpenAI's API as we serve it: forms, lists, deletion, content, and when to ask again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.model import VideoRequest
from service.sandbox_video import last_frame_png
from service.settings import RouteSettings, Span
from tests.golden import Golden, golden
from tests.hub import SANDBOX, SETTINGS, Hub, hub

VIDEOS = "/openai/v1/videos"
SORA = {"model": "sora-2", "prompt": "a cat"}
PNG = last_frame_png(width=16, height=16, frames=1, fps=1, seed=1)
SLOW = replace(SANDBOX, run_ms=(60_000, 60_000))


def at_work(folder: Path, **more: Any) -> Any:
    """A hub behind whose /openai is easyrouter."""
    route = RouteSettings(from_="openai", to="easyrouter", to_model="dreamina-seedance-2-0")
    return hub(folder, settings=replace(SETTINGS, routes=(route,)), **more)


async def made(it: Hub, **more: Any) -> str:
    answer = await it.post(VIDEOS, SORA | more)
    assert answer.status_code == 200, answer.text
    video_id: str = answer.json()["id"]
    return video_id


async def done(it: Hub, video_id: str) -> None:
    async def look() -> Any:
        return (await it.http.get(f"{VIDEOS}/{video_id}")).json()

    await it.until(look, lambda video: video["status"] == "completed")


# --- forms


async def sent_as_form(it: Hub, message: Golden) -> VideoRequest:
    body = message.body.replace(b"\n", b"\r\n") + b"\r\n"
    answer = await it.http.post(VIDEOS, content=body, headers={"content-type": message.headers["content-type"]})
    assert answer.status_code == 200, answer.text
    (task,) = it.sandbox._tasks.values()
    return task.request


async def test_the_form_of_the_sdk_is_read(tmp_path: Path) -> None:
    async with at_work(tmp_path, worker=False) as it:
        body = golden("openai", "form-sdk.request")
        request = await sent_as_form(it, replace(body, body=body.body.replace(b"your-app.com", b"app.example")))
    assert (request.prompt, request.duration, request.watermark) == (
        "A river flowing through an autumn forest",
        5,
        False,
    )


async def test_the_form_of_curl_is_read(tmp_path: Path) -> None:
    async with at_work(tmp_path, worker=False) as it:
        assert (await sent_as_form(it, golden("openai", "form-curl.request"))).duration == 6


async def form(it: Hub, fields: list[tuple[str, Any]]) -> httpx.Response:
    """The fields, texts or (file name, bytes, type), as a form."""
    files = [(name, value if isinstance(value, tuple) else (None, value)) for name, value in fields]
    return await it.http.post(VIDEOS, files=[*((name, (None, value)) for name, value in SORA.items()), *files])


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        (("a.png", PNG, "image/png"), "image/png"),
        (("upload", PNG, "application/octet-stream"), "image/png"),
        (("a.jpg", b"\xff\xd8\xff\xe0", "application/octet-stream"), "image/jpeg"),
        (("a", b"RIFF\x00\x00\x00\x00WEBPVP8 ", "application/octet-stream"), "image/webp"),
    ],
)
async def test_an_uploaded_image_becomes_a_data_uri(tmp_path: Path, file: Any, kind: str) -> None:
    async with at_work(tmp_path, worker=False) as it:
        assert (await form(it, [("input_reference", file)])).status_code == 200
        (task,) = it.sandbox._tasks.values()
    assert task.request.media[0].url.startswith(f"data:{kind};base64,")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ([("input_reference", ("a.txt", b"hello", "text/plain"))], "input_reference"),
        ([("seconds", "4"), ("seconds", "8")], "seconds"),
        ([("metadata[content][][type]", "image_url")] * 2, "metadata[content][][type]"),
        ([("metadata", "{}"), ("metadata[seed]", "5")], "metadata[seed]"),
        ([("metadata[seed]", "5"), ("metadata", "{}")], "metadata"),
        ([("metadata[seed", "5")], "metadata[seed"),
        ([("metadata" + "[a]" * 9, "5")], "metadata" + "[a]" * 9),
        ([("metadata[content][][type]", "text"), ("metadata[content][x]", "5")], "metadata[content]"),
        ([("metadata[content][]", "text"), ("metadata[content][x]", "5")], "metadata[content]"),
        ([("seconds[]", "4")], "seconds"),
        ([("metadata[]", "4")], "metadata"),
        ([("metadata[content][]", "4")], "metadata.content[0]"),
    ],
    ids=str,
)
async def test_a_form_that_means_nothing_is_refused_by_name(tmp_path: Path, fields: Any, param: str) -> None:
    async with at_work(tmp_path, worker=False) as it:
        answer = await form(it, fields)
        found = answer.json()["error"]
        assert (answer.status_code, found["param"] or found["message"], it.made()) == (400, param, 0)


async def test_one_item_of_content_may_be_spelled_in_brackets(tmp_path: Path) -> None:
    async with at_work(tmp_path, worker=False) as it:
        fields = [
            ("metadata[content][][type]", "image_url"),
            ("metadata[content][][image_url][url]", "https://example.com/a.png"),
            ("metadata[content][][role]", "last_frame"),
        ]
        assert (await form(it, fields)).status_code == 200
        (task,) = it.sandbox._tasks.values()
    assert [(media.url, media.role) for media in task.request.media] == [("https://example.com/a.png", "last_frame")]


async def test_a_list_of_texts_may_be_spelled_in_brackets(tmp_path: Path) -> None:
    async with at_work(tmp_path, worker=False) as it:
        images = ["https://example.com/1.png", "https://example.com/2.png"]
        await form(it, [("images[]", image) for image in images])
        (task,) = it.sandbox._tasks.values()
    assert [media.url for media in task.request.media] == images


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b"no form"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1' * 300),
        ("multipart/form-data; boundary=x; charset=nonsense", b"--x--\r\n"),
    ],
)
async def test_a_broken_form_is_refused(tmp_path: Path, kind: str, body: bytes) -> None:
    async with at_work(tmp_path, worker=False) as it:
        answer = await it.http.post(VIDEOS, content=body, headers={"content-type": kind})
        assert (answer.status_code, it.made()) == (400, 0)


async def test_a_form_that_is_too_large_is_refused(tmp_path: Path) -> None:
    limit = replace(SETTINGS.submit, body_limit=1024)
    route = RouteSettings(from_="openai", to="easyrouter", to_model="dreamina-seedance-2-0")
    async with hub(tmp_path, settings=replace(SETTINGS, submit=limit, routes=(route,)), worker=False) as it:
        assert (await form(it, [("input_reference", ("a.png", b"\x89PNG" * 400, "image/png"))])).status_code == 413


async def test_another_api_takes_no_forms(tmp_path: Path) -> None:
    async with hub(tmp_path, "videos", worker=False) as it:
        answer = await it.http.post("/videos/v1/videos", files={"model": (None, "seedance-2.0")})
        assert answer.status_code == 415


# --- when to ask again


async def test_a_create_and_a_look_say_when_to_ask_again(tmp_path: Path) -> None:
    patient = replace(SETTINGS, sweep=replace(SETTINGS.sweep, first_guess=Span(90_000)))
    async with hub(tmp_path, "openai", sandbox=SLOW, settings=patient, worker=False) as it:
        answer = await it.post(VIDEOS, SORA)
        look = await it.http.get(f"{VIDEOS}/{answer.json()['id']}")
    assert [one.headers["openai-poll-after-ms"] for one in (answer, look)] == ["4500", "4500"]


# --- lists and deletion


async def test_a_list_says_whether_there_is_more(tmp_path: Path) -> None:
    async with at_work(tmp_path, worker=False) as it:
        ids = [await made(it) for _ in range(3)]
        first = (await it.http.get(f"{VIDEOS}?limit=2")).json()
        rest = (await it.http.get(f"{VIDEOS}?limit=2&after={first['last_id']}")).json()
    assert [video["id"] for video in first["data"] + rest["data"]] == ids[::-1]
    assert [(page["first_id"], page["last_id"], page["has_more"]) for page in (first, rest)] == [
        (ids[2], ids[1], True),
        (ids[0], ids[0], False),
    ]


async def test_a_list_shows_an_owner_only_what_is_theirs(tmp_path: Path) -> None:
    async with at_work(tmp_path, worker=False) as it:
        await made(it)
        assert (await it.other.get(VIDEOS)).json()["data"] == []


async def test_a_bad_list_is_refused_by_name(tmp_path: Path) -> None:
    async with at_work(tmp_path, worker=False) as it:
        answer = await it.http.get(f"{VIDEOS}?limit=1000")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "limit")


async def test_a_list_is_not_for_strangers(tmp_path: Path) -> None:
    async with at_work(tmp_path, worker=False) as it:
        answer = await it.http.get(f"{VIDEOS}?limit=1000", headers={"authorization": "Bearer rh_wrong"})
    assert answer.status_code == 401


async def test_a_deleted_video_has_no_content_any_more(tmp_path: Path) -> None:
    async with at_work(tmp_path) as it:
        video_id = await made(it)
        await done(it, video_id)
        await it.http.delete(f"{VIDEOS}/{video_id}")
        answers = [await it.http.get(f"{VIDEOS}/{video_id}{more}") for more in ("", "/content")]
    assert [answer.status_code for answer in answers] == [404, 404]


async def test_a_deleted_video_is_still_a_task_of_the_native_api(tmp_path: Path) -> None:
    async with at_work(tmp_path) as it:
        video_id = await made(it)
        await done(it, video_id)
        await it.http.delete(f"{VIDEOS}/{video_id}")
        (task,) = await it.listed("/v1/tasks")
    assert task["status"] == "succeeded"


async def test_a_video_that_is_being_made_cannot_be_deleted(tmp_path: Path) -> None:
    async with at_work(tmp_path, sandbox=SLOW) as it:
        answer = await it.http.delete(f"{VIDEOS}/{await made(it)}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


async def test_anothers_video_cannot_be_deleted(tmp_path: Path) -> None:
    async with at_work(tmp_path) as it:
        video_id = await made(it)
        await done(it, video_id)
        assert (await it.other.delete(f"{VIDEOS}/{video_id}")).status_code == 404
        assert (await it.http.get(f"{VIDEOS}/{video_id}")).status_code == 200


@pytest.mark.parametrize("path", ["%00", "video_%00", "video_ä", "video_" + "A" * 5000])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_id_that_is_none_is_not_found(tmp_path: Path, method: str, path: str) -> None:
    async with at_work(tmp_path, worker=False) as it:
        assert (await it.http.request(method, f"{VIDEOS}/{path}")).status_code == 404


# --- content


async def test_the_content_of_a_video_that_is_being_made_is_refused(tmp_path: Path) -> None:
    async with at_work(tmp_path, sandbox=SLOW) as it:
        answer = await it.http.get(f"{VIDEOS}/{await made(it)}/content")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")


async def test_a_part_of_the_content_is_given(tmp_path: Path) -> None:
    async with at_work(tmp_path) as it:
        video_id = await made(it)
        await done(it, video_id)
        answer = await it.http.get(f"{VIDEOS}/{video_id}/content", headers={"range": "bytes=4-7"})
    assert (answer.status_code, answer.content, answer.headers["accept-ranges"]) == (206, b"ftyp", "bytes")


@pytest.mark.parametrize("what", ["edits", "extensions", "characters"])
async def test_what_no_gateway_can_do_is_declined(tmp_path: Path, what: str) -> None:
    async with at_work(tmp_path, worker=False) as it:
        answer = await it.post(f"{VIDEOS}/{what}", {"prompt": "at night"})
    assert (answer.status_code, what in answer.json()["error"]["message"]) == (400, True)
