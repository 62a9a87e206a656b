"""The official Ark API of Volcengine and BytePlus, which most other gateways lead to.

Documentation: gateways.md, section 2, "Official Ark / ModelArk video task API".
"""

from collections.abc import Mapping
from typing import Any

from service.dialects.ark_list import LISTS
from service.dialects.ark_models import check_model
from service.dialects.ark_task import (
    CALLBACK,
    CREATE_PATH,
    check_content,
    read_ark_create,
    read_ark_receipt,
    read_ark_task,
    write_ark_create,
    write_ark_task,
    write_times,
)
from service.dialects.content import check_media, image_roles
from service.dialects.fields import Field, check_extra, check_fields, names_of, spelling_of
from service.dialects.modes import check_modes
from service.dialects.refusals import read_refusal, word_of
from service.dialects.shape import Dialect, Route, Surface
from service.errors import Problem, invalid
from service.model import Media, Status, VideoRequest, View
from service.wire import Json, kind_of

# gateways.md section 2 "create fields". What depends on the model is in ark_models.py.
FIELDS = (
    Field(name="model", path=("model",), kind=str, required=True),
    Field(name="return_last_frame", path=("return_last_frame",), kind=bool),
    Field(name="service_tier", path=("service_tier",), kind=str, allowed=("default", "flex")),
    Field(name="execution_expires_after", path=("execution_expires_after",), kind=int, low=3_600, high=259_200),
    Field(name="generate_audio", path=("generate_audio",), kind=bool),
    Field(name="resolution", path=("resolution",), kind=str, allowed=("480p", "720p", "1080p", "4k")),
    Field(
        name="ratio",
        path=("ratio",),
        kind=str,
        allowed=("16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "adaptive"),
    ),
    Field(name="duration", path=("duration",), kind=int),
    # ASSUME that a seed is taken everywhere: "the 2026-07 docs say 2.0 series does not support" it, the table has it
    Field(name="seed", path=("seed",), kind=int, low=-1, high=2**32 - 1),
    Field(name="camera_fixed", path=("camera_fixed",), kind=bool),
    Field(name="watermark", path=("watermark",), kind=bool),
)
# Documented, without a canonical name: checked, and passed on as they stand.
PASSED_ON = (
    Field(name="frames", path=("frames",), kind=int, low=29, high=289),
    Field(name="priority", path=("priority",), kind=int, low=0, high=9),
    Field(name="draft", path=("draft",), kind=bool),
    Field(name="safety_identifier", path=("safety_identifier",), kind=str),
    Field(name="output_format", path=("output_format",), kind=str),
    Field(name="omni_reference_task_type", path=("omni_reference_task_type",), kind=str),
)
IDENTIFIER_MOST = 64
REMOTE = ("http://", "https://", "asset://")
# ASSUME that audio can be inline in any form: base64 is ruled out for videos only.
INLINE: Mapping[str, tuple[str, ...]] = {"image": ("data:image/",), "video": ()}
ECHOED = ("frames", "priority", "draft", "safety_identifier", "output_format", "tools")  # "task object"

# "error body": our code -> (HTTP status, their word). A task that is not there: ASSUME ResourceNotFound, for only the
# words of models are given. A task that runs: 409 InvalidAction.RunningTaskDeletion is what programs of this field
# report to have measured; one that is cancelled: ASSUME the same without the reason.
REFUSALS: Mapping[str, tuple[int, str]] = {
    "invalid_request": (400, "InvalidParameter"),
    "unsupported_model": (404, "InvalidEndpointOrModel.NotFound"),
    "unauthorized": (401, "AuthenticationError"),
    "insufficient_credit": (403, "AccountOverdueError"),
    "forbidden": (403, "AccessDenied"),
    "not_found": (404, "ResourceNotFound"),
    "not_cancellable": (409, "InvalidAction.RunningTaskDeletion"),
    "conflict": (409, "InvalidAction"),
    "rate_limited": (429, "ModelAccountRpmRateLimitExceeded"),
    "too_many_pending": (429, "QuotaExceeded"),
}
PROBLEM_BY_WORD: Mapping[str, str] = {
    **{word: code for code, (_, word) in REFUSALS.items()},
    "MissingParameter": "invalid_request",
    "InvalidEndpoint.NotFound": "unsupported_model",
    "ModelNotOpen": "forbidden",
}
# ASSUME the words of `type` by HTTP status: the field is documented, its values are not.
TYPES: Mapping[int, str] = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    429: "TooManyRequests",
}


def read_create(body: Json) -> VideoRequest:
    request = read_ark_create(body, FIELDS, one_input)
    check_modes(request.media, "content")
    check(request)
    return request


def check(request: VideoRequest) -> None:
    check_fields(request, FIELDS)
    check_content(request)
    check_passed_on(request.extra)
    check_media(request.media, one_input)
    check_modes(request.media, "media")
    check_model(request)


