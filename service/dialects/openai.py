"""OpenAI's videos API, which outlived OpenAI's own. Documentation: gateways.md section 3, "OpenAI videos API and SDK".

What a gateway can do besides (ratio, seed, callback_url …) stands in `metadata`, as new-api has it; a caller of the SDK
says it by `extra_body`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from service.dialects import openai_sizes
from service.dialects.answers import (
    link_or_none,
    object_or_empty,
    read_failure,
    read_first_status,
    read_progress,
    read_status,
    seconds_of,
    text_or_none,
    write_failure,
)
from service.dialects.content import check_media, image_roles
from service.dialects.fields import (
    Field,
    check_duration,
    check_fields,
    complete,
    names_of,
    opened,
    read_lengths,
    read_url,
    spelling_of,
)
from service.dialects.openai_errors import read_error, write_error
from service.dialects.openai_forms import settle_types, unpack
from service.dialects.shape import Dialect, Offer, PageQuery, Route, Surface
from service.dialects.unified import CALLBACK, read_images, read_unified, write_unified
from service.errors import invalid
from service.model import Media, Snapshot, Status, VideoRequest, View
from service.wire import Json, kind_of, pick, place, take

CREATE_PATH = "/v1/videos"
LIST_LIMIT, LIST_MOST = 20, 100

# gateways.md section 3: model, prompt, seconds, size and input_reference are OpenAI's own; ASSUME new-api's names and
# places for the rest (easyrouter.txt section 3), since that is what callers of such gateways put into extra_body.
FIELDS = (
    Field(name="model", path=("model",), kind=str, required=True),
    Field(name="prompt", path=("prompt",), kind=str, required=True),
    Field(name="resolution", path=("metadata", "resolution"), kind=str),
    Field(name="ratio", path=("metadata", "ratio"), kind=str),
    Field(name="seed", path=("metadata", "seed"), kind=int, low=-1, high=2**32 - 1),
    Field(name="camera_fixed", path=("metadata", "camera_fixed"), kind=bool),
    Field(name="watermark", path=("metadata", "watermark"), kind=bool),
    Field(name="service_tier", path=("metadata", "service_tier"), kind=str),
    Field(
        name="execution_expires_after", path=("metadata", "execution_expires_after"), kind=int, low=1, high=2**31 - 1
    ),
    Field(name="generate_audio", path=("metadata", "generate_audio"), kind=bool),
    Field(name="return_last_frame", path=("metadata", "return_last_frame"), kind=bool),
)
# Numbers and truths that a form can only spell (gateways.md section 3, "Encoding"), besides those of the table.
LENGTHS = (
    Field(name="duration", path=("duration",), kind=int),
    Field(name="duration", path=("metadata", "duration"), kind=int),
)

# gateways.md F0. "never any other status string": create_and_poll returns at once on a word that it does not know.
WORDS: Mapping[Status, str] = {
    Status.QUEUED: "queued",
    Status.RUNNING: "in_progress",
    Status.SUCCEEDED: "completed",
    Status.FAILED: "failed",
    Status.CANCELLED: "failed",
    Status.EXPIRED: "failed",
}


def read_create(body: Json) -> VideoRequest:
    rest = unpack(opened(body))
    settle_types(rest, FIELDS + LENGTHS)
    _settle_seconds(rest)
    images = read_reference(rest) + read_images(rest, "image")
    lengths = read_lengths(rest)
    duration = next((length for length in lengths if length is not None), None)
    ratio, resolution = openai_sizes.take_size(rest)
    request = read_unified(rest, FIELDS, images=images, duration=duration, rule=image_roles)
    request = replace(request, ratio=ratio or request.ratio, resolution=resolution or request.resolution)
    check(request)
    return request


def _settle_seconds(rest: Json) -> None:
    """OpenAI documents a string of digits; programs send a number too."""
    seconds = rest.get("seconds")
    if isinstance(seconds, int) and not isinstance(seconds, bool):
        rest["seconds"] = str(seconds)


def read_reference(rest: Json) -> tuple[Media, ...]:
    """Take input_reference: a URL, a data URI (which an uploaded file has become), or {image_url}."""
    given = take(rest, ("input_reference",))
    if given is None:
        return ()
    if not isinstance(given, dict):
        return (Media(type="image", url=read_url(given, "input_reference")),)
    if "image_url" not in given:
        raise invalid("input_reference.file_id" if "file_id" in given else "input_reference", _NO_FILES)
    extra = [name for name in given if name != "image_url"]
    if extra:
        raise invalid(f"input_reference.{extra[0]}", _NO_FILES)
    if not isinstance(given["image_url"], str):
        raise invalid("input_reference.image_url", f"must be a URL, not {kind_of(given['image_url'])}")
    return (Media(type="image", url=read_url(given["image_url"], "input_reference.image_url")),)


_NO_FILES = "there is no files API here: upload the image itself, or give {image_url} with a URL or a data URI"


def check(request: VideoRequest) -> None:
    check_fields(request, FIELDS)
    # "4", "8", "12" are Sora's own; other gateways take others. ASSUME new-api's -1 for automatic
    check_duration(request.duration, 1, 3600, auto=True)
    check_media(request.media, image_roles)


def write_create(request: VideoRequest, callback_url: str | None) -> Json:
    """As JSON, which all servers of this dialect take. A single image stands in input_reference as {image_url}."""
    size = openai_sizes.size_of(request.ratio, request.resolution)
    said = replace(request, ratio=None, resolution=None) if size else request
    body = write_unified(said, FIELDS)
    if size:
        body["size"] = size
    if "image" in body:
        body["input_reference"] = {"image_url": body.pop("image")}
    if request.duration is not None and request.duration < 0:
        place(body, ("metadata", "duration"), request.duration)
    elif request.duration is not None:
        body["seconds"] = str(request.duration)
    return complete(body, request, CALLBACK, callback_url)


def write_task(view: View) -> Json:
    """The video object: what its type requires is always there, and empty where nobody has said it."""
    request, details, word = view.request, view.snapshot.details, WORDS[view.status]
    seconds = request.duration if (request.duration or 0) > 0 else details.get("duration")
    ratio, resolution = request.ratio or details.get("ratio"), request.resolution or details.get("resolution")
    size = openai_sizes.size_of(ratio, resolution) or text_or_none(request.extra.get("size"))
    return {
        "id": view.id,
        "object": "video",
        "model": request.model,
        "status": word,
        "progress": view.progress,
        "created_at": seconds_of(view.created_at),
        "completed_at": seconds_of(view.finished_at) if word == "completed" else None,
        "expires_at": None,
        "prompt": request.prompt,
        "seconds": "" if seconds is None else str(seconds),
        "size": size or "",
        "remixed_from_video_id": None,
        "error": write_failure(view, "task_failed") if word == "failed" else None,
    }


def read_task(body: Json) -> Snapshot:
    return _read(body, read_status(pick(body, ("status",))))


def read_receipt(body: Json) -> Snapshot:
    return _read(body, read_first_status(pick(body, ("status",))))


def _read(body: Json, seen: tuple[Status | None, str]) -> Snapshot:
    """The object names no link: the video is at /content. ASSUME metadata.url where a gateway adds it, as new-api."""
    body = object_or_empty(body)
    status, error = read_failure(seen[0], pick(body, ("error", "message")), pick(body, ("error", "code")))
    video_id = text_or_none(body.get("id"))
    url = link_or_none(pick(body, ("metadata", "url"))) or (video_id and f"{CREATE_PATH}/{video_id}/content")
    return Snapshot(
        status=status,
        word=seen[1],
        gateway_task_id=video_id,
        progress=read_progress(body.get("progress")),
        video_url=url if status is Status.SUCCEEDED else None,
        error=error,
        details=_read_details(body),
    )


def _read_details(body: Json) -> Json:
    ratio, resolution = openai_sizes.read_size(body.get("size"))
    seconds = text_or_none(body.get("seconds"))
    duration = int(seconds) if seconds and seconds.isascii() and seconds.isdigit() and len(seconds) < 6 else None
    said = {"duration": duration, "ratio": ratio, "resolution": resolution}
    return {name: value for name, value in said.items() if value is not None}


def write_callback(view: View) -> Json:
    """gateways.md section 3, "Webhooks". ASSUME the whole video at `data`, of which OpenAI shows the id only, and the
    same shape for states that are no end."""
    word = WORDS[view.status]
    return {
        "id": "evt_" + view.id.removeprefix("video_"),
        "object": "event",
        "created_at": seconds_of(view.updated_at),
        "type": f"video.{word}",
        "data": write_task(view),
    }


def read_callback(body: Json) -> Snapshot:
    """An event, whose type is the status where `data` is but an id; or a bare video object."""
    body = object_or_empty(body)
    inner = object_or_empty(body.get("data")) or body
    word = text_or_none(inner.get("status")) or (text_or_none(body.get("type")) or "").removeprefix("video.")
    return read_task(inner | {"status": word})


def read_page(query: Mapping[str, str]) -> PageQuery:
    """gateways.md section 3: `?after&limit&order`. ASSUME OpenAI's usual 20, at most 100, and desc."""
    for name in query:
        if name not in ("after", "limit", "order"):
            raise invalid(name, "is no parameter here; known: after, limit, order")
    limit, order = query.get("limit", str(LIST_LIMIT)), query.get("order", "desc")
    if not (limit.isascii() and limit.isdigit() and len(limit) < 4 and 1 <= int(limit) <= LIST_MOST):
        raise invalid("limit", f"must be from 1 to {LIST_MOST}")
    if order not in ("asc", "desc"):
        raise invalid("order", "must be one of asc, desc")
    if not re.fullmatch(r"[!-~]{1,100}", query.get("after", "-")):
        raise invalid("after", "must be the id of a video")
    return PageQuery(after=query.get("after"), limit=int(limit), oldest_first=order == "asc")


