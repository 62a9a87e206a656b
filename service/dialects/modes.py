"""The three ways in which media can be meant, of which a request takes one.

gateways.md section 2, "content items" (Ark): the first frame (one image), the first and the last frame (two), or
references (up to 9 images, 3 videos and 3 audios); "mixing = 400"; audio alone is not allowed; "an image WITHOUT role
counts as first frame". cubicspaces.txt calls itself official-compatible, worldrouter speaks Ark's own shapes.
"""

import re
from collections.abc import Sequence

from service.assets import MOST_NAMED, asset_id, is_asset
from service.errors import invalid
from service.model import Media

FRAMES = ("first_frame", "last_frame")
REFERENCES_MOST = {"image": 9, "video": 3, "audio": 3}
ALLOWED = (
    "one image as first_frame, or one first_frame and one last_frame, or references only "
    "(reference_image, reference_video, reference_audio)"
)


def check_modes(media: Sequence[Media], where: str) -> None:
    """All of Ark's rules, for gateways whose content array is Ark's own."""
    known = [item for item in media if item.type in REFERENCES_MOST]
    images = [item for item in known if item.type == "image"]
    bare = [item for item in images if item.role is None]
    frames = [item.role or FRAMES[0] for item in images if item.role in (None, *FRAMES)]
    references = [item for item in known if item.type != "image" or item.role not in (None, *FRAMES)]
    if len(bare) > 1:
        raise invalid(where, f"several images need a role each; allowed: {ALLOWED}")
    if frames and references:
        note = "; an image without a role counts as the first frame" if bare else ""
        raise invalid(where, f"first and last frames cannot be mixed with references{note}; allowed: {ALLOWED}")
    _check_frames(frames, where)
    if frames == ["last_frame"]:
        raise invalid(where, f"holds a last_frame without a first_frame; allowed: {ALLOWED}")
    for kind, most in REFERENCES_MOST.items():
        if sum(item.type == kind for item in references) > most:
            raise invalid(where, f"holds too many {kind} references; at most {most} are allowed")
    if known and all(item.type == "audio" for item in known):
        raise invalid(where, "holds audio alone; it needs an image or a video beside it")


def check_roles_agree(media: Sequence[Media], where: str) -> None:
    """Only what is said in so many words: for gateways that take images without a role for either."""
    roles = [item.role for item in media if item.role is not None]
    frames = [role for role in roles if role in FRAMES]
    if frames and len(frames) < len(roles):
        raise invalid(where, f"first and last frames cannot be mixed with references; allowed: {ALLOWED}")
    _check_frames(frames, where)


def _check_frames(frames: Sequence[str], where: str) -> None:
    for role in FRAMES:
        if frames.count(role) > 1:
            raise invalid(where, f"holds more than one {role}; allowed: {ALLOWED}")


def check_prompt(prompt: str | None, media: Sequence[Media], where: str) -> None:
    """cubicspaces.txt: "Do not refer to assets by Asset ID in the prompt"; "image 1" is how."""
    said = prompt or ""
    named = {item.url: item for item in media if is_asset(item.url)}
    if len(named) > MOST_NAMED:
        raise invalid("media", f"names {len(named)} assets; at most {MOST_NAMED} are allowed")
    for item in named.values():
        if _names(said, asset_id(item.url)):
            index = 1 + [each.url for each in media if each.type == item.type].index(item.url)
            raise invalid(where, f'must not name the asset {asset_id(item.url)}; write "{item.type} {index}" instead')
    if "asset://" in said.lower():
        raise invalid(where, 'must not hold asset:// URLs; write "image 1", "video 1" or "audio 1" instead')


def _names(prompt: str, known_as: str) -> bool:
    """Whether an id stands in a prompt as a word. One of letters only may be a word of the language."""
    return not known_as.isalpha() and re.search(rf"(?<![\w-]){re.escape(known_as)}(?![\w-])", prompt) is not None
