"""CubicSpaces: Ark's own shapes, and a unified surface. Documentation: cubicspaces.txt, "Seedance Video"."""

from collections.abc import Mapping

from service.dialects import ark_task, new_api, unified
from service.dialects.answers import write_failure
from service.dialects.content import check_media
from service.dialects.cubicspaces_moderation import LIBRARY
from service.dialects.fields import Field, check_duration, check_fields, complete, names_of, read_lengths, spelling_of
from service.dialects.modes import check_modes, check_prompt, check_roles_agree
from service.dialects.shape import Dialect, Route, Surface
from service.errors import Problem, invalid
from service.model import Media, Status, VideoRequest, View
from service.wire import Json, Path, place


def table(*, prefix: Path) -> tuple[Field, ...]:
    """The parameters that both surfaces have, at the top or in `metadata`. The values are given as "such as", so they
    stay open. ASSUME Ark's range for the seed, which is only called random (gateways.md section 2)."""
    return (
        Field(name="ratio", path=(*prefix, "ratio"), kind=str),
        Field(name="seed", path=(*prefix, "seed"), kind=int, low=-1, high=2**32 - 1),
        Field(name="camera_fixed", path=(*prefix, "camera_fixed"), kind=bool),
        Field(name="watermark", path=(*prefix, "watermark"), kind=bool),
        Field(name="generate_audio", path=(*prefix, "generate_audio"), kind=bool),
        Field(name="resolution", path=(*prefix, "resolution"), kind=str),
    )


MODEL = Field(name="model", path=("model",), kind=str, required=True)

# cubicspaces.txt "Official-Compatible API", Parameters. `resolution` is not among them, but the notes say "only
# supported by some models": ASSUME the top level, where Ark has it.
OFFICIAL_FIELDS = (MODEL, Field(name="duration", path=("duration",), kind=int), *table(prefix=()))

# cubicspaces.txt "Unified Video API", Parameters and "Common metadata fields".
UNIFIED_FIELDS = (
    MODEL,
    Field(name="prompt", path=("prompt",), kind=str, required=True),
    *table(prefix=("metadata",)),
)

# cubicspaces.txt "Status Values" has four words. ASSUME that the rest are failed, with an error code that tells.
OFFICIAL_WORDS: Mapping[Status, str] = {
    Status.QUEUED: "queued",
    Status.RUNNING: "running",
    Status.SUCCEEDED: "succeeded",
    Status.FAILED: "failed",
    Status.CANCELLED: "failed",
    Status.EXPIRED: "failed",
}
# "When the task is completed" is all that is said; ASSUME the words of OpenAI's video object.
UNIFIED_WORDS: Mapping[Status, str] = {
    **OFFICIAL_WORDS,
    Status.RUNNING: "in_progress",
    Status.SUCCEEDED: "completed",
}


def public_media(media: Media, at: str, url_at: str) -> None:
    """cubicspaces.txt "Notes": no base64 and nothing inline; a public URL or an approved asset."""
    known = media.type in ("image", "video", "audio")
    if known and not media.url.lower().startswith(("http://", "https://", "asset://")):
        raise invalid(url_at, "must be a public http or https URL or an approved asset:// URL; base64 is not supported")


def check_both(request: VideoRequest) -> None:
    # ASSUME any length, and Ark's -1 for automatic: the documentation gives no range (gateways.md F7)
    check_duration(request.duration, 1, 3600, auto=True)
    check_media(request.media, public_media)
    check_prompt(request.prompt, request.media, "prompt")


def check_official(request: VideoRequest) -> None:
    check_fields(request, OFFICIAL_FIELDS)
    ark_task.check_content(request)
    check_modes(request.media, "media")
    check_both(request)


def check_unified(request: VideoRequest) -> None:
    check_fields(request, UNIFIED_FIELDS)
    check_roles_agree(request.media, "media")
    check_both(request)


def read_official_create(body: Json) -> VideoRequest:
    request = ark_task.read_ark_create(body, OFFICIAL_FIELDS, public_media)
    check_modes(request.media, "content")
    check_prompt(request.prompt, request.media, "content[].text")
    check_official(request)
    return request


def write_official_create(request: VideoRequest, callback_url: str | None) -> Json:
    return ark_task.write_ark_create(request, OFFICIAL_FIELDS, callback_url)


