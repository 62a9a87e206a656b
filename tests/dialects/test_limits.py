"""gateways.md F2 to F6 and section 2: what each gateway's create request may say, field by field, row by row.

A row of a table is one parameter here: what is allowed is read into the canonical field, what is not is refused by
name.
"""

from typing import Any

import pytest

from service.errors import Problem
from service.model import Media
from service.wire import Json
from tests.dialects.given import BY_NAME, SPOKEN, Spoken, minimal

WORLDROUTER, EASYROUTER = BY_NAME["worldrouter-official"], BY_NAME["easyrouter-unified"]
OFFICIAL, UNIFIED = BY_NAME["cubicspaces-official"], BY_NAME["cubicspaces-unified"]
VIDEOS, SEEDANCE2 = BY_NAME["videos-videos"], BY_NAME["seedance2-open"]
ARK = BY_NAME["ark-official"]

PNG = "https://example.com/cat.png"
PIXEL = "data:image/png;base64,iVBORw0KGgo="
TEXT: Json = {"type": "text", "text": "a cat"}


def image(url: str = PNG, **more: Any) -> Json:
    return {"type": "image_url", "image_url": {"url": url}} | more


def inner(**parameters: Any) -> Json:
    return {"metadata": parameters}


def of(kind: str, url: str = "https://x/y", **more: Any) -> Json:
    """A video or audio item of Ark's."""
    return {"type": f"{kind}_url", f"{kind}_url": {"url": url}, "role": f"reference_{kind}"} | more


def content(*items: Json) -> Json:
    return {"content": [TEXT, *items]}


REFERENCE = image(role="reference_image")
HEARD = tuple(Media(type=kind, url="https://x/y", role=f"reference_{kind}") for kind in ("video", "audio"))
DRAFT: Json = {"type": "draft_task", "draft_task": {"id": "cgt-1"}}
FLASH, ONE_FIVE, ONE, TWO_FIVE, ENDPOINT = (
    {"model": model}
    for model in (
        "doubao-seedance-2-0-fast-260128",
        "doubao-seedance-1-5-pro-251215",
        "doubao-seedance-1-0-pro-250528",
        "doubao-seedance-2-5-260628",
        "ep-20260401123456-abcde",
    )
)


# Where the rows of a surface stand in gateways.md.
SECTION = {
    "worldrouter-official": "F2",
    "easyrouter-unified": "F3",
    "cubicspaces-unified": "F4",
    "cubicspaces-official": "F4 official",
    "videos-videos": "F5",
    "seedance2-open": "F6",
}


def section_of(each: Spoken) -> str:
    return SECTION.get(str(each), each.dialect.name)


