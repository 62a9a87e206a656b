"""The unnamed gateway whose primary route is POST /v1/videos. Documentation: videos.txt, "Seedance"."""

from dataclasses import replace

from service.dialects import new_api
from service.dialects.content import IMAGE_ROLES, check_media, image_roles
from service.dialects.fields import (
    Field,
    check_duration,
    check_extra,
    check_fields,
    complete,
    missing,
    names_of,
    read_lengths,
    spelling_of,
)
from service.dialects.shape import Dialect, Route, Surface
from service.dialects.unified import (
    CALLBACK,
    has_content,
    open_unified,
    plain,
    read_images,
    read_unified,
    write_unified,
    write_video,
)
from service.errors import Problem, invalid
from service.model import Media, Status, VideoRequest, View
from service.wire import Json, pick

CREATE_PATH = "/v1/videos"
ALIAS_PATH = "/v1/video/generations"

# videos.txt "Request". camera_fixed is "accepted for forward compatibility but not effective".
FIELDS = (
    Field(name="model", path=("model",), kind=str, required=True),
    Field(name="prompt", path=("prompt",), kind=str),
    Field(name="resolution", path=("metadata", "resolution"), kind=str, allowed=("480p", "720p", "1080p")),
    Field(
        name="ratio",
        path=("metadata", "ratio"),
        kind=str,
        allowed=("16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "adaptive"),
    ),
    Field(name="seed", path=("metadata", "seed"), kind=int, low=-1, high=2**32 - 1),
    Field(name="watermark", path=("metadata", "watermark"), kind=bool),
    Field(name="generate_audio", path=("metadata", "generate_audio"), kind=bool),
    Field(name="service_tier", path=("metadata", "service_tier"), kind=str, allowed=("auto", "default", "priority")),
    Field(
        name="execution_expires_after", path=("metadata", "execution_expires_after"), kind=int, low=1, high=2**31 - 1
    ),
    Field(name="return_last_frame", path=("metadata", "return_last_frame"), kind=bool),
    Field(name="camera_fixed", path=("metadata", "camera_fixed"), kind=bool),
)
# Accepted like camera_fixed, without a canonical name: checked, and passed on as they stand.
PASSED_ON = (
    Field(name="frames", path=("metadata", "frames"), kind=int, low=0, high=2**31 - 1),
    Field(name="draft", path=("metadata", "draft"), kind=bool),
)

# videos.txt "Both success and business failures return HTTP 200". ASSUME that only what fails before or beside the
# business has an HTTP status of its own: keys, the HTTP message itself, and faults of the server.
REAL_STATUSES = ("unauthorized", "method_not_allowed", "too_large", "unsupported_media_type")


def read_create(body: Json) -> VideoRequest:
    """ASSUME that `seconds` stands between the two durations, of which the top-level one "takes precedence"."""
    rest = open_unified(body)
    content = has_content(rest)
    images = read_frames(rest)
    duration = next((length for length in read_lengths(rest) if length is not None), None)
    check_extra(rest, PASSED_ON)
    request = read_unified(rest, FIELDS, images=images, duration=duration, rule=image_roles)
    check_resolution(request, "metadata.resolution")
    if content:
        check_roles(request, "metadata.content[].role")
    check(request)
    return request


def read_frames(rest: Json) -> tuple[Media, ...]:
    """Take `image`, "used as the first frame", and `images`, the "reference images". What each is for is written down
    as a role where the one field that it will stand in would not say so."""
    first = pick(rest, ("image",)) is not None
    media = read_images(rest, "image")
    if not has_content(rest) and (len(media) == 1 if first else len(media) > 1):
        return media
    roles = ["first_frame" if first and index == 0 else "reference_image" for index in range(len(media))]
    return tuple(replace(item, role=role) for item, role in zip(media, roles, strict=True))


def check(request: VideoRequest) -> None:
    check_fields(request, FIELDS)
    check_duration(request.duration, 4, 15, auto=True)
    check_resolution(request, "resolution")
    check_media(request.media, image_roles)
    if not plain(request.media):
        check_roles(request, "media[].role")
    if not (request.prompt or "").strip() and not any(item.type in ("image", "video") for item in request.media):
        raise missing("prompt")


def check_resolution(request: VideoRequest, where: str) -> None:
    if request.model == "seedance-2.0-fast" and request.resolution == "1080p":
        raise invalid(where, "of seedance-2.0-fast must be one of 480p, 720p")


def check_roles(request: VideoRequest, where: str) -> None:
    """videos.txt "content[].role": "required for each image in multi-image inputs"."""
    roles = [item.role for item in request.media if item.type == "image"]
    if len(roles) > 1 and None in roles:
        raise invalid(where, f"is required for each of several images: one of {', '.join(IMAGE_ROLES)}")


def write_create(request: VideoRequest, callback_url: str | None) -> Json:
    body = write_unified(request, FIELDS)
    if request.duration is not None:
        body["duration"] = request.duration
    return complete(body, request, CALLBACK, callback_url)


def write_receipt(view: View) -> Json:
    """videos.txt "Response": at the top level, no wrapper."""
    return write_video(view, new_api.task_word(view))


def write_task(view: View) -> Json:
    """videos.txt "Query and Download" lists four fields. ASSUME that they stand beside those of the receipt, without a
    wrapper, as there. The link is our own /content, never the one that we were given."""
    word = new_api.task_word(view)
    body = write_video(view, word) | {"progress": f"{view.progress}%"}
    if view.status is Status.SUCCEEDED:
        body["result_url"] = f"{CREATE_PATH}/{view.id}/content"
    if word == "FAILURE":
        body["fail_reason"] = new_api.write_reason(view)
    return body


def write_error(problem: Problem) -> tuple[int, Json]:
    real = problem.code in REAL_STATUSES or problem.status >= 500
    return problem.status if real else 200, new_api.error_object(problem)


SURFACE = Surface(
    name="videos",
    routes=(
        Route(operation="create", method="POST", path=CREATE_PATH),
        Route(operation="get", method="GET", path=CREATE_PATH + "/{id}"),
        Route(operation="content", method="GET", path=CREATE_PATH + "/{id}/content"),  # "Query and Download"
        Route(operation="create", method="POST", path=ALIAS_PATH),
        Route(operation="get", method="GET", path=ALIAS_PATH + "/{id}"),
    ),
    id_prefix="task_",
    callback_path=CALLBACK,
    accepts=names_of(FIELDS) | {"duration", "media"},
    check=check,
    read_create=read_create,
    write_create=write_create,
    write_receipt=write_receipt,
    read_receipt=new_api.read_receipt,
    write_task=write_task,
    read_task=new_api.read_task,
    spelling=spelling_of(FIELDS),
)

DIALECT = Dialect(
    name="videos",
    title="Videos",
    documentation="videos.txt",
    base_url=None,
    models=("seedance-2.0", "seedance-2.0-fast"),
    surfaces=(SURFACE,),
    calls_back=True,
    # "Callback URL invoked when the task finishes": the body is not shown. ASSUME the answer to a query.
    read_callback=new_api.read_callback,
    write_callback=write_task,
    read_error=new_api.read_error,
    write_error=write_error,
    min_interval_ms=5_000,
    result_needs_key=True,
)
