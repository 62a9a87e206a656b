"""WorldRouter, Ark's own shapes. Documentation: worldrouter.txt, "Generate Videos with Seedance"."""

from collections.abc import Mapping
from typing import Any

from service.dialects.ark_task import (
    CALLBACK,
    CREATE_PATH,
    check_content,
    read_ark_create,
    read_ark_receipt,
    read_ark_task,
    write_ark_create,
    write_ark_task,
)
from service.dialects.content import check_media
from service.dialects.fields import Field, check_duration, check_fields, names_of, spelling_of
from service.dialects.modes import check_modes
from service.dialects.refusals import read_refusal, word_of
from service.dialects.shape import Dialect, Route, Surface
from service.dialects.worldrouter_assets import LIBRARY
from service.errors import Problem, invalid
from service.model import Media, VideoRequest, View
from service.wire import Json

# worldrouter.txt "Text-to-video" and "3. Use asset://… in the generation payload". `resolution` is "supported by the
# model", without a list. ASSUME that what is not mentioned (ratio, seed …) is not taken; gateways.md F2.
FIELDS = (
    Field(name="model", path=("model",), kind=str, required=True),
    Field(name="resolution", path=("resolution",), kind=str),
    Field(name="duration", path=("duration",), kind=int),
    Field(name="asset_group_id", path=("asset_group_id",), kind=str),
)

# worldrouter.txt "Troubleshooting": our code -> (HTTP status, their word). Whose task it is not, and whose task there
# is not, is one answer: "403, not 404" (gateways.md F2 "Errors").
REFUSALS: Mapping[str, tuple[int, str]] = {
    "unsupported_model": (400, "unsupported_model"),
    "invalid_request": (400, "invalid_request"),
    "insufficient_credit": (402, "seedance_balance_too_low"),
    "forbidden": (403, "media_resource_access_denied"),
    "not_found": (403, "media_resource_access_denied"),
    "too_many_pending": (429, "seedance_too_many_pending_tasks"),
}
PROBLEM_BY_WORD: Mapping[str, str] = {
    "seedance_balance_too_low": "insufficient_credit",
    "media_resource_access_denied": "forbidden",
    "seedance_too_many_pending_tasks": "too_many_pending",
}


def read_create(body: Json) -> VideoRequest:
    request = read_ark_create(body, FIELDS, asset_images)
    check_modes(request.media, "content")
    check(request)
    return request


def check(request: VideoRequest) -> None:
    check_fields(request, FIELDS)
    check_content(request)
    if request.model == "seedance-2.0-asset":
        # worldrouter.txt "Important behavior"
        raise Problem(
            "unsupported_model",
            "seedance-2.0-asset is not for direct requests; use seedance-2.0 or seedance-2.0-fast",
            field="model",
        )
    # ASSUME any length, and no -1: neither is mentioned (gateways.md F1 "range ?", F7 "? omit/err")
    check_duration(request.duration, 1, 3600, auto=False)
    check_media(request.media, asset_images)
    check_modes(request.media, "media")


def asset_images(media: Media, at: str, url_at: str) -> None:
    """worldrouter.txt "Asset flow for image references": public image URLs are rejected."""
    if media.type == "image" and not media.url.startswith("asset://"):
        raise invalid(
            url_at,
            "must be an asset:// URL: upload assets first. Create an asset group (POST /v1/asset-groups), upload the "
            "image into it (POST /v1/asset-groups/{id}/assets) and use the asset:// URL of the answer",
        )


def write_create(request: VideoRequest, callback_url: str | None) -> Json:
    return write_ark_create(request, FIELDS, callback_url)


def write_receipt(view: View) -> Json:
    """worldrouter.txt "Typical create response". ASSUME that a request id looks like the task's: nothing reads it."""
    return {"id": view.id, "requestId": "req-" + view.id.removeprefix("task-")}


def read_error(status: int, body: Any) -> Problem | None:
    return read_refusal(status, body, PROBLEM_BY_WORD)


def write_error(problem: Problem) -> tuple[int, Json]:
    """ASSUME {error: {code, message, type}, requestId}: only the statuses and words are documented. The request id is
    empty, for a dialect knows of no request."""
    status, word = REFUSALS.get(problem.code, (problem.status, word_of(problem)))
    word = word_of(problem) if problem.gateway_code else word
    kind = "server_error" if status == 424 or status >= 500 else "invalid_request_error"
    body: Json = {"error": {"code": word, "message": problem.message, "type": kind}, "requestId": ""}
    if problem.code == "upstream_failed":
        # "The body keeps the upstream error and upstream_status." ASSUME 502 where none is known: 424 is worldrouter's
        # own, not the provider's.
        body["upstream_status"] = problem.gateway_status if problem.gateway_status not in (None, 424) else 502
    return status, body


SURFACE = Surface(
    name="official",
    routes=(
        Route(operation="create", method="POST", path=CREATE_PATH),
        Route(operation="get", method="GET", path=CREATE_PATH + "/{id}"),
    ),
    id_prefix="task-",
    callback_path=CALLBACK,
    accepts=names_of(FIELDS) | {"prompt", "media"},
    check=check,
    read_create=read_create,
    write_create=write_create,
    write_receipt=write_receipt,
    read_receipt=read_ark_receipt,
    write_task=write_ark_task,
    read_task=read_ark_task,
    spelling=spelling_of(FIELDS) | {"prompt": "content", "media": "content"},
)

DIALECT = Dialect(
    name="worldrouter",
    title="WorldRouter",
    documentation="worldrouter.txt",
    base_url="https://inference-api-pre-d80ca3.worldrouter.ai",
    models=("seedance-2.0", "seedance-2.0-fast"),
    surfaces=(SURFACE,),
    calls_back=False,
    # No callback is documented; where an operator switches one on, ASSUME the task object, as Ark sends it.
    read_callback=read_ark_task,
    write_callback=write_ark_task,
    read_error=read_error,
    write_error=write_error,
    library=LIBRARY,
)