def read_unified_create(body: Json) -> VideoRequest:
    """ASSUME the precedence of easyrouter.txt: `duration`, then `seconds`, then metadata.duration."""
    rest = unified.open_unified(body)
    images = unified.read_images(rest, "image", "input_reference", rule=public_media)
    top, seconds, inner = read_lengths(rest)
    request = unified.read_unified(
        rest, UNIFIED_FIELDS, images=images, duration=top or seconds or inner, rule=public_media
    )
    check_roles_agree(request.media, "metadata.content")
    check_unified(request)
    return request


def write_unified_create(request: VideoRequest, callback_url: str | None) -> Json:
    """The duration as the examples have it, in `seconds`; -1 is no string of digits, so it goes into metadata."""
    body = unified.write_unified(request, UNIFIED_FIELDS)
    if request.duration is not None and request.duration < 0:
        place(body, ("metadata", "duration"), request.duration)
    elif request.duration is not None:
        body["seconds"] = str(request.duration)
    return complete(body, request, unified.CALLBACK, callback_url)


def write_official_task(view: View) -> Json:
    """cubicspaces.txt "Response And Polling"."""
    return ark_task.write_ark_task(view, OFFICIAL_WORDS[view.status]) | ark_task.write_times(view)


def write_official_receipt(view: View) -> Json:
    """The task object already; "service_tier or execution_expires_after" have Ark's defaults where nothing is known."""
    said = {"service_tier": "default", "execution_expires_after": 172_800}
    said |= {name: view.request.extra[name] for name in said if name in view.request.extra}
    return said | write_official_task(view)


def write_unified_receipt(view: View) -> Json:
    return unified.write_video(view, UNIFIED_WORDS[view.status])


def write_unified_task(view: View) -> Json:
    """The answer is not shown, but "read the video URL from metadata.url": ASSUME the receipt's object and that."""
    word, url = UNIFIED_WORDS[view.status], view.snapshot.video_url
    body = unified.write_video(view, word)
    if word == "completed" and url:
        body["metadata"] = {"url": url}
    if word == "failed":
        body["error"] = write_failure(view, "task_failed")
    return body


def write_error(problem: Problem) -> tuple[int, Json]:
    """Nothing is said about errors: ASSUME the usual statuses with {error: {message, type, code}}."""
    return problem.status, new_api.error_object(problem)


OFFICIAL = Surface(
    name="official",
    routes=(
        Route(operation="create", method="POST", path=ark_task.CREATE_PATH),
        Route(operation="get", method="GET", path=ark_task.CREATE_PATH + "/{id}"),
    ),
    id_prefix="task_",
    callback_path=ark_task.CALLBACK,
    accepts=names_of(OFFICIAL_FIELDS) | {"prompt", "media"},
    check=check_official,
    read_create=read_official_create,
    write_create=write_official_create,
    write_receipt=write_official_receipt,
    read_receipt=ark_task.read_ark_receipt,
    write_task=write_official_task,
    read_task=ark_task.read_ark_task,
    spelling=spelling_of(OFFICIAL_FIELDS) | {"prompt": "content", "media": "content"},
)

UNIFIED = Surface(
    name="unified",
    routes=(
        Route(operation="create", method="POST", path=unified.CREATE_PATH),
        Route(operation="get", method="GET", path=unified.CREATE_PATH + "/{id}"),
    ),
    id_prefix="video_",
    callback_path=unified.CALLBACK,
    accepts=names_of(UNIFIED_FIELDS) | {"duration", "media"},
    check=check_unified,
    read_create=read_unified_create,
    write_create=write_unified_create,
    write_receipt=write_unified_receipt,
    read_receipt=new_api.read_receipt,
    write_task=write_unified_task,
    read_task=new_api.read_task,
    spelling=spelling_of(UNIFIED_FIELDS),
)

DIALECT = Dialect(
    name="cubicspaces",
    title="CubicSpaces",
    documentation="cubicspaces.txt",
    base_url="https://cubicspaces.cloud",
    models=("doubao-seedance-2.0",),
    surfaces=(OFFICIAL, UNIFIED),
    calls_back=False,
    # No callback is documented; where an operator switches one on, ASSUME the official task object, as Ark sends it.
    read_callback=new_api.read_callback,
    write_callback=write_official_task,
    read_error=new_api.read_error,
    write_error=write_error,
    library=LIBRARY,
)
