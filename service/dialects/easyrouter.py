"""EasyRouter, a new-api deployment. Documentation: easyrouter.txt, "Seedance Video Generation (Dreamina)"."""

from service.dialects import new_api
from service.dialects.answers import seconds_of
from service.dialects.ark_task import write_ark_task, write_times
from service.dialects.content import check_media, image_roles
from service.dialects.fields import (
    Field,
    check_duration,
    check_extra,
    check_fields,
    complete,
    names_of,
    read_lengths,
    spelling_of,
)
from service.dialects.modes import check_roles_agree
from service.dialects.shape import Dialect, Route, Surface
from service.dialects.unified import (
    CALLBACK,
    CREATE_PATH,
    has_content,
    open_unified,
    read_images,
    read_unified,
    write_unified,
    write_video,
)
from service.errors import Problem, invalid
from service.model import Status, VideoRequest, View
from service.wire import Json, pick, place

# easyrouter.txt 2.1 and section 3. The examples of service_tier ("e.g.") are no complete list, so it stays open.
FIELDS = (
    Field(name="model", path=("model",), kind=str, required=True),
    Field(name="prompt", path=("prompt",), kind=str, required=True),
    Field(name="resolution", path=("metadata", "resolution"), kind=str, allowed=("480p", "720p", "1080p")),
    Field(
        name="ratio",
        path=("metadata", "ratio"),
        kind=str,
        allowed=("16:9", "9:16", "1:1", "4:3", "3:4", "21:9", "adaptive"),
    ),
    Field(name="seed", path=("metadata", "seed"), kind=int, low=0, high=2**31 - 1),
    Field(name="camera_fixed", path=("metadata", "camera_fixed"), kind=bool),
    Field(name="watermark", path=("metadata", "watermark"), kind=bool),
    Field(name="service_tier", path=("metadata", "service_tier"), kind=str),
    Field(
        name="execution_expires_after", path=("metadata", "execution_expires_after"), kind=int, low=1, high=2**31 - 1
    ),
    Field(name="generate_audio", path=("metadata", "generate_audio"), kind=bool),
    Field(name="return_last_frame", path=("metadata", "return_last_frame"), kind=bool),
)
# Documented, without a canonical name: checked, and passed on as they stand.
PASSED_ON = (
    Field(name="frames", path=("metadata", "frames"), kind=int, low=1, high=2**31 - 1),
    Field(name="draft", path=("metadata", "draft"), kind=bool),
)


def read_create(body: Json) -> VideoRequest:
    """The top-level duration counts as unset when it is 0, and then `seconds` is used (easyrouter.txt 2.1)."""
    rest = open_unified(body)
    images = read_images(rest, "image")
    top, seconds, inner = read_lengths(rest)
    check_extra(rest, PASSED_ON)
    request = read_unified(rest, FIELDS, images=images, duration=top or seconds or inner, rule=image_roles)
    check(request)
    return request


def check(request: VideoRequest) -> None:
    check_fields(request, FIELDS)
    # easyrouter.txt 2.1 says "typically 5 or 10" and no range; -1 is Ark's word for automatic (gateways.md F7)
    check_duration(request.duration, 1, 3600, auto=True)
    if request.duration is not None and pick(request.extra, ("metadata", "frames")) is not None:
        # easyrouter.txt 3.1: "optional, mutex with duration"
        raise invalid("metadata.frames", "cannot be combined with a duration; give one of them")
    check_media(request.media, image_roles)
    check_roles_agree(request.media, "media")


def write_create(request: VideoRequest, callback_url: str | None) -> Json:
    """duration -1 goes into metadata only: at the top level 0 and less count as unset (gateways.md F7). Beside a
    content array the documentation's own example has it in metadata too (easyrouter.txt section 4)."""
    body = write_unified(request, FIELDS)
    if request.duration is not None:
        inner = request.duration < 0 or has_content(body)
        place(body, ("metadata", "duration") if inner else ("duration",), request.duration)
    return complete(body, request, CALLBACK, callback_url)


def write_receipt(view: View) -> Json:
    """easyrouter.txt 2.1 "Response": lower case here, capitals when asked later."""
    return write_video(view, "in_progress" if view.status is Status.RUNNING else "queued") | {"progress": 0}


def write_task(view: View) -> Json:
    """easyrouter.txt 2.2. What only the gateway knows (user, channel) is made up here
    where it has not been asked yet, because programs read it."""
    snapshot, status, model = view.snapshot, view.status, view.request.model
    return {
        "code": "success",
        "message": "",
        "data": {
            "id": 1,
            "task_id": view.id,
            "platform": "45",
            "user_id": 1,
            "group": "default",
            "channel_id": 1,
            "quota": snapshot.usage.get("quota", 0),
            "action": "generate",
            "status": new_api.task_word(view),
            "fail_reason": new_api.write_reason(view) if new_api.task_word(view) == "FAILURE" else "",
            "result_url": (status is Status.SUCCEEDED and snapshot.video_url) or "",
            "submit_time": seconds_of(view.created_at),
            "start_time": seconds_of(view.started_at) or 0,
            "finish_time": seconds_of(view.finished_at) or 0,
            "progress": f"{view.progress}%",
            "properties": {"input": "", "upstream_model_name": model, "origin_model_name": model},
            "data": write_callback(view),
        }
        | write_times(view),
    }


def write_callback(view: View) -> Json:
    """The body is not documented. ASSUME Ark's own task object with Ark's own id, as the new-api source passes
    callback_url through (gateways.md F3 "Callback"); it is also what data.data shows."""
    task = write_ark_task(view) | {"id": "cgt-" + view.id.removeprefix("task_")} | write_times(view)
    usage = {name: value for name, value in task.pop("usage", {}).items() if name != "quota"}
    return task | ({"usage": usage} if usage else {})


def write_error(problem: Problem) -> tuple[int, Json]:
    if problem.code in ("unauthorized", "forbidden", "insufficient_credit", "rate_limited"):
        return problem.status, new_api.error_object(problem)
    if problem.code == "not_found":
        return 400, {"code": "task_not_exist", "message": problem.message, "data": None}
    return problem.status, new_api.task_error(problem)


SURFACE = Surface(
    name="unified",
    routes=(
        Route(operation="create", method="POST", path=CREATE_PATH),
        Route(operation="get", method="GET", path=CREATE_PATH + "/{id}"),
        Route(operation="content", method="GET", path="/v1/videos/{id}/content"),  # easyrouter.txt 2.3
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
    echoed=(
        *(("data", name) for name in ("id", "platform", "user_id", "group", "channel_id", "action")),
        ("data", "properties", "upstream_model_name"),
        ("data", "data", "id"),
    ),
    read_task=new_api.read_task,
    spelling=spelling_of(FIELDS),
)

DIALECT = Dialect(
    name="easyrouter",
    title="EasyRouter",
    documentation="easyrouter.txt",
    base_url="https://easyrouter.io",
    models=("dreamina-seedance-2-0", "dreamina-seedance-2-0-fast"),
    surfaces=(SURFACE,),
    calls_back=True,
    # Ark itself calls back on every status change (gateways.md section 2, "callback_url contract")
    callback_per_status=True,
    read_callback=new_api.read_callback,
    write_callback=write_callback,
    read_error=new_api.read_error,
    write_error=write_error,
)
