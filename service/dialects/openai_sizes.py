"""OpenAI's `size` and what it says: a ratio and a resolution.

1280x720 and 720x1280 are documented (gateways.md section 3; the SDK's VideoSize). ASSUME that the shorter side is the
resolution and the rest follows from the ratio. A size that is none of these is left as it stands: 1024x1792 has no
ratio that a Seedance gateway knows.
"""

import re
from collections.abc import Mapping
from typing import Any

from service.errors import invalid
from service.wire import Json, take

SIZES: Mapping[str, tuple[str, str]] = {
    "854x480": ("16:9", "480p"),
    "480x854": ("9:16", "480p"),
    "480x480": ("1:1", "480p"),
    "640x480": ("4:3", "480p"),
    "480x640": ("3:4", "480p"),
    "1120x480": ("21:9", "480p"),
    "1280x720": ("16:9", "720p"),
    "720x1280": ("9:16", "720p"),
    "720x720": ("1:1", "720p"),
    "960x720": ("4:3", "720p"),
    "720x960": ("3:4", "720p"),
    "1680x720": ("21:9", "720p"),
    "1920x1080": ("16:9", "1080p"),
    "1080x1920": ("9:16", "1080p"),
    "1080x1080": ("1:1", "1080p"),
    "1440x1080": ("4:3", "1080p"),
    "1080x1440": ("3:4", "1080p"),
    "2520x1080": ("21:9", "1080p"),
}
_SIZE_OF = {meaning: size for size, meaning in SIZES.items()}


def size_of(ratio: Any, resolution: Any) -> str | None:
    """The size that says both; None when one is missing or no size says it."""
    both = isinstance(ratio, str) and isinstance(resolution, str)
    return _SIZE_OF.get((ratio, resolution)) if both else None


def read_size(size: Any) -> tuple[str | None, str | None]:
    """(ratio, resolution) of a size in an answer."""
    return SIZES.get(size, (None, None)) if isinstance(size, str) else (None, None)


def take_size(rest: Json) -> tuple[str | None, str | None]:
    """Take a size that we understand out of a request; a Problem when it is no size, or metadata says otherwise."""
    size = rest.get("size")
    if size is None:
        return None, None
    if not isinstance(size, str) or not re.fullmatch(r"[1-9][0-9]{1,4}x[1-9][0-9]{1,4}", size):
        raise invalid("size", 'must be a width and a height such as "1280x720"')
    if size not in SIZES:
        return None, None
    del rest["size"]
    ratio, resolution = SIZES[size]
    for name, value in (("ratio", ratio), ("resolution", resolution)):
        if take(rest, ("metadata", name)) not in (None, value):
            raise invalid(f"metadata.{name}", f"does not go with size {size}, which says {value}; give one of them")
    return ratio, resolution