def check_passed_on(extra: Json) -> None:
    check_extra(extra, PASSED_ON)
    frames, identifier, tools = (extra.get(name) for name in ("frames", "safety_identifier", "tools"))
    if frames is not None and (frames - 25) % 4:
        raise invalid("frames", "must be 25 + 4n, from 29 to 289")
    if identifier is not None and len(identifier) > IDENTIFIER_MOST:
        raise invalid("safety_identifier", f"must be at most {IDENTIFIER_MOST} characters")
    if tools is not None and not isinstance(tools, list):
        raise invalid("tools", f"must be an array, not {kind_of(tools)}")
    for index, tool in enumerate(tools or ()):
        if not isinstance(tool, dict) or tool.get("type") != "web_search":
            raise invalid(f"tools[{index}].type", "must be web_search")


def one_input(media: Media, at: str, url_at: str) -> None:
    """What the role and the URL of one input can be, by "content items"."""
    image_roles(media, at, url_at)
    if media.type in ("video", "audio") and media.role not in (None, f"reference_{media.type}"):
        raise invalid(f"{at}.role", f"of {media.type} must be reference_{media.type}")
    if media.type in INLINE and not media.url.lower().startswith((*REMOTE, *INLINE[media.type])):
        inline = "a data:image/…;base64 URI, " if INLINE[media.type] else ""
        raise invalid(url_at, f"must be a public http or https URL, {inline}or an asset:// URL")


def write_create(request: VideoRequest, callback_url: str | None) -> Json:
    return write_ark_create(request, FIELDS, callback_url)


def write_receipt(view: View) -> Json:
    """ "create": the id, an echo of safety_identifier, "nothing else; no status"."""
    identifier = view.request.extra.get("safety_identifier")
    return {"id": view.id} | ({"safety_identifier": identifier} if identifier is not None else {})


def write_task(view: View) -> Json:
    """ "task object": `error` is null where there is none, and there is a duration or frames."""
    request = view.request
    said: Json = {
        "error": None,
        "service_tier": request.service_tier or "default",
        "execution_expires_after": request.execution_expires_after or 172_800,
    }
    said |= {name: request.extra[name] for name in ECHOED if name in request.extra}
    body = said | write_ark_task(view) | write_times(view)
    if "frames" in body:
        body.pop("duration", None)
    return body


def write_deleted(view: View) -> Json:
    """The 200 answer to DELETE, whatever it did."""
    return {}


def read_error(status: int, body: Any) -> Problem | None:
    return read_refusal(status, body, PROBLEM_BY_WORD)


def write_error(problem: Problem) -> tuple[int, Json]:
    """ "error body": {error: {code, message, param, type}}. What Ark itself said is said again."""
    status, word = REFUSALS.get(problem.code, (problem.status, word_of(problem)))
    if problem.code == "invalid_request" and problem.message.endswith("is required"):
        word = "MissingParameter"
    kind = TYPES.get(status, "BadRequest" if status < 500 else "InternalServerError")
    error = {
        "code": problem.gateway_code or word if problem.code in REFUSALS else word,
        "message": problem.message,
        "param": problem.field or "",
        "type": kind,
    }
    return status, {"error": error}


SURFACE = Surface(
    name="official",
    routes=(
        Route(operation="create", method="POST", path=CREATE_PATH),
        Route(operation="get", method="GET", path=CREATE_PATH + "/{id}"),
        Route(operation="list", method="GET", path=CREATE_PATH),
        Route(operation="delete", method="DELETE", path=CREATE_PATH + "/{id}"),
    ),
    id_prefix="cgt-",
    callback_path=CALLBACK,
    accepts=names_of(FIELDS) | {"prompt", "media"},
    check=check,
    read_create=read_create,
    write_create=write_create,
    write_receipt=write_receipt,
    read_receipt=read_ark_receipt,
    write_task=write_task,
    read_task=read_ark_task,
    spelling=spelling_of(FIELDS) | {"prompt": "content", "media": "content"},
    lists=LISTS,
    write_deleted=write_deleted,
    delete_cancels=True,
)

DIALECT = Dialect(
    name="ark",
    title="Ark",
    documentation="gateways.md, section 2",
    # BytePlus is https://ark.ap-southeast.bytepluses.com, and has the ids with dreamina: "ids and hosts do not mix"
    base_url="https://ark.cn-beijing.volces.com",
    models=(
        "doubao-seedance-2-0-260128",
        "doubao-seedance-2-0-fast-260128",
        "doubao-seedance-2-0-mini-260615",
        "doubao-seedance-2-5-260628",
        "dreamina-seedance-2-0-260128",
    ),
    open_models=True,
    surfaces=(SURFACE,),
    calls_back=True,
    callback_per_status=True,
    # "status values sent: queued, running, succeeded, failed, expired. `cancelled` is NOT listed"
    called_back=(Status.QUEUED, Status.RUNNING, Status.SUCCEEDED, Status.FAILED, Status.EXPIRED),
    read_callback=read_ark_task,
    write_callback=write_task,
    read_error=read_error,
    write_error=write_error,
)
