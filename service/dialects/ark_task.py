"""Messages in the shape of the official Ark API, which ark, worldrouter and cubicspaces speak and others pass through.

worldrouter.txt "Check task status"; cubicspaces.txt "Official-Compatible API"; gateways.md section 2 for what neither
of them shows.
"""

from typing import Any

from service.dialects.answers import (
    object_or_empty,
    read_failure,
    read_first_status,
    read_status,
    seconds_of,
    text_or_none,
    write_failure,
)
from service.dialects.content import Rule, read_content, write_content
from service.dialects.fields import Field, complete, missing, opened, read_fields, read_list, read_text, write_fields
from service.model import Snapshot, Status, VideoRequest, View
from service.wire import Json, pick

CALLBACK = ("callback_url",)
CREATE_PATH = "/api/v3/contents/generations/tasks"

# What a task object tells of its result besides the links.
DETAILS = (
    "duration",
    "frames",
    "resolution",
    "ratio",
    "seed",
    "framespersecond",
    "generate_audio",
    "draft",
    "service_tier",
    "execution_expires_after",
    "priority",
    "tools",
    "safety_identifier",
    "draft_task_id",
    "output_format",
)


def read_ark_create(body: Json, fields: tuple[Field, ...], rule: Rule) -> VideoRequest:
    rest = opened(body)
    webhook_url = read_text(rest, CALLBACK)
    prompt, media = read_content(read_list(rest, ("content",)), "content", rule)
    if not prompt and not media:
        raise missing("content")
    values = read_fields(rest, fields)
    return VideoRequest(prompt=prompt, media=media, webhook_url=webhook_url, extra=rest, **values)


def write_ark_create(request: VideoRequest, fields: tuple[Field, ...], callback_url: str | None) -> Json:
    body: Json = {"content": write_content(request.prompt, request.media)}
    write_fields(body, request, fields)
    return complete(body, request, CALLBACK, callback_url)


def check_content(request: VideoRequest) -> None:
    """A content array needs an item: cubicspaces.txt, "It usually contains one text item and optional" assets."""
    if not (request.prompt or "").strip() and not request.media:
        raise missing("prompt")


def write_ark_task(view: View, word: str | None = None) -> Json:
    """The task object without its times; `word` where the gateway has another one for the status."""
    snapshot, request = view.snapshot, view.request
    word = word or view.status.value
    said = {
        name: getattr(request, name, None) for name in ("duration", "resolution", "ratio", "seed", "generate_audio")
    }
    body = {name: value for name, value in said.items() if value is not None} | snapshot.details
    body |= {"id": view.id, "model": request.model, "status": word}
    if view.status is Status.SUCCEEDED and snapshot.video_url:
        body["content"] = {"video_url": snapshot.video_url}
        if snapshot.last_frame_url:
            body["content"]["last_frame_url"] = snapshot.last_frame_url
    if word == Status.FAILED:
        body["error"] = write_failure(view, "task_failed")
    if snapshot.usage:
        body["usage"] = snapshot.usage
    return body


def write_times(view: View) -> Json:
    return {"created_at": seconds_of(view.created_at), "updated_at": seconds_of(view.updated_at)}


def read_ark_task(body: Any) -> Snapshot:
    return _read(body, read_status(pick(body, ("status",))))


def read_ark_receipt(body: Any) -> Snapshot:
    """Ark itself and worldrouter answer a create with the id and no status; cubicspaces with the whole task."""
    return _read(body, read_first_status(pick(body, ("status",))))


def _read(body: Any, seen: tuple[Status | None, str]) -> Snapshot:
    body = object_or_empty(body)
    status, error = read_failure(seen[0], pick(body, ("error", "message")), pick(body, ("error", "code")))
    return Snapshot(
        status=status,
        word=seen[1],
        gateway_task_id=text_or_none(body.get("id")),
        video_url=text_or_none(pick(body, ("content", "video_url"))) if status is Status.SUCCEEDED else None,
        last_frame_url=text_or_none(pick(body, ("content", "last_frame_url"))),
        error=error,
        usage=object_or_empty(body.get("usage")),
        details={name: body[name] for name in DETAILS if body.get(name) is not None},
    )
