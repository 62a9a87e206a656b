"""The create request and the receipt that three gateways share: prompt, image or images, seconds, and `metadata`.

easyrouter.txt 2.1 and section 3; cubicspaces.txt "Unified Video API"; videos.txt "Submit a Generation Task".
"""

from service.dialects.answers import seconds_of
from service.dialects.content import Rule, any_media, read_content, write_content
from service.dialects.fields import (
    Field,
    check_object,
    opened,
    read_fields,
    read_list,
    read_text,
    read_url,
    write_fields,
)
from service.model import Media, Status, VideoRequest, View
from service.wire import Json, pick, place, take

CALLBACK = ("metadata", "callback_url")
CONTENT = ("metadata", "content")
CREATE_PATH = "/v1/video/generations"


def open_unified(body: Json) -> Json:
    rest = opened(body)
    check_object(rest, "metadata")
    return rest


def read_images(rest: Json, *singles: str, rule: Rule = any_media) -> tuple[Media, ...]:
    """Take the images that stand outside of the content array: one in each of `singles`, then the array `images`."""
    spelled = [(value, name) for name in singles if (value := take(rest, (name,))) is not None]
    spelled += [(value, f"images[{index}]") for index, value in enumerate(read_list(rest, ("images",)))]
    media = tuple(Media(type="image", url=read_url(value, where)) for value, where in spelled)
    for item, (_, where) in zip(media, spelled, strict=True):
        rule(item, where, where)
    return media


def read_unified(
    rest: Json,
    fields: tuple[Field, ...],
    *,
    images: tuple[Media, ...],
    duration: int | None,
    rule: Rule = any_media,
) -> VideoRequest:
    """The request, after the gateway has taken its own readings of the images and the duration."""
    webhook_url = read_text(rest, CALLBACK)
    text, items = read_content(read_list(rest, CONTENT), ".".join(CONTENT), rule)
    values = read_fields(rest, fields)
    if text and values.get("prompt"):  # the prompt has a place of its own; a text item beside it is kept as it stood
        items = (Media(type="text", extra={"text": text}), *items)
    elif text:
        values["prompt"] = text
    return VideoRequest(duration=duration, media=images + items, webhook_url=webhook_url, extra=rest, **values)


def write_unified(request: VideoRequest, fields: tuple[Field, ...]) -> Json:
    """All but the duration, the callback and what is passed as it is."""
    body: Json = {}
    write_fields(body, request, fields)
    if request.media and not plain(request.media):
        place(body, CONTENT, write_content(None, request.media))
    elif len(request.media) == 1:
        body["image"] = request.media[0].url
    elif request.media:
        body["images"] = [media.url for media in request.media]
    return body


def plain(media: tuple[Media, ...]) -> bool:
    """Whether the inputs are images of which nothing but the URL is said: those need no content array."""
    return all(item.type == "image" and not item.role and not item.extra for item in media)


def has_content(body: Json) -> bool:
    return pick(body, CONTENT) is not None


def write_video(view: View, word: str) -> Json:
    """The receipt, which is OpenAI's video object; `progress` is 0 until the task runs."""
    return {
        "id": view.id,
        "task_id": view.id,
        "object": "video",
        "model": view.request.model,
        "status": word,
        "progress": 0 if view.status is Status.QUEUED else view.progress,
        "created_at": seconds_of(view.created_at),
    }
