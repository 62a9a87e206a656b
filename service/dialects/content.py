"""The Ark content array, which most gateways take in some place: items of text, images, videos, audio.

{"type": "text", "text": …}
{"type": "image_url", "image_url": {"url": …}, "role": "first_frame" | "last_frame" | "reference_image"}
{"type": "video_url", "video_url": {"url": …}, "role": "reference_video"}
{"type": "audio_url", "audio_url": {"url": …}, "role": "reference_audio"}
"""

from collections.abc import Callable
from typing import Any

from service.dialects.fields import read_url
from service.errors import invalid
from service.model import Media
from service.wire import Json, kind_of

MEDIA_TYPES = {"image_url": "image", "video_url": "video", "audio_url": "audio"}
ITEM_TYPES = {media: item for item, media in MEDIA_TYPES.items()}
IMAGE_ROLES = ("first_frame", "last_frame", "reference_image")

# What a gateway allows of one input: (the input, how the caller spells it, how the caller spells its URL) or a Problem.
Rule = Callable[[Media, str, str], None]


def any_media(media: Media, at: str, url_at: str) -> None:
    """The rule of a gateway that documents none."""


def image_roles(media: Media, at: str, url_at: str) -> None:
    if media.type == "image" and media.role not in (None, *IMAGE_ROLES):
        raise invalid(f"{at}.role", f"of an image must be one of {', '.join(IMAGE_ROLES)}")


def check_media(media: tuple[Media, ...], rule: Rule) -> None:
    """The same rule for inputs that came in by another way."""
    for index, item in enumerate(media):
        rule(item, f"media[{index}]", f"media[{index}].url")


def read_content(items: list[Any], where: str, rule: Rule = any_media) -> tuple[str | None, tuple[Media, ...]]:
    """(prompt, media) of a content array; several texts are one prompt, a line each.

    Items of a type unknown here, and unknown members of an item, are kept: cubicspaces.txt itself shows a `duration`
    inside an image item.
    """
    texts: list[str] = []
    media: list[Media] = []
    for index, item in enumerate(items):
        at = f"{where}[{index}]"
        if not isinstance(item, dict):
            raise invalid(at, f"must be an object, not {kind_of(item)}")
        if item.get("type") == "text":
            texts.append(_read_text(item, at))
            unknown = {key: value for key, value in item.items() if key not in ("type", "text")}
            if unknown:  # then the item is kept whole, and is no part of the prompt
                media.append(Media(type="text", extra={"text": texts.pop()} | unknown))
        else:
            media.append(_read_media(item, at))
            rule(media[-1], at, f"{at}.{item['type']}.url")
    return "\n".join(texts) or None, tuple(media)


def write_content(prompt: str | None, media: tuple[Media, ...]) -> list[Json]:
    texts: list[Json] = [{"type": "text", "text": prompt}] if prompt else []
    return texts + [_write_media(item) for item in media]


def _read_text(item: Json, at: str) -> str:
    text = item.get("text")
    if not isinstance(text, str):
        raise invalid(f"{at}.text", f"must be a string, not {kind_of(text)}")
    return text


def _read_media(item: Json, at: str) -> Media:
    kind, role = item.get("type"), item.get("role")
    if not isinstance(kind, str) or kind in ITEM_TYPES:  # "image" for "image_url" is a slip, not a type of its own
        raise invalid(f"{at}.type", f"must be one of text, {', '.join(MEDIA_TYPES)}")
    if role is not None and not isinstance(role, str):
        raise invalid(f"{at}.role", f"must be a string, not {kind_of(role)}")
    rest = {key: value for key, value in item.items() if key not in ("type", "role", kind)}
    if kind not in MEDIA_TYPES:
        return Media(type=kind, role=role or None, extra=rest | ({kind: item[kind]} if kind in item else {}))
    holder = item.get(kind)
    if not isinstance(holder, dict):
        raise invalid(f"{at}.{kind}", f'must be an object such as {{"url": "https://…"}}, not {kind_of(holder)}')
    inner = {key: value for key, value in holder.items() if key != "url"}
    extra = rest | ({kind: inner} if inner else {})
    return Media(
        type=MEDIA_TYPES[kind], url=read_url(holder.get("url"), f"{at}.{kind}.url"), role=role or None, extra=extra
    )


def _write_media(media: Media) -> Json:
    kind = ITEM_TYPES.get(media.type)
    role = {"role": media.role} if media.role else {}
    if kind is None:
        return media.extra | {"type": media.type} | role
    inner = media.extra.get(kind, {})
    if not isinstance(inner, dict):
        raise invalid(f"media.extra.{kind}", f"must be an object, not {kind_of(inner)}")
    return media.extra | {"type": kind, kind: inner | {"url": media.url}} | role
