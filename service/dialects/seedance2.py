"""seedance2.ink, Open API. Documentation: seedance2.txt, "Text to Video"."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from service.dialects.answers import (
    object_or_empty,
    read_failure,
    read_first_status,
    read_status,
    text_or_none,
    write_failure,
)
from service.dialects.content import check_media
from service.dialects.fields import (
    Field,
    check_duration,
    check_fields,
    complete,
    names_of,
    opened,
    read_fields,
    read_list,
    read_text,
    read_url,
    spelling_of,
    write_fields,
)
from service.dialects.modes import FRAMES, check_roles_agree
from service.dialects.refusals import read_refusal, word_of
from service.dialects.shape import Dialect, Offer, Route, Surface
from service.errors import Problem, invalid
from service.model import Media, Snapshot, Status, VideoRequest, View
from service.wire import Json, count_or_none, kind_of, pick

CREATE_PATH = "/api/open/v1/video/generations"
CALLBACK = ("webhookUrl",)
MEDIA_LIMIT = 5
ROLES = (None, *FRAMES, "reference_image", "reference_video", "reference_audio")

# seedance2.txt "Request Body".
FIELDS = (
    Field(name="model", path=("model",), kind=str, required=True),
    Field(name="prompt", path=("prompt",), kind=str, required=True),
    Field(name="ratio", path=("aspectRatio",), kind=str, allowed=("16:9", "9:16", "1:1")),
    Field(name="duration", path=("duration",), kind=int),
    Field(name="resolution", path=("resolution",), kind=str, allowed=("480p", "720p", "1080p")),
)

# seedance2.txt names mediaUrls and no more. ASSUME one to five public HTTPS URLs whose ending tells the type
# (gateways.md F6); what has none of these endings is an image.
ENDINGS = {
    **dict.fromkeys(("mp4", "mov", "webm", "m4v", "avi", "mkv"), "video"),
    **dict.fromkeys(("mp3", "wav", "m4a", "aac", "ogg", "flac"), "audio"),
}

# gateways.md F0. Expired has no word of its own; the error code tells.
WORDS = {
    Status.QUEUED: "queued",
    Status.RUNNING: "processing",
    Status.SUCCEEDED: "succeeded",
    Status.FAILED: "failed",
    Status.CANCELLED: "cancelled",
    Status.EXPIRED: "failed",
}

# seedance2.txt "Failure response": the word of a task that "failed upstream". ASSUME that it means the same where a
# request is answered with it, and that there is a task then as often as not.
PROBLEM_BY_WORD = {"provider_error": "upstream_failed"}


def read_create(body: Json) -> VideoRequest:
    """`metadata` is the caller's own and no parameters: it is kept as it stands, nulls and all."""
    given = body.get("metadata")
    metadata = {} if given is None else given
    if not isinstance(metadata, dict):
        raise invalid("metadata", f"must be an object, not {kind_of(metadata)}")
    rest = opened({name: value for name, value in body.items() if name != "metadata"})
    webhook_url = read_text(rest, CALLBACK)
    media = read_media_urls(rest)
    request = VideoRequest(
        media=media, metadata=metadata, webhook_url=webhook_url, **read_fields(rest, FIELDS), extra=rest
    )
    check(request)
    return request


def read_media_urls(rest: Json) -> tuple[Media, ...]:
    given = rest.get("mediaUrls")
    urls = read_list(rest, ("mediaUrls",))
    if given is not None and not 1 <= len(urls) <= MEDIA_LIMIT:
        raise invalid("mediaUrls", f"must hold 1 to {MEDIA_LIMIT} URLs; leave it out for text-to-video")
    media = []
    for index, value in enumerate(urls):
        at = f"mediaUrls[{index}]"
        url = read_url(value, at)
        media.append(Media(type=type_of(url), url=url))
        only_url(media[-1], at, at)
    return tuple(media)


def type_of(url: str) -> str:
    path = url.partition("?")[0].partition("#")[0]
    return ENDINGS.get(path.rpartition(".")[2].lower(), "image")


def only_url(media: Media, at: str, url_at: str) -> None:
    if not media.url.lower().startswith("https://"):
        raise invalid(url_at, "must be a public https URL")
    if media.role not in ROLES:
        raise invalid(f"{at}.role", f"must be one of {', '.join(ROLES[1:])}")
    for name in media.extra:
        raise invalid(f"{at}.{name}", "cannot be said here: an input is a URL")


def check(request: VideoRequest) -> None:
    check_fields(request, FIELDS)
    if request.model == "seedance-1.5-pro" and request.duration not in (None, 5, 10):
        raise invalid("duration", "of seedance-1.5-pro must be one of 5, 10")
    check_duration(request.duration, 4, 15, auto=False)
    if len(request.media) > MEDIA_LIMIT:
        raise invalid("media", f"must be at most {MEDIA_LIMIT} inputs")
    check_media(request.media, only_url)
    check_roles_agree(request.media, "media")


