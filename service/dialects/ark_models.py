"""What each family of Ark's models can do, where the model's id tells the family.

gateways.md, section 2, "create fields". An endpoint (`ep-…`) tells nothing: there the gateway alone knows, and refuses.
"""

from dataclasses import dataclass

from service.dialects.fields import check_duration
from service.errors import invalid
from service.model import VideoRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """word: what stands in the id, with dashes for dots. shortest, longest: seconds. auto: whether -1 is a duration.
    lacks: the parameters that it has not. flex: whether it has the offline tier. references: whether it takes videos
    and audio."""

    word: str
    shortest: int
    longest: int
    auto: bool
    resolutions: tuple[str, ...] = ("480p", "720p", "1080p")
    lacks: tuple[str, ...] = ()
    flex: bool = True
    references: bool = True


SEEDANCE_2 = ("frames", "camera_fixed", "draft")
# The first one whose word is in the id.
FAMILIES = (
    *(
        Family(
            word=f"seedance-2-0-{size}",
            shortest=4,
            longest=15,
            auto=True,
            resolutions=("480p", "720p"),
            lacks=SEEDANCE_2,
            flex=False,
        )
        for size in ("fast", "mini")
    ),
    Family(
        word="seedance-2-0",
        shortest=4,
        longest=15,
        auto=True,
        resolutions=("480p", "720p", "1080p", "4k"),
        lacks=SEEDANCE_2,
        flex=False,
    ),
    # Known from a price list only: ASSUME -1 as for its sisters, and 4k as nothing rules it out.
    Family(
        word="seedance-2-5",
        shortest=4,
        longest=30,
        auto=True,
        resolutions=("480p", "720p", "1080p", "4k"),
        lacks=("draft",),
    ),
    Family(
        word="seedance-1-5",
        shortest=4,
        longest=12,
        auto=True,
        lacks=("frames", "priority", "tools"),
        references=False,
    ),
    Family(
        word="seedance-1-0",
        shortest=2,
        longest=12,
        auto=False,
        lacks=("priority", "tools", "generate_audio", "draft"),
        references=False,
    ),
)
# Of a model whose family is not told. ASSUME any length.
ANY = Family(word="", shortest=1, longest=3_600, auto=True, resolutions=())


def family_of(model: str) -> Family:
    spelled = model.lower().replace(".", "-")
    return next((family for family in FAMILIES if family.word in spelled), ANY)


def check_model(request: VideoRequest) -> None:
    """Refuse what the model cannot do. To say what is the default anyway (false, 0) is no wish for it."""
    family = family_of(request.model)
    check_duration(request.duration, family.shortest, family.longest, auto=family.auto)
    for name in family.lacks:
        if getattr(request, name, None) or request.extra.get(name):
            raise invalid(name, f"is not supported by {request.model}")
    if family.resolutions and request.resolution is not None and request.resolution not in family.resolutions:
        raise invalid("resolution", f"of {request.model} must be one of {', '.join(family.resolutions)}")
    if request.service_tier == "flex" and not family.flex:
        raise invalid("service_tier", f"of {request.model} must be one of default")
    if not family.references and any(item.type in ("video", "audio") for item in request.media):
        raise invalid("media", f"of {request.model} can be images only")
    if "draft" in family.lacks and any(item.type == "draft_task" for item in request.media):
        raise invalid("media", f"of {request.model} cannot be a draft_task")
    if request.camera_fixed and any(item.role == "reference_image" for item in request.media):
        raise invalid("camera_fixed", "cannot be combined with reference images")
