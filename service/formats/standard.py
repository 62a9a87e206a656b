"""The default format: the event's own envelope, for Standard Webhooks receivers (subscribers.md, section g)."""

from dataclasses import replace

from service.errors import Problem
from service.model import Event, Status, Task, iso, media_to_json
from service.wire import Json, dump_text

API_VERSION = "2026-11-01"
TITLE_LENGTH = 80


def render(event: Event, task: Task) -> str:
    return event.body


def envelope(event_id: str, event_type: str, at: int, task: Task, base_url: str) -> str:
    """The body of an event, once and for ever."""
    return dump_text(
        {
            "id": event_id,
            "type": event_type,
            "timestamp": iso(at),
            "api_version": API_VERSION,
            "data": {"task": show_task(task, base_url)},
        }
    )


def show_task(task: Task, base_url: str) -> Json:
    """A task as callers and subscribers see it: every key of subscribers.md, section g, always there, so that no-code
    tools learn them all from the first event; null where it says nothing."""
    request = task.request
    ended = task.finished_at is not None
    return {
        "id": task.id,
        "status": task.status.value,
        "submission": task.submission.value,
        "title": title(task),
        "prompt": request.prompt,
        "gateway": task.gateway,
        "gateway_task_id": task.gateway_task_id,
        "model": request.model,
        "progress": task.progress or 0,
        "video": show_video(task),
        "error": show_error(task.error),
        "usage": task.result.get("usage"),
        "cost": None,
        "duration": request.duration,
        "ratio": request.ratio,
        "resolution": request.resolution,
        "seed": request.seed,
        "media": [media_to_json(replace(media, url=shown_url(media.url))) for media in request.media],
        "metadata": request.metadata,
        "external_id": None,
        "attempt": 1,
        "fallback_from": None,
        "created_at": iso(task.created_at),
        "submitted_at": iso(task.accepted_at),
        "started_at": iso(task.running_at),
        "finished_at": iso(task.finished_at),
        "deadline_at": iso(task.deadline_at),
        "next_look_at": iso(task.next_at),
        "elapsed_seconds": round((task.finished_at - task.created_at) / 1000, 3)
        if ended and task.finished_at
        else None,
        "result_source": task.settled_by,
        "links": {"self": f"{base_url}/v1/tasks/{task.id}", "self_html": None, "retry_html": None},
    }


def show_error(error: Problem | None) -> Json | None:
    if error is None:
        return None
    return {
        "code": error.code,
        "message": error.message,
        "retryable": error.retryable,
        "gateway_code": error.gateway_code,
        "gateway_status": error.gateway_status,
    }


def show_video(task: Task) -> Json | None:
    if task.status is not Status.SUCCEEDED:
        return None
    details = task.result.get("details", {})
    return {
        "url": task.video_url,
        "url_expires_at": None,
        "last_frame_url": task.result.get("last_frame_url"),
        "thumbnail_url": None,
        "preview_url": None,
        "duration_seconds": details.get("duration"),
        "resolution": details.get("resolution"),
        "width": None,
        "height": None,
        "aspect_ratio": details.get("ratio"),
        "has_audio": details.get("generate_audio"),
        "size_bytes": None,
        "mime_type": "video/mp4",
    }


def shown_url(url: str) -> str:
    """A URL, or what kind of inline data stands for one: an event is no place for thirty megabytes of image."""
    return url if not url.startswith("data:") else f"{url.partition(',')[0]},… ({len(url)} characters)"


def title(task: Task) -> str:
    """The first line of the prompt, short enough for a headline."""
    line = (task.request.prompt or "").strip().partition("\n")[0].strip()
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1] + "…"