def write_page(views: Sequence[View], has_more: bool) -> Json:
    data = [write_task(view) for view in views]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": has_more}


def write_deleted(view: View) -> Json:
    return {"id": view.id, "object": "video.deleted", "deleted": True}


def write_models(offers: Sequence[Offer]) -> Json:
    """OpenAI's list of models. Nobody knows when they were made."""
    data = [{"id": offer.model, "object": "model", "created": 0, "owned_by": offer.owner} for offer in offers]
    return {"object": "list", "data": data}


SURFACE = Surface(
    name="openai",
    routes=(
        Route(operation="create", method="POST", path=CREATE_PATH),
        Route(operation="page", method="GET", path=CREATE_PATH),
        Route(operation="get", method="GET", path=CREATE_PATH + "/{id}"),
        Route(operation="content", method="GET", path=CREATE_PATH + "/{id}/content"),
        Route(operation="delete", method="DELETE", path=CREATE_PATH + "/{id}"),
        Route(operation="models", method="GET", path="/v1/models"),
        Route(operation="decline", method="POST", path=CREATE_PATH + "/{id}/remix"),
        Route(operation="decline", method="POST", path=CREATE_PATH + "/edits"),
        Route(operation="decline", method="POST", path=CREATE_PATH + "/extensions"),
        Route(operation="decline", method="POST", path=CREATE_PATH + "/characters"),
    ),
    id_prefix="video_",
    callback_path=CALLBACK,
    accepts=names_of(FIELDS) | {"duration", "media"},
    check=check,
    read_create=read_create,
    write_create=write_create,
    write_receipt=write_task,
    read_receipt=read_receipt,
    write_task=write_task,
    read_task=read_task,
    spelling=spelling_of(FIELDS)
    | {"duration": "seconds", "media": "input_reference"}
    | {name: f"size or metadata.{name}" for name in ("ratio", "resolution")},
    forms=True,
    # a spritesheet is made by nobody here
    variants={"video": "video", "thumbnail": "last_frame"},
    read_page=read_page,
    write_page=write_page,
    write_deleted=write_deleted,
    write_models=write_models,
)

DIALECT = Dialect(
    name="openai",
    title="OpenAI",
    documentation="gateways.md, section 3",
    # OpenAI's own videos API was shut down on 2026-09-24; others serve it
    base_url=None,
    models=("sora-2", "sora-2-pro"),
    surfaces=(SURFACE,),
    # webhooks are set up for a whole account there, not for one video
    calls_back=False,
    read_callback=read_callback,
    write_callback=write_callback,
    read_error=read_error,
    write_error=write_error,
    result_needs_key=True,
    poll_header="openai-poll-after-ms",
)
