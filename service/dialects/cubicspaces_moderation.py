"""CubicSpaces' moderation of images, which also takes them in. Documentation: cubicspaces.txt, "Moderate Images"."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from service.assets import Asset, Upload, Uploaded, is_asset, is_public
from service.dialects import new_api
from service.dialects.answers import object_or_empty, text_or_none
from service.dialects.fields import missing, opened, read_list, read_text, read_url
from service.dialects.library import Library, LibraryRoute
from service.errors import Problem, invalid
from service.image_size import Size
from service.wire import Json, fill, pick, take

# cubicspaces.txt "Moderation Limits"
EXTENSIONS = (".jpeg", ".jpg", ".png", ".webp", ".bmp", ".tiff", ".tif", ".gif", ".heic", ".heif")
MOST_SOURCES = 50
NARROWEST, WIDEST = 0.4, 2.5
SHORTEST_PX, LONGEST_PX = 300, 6000
TOO_LONG_BYTES = 30 * 10**6  # "below 30 MB"; ASSUME decimal megabytes, the stricter reading
KINDS = ("Image",)
APPROVED = 1  # "When passed is true and submit_review_status is 1, the image is approved"
REJECTED = 2  # ASSUME: no other value is documented

# The place of the URLs: "images", "image_urls, equivalent to images", "image_url, a single one".
LISTS, SINGLE = ("images", "image_urls"), "image_url"

# How a moderation that was not ready in time may be said ("it polls briefly before returning a timeout error"). Its
# shape is not documented: ASSUME one of these statuses, or the word "timeout" in the code or message.
LATE_STATUSES = (408, 504)


def check_source(url: str, at: str) -> None:
    if not is_public(url):
        raise invalid(at, "must be a public http or https URL; base64 and inline content are not supported")
    try:
        path = urlsplit(url).path
    except ValueError as error:
        raise invalid(at, f"is not a valid URL: {error}") from error
    if not path.lower().endswith(EXTENSIONS):
        raise invalid(at, f"must end with one of {', '.join(EXTENSIONS)}")


def check_image(size: Size | None, length: int | None, at: str) -> None:
    """What was not to be seen is left to the gateway."""
    if length is not None and length >= TOO_LONG_BYTES:
        raise invalid(at, f"is an image of {length} bytes; it must be below 30 MB")
    if size is None:
        return
    if not (SHORTEST_PX <= size.width <= LONGEST_PX and SHORTEST_PX <= size.height <= LONGEST_PX):
        raise invalid(
            at,
            f"is an image of {size.width} × {size.height} pixels; "
            f"width and height must be from {SHORTEST_PX} to {LONGEST_PX}",
        )
    if not NARROWEST <= size.width / size.height <= WIDEST:
        raise invalid(
            at,
            f"is an image of {size.width} × {size.height} pixels; "
            f"width divided by height must be from {NARROWEST} to {WIDEST}",
        )


def read_request(body: Json) -> Upload:
    rest = opened(body)
    model = read_text(rest, ("model",))
    if not (model or "").strip():
        raise missing("model")
    kind = take(rest, ("asset_type",))
    if kind not in (None, *KINDS):
        raise invalid("asset_type", f"must be one of {', '.join(KINDS)}")
    sources, places = zip(*_read_sources(rest), strict=True)
    return Upload(sources=sources, places=places, model=model or "", kind=kind or "", extra=rest)


def _read_sources(rest: Json) -> list[tuple[str, str]]:
    """(URL, how the caller spells its place). "At least one" of the three is required: ASSUME that several add up."""
    given = [name for name in (*LISTS, SINGLE) if rest.get(name) is not None]
    found: list[tuple[Any, str]] = []
    for name in given:
        if name == SINGLE:
            found.append((take(rest, (SINGLE,)), SINGLE))
        else:
            found += [(value, f"{name}[{index}]") for index, value in enumerate(read_list(rest, (name,)))]
    if not found:
        raise missing(given[0] if given else "images, image_urls or image_url")
    if len(found) > MOST_SOURCES:
        raise invalid(given[0], f"holds {len(found)} URLs; at most {MOST_SOURCES} are allowed")
    for value, at in found:
        check_source(read_url(value, at), at)
    return found


def write_request(upload: Upload) -> Json:
    """The documented example has the array even for one image, and no asset_type."""
    body: Json = {"model": upload.model, "images": list(upload.sources)}
    if upload.kind:
        body["asset_type"] = upload.kind
    fill(body, upload.extra)
    return body


def write_uploaded(upload: Upload, uploaded: Uploaded) -> Json:
    """ASSUME "rejected" for the whole where one image was, and an empty asset_url there."""
    approved = all(asset.approved for asset in uploaded.assets)
    items = [
        {
            "source_url": asset.source,
            "asset_url": asset.url if asset.approved else "",
            "submit_review_status": APPROVED if asset.approved else REJECTED,
            "passed": asset.approved,
        }
        for asset in uploaded.assets
    ]
    data = {
        "object": "asset_moderation",
        "status": "approved" if approved else "rejected",
        "review_batch_id": uploaded.batch_id,
        "task_id": uploaded.job_id,
        "items": items,
    }
    return {"code": "success", "message": "", "data": data}


def read_uploaded(body: Json) -> Uploaded:
    items = pick(body, ("data", "items"))
    return Uploaded(
        assets=tuple(_read_item(item) for item in items if isinstance(item, dict)) if isinstance(items, list) else (),
        batch_id=text_or_none(pick(body, ("data", "review_batch_id"))) or "",
        job_id=text_or_none(pick(body, ("data", "task_id"))) or "",
    )


def _read_item(item: Json) -> Asset:
    url = text_or_none(item.get("asset_url")) or ""
    status = item.get("submit_review_status")
    passed = item.get("passed") is True and status == APPROVED and not isinstance(status, bool)
    return Asset(source=text_or_none(item.get("source_url")) or "", url=url, approved=passed and is_asset(url))


def read_error(status: int, body: Any) -> Problem | None:
    """As everywhere, and a delay told from a fault: the same request may be sent again a little later."""
    problem = new_api.read_error(status, body)
    if problem is None:
        return None
    error = object_or_empty(pick(body, ("error",)))
    said = f"{problem.message} {problem.gateway_code} {error.get('type')}".lower()
    late = status in LATE_STATUSES or "timeout" in said or "timed out" in said
    return replace(problem, code="moderation_delayed") if late else problem


LIBRARY = Library(
    routes=(
        LibraryRoute(operation="upload", path="/v1/images/moderations"),
        LibraryRoute(operation="upload", path="/v1/assets/moderations"),
    ),
    on_request=True,
    groups=None,
    check_source=check_source,
    check_image=check_image,
    read_request=read_request,
    write_request=write_request,
    write_uploaded=write_uploaded,
    read_uploaded=read_uploaded,
    read_error=read_error,
)
