"""The default format: the event's own envelope, for Standard Webhooks receivers (subscribers.md, section g)."""

from service.errors import Problem
from service.formats.shape import Format, Rendered, Telling
from service.links import Links, archived
from service.model import Status, Task, iso, media_to_json, slimmed
from service.wire import Json

API_VERSION = "2026-11-01"
TITLE_LENGTH = 80


def render(telling: Telling, options: Json) -> Rendered:
    """The event's own body, byte for byte."""
    return Rendered(body=telling.event.body)


FORMAT = Format(
    name="standard",
    title="Standard Webhooks",
    source="Standard Webhooks specification; subscribers.md, section g",
    render=render,
)


def envelope(event_id: str, event_type: str, at: int, data: Json) -> Json:
    """The body of an event as a value. at: unix ms. data: {"task": …}, or what else it is about."""
    return {"id": event_id, "type": event_type, "timestamp": iso(at), "api_version": API_VERSION, "data": data}


def show_task(task: Task, links: Links) -> Json:
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
        "video": show_video(task, links),
        "error": show_error(task.error),
        "usage": task.result.get("usage"),
        "cost": task.result.get("cost"),
        "duration": request.duration,
        "ratio": request.ratio,
        "resolution": request.resolution,
        "seed": request.seed,
        "media": [media_to_json(media) for media in slimmed(request).media],
        "metadata": request.metadata,
        "external_id": request.external_id,
        "attempt": task.attempt,
        "retry_of": task.retry_of,
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
        "links": show_links(task, links),
    }


def show_links(task: Task, links: Links) -> Json:
    """self: for programs, with a key. self_html: for anybody who has the link, to look at. retry_html, cancel_html: ask
    before they do anything, so that what fetches links to preview them does no harm."""
    retry = task.status in (Status.FAILED, Status.EXPIRED)
    return {
        "self": f"{links.base_url}/v1/tasks/{task.id}",
        "self_html": links.page(task),
        "retry_html": links.action(task, "retry") if retry else None,
        "cancel_html": links.action(task, "cancel"),
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


def show_video(task: Task, links: Links) -> Json | None:
    """url: for anybody, until url_expires_at. content_url: the same bytes through this service, for anybody too, and
    for longer. stored: where they are, at the `gateway` or in the `archive`."""
    video, content, last_frame = links.of(task, "video"), links.signed(task, "video"), links.of(task, "last_frame")
    if video is None or content is None:
        return None
    details = task.result.get("details", {})
    return {
        "url": video.url,
        "url_expires_at": iso(video.expires_at),
        "content_url": content.url,
        "content_url_expires_at": iso(content.expires_at),
        "stored": video.stored,
        "last_frame_url": last_frame.url if last_frame else None,
        "thumbnail_url": None,
        "preview_url": links.page(task),
        "duration_seconds": details.get("duration"),
        "resolution": details.get("resolution"),
        "width": None,
        "height": None,
        "aspect_ratio": details.get("ratio"),
        "has_audio": details.get("generate_audio"),
        "size_bytes": (archived(task, "video") or {}).get("size"),
        "mime_type": "video/mp4",
    }


def title(task: Task) -> str:
    """The first line of the prompt, short enough for a headline."""
    line = (task.request.prompt or "").strip().partition("\n")[0].strip()
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1] + "…"
