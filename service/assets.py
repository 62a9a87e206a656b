"""Assets as values: images that a gateway has taken in, and that a create then names by an asset:// URL."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from service.errors import invalid
from service.model import VideoRequest
from service.wire import Json

SCHEME = "asset://"
STAND_IN = SCHEME + "reelhook.invalid/to-be-made"
MOST_NAMED = 50  # by one request; the largest batch that a gateway documents (cubicspaces.txt "Moderation Limits")


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetGroup:
    """A group of assets; the id is empty as long as it is only wished for."""

    id: str = ""
    name: str = ""
    description: str = ""
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """Images that a gateway is to take in. places: how the caller spells where each source stands. model: where the
    gateway routes by it. kind: in the gateway's own words."""

    sources: tuple[str, ...]
    places: tuple[str, ...]
    model: str = ""
    name: str = ""
    description: str = ""
    kind: str = ""
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """What became of one image. url: asset://…, empty where it was not taken. approved: whether it may be used."""

    source: str
    url: str
    group_id: str = ""
    name: str = ""
    description: str = ""
    approved: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """The answer to an upload. batch_id, job_id: as the gateway names the review."""

    assets: tuple[Asset, ...]
    batch_id: str = ""
    job_id: str = ""


def is_asset(url: str) -> bool:
    return url[: len(SCHEME)].lower() == SCHEME


def is_public(url: str) -> bool:
    return url.lower().startswith(("http://", "https://"))


def asset_id(url: str) -> str:
    return url[len(SCHEME) :]


def spelled(url: str) -> str:
    """An asset URL as it is stored and compared: the scheme in small letters."""
    return SCHEME + asset_id(url)


def hash_of_source(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()


def assets_named(request: VideoRequest) -> tuple[str, ...]:
    """Every asset that a request would make the gateway use, wherever it stands, once; at most MOST_NAMED of them."""
    texts = (*(media.url for media in request.media), *_texts([media.extra for media in request.media]))
    found = dict.fromkeys(spelled(text.strip()) for text in (*texts, *_texts(request.extra)) if is_asset(text.strip()))
    if len(found) > MOST_NAMED:
        raise invalid("media", f"names {len(found)} assets; at most {MOST_NAMED} are allowed")
    return tuple(found)


def with_assets(request: VideoRequest, assets: Mapping[str, str], group_id: str | None = None) -> VideoRequest:
    """The request with its sources replaced by the assets that were made of them (source -> asset URL)."""
    media = tuple(
        replace(item, url=assets[item.url]) if item.type == "image" and item.url in assets else item
        for item in request.media
    )
    return replace(request, media=media, asset_group_id=request.asset_group_id or group_id or None)


def _texts(value: Any) -> Iterator[str]:
    """Every string inside a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