# (row, surface, what is said besides the smallest request, canonical field, its value)
TAKEN: list[tuple[str, Spoken, Json, str, Any]] = [
    ("F2 resolution", WORLDROUTER, {"resolution": "720p"}, "resolution", "720p"),
    ("F2 duration", WORLDROUTER, {"duration": 5}, "duration", 5),
    ("F2 asset_group_id", WORLDROUTER, {"asset_group_id": "group-1"}, "asset_group_id", "group-1"),
    ("F2 content[].text", WORLDROUTER, {"content": [TEXT]}, "prompt", "a cat"),
    (
        "F2 content[].image_url.url",
        WORLDROUTER,
        {"content": [TEXT, image("asset://a", role="reference_image")]},
        "media",
        (Media(type="image", url="asset://a", role="reference_image"),),
    ),
    (
        "F2 content[].video_url.url",
        WORLDROUTER,
        {"content": [TEXT, {"type": "video_url", "video_url": {"url": "http://x/v"}, "role": "reference_video"}]},
        "media",
        (Media(type="video", url="http://x/v", role="reference_video"),),
    ),
    (
        "F2 content[].type, audio_url is not mentioned and passed on",
        WORLDROUTER,
        content(of("video"), of("audio")),
        "media",
        HEARD,
    ),
    (
        "F2 not mentioned, callback_url",
        WORLDROUTER,
        {"callback_url": "https://caller/"},
        "webhook_url",
        "https://caller/",
    ),
    ("F2 not mentioned", WORLDROUTER, {"seed": 5}, "extra", {"seed": 5}),
    *(
        ("F3 model", EASYROUTER, {"model": one}, "model", one)
        for one in ("dreamina-seedance-2-0", "dreamina-seedance-2-0-fast")
    ),
    ("F3 prompt", EASYROUTER, {"prompt": "a dog"}, "prompt", "a dog"),
    ("F3 image, a URL", EASYROUTER, {"image": PNG}, "media", (Media(type="image", url=PNG),)),
    ("F3 image, a data URI", EASYROUTER, {"image": PIXEL}, "media", (Media(type="image", url=PIXEL),)),
    (
        "F3 images",
        EASYROUTER,
        {"images": [PNG, PIXEL]},
        "media",
        tuple(Media(type="image", url=u) for u in (PNG, PIXEL)),
    ),
    ("F3 duration", EASYROUTER, {"duration": 10}, "duration", 10),
    ("F3 duration beats seconds", EASYROUTER, {"duration": 10, "seconds": "5"}, "duration", 10),
    ("F3 seconds", EASYROUTER, {"seconds": "5"}, "duration", 5),
    ("F3 seconds when duration is 0", EASYROUTER, {"duration": 0, "seconds": "5"}, "duration", 5),
    ("F3 metadata.duration", EASYROUTER, inner(duration=8), "duration", 8),
    ("F3 seconds beats metadata.duration", EASYROUTER, {"seconds": "5"} | inner(duration=8), "duration", 5),
    ("F3 duration beats metadata.duration", EASYROUTER, {"duration": 5} | inner(duration=8), "duration", 5),
    ("F7 duration auto", EASYROUTER, inner(duration=-1), "duration", -1),
    *(
        ("F3 metadata.resolution", EASYROUTER, inner(resolution=one), "resolution", one)
        for one in ("480p", "720p", "1080p")
    ),
    *(
        ("F3 metadata.ratio", EASYROUTER, inner(ratio=one), "ratio", one)
        for one in ("16:9", "9:16", "1:1", "4:3", "3:4", "21:9", "adaptive")
    ),
    ("F3 metadata.seed, lowest", EASYROUTER, inner(seed=0), "seed", 0),
    ("F3 metadata.seed, highest", EASYROUTER, inner(seed=2**31 - 1), "seed", 2**31 - 1),
    ("F3 metadata.camera_fixed", EASYROUTER, inner(camera_fixed=False), "camera_fixed", False),
    ("F3 metadata.watermark", EASYROUTER, inner(watermark=True), "watermark", True),
    ("F3 metadata.service_tier, any", EASYROUTER, inner(service_tier="flex"), "service_tier", "flex"),
    (
        "F3 metadata.execution_expires_after",
        EASYROUTER,
        inner(execution_expires_after=3600),
        "execution_expires_after",
        3600,
    ),
    ("F3 metadata.generate_audio", EASYROUTER, inner(generate_audio=True), "generate_audio", True),
    ("F3 metadata.return_last_frame", EASYROUTER, inner(return_last_frame=True), "return_last_frame", True),
    ("F3 metadata.frames", EASYROUTER, inner(frames=121), "extra", inner(frames=121)),
    ("F3 metadata.draft", EASYROUTER, inner(draft=True), "extra", inner(draft=True)),
    ("F3 metadata.callback_url", EASYROUTER, inner(callback_url="https://caller/"), "webhook_url", "https://caller/"),
    ("F3 metadata.content[]", EASYROUTER, inner(content=[image()]), "media", (Media(type="image", url=PNG),)),
    ("F4 seconds", UNIFIED, {"seconds": "5"}, "duration", 5),
    ("F4 duration", UNIFIED, {"duration": 5}, "duration", 5),
    ("F4 metadata.duration", UNIFIED, inner(duration=5), "duration", 5),
    ("F4 image", UNIFIED, {"image": PNG}, "media", (Media(type="image", url=PNG),)),
    ("F4 images", UNIFIED, {"images": [PNG]}, "media", (Media(type="image", url=PNG),)),
    ("F4 input_reference", UNIFIED, {"input_reference": PNG}, "media", (Media(type="image", url=PNG),)),
    ("F4 metadata.resolution", UNIFIED, inner(resolution="1080p"), "resolution", "1080p"),
    ("F4 metadata.ratio", UNIFIED, inner(ratio="3:2"), "ratio", "3:2"),
    ("F4 metadata.seed", UNIFIED, inner(seed=7), "seed", 7),
    ("F4 metadata.camera_fixed", UNIFIED, inner(camera_fixed=True), "camera_fixed", True),
    ("F4 metadata.watermark", UNIFIED, inner(watermark=False), "watermark", False),
    ("F4 metadata.generate_audio", UNIFIED, inner(generate_audio=True), "generate_audio", True),
    (
        "F4 metadata.content[] with a role",
        UNIFIED,
        inner(content=[image(role="last_frame")]),
        "media",
        (Media(type="image", url=PNG, role="last_frame"),),
    ),
    (
        "F4 metadata with a wish for a callback",
        UNIFIED,
        inner(callback_url="https://caller/"),
        "webhook_url",
        "https://caller/",
    ),
    ("F4 official content[].text", OFFICIAL, {"content": [TEXT]}, "prompt", "a cat"),
    *(
        (
            "F4 official content[].image_url.url and content[].role",
            OFFICIAL,
            content(image("asset://a", role=role), *more),
            "media",
            (Media(type="image", url="asset://a", role=role), *media),
        )
        for role, more, media in (
            ("reference_image", (), ()),
            ("first_frame", (), ()),
            (
                "first_frame",
                (image(role="last_frame"),),
                (Media(type="image", url=PNG, role="last_frame"),),
            ),
        )
    ),
    (
        "F4 official content[].video_url.url",
        OFFICIAL,
        content(of("video", "asset://v")),
        "media",
        (Media(type="video", url="asset://v", role="reference_video"),),
    ),
    ("F4 official duration", OFFICIAL, {"duration": 8}, "duration", 8),
    ("F4 official ratio", OFFICIAL, {"ratio": "16:9"}, "ratio", "16:9"),
    ("F4 official seed", OFFICIAL, {"seed": 7}, "seed", 7),
    ("F4 official camera_fixed", OFFICIAL, {"camera_fixed": True}, "camera_fixed", True),
    ("F4 official watermark", OFFICIAL, {"watermark": False}, "watermark", False),
    ("F4 official generate_audio", OFFICIAL, {"generate_audio": True}, "generate_audio", True),
    ("F4 official resolution", OFFICIAL, {"resolution": "720p"}, "resolution", "720p"),
    ("F4 official service_tier", OFFICIAL, {"service_tier": "flex"}, "extra", {"service_tier": "flex"}),
    ("F4 official return_last_frame", OFFICIAL, {"return_last_frame": True}, "extra", {"return_last_frame": True}),
    (
        "F4 official QUIRK, duration inside an item",
        OFFICIAL,
        {"content": [TEXT, image("asset://a", role="reference_image", duration=5)]},
        "media",
        (Media(type="image", url="asset://a", role="reference_image", extra={"duration": 5}),),
    ),
    (
        "F4 official content[].audio_url.url",
        OFFICIAL,
        {
            "content": [
                TEXT,
                {"type": "video_url", "video_url": {"url": "https://x/v.mp4"}},
                {"type": "audio_url", "audio_url": {"url": "https://x/a.mp3"}},
            ]
        },
        "media",
        (Media(type="video", url="https://x/v.mp4"), Media(type="audio", url="https://x/a.mp3")),
    ),
    ("F5 image, base64", VIDEOS, {"image": "iVBORw0KGgo="}, "media", (Media(type="image", url="iVBORw0KGgo="),)),
    ("F5 images", VIDEOS, {"images": [PNG, PIXEL]}, "media", tuple(Media(type="image", url=u) for u in (PNG, PIXEL))),
    (
        "F5 one of images is a reference",
        VIDEOS,
        {"images": [PNG]},
        "media",
        (Media(type="image", url=PNG, role="reference_image"),),
    ),
    (
        "F5 image is the first frame",
        VIDEOS,
        {"image": PNG, "images": [PIXEL]},
        "media",
        (Media(type="image", url=PNG, role="first_frame"), Media(type="image", url=PIXEL, role="reference_image")),
    ),
    ("F5 prompt, optional with an image", VIDEOS, {"prompt": None, "image": PNG}, "prompt", None),
    ("F5 metadata.content[] has the prompt", VIDEOS, {"prompt": None} | inner(content=[TEXT]), "prompt", "a cat"),
    ("F5 duration, lowest", VIDEOS, {"duration": 4}, "duration", 4),
    ("F5 duration, highest", VIDEOS, {"duration": 15}, "duration", 15),
    ("F5 duration, automatic", VIDEOS, {"duration": -1}, "duration", -1),
    ("F5 duration beats metadata.duration", VIDEOS, {"duration": 5} | inner(duration=8), "duration", 5),
    ("F5 duration beats seconds", VIDEOS, {"duration": 5, "seconds": "8"}, "duration", 5),
    ("F5 seconds", VIDEOS, {"seconds": "8"}, "duration", 8),
    ("F5 seconds beats metadata.duration", VIDEOS, {"seconds": "8"} | inner(duration=5), "duration", 8),
    ("F5 metadata.duration", VIDEOS, inner(duration=-1), "duration", -1),
    *(
        ("F5 metadata.resolution", VIDEOS, inner(resolution=one), "resolution", one)
        for one in ("480p", "720p", "1080p")
    ),
    *(
        ("F5 metadata.ratio", VIDEOS, inner(ratio=one), "ratio", one)
        for one in ("16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "adaptive")
    ),
    ("F5 metadata.seed, random", VIDEOS, inner(seed=-1), "seed", -1),
    ("F5 metadata.seed, highest", VIDEOS, inner(seed=2**32 - 1), "seed", 2**32 - 1),
    ("F5 metadata.watermark", VIDEOS, inner(watermark=True), "watermark", True),
    ("F5 metadata.generate_audio", VIDEOS, inner(generate_audio=False), "generate_audio", False),
    ("F5 metadata.return_last_frame", VIDEOS, inner(return_last_frame=True), "return_last_frame", True),
    *(
        ("F5 metadata.service_tier", VIDEOS, inner(service_tier=one), "service_tier", one)
        for one in ("auto", "default", "priority")
    ),
    (
        "F5 metadata.execution_expires_after",
        VIDEOS,
        inner(execution_expires_after=172800),
        "execution_expires_after",
        172800,
    ),
    ("F5 metadata.callback_url", VIDEOS, inner(callback_url="https://caller/"), "webhook_url", "https://caller/"),
    ("F5 metadata.frames", VIDEOS, inner(frames=121), "extra", inner(frames=121)),
    ("F5 metadata.draft", VIDEOS, inner(draft=True), "extra", inner(draft=True)),
    ("F5 metadata.camera_fixed", VIDEOS, inner(camera_fixed=True), "camera_fixed", True),
    *(("F6 aspectRatio", SEEDANCE2, {"aspectRatio": one}, "ratio", one) for one in ("16:9", "9:16", "1:1")),
    ("F6 duration, lowest", SEEDANCE2, {"duration": 4}, "duration", 4),
    ("F6 duration, highest", SEEDANCE2, {"duration": 15}, "duration", 15),
    ("F6 duration of 1.5-pro", SEEDANCE2, {"model": "seedance-1.5-pro", "duration": 10}, "duration", 10),
    *(("F6 resolution", SEEDANCE2, {"resolution": one}, "resolution", one) for one in ("480p", "720p", "1080p")),
    (
        "F6 1080p of fast",
        SEEDANCE2,
        {"model": "seedance-2.0-fast", "resolution": "1080p"},
        "resolution",
        "1080p",
    ),
    ("F6 webhookUrl", SEEDANCE2, {"webhookUrl": "https://caller/"}, "webhook_url", "https://caller/"),
    (
        "F6 metadata, to the letter",
        SEEDANCE2,
        {"metadata": {"duration": 99, "a": None, "b": [None, {"c": None}]}},
        "metadata",
        {"duration": 99, "a": None, "b": [None, {"c": None}]},
    ),
    (
        "F6 mediaUrls",
        SEEDANCE2,
        {"mediaUrls": [PNG, "https://x/v.MP4?sign=a.png", "https://x/a.mp3#t", "https://x/y", "https://x.mp4/y"]},
        "media",
        (
            Media(type="image", url=PNG),
            Media(type="video", url="https://x/v.MP4?sign=a.png"),
            Media(type="audio", url="https://x/a.mp3#t"),
            Media(type="image", url="https://x/y"),
            Media(type="image", url="https://x.mp4/y"),
        ),
    ),
    ("ark model, an endpoint", ARK, ENDPOINT, "model", "ep-20260401123456-abcde"),
    ("ark callback_url", ARK, {"callback_url": "https://caller/"}, "webhook_url", "https://caller/"),
    ("ark return_last_frame", ARK, {"return_last_frame": True}, "return_last_frame", True),
    ("ark service_tier", ARK, {"service_tier": "default"}, "service_tier", "default"),
    ("ark service_tier of 1.5-pro", ARK, ONE_FIVE | {"service_tier": "flex"}, "service_tier", "flex"),
    ("ark expiry, shortest", ARK, {"execution_expires_after": 3_600}, "execution_expires_after", 3_600),
    ("ark expiry, longest", ARK, {"execution_expires_after": 259_200}, "execution_expires_after", 259_200),
    ("ark priority", ARK, {"priority": 9}, "extra", {"priority": 9}),
    ("ark generate_audio", ARK, {"generate_audio": False}, "generate_audio", False),
    ("ark draft of 1.5-pro", ARK, ONE_FIVE | {"draft": True}, "extra", {"draft": True}),
    ("ark tools", ARK, {"tools": [{"type": "web_search"}]}, "extra", {"tools": [{"type": "web_search"}]}),
    ("ark safety_identifier", ARK, {"safety_identifier": "x" * 64}, "extra", {"safety_identifier": "x" * 64}),
    *(("ark resolution", ARK, {"resolution": one}, "resolution", one) for one in ("480p", "720p", "1080p", "4k")),
    *(
        ("ark ratio", ARK, {"ratio": one}, "ratio", one)
        for one in ("16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "adaptive")
    ),
    *(("ark duration of 2.0", ARK, {"duration": one}, "duration", one) for one in (4, 15, -1)),
    *(("ark duration of 1.5-pro", ARK, ONE_FIVE | {"duration": one}, "duration", one) for one in (4, 12, -1)),
    *(("ark duration of 1.0", ARK, ONE | {"duration": one}, "duration", one) for one in (2, 12)),
    *(("ark duration of 2.5", ARK, TWO_FIVE | {"duration": one}, "duration", one) for one in (4, 30)),
    ("ark duration of an endpoint", ARK, ENDPOINT | {"duration": 60}, "duration", 60),
    *(("ark frames of 1.0", ARK, ONE | {"frames": one}, "extra", {"frames": one}) for one in (29, 121, 289)),
    ("ark frames win over a duration", ARK, ONE | {"frames": 29, "duration": 5}, "duration", 5),
    *(("ark seed", ARK, {"seed": one}, "seed", one) for one in (-1, 2**32 - 1)),
    ("ark camera_fixed of 1.0", ARK, ONE | {"camera_fixed": True}, "camera_fixed", True),
    ("ark camera_fixed, not wished for", ARK, {"camera_fixed": False}, "camera_fixed", False),
    ("ark watermark", ARK, {"watermark": True}, "watermark", True),
    ("ark output_format", ARK, {"output_format": "mp4"}, "extra", {"output_format": "mp4"}),
    ("ark first frame, no role", ARK, content(image()), "media", (Media(type="image", url=PNG),)),
    (
        "ark a data URI",
        ARK,
        content(image(PIXEL, role="first_frame")),
        "media",
        (Media(type="image", url=PIXEL, role="first_frame"),),
    ),
    (
        "ark first and last frame, the first without a role",
        ARK,
        content(image(), image("asset://a", role="last_frame")),
        "media",
        (Media(type="image", url=PNG), Media(type="image", url="asset://a", role="last_frame")),
    ),
    (
        "ark nine references, three videos, three audios",
        ARK,
        content(*[REFERENCE] * 9, *[of("video")] * 3, *[of("audio")] * 3),
        "media",
        (
            *(Media(type="image", url=PNG, role="reference_image"),) * 9,
            *(Media(type="video", url="https://x/y", role="reference_video"),) * 3,
            *(Media(type="audio", url="https://x/y", role="reference_audio"),) * 3,
        ),
    ),
    (
        "ark a draft of 1.5-pro",
        ARK,
        ONE_FIVE | {"content": [DRAFT]},
        "media",
        (Media(type="draft_task", extra={"draft_task": {"id": "cgt-1"}}),),
    ),
]

# (row, surface, what is said besides the smallest request, the field that is named, words of the message)
REFUSED: list[tuple[str, Spoken, Json, str, str]] = [
    *((f"{section_of(each)} model", each, {"model": None}, "model", "model is required") for each in SPOKEN),
    *((f"{section_of(each)} model", each, {"model": " "}, "model", "model is required") for each in SPOKEN),
    *((f"{section_of(each)} model", each, {"model": 5}, "model", "must be a string") for each in SPOKEN),
    *(
        (f"{section_of(each)} prompt", each, {"prompt": " "}, "prompt", "prompt is required")
        for each in (EASYROUTER, UNIFIED, VIDEOS, SEEDANCE2)
    ),
    ("F2 content", WORLDROUTER, {"content": []}, "content", "content is required"),
    ("F2 content", WORLDROUTER, {"content": {}}, "content", "must be an array"),
    (
        "F2 content[].type",
        WORLDROUTER,
        {"content": [{"type": "image"}]},
        "content[0].type",
        "text, image_url, video_url",
    ),
    ("F2 content[].text", WORLDROUTER, {"content": [{"type": "text"}]}, "content[0].text", "must be a string"),
    (
        "F2 content[].video_url.url",
        WORLDROUTER,
        content({"type": "video_url"}),
        "content[1].video_url",
        "must be an object",
    ),
    ("F4 official content[]", OFFICIAL, {"content": []}, "content", "content is required"),
    ("F4 official content[].text", OFFICIAL, {"content": [{"type": "text", "text": 5}]}, "content[0].text", "a string"),
    ("F4 official content[].role", OFFICIAL, content(image(role=5)), "content[1].role", "must be a string"),
    (
        "F4 Rules, no asset id in a prompt",
        OFFICIAL,
        {"content": [{"type": "text", "text": "asset-17 walks"}, image("asset://asset-17", role="reference_image")]},
        "content[].text",
        'write "image 1" instead',
    ),
    *(
        (f"{section_of(each)} metadata", each, {"metadata": []}, "metadata", "must be an object")
        for each in (EASYROUTER, UNIFIED, VIDEOS, SEEDANCE2)
    ),
    *(
        (f"{section_of(each)} seconds", each, {"seconds": value}, "seconds", "must be a string of digits")
        for each in (EASYROUTER, UNIFIED, VIDEOS)
        for value in (5, "5s", "", "-1", "\u0665", "123456")
    ),
    (
        "F2 content[].image_url.url",
        WORLDROUTER,
        {"content": [TEXT, image()]},
        "content[1].image_url.url",
        "upload assets first",
    ),
    (
        "F2 content[].image_url.url",
        WORLDROUTER,
        {"content": [image(PIXEL)]},
        "content[0].image_url.url",
        "upload assets first",
    ),
    ("F2 duration", WORLDROUTER, {"duration": -1}, "duration", "must be 1 to 3600 seconds"),
    ("F2 resolution", WORLDROUTER, {"resolution": 720}, "resolution", "must be a string"),
    ("F2 asset_group_id", WORLDROUTER, {"asset_group_id": 1}, "asset_group_id", "must be a string"),
    ("F2 callback_url", WORLDROUTER, {"callback_url": 1}, "callback_url", "must be a string"),
    ("F3 metadata.resolution", EASYROUTER, inner(resolution="4k"), "metadata.resolution", "480p, 720p, 1080p"),
    (
        "F3 metadata.ratio",
        EASYROUTER,
        inner(ratio="3:2"),
        "metadata.ratio",
        "16:9, 9:16, 1:1, 4:3, 3:4, 21:9, adaptive",
    ),
    ("F3 metadata.seed", EASYROUTER, inner(seed=-1), "metadata.seed", "from 0 to 2147483647"),
    ("F3 metadata.seed", EASYROUTER, inner(seed=2**31), "metadata.seed", "from 0 to 2147483647"),
    ("F3 metadata.seed", EASYROUTER, inner(seed=True), "metadata.seed", "must be an integer"),
    ("F3 metadata.watermark", EASYROUTER, inner(watermark=1), "metadata.watermark", "must be true or false"),
    ("F3 metadata.frames", EASYROUTER, inner(frames=121, duration=5), "metadata.frames", "cannot be combined"),
    ("F3 metadata.frames", EASYROUTER, inner(frames="121"), "metadata.frames", "must be an integer"),
    ("F3 metadata.draft", EASYROUTER, inner(draft="yes"), "metadata.draft", "must be true or false"),
    ("F3 metadata.duration", EASYROUTER, inner(duration="5"), "metadata.duration", "must be an integer"),
    (
        "F3 metadata.execution_expires_after",
        EASYROUTER,
        inner(execution_expires_after=0),
        "metadata.execution_expires_after",
        "from 1",
    ),
    (
        "F3 metadata.content[] role",
        EASYROUTER,
        inner(content=[image(role="hero")]),
        "metadata.content[0].role",
        "first_frame",
    ),
    ("F3 images", EASYROUTER, {"images": [PNG, 5]}, "images[1]", "must be a URL"),
    ("F3 metadata.callback_url", EASYROUTER, inner(callback_url={}), "metadata.callback_url", "must be a string"),
    *(
        ("F4 Rules, no base64", UNIFIED, {name: PIXEL}, name, "base64 is not supported")
        for name in ("image", "input_reference")
    ),
    ("F4 Rules, no base64", UNIFIED, {"images": [PNG, PIXEL]}, "images[1]", "base64 is not supported"),
    (
        "F4 Rules, no base64",
        UNIFIED,
        inner(content=[image(PIXEL)]),
        "metadata.content[0].image_url.url",
        "base64 is not supported",
    ),
    (
        "F4 Rules, no base64 on the official surface",
        OFFICIAL,
        {"content": [image("iVBORw0KGgo=")]},
        "content[0].image_url.url",
        "base64 is not supported",
    ),
    ("F4 official seed", OFFICIAL, {"seed": "7"}, "seed", "must be an integer"),
    ("F4 metadata.ratio", UNIFIED, inner(ratio=1.5), "metadata.ratio", "must be a string"),
    *(
        ("F5 duration", VIDEOS, {"duration": value}, "duration", "must be 4 to 15 seconds, or -1")
        for value in (3, 16, 0, -2)
    ),
    ("F5 metadata.duration", VIDEOS, inner(duration=3), "duration", "must be 4 to 15 seconds, or -1"),
    (
        "F5 metadata.resolution of fast",
        VIDEOS,
        {"model": "seedance-2.0-fast"} | inner(resolution="1080p"),
        "metadata.resolution",
        "480p, 720p",
    ),
    ("F5 metadata.resolution", VIDEOS, inner(resolution="4k"), "metadata.resolution", "480p, 720p, 1080p"),
    ("F5 metadata.ratio", VIDEOS, inner(ratio="3:2"), "metadata.ratio", "16:9, 4:3, 1:1, 3:4, 9:16, 21:9, adaptive"),
    ("F5 metadata.seed", VIDEOS, inner(seed=-2), "metadata.seed", "from -1 to 4294967295"),
    ("F5 metadata.seed", VIDEOS, inner(seed=2**32), "metadata.seed", "from -1 to 4294967295"),
    (
        "F5 metadata.service_tier",
        VIDEOS,
        inner(service_tier="flex"),
        "metadata.service_tier",
        "auto, default, priority",
    ),
    (
        "F5 metadata.content[] role",
        VIDEOS,
        inner(content=[image(role="hero")]),
        "metadata.content[0].role",
        "reference_image",
    ),
    (
        "F5 metadata.content[] role of several images",
        VIDEOS,
        inner(content=[image(role="first_frame"), image()]),
        "metadata.content[].role",
        "is required for each of several images",
    ),
    ("F5 prompt or a visual input", VIDEOS, {"prompt": None}, "prompt", "prompt is required"),
    (
        "F5 prompt beside audio, which is no visual input",
        VIDEOS,
        {"prompt": None} | inner(content=[{"type": "audio_url", "audio_url": {"url": "https://x/a.mp3"}}]),
        "prompt",
        "prompt is required",
    ),
    ("F5 metadata.draft", VIDEOS, inner(draft=1), "metadata.draft", "must be true or false"),
    ("F6 aspectRatio", SEEDANCE2, {"aspectRatio": "4:3"}, "aspectRatio", "16:9, 9:16, 1:1"),
    *(("F6 duration", SEEDANCE2, {"duration": value}, "duration", "must be 4 to 15 seconds") for value in (3, 16, -1)),
    ("F6 duration", SEEDANCE2, {"model": "seedance-1.5-pro", "duration": 6}, "duration", "one of 5, 10"),
    ("F6 resolution", SEEDANCE2, {"resolution": "4k"}, "resolution", "480p, 720p, 1080p"),
    ("F6 webhookUrl", SEEDANCE2, {"webhookUrl": 5}, "webhookUrl", "must be a string"),
    ("F6 metadata", SEEDANCE2, {"metadata": "x"}, "metadata", "must be an object"),
    ("F6 metadata", SEEDANCE2, {"metadata": 0}, "metadata", "must be an object"),
    ("F6 mediaUrls", SEEDANCE2, {"mediaUrls": []}, "mediaUrls", "must hold 1 to 5 URLs"),
    ("F6 mediaUrls", SEEDANCE2, {"mediaUrls": [PNG] * 6}, "mediaUrls", "must hold 1 to 5 URLs"),
    ("F6 mediaUrls", SEEDANCE2, {"mediaUrls": PNG}, "mediaUrls", "must be an array"),
    ("F6 mediaUrls", SEEDANCE2, {"mediaUrls": [PNG, PIXEL]}, "mediaUrls[1]", "must be a public https URL"),
    ("F6 mediaUrls", SEEDANCE2, {"mediaUrls": ["http://example.com/a.png"]}, "mediaUrls[0]", "public https"),
    ("F6 mediaUrls", SEEDANCE2, {"mediaUrls": [5]}, "mediaUrls[0]", "must be a URL"),
    ("ark service_tier", ARK, {"service_tier": "auto"}, "service_tier", "default, flex"),
    ("ark service_tier of 2.0", ARK, {"service_tier": "flex"}, "service_tier", "one of default"),
    *(
        ("ark expiry", ARK, {"execution_expires_after": value}, "execution_expires_after", "from 3600 to 259200")
        for value in (3_599, 259_201)
    ),
    *(("ark priority", ARK, {"priority": value}, "priority", "from 0 to 9") for value in (-1, 10)),
    ("ark priority of 1.0", ARK, ONE | {"priority": 1}, "priority", "is not supported by"),
    ("ark draft of 2.0", ARK, {"draft": True}, "draft", "is not supported by"),
    ("ark draft_task of 2.0", ARK, content(DRAFT), "media", "cannot be a draft_task"),
    ("ark tools", ARK, {"tools": {}}, "tools", "must be an array"),
    ("ark tools", ARK, {"tools": [{"type": "python"}]}, "tools[0].type", "must be web_search"),
    ("ark tools of 1.5-pro", ARK, ONE_FIVE | {"tools": [{"type": "web_search"}]}, "tools", "is not supported by"),
    ("ark safety_identifier", ARK, {"safety_identifier": "x" * 65}, "safety_identifier", "at most 64"),
    ("ark resolution", ARK, {"resolution": "2k"}, "resolution", "480p, 720p, 1080p, 4k"),
    *(
        ("ark resolution of fast", ARK, FLASH | {"resolution": value}, "resolution", "one of 480p, 720p")
        for value in ("1080p", "4k")
    ),
    ("ark 4k of 1.5-pro", ARK, ONE_FIVE | {"resolution": "4k"}, "resolution", "480p, 720p, 1080p"),
    ("ark ratio", ARK, {"ratio": "3:2"}, "ratio", "16:9, 4:3, 1:1, 3:4, 9:16, 21:9, adaptive"),
    *(("ark duration of 2.0", ARK, {"duration": value}, "duration", "4 to 15 seconds, or -1") for value in (3, 16, 0)),
    ("ark duration of 1.5-pro", ARK, ONE_FIVE | {"duration": 13}, "duration", "4 to 12 seconds, or -1"),
    *(("ark duration of 1.0", ARK, ONE | {"duration": value}, "duration", "2 to 12 seconds") for value in (1, -1)),
    ("ark frames of 2.0", ARK, {"frames": 29}, "frames", "is not supported by"),
    *(("ark frames", ARK, ONE | {"frames": value}, "frames", "289") for value in (25, 28, 30, 293)),
    *(("ark seed", ARK, {"seed": value}, "seed", "from -1 to 4294967295") for value in (-2, 2**32)),
    ("ark camera_fixed of 2.0", ARK, {"camera_fixed": True}, "camera_fixed", "is not supported by"),
    (
        "ark camera_fixed with references",
        ARK,
        ENDPOINT | {"camera_fixed": True} | content(REFERENCE),
        "camera_fixed",
        "reference images",
    ),
    ("ark generate_audio of 1.0", ARK, ONE | {"generate_audio": True}, "generate_audio", "is not supported by"),
    ("ark content", ARK, {"content": []}, "content", "content is required"),
    ("ark image role", ARK, content(image(role="hero")), "content[1].role", "first_frame, last_frame, reference"),
    ("ark video role", ARK, content(of("video", role="first_frame")), "content[1].role", "reference_video"),
    ("ark audio role", ARK, content(of("audio", role="hero")), "content[1].role", "reference_audio"),
    ("ark image url", ARK, content(image("iVBORw0KGgo=")), "content[1].image_url.url", "data:image"),
    ("ark no base64 video", ARK, content(of("video", "data:video/mp4;base64,A")), "content[1].video_url.url", "public"),
    ("ark video of 1.5-pro", ARK, ONE_FIVE | content(of("video")), "media", "can be images only"),
    *(
        ("ark modes exclude each other", ARK, content(frame, other), "content", "cannot be mixed with")
        for frame in (image(), image(role="first_frame"), image(role="last_frame"))
        for other in (REFERENCE, of("video"), of("audio"))
    ),
    ("ark two images without roles", ARK, content(image(), image()), "content", "need a role each"),
    ("ark two last frames", ARK, content(*[image(role="last_frame")] * 2), "content", "more than one last_frame"),
    ("ark a last frame alone", ARK, content(image(role="last_frame")), "content", "without a first_frame"),
    ("ark ten references", ARK, content(*[REFERENCE] * 10), "content", "image references; at most 9"),
    *(
        (
            "ark four of a kind",
            ARK,
            content(REFERENCE, *[of(kind)] * 4),
            "content",
            f"{kind} references; at most 3",
        )
        for kind in ("video", "audio")
    ),
    ("ark audio alone", ARK, content(of("audio")), "content", "audio alone"),
]


def row(case: tuple[Any, ...]) -> str:
    return f"{case[1]} {case[0]} {str(case[2])[:40]}"


@pytest.mark.parametrize("case", TAKEN, ids=row)
def test_what_the_documentation_allows_is_read(case: tuple[str, Spoken, Json, str, Any]) -> None:
    _, each, said, name, value = case
    assert getattr(each.surface.read_create(minimal(each) | said), name) == value


@pytest.mark.parametrize("case", REFUSED, ids=row)
def test_what_the_documentation_does_not_allow_is_refused_by_name(case: tuple[str, Spoken, Json, str, str]) -> None:
    _, each, said, field, words = case
    with pytest.raises(Problem) as caught:
        each.surface.read_create(minimal(each) | said)
    assert (caught.value.code, caught.value.field) == ("invalid_request", field)
    assert words in caught.value.message


def test_f2_the_model_of_the_asset_flow_is_rejected() -> None:
    """F2 model; worldrouter.txt "Direct public requests with model: seedance-2.0-asset are rejected"."""
    with pytest.raises(Problem) as caught:
        WORLDROUTER.surface.read_create(minimal(WORLDROUTER) | {"model": "seedance-2.0-asset"})
    assert (caught.value.code, caught.value.field) == ("unsupported_model", "model")


@pytest.mark.parametrize(
    ("each", "refused"),
    [
        (WORLDROUTER, "ratio seed camera_fixed watermark generate_audio return_last_frame service_tier metadata"),
        (EASYROUTER, "asset_group_id metadata"),
        (OFFICIAL, "return_last_frame service_tier execution_expires_after asset_group_id metadata"),
        (UNIFIED, "return_last_frame service_tier execution_expires_after asset_group_id metadata"),
        (VIDEOS, "asset_group_id metadata"),
        (SEEDANCE2, "seed camera_fixed watermark generate_audio return_last_frame service_tier asset_group_id"),
        (ARK, "asset_group_id metadata"),
    ],
    ids=str,
)
def test_a_field_that_the_documentation_does_not_mention_is_not_accepted(each: Spoken, refused: str) -> None:
    assert not each.surface.accepts & set(refused.split())


@pytest.mark.parametrize("each", SPOKEN, ids=str)
def test_every_surface_accepts_a_model_a_prompt_a_duration_and_media(each: Spoken) -> None:
    assert {"model", "prompt", "duration", "media"} <= each.surface.accepts


def taken(each: Spoken, said: Json) -> bool:
    try:
        each.surface.read_create(minimal(each) | said)
    except Problem as problem:
        assert problem.code == "invalid_request"
        return False
    return True


@pytest.mark.parametrize(
    ("each", "said", "allowed"),
    [
        (WORLDROUTER, content(image(PIXEL)), False),
        (EASYROUTER, {"image": PIXEL}, True),
        (OFFICIAL, content(image(PIXEL)), False),
        (UNIFIED, {"image": PIXEL}, False),
        (VIDEOS, {"image": PIXEL}, True),
        (SEEDANCE2, {"mediaUrls": [PIXEL]}, False),
    ],
    ids=str,
)
def test_f1_inline_images_are_taken_where_the_gateway_takes_them(each: Spoken, said: Json, allowed: bool) -> None:
    """F1 base64 media."""
    assert taken(each, said) == allowed


@pytest.mark.parametrize("each", [EASYROUTER, UNIFIED, VIDEOS], ids=str)
def test_f1_metadata_are_parameters(each: Spoken) -> None:
    """F1 metadata means: Ark parameters."""
    request = each.surface.read_create(minimal(each) | inner(seed=7))
    assert (request.seed, request.metadata) == (7, {})


def test_f1_metadata_of_seedance2_are_the_callers() -> None:
    """F1 metadata means: the caller's own reconciliation data, stored only."""
    request = SEEDANCE2.surface.read_create(minimal(SEEDANCE2) | inner(seed=7))
    assert (request.seed, request.metadata) == (None, {"seed": 7})


@pytest.mark.parametrize(
    ("each", "model", "lengths"),
    [
        (WORLDROUTER, "seedance-2.0", {5: True, -1: False}),
        (EASYROUTER, "dreamina-seedance-2-0", {5: True, 10: True}),
        (VIDEOS, "seedance-2.0", {3: False, 4: True, 15: True, 16: False, -1: True}),
        (SEEDANCE2, "seedance-2.0", {3: False, 4: True, 15: True, 16: False, -1: False}),
        (SEEDANCE2, "seedance-2.0-fast", {3: False, 4: True, 15: True, 16: False}),
        (SEEDANCE2, "seedance-1.5-pro", {4: False, 5: True, 6: False, 10: True, 15: False}),
    ],
    ids=str,
)
def test_f1_a_video_is_as_long_as_its_gateway_allows(each: Spoken, model: str, lengths: dict[int, bool]) -> None:
    """F1 duration."""
    assert {length: taken(each, {"model": model, "duration": length}) for length in lengths} == lengths