def write_create(request: VideoRequest, callback_url: str | None) -> Json:
    body: Json = {}
    write_fields(body, request, FIELDS)
    if request.media:
        body["mediaUrls"] = [media.url for media in sorted(request.media, key=_place)]
    if request.metadata:
        body["metadata"] = deepcopy(request.metadata)
    return complete(body, request, CALLBACK, callback_url)


def _place(media: Media) -> int:
    """The mode follows from the number and types of the inputs, and their order: ASSUME the first frame, the last one,
    then the rest (gateways.md F7)."""
    return {"first_frame": 0, "last_frame": 1}.get(media.role or "", 2)


def write_receipt(view: View) -> Json:
    """seedance2.txt "Success Response"."""
    return write_cancelled(view) | {"creditsCharged": view.snapshot.usage.get("creditsCharged", 0)}


def write_cancelled(view: View) -> Json:
    """seedance2.txt "Cancel Task"."""
    return {"success": True, "requestId": view.id, "status": WORDS[view.status]}


def write_task(view: View) -> Json:
    """seedance2.txt "Query Result". `success` is about the query: a failed task has it too."""
    request, url = view.request, view.snapshot.video_url
    succeeded, failed = view.status is Status.SUCCEEDED, WORDS[view.status] == "failed"
    return write_cancelled(view) | {
        "model": request.model,
        "prompt": request.prompt,
        "duration": request.duration or view.snapshot.details.get("duration"),
        "aspectRatio": request.ratio or view.snapshot.details.get("ratio"),
        "output": {"type": "video", "url": url} if succeeded and url else None,
        "error": write_failure(view, "provider_error") if failed else None,
    }


def write_models(offers: Sequence[Offer]) -> Json:
    """The route is named on the site's overview page (gateways.md F1) and not shown. ASSUME the usual `success`, and
    the models by id."""
    return {"success": True, "models": [{"id": offer.model} for offer in offers]}


def read_receipt(body: Json) -> Snapshot:
    return _read(body, read_first_status(pick(body, ("status",))))


def read_task(body: Json) -> Snapshot:
    return _read(body, read_status(pick(body, ("status",))))


def read_callback(body: Json) -> Snapshot:
    """The body of "the final task result" is not shown. ASSUME the answer to a query; one in
    an envelope {event, data} is read too (gateways.md F6)."""
    inner = pick(body, ("data",))
    return read_task(inner if isinstance(inner, dict) else body)


def _read(body: Any, seen: tuple[Status | None, str]) -> Snapshot:
    status, error = read_failure(seen[0], pick(body, ("error", "message")), pick(body, ("error", "code")))
    body = object_or_empty(body)
    credits_charged = count_or_none(body.get("creditsCharged"))
    details = {"duration": body.get("duration"), "ratio": body.get("aspectRatio")}
    return Snapshot(
        status=status,
        word=seen[1],
        gateway_task_id=text_or_none(body.get("requestId")),
        video_url=text_or_none(pick(body, ("output", "url"))) if status is Status.SUCCEEDED else None,
        error=error,
        usage={} if credits_charged is None else {"creditsCharged": credits_charged},
        details={name: value for name, value in details.items() if value is not None},
    )


def read_error(status: int, body: Any) -> Problem | None:
    """ASSUME a real HTTP status or success: false, whichever comes (gateways.md F6)."""
    return read_refusal(status, body, PROBLEM_BY_WORD)


def write_error(problem: Problem) -> tuple[int, Json]:
    error = {"code": word_of(problem), "message": problem.message}
    return problem.status, {"success": False, "error": error}


SURFACE = Surface(
    name="open",
    routes=(
        Route(operation="create", method="POST", path=CREATE_PATH),
        Route(operation="get", method="GET", path=CREATE_PATH + "/{id}"),
        Route(operation="cancel", method="POST", path=CREATE_PATH + "/{id}/cancel"),
        Route(operation="models", method="GET", path="/api/open/v1/models"),
    ),
    id_prefix="req_",
    callback_path=CALLBACK,
    accepts=names_of(FIELDS) | {"media", "metadata"},
    check=check,
    read_create=read_create,
    write_create=write_create,
    write_receipt=write_receipt,
    read_receipt=read_receipt,
    write_task=write_task,
    read_task=read_task,
    write_cancelled=write_cancelled,
    read_cancelled=read_receipt,
    spelling=spelling_of(FIELDS) | {"media": "mediaUrls"},
    write_models=write_models,
)

DIALECT = Dialect(
    name="seedance2",
    title="seedance2.ink",
    documentation="seedance2.txt",
    base_url="https://www.seedance2.ink",
    models=("seedance-2.0", "seedance-2.0-fast", "seedance-1.5-pro"),
    surfaces=(SURFACE,),
    calls_back=True,
    read_callback=read_callback,
    write_callback=write_task,
    read_error=read_error,
    write_error=write_error,
    # "creditsCharged is calculated when the task is accepted", and nothing is said about a task that fails or is
    # cancelled. ASSUME that it stays charged: what nobody promises is not counted as given back.
    refunds=False,
)
