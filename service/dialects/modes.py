"""Ark's three ways to use images, videos and audio, which exclude each other.

gateways.md section 2 "content items": a first frame (1 image), a first and a last frame (2), or references (1 to 9
images, 3 videos, 3 audios). An image without a role counts as first frame.
"""

from service.errors import Problem, invalid
from service.model import Media

MOST = {"image": 9, "video": 3, "audio": 3}  # of references


def check_modes(media: tuple[Media, ...], where: str) -> None:
    """Refuse inputs that are of no mode, or of two. where: what the caller calls the list of them."""
    first = [item for item in media if item.type == "image" and item.role in (None, "first_frame")]
    last = [item for item in media if item.type == "image" and item.role == "last_frame"]
    references = [item for item in media if item.type in MOST and item not in first and item not in last]
    if (first or last) and references:
        raise _mixed(first, where)
    if len(first) > 1 or len(last) > 1:
        raise invalid(
            f"{where}[].role",
            "is required for each of several images: an image without one counts as first frame, and there is "
            "one first_frame, one last_frame, or up to 9 of reference_image",
        )
    if last and not first:
        raise invalid(f"{where}[].role", "last_frame needs an image with the role first_frame beside it")
    for kind, most in MOST.items():
        if sum(item.type == kind for item in references) > most:
            raise invalid(where, f"must hold at most {most} references of type {kind}")
    if references and all(item.type == "audio" for item in references):
        raise invalid(where, "audio alone is not allowed; add a reference image or video")


def _mixed(first: list[Media], where: str) -> Problem:
    hint = ""
    if any(item.role is None for item in first):
        hint = "; an image without a role counts as first frame, so say reference_image where it is meant"
    return invalid(f"{where}[].role", f"first/last frame content cannot be mixed with reference media content{hint}")
