"""The gateway's own callback shape, for callers of the compatible API: what their program would have received."""

from dataclasses import replace

from service.dialects import DIALECTS
from service.dialects.shape import Surface
from service.formats.shape import Format, Rendered, Telling
from service.links import Links
from service.model import Snapshot, Task, View
from service.wire import Json, dump_text


def render(telling: Telling, options: Json) -> Rendered:
    """In the words of the API that the task came in by, whichever gateway it went out to."""
    task, links = telling.task, telling.links
    assert task is not None and links is not None  # it is offered to nobody, and belongs to one task
    dialect = DIALECTS[task.caller_dialect or task.dialect]
    surface = dialect.surface(task.caller_surface or task.surface)
    seen = view(task, surface, links)
    same_shape = dialect.write_callback is surface.write_task
    return Rendered(body=dump_text(surface.answered_task(seen) if same_shape else dialect.write_callback(seen)))


FORMAT = Format(
    name="gateway",
    title="the gateway's own callback",
    source="docs/gateways.md",
    render=render,
    offered=False,
)


def view(task: Task, surface: Surface, links: Links) -> View:
    """A task as the caller of a gateway's API may see it: with the model by the name that he gave it."""
    video, last_frame = links.of(task, "video"), links.of(task, "last_frame")
    in_its_own_words = DIALECTS[task.dialect].surface(task.surface) is surface
    return View(
        id=public_id(task.id, surface),
        request=replace(task.request, model=task.caller_model or task.request.model),
        snapshot=Snapshot(
            status=task.status,
            progress=task.progress,
            video_url=video.url if video else None,
            last_frame_url=last_frame.url if last_frame else None,
            error=task.error,
            usage=task.result.get("usage", {}),
            details=task.result.get("details", {}),
            answer=task.result.get("answer", {}) if in_its_own_words else {},
        ),
        created_at=task.created_at,
        updated_at=task.updated_at,
        started_at=task.running_at,
        finished_at=task.finished_at,
        accepted=task.accepted_at is not None,
    )


def public_id(task_id: str, surface: Surface) -> str:
    """Our id, spelled as ids of that gateway are."""
    return surface.id_prefix + task_id.removeprefix("task_")


def task_id(public: str, surface: Surface) -> str:
    """public_id, read back; what is none is left as it is and will not be found."""
    return "task_" + public.removeprefix(surface.id_prefix) if public.startswith(surface.id_prefix) else public
