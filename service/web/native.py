"""The native shape of a submit: one request for all gateways."""

from typing import Any

from service.dialects.fields import Field, read_fields, read_url
from service.errors import invalid
from service.model import Media, VideoRequest
from service.wire import Json, dumps, kind_of, without_nulls

FIELDS = (
    Field(name="model", path=("model",), kind=str),
    Field(name="prompt", path=("prompt",), kind=str),
    Field(name="duration", path=("duration",), kind=int),
    Field(name="ratio", path=("ratio",), kind=str),
    Field(name="resolution", path=("resolution",), kind=str),
    Field(name="seed", path=("seed",), kind=int),
    Field(name="camera_fixed", path=("camera_fixed",), kind=bool),
    Field(name="watermark", path=("watermark",), kind=bool),
    Field(name="generate_audio", path=("generate_audio",), kind=bool),
    Field(name="return_last_frame", path=("return_last_frame",), kind=bool),
    Field(name="service_tier", path=("service_tier",), kind=str),
    Field(name="execution_expires_after", path=("execution_expires_after",), kind=int, low=1, high=30 * 86_400),
    Field(name="asset_group_id", path=("asset_group_id",), kind=str),
    Field(name="external_id", path=("external_id",), kind=str),
    Field(name="webhook_url", path=("webhook_url",), kind=str),
)
MEDIA_TYPES = ("image", "video", "audio")
ROLES = ("first_frame", "last_frame", "reference_image", "reference_video", "reference_audio")
WHEN_FULL = ("queue", "refuse")
METADATA_MOST = 16 * 1024
EXTERNAL_ID_MOST = 255
KNOWN = ("gateway", *(field.name for field in FIELDS), "media", "metadata", "extra", "when_full")


def read_submit(body: Json, default_model: str | None) -> tuple[VideoRequest, str]:
    """(what is wanted, what to do when the gateway is full); a Problem that names the field otherwise.

    Null means absent. `gateway` has been read before, because it decides the default model.
    """
    for name in body:
        if name not in KNOWN:
            raise invalid(name, f"is no parameter here; known: {', '.join(KNOWN)}. `extra` is passed on as it is")
    metadata = _read_object(body, "metadata")
    if len(dumps(metadata)) > METADATA_MOST:
        raise invalid("metadata", f"must not be longer than {METADATA_MOST} bytes")
    rest: Json = without_nulls({name: value for name, value in body.items() if name != "metadata"})
    values = read_fields(rest, FIELDS)
    values.setdefault("model", default_model)
    if not values["model"]:
        raise invalid("model", "is required; this gateway has no default_model in the settings")
    external_id = values.get("external_id")
    if external_id is not None and not (0 < len(external_id) <= EXTERNAL_ID_MOST and external_id.isprintable()):
        raise invalid("external_id", f"must be 1 to {EXTERNAL_ID_MOST} printable characters")
    when_full = rest.get("when_full", "queue")
    if when_full not in WHEN_FULL:
        raise invalid("when_full", f"must be one of {', '.join(WHEN_FULL)}")
    request = VideoRequest(
        media=_read_media(rest.get("media", [])), metadata=metadata, extra=_read_object(rest, "extra"), **values
    )
    return request, when_full


def _read_object(body: Json, name: str) -> Json:
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(name, f"must be an object, not {kind_of(value)}")
    return value


def _read_media(items: Any) -> tuple[Media, ...]:
    if not isinstance(items, list):
        raise invalid("media", f"must be an array, not {kind_of(items)}")
    return tuple(_read_item(item, f"media[{index}]") for index, item in enumerate(items))


def _read_item(item: Any, at: str) -> Media:
    if not isinstance(item, dict):
        raise invalid(at, f"must be an object with type, url and role, not {kind_of(item)}")
    for name in item:
        if name not in ("type", "url", "role"):
            raise invalid(f"{at}.{name}", "is not known; a media item has type, url and role")
    if item.get("type") not in MEDIA_TYPES:
        raise invalid(f"{at}.type", f"must be one of {', '.join(MEDIA_TYPES)}")
    if item.get("role") is not None and item["role"] not in ROLES:
        raise invalid(f"{at}.role", f"must be one of {', '.join(ROLES)}")
    return Media(type=item["type"], url=read_url(item.get("url"), f"{at}.url"), role=item.get("role"))
