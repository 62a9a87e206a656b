"""WorldRouter's asset groups and assets. Documentation: worldrouter.txt, "Asset flow for image references"."""

from service.assets import SCHEME, Asset, AssetGroup, Upload, Uploaded, asset_id, is_asset, is_public
from service.dialects.answers import text_or_none
from service.dialects.fields import missing, opened, read_text, read_url
from service.dialects.library import Groups, Library, LibraryRoute
from service.errors import invalid
from service.wire import Json, fill, take

KINDS = ("image",)  # the only `type` that is shown


def read_group_request(body: Json) -> AssetGroup:
    """ASSUME that a group needs a name, and no description."""
    rest = opened(body)
    name, description = read_text(rest, ("name",)), read_text(rest, ("description",))
    if not (name or "").strip():
        raise missing("name")
    return AssetGroup(name=name or "", description=description or "", extra=rest)


def write_group_request(group: AssetGroup) -> Json:
    body: Json = {"name": group.name}
    if group.description:
        body["description"] = group.description
    fill(body, group.extra)
    return body


def write_group(group: AssetGroup) -> Json:
    """ASSUME that a request id looks like the group's: nothing reads it."""
    return {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "requestId": "req-" + group.id.removeprefix("group-"),
    }


def read_group(body: Json) -> AssetGroup:
    return AssetGroup(
        id=text_or_none(body.get("id")) or "",
        name=text_or_none(body.get("name")) or "",
        description=text_or_none(body.get("description")) or "",
    )


def check_source(url: str, at: str) -> None:
    if not is_public(url):
        raise invalid(at, "must be a public http or https URL, or the asset:// URL of an uploaded image")


def read_upload(body: Json) -> Upload:
    """ASSUME that an upload needs its URL, and neither name nor description."""
    rest = opened(body)
    kind = take(rest, ("type",))
    if kind not in (None, *KINDS):
        raise invalid("type", f"must be one of {', '.join(KINDS)}")
    if rest.get("url") is None:
        raise missing("url")
    url = read_url(take(rest, ("url",)), "url")
    check_source(url, "url")
    name, description = read_text(rest, ("name",)), read_text(rest, ("description",))
    return Upload(
        sources=(url,), places=("url",), kind=KINDS[0], name=name or "", description=description or "", extra=rest
    )


def write_upload(upload: Upload) -> Json:
    said = {"name": upload.name, "description": upload.description}
    body: Json = {name: value for name, value in said.items() if value}
    body |= {"type": upload.kind or KINDS[0], "url": upload.sources[0]}
    fill(body, upload.extra)
    return body


def write_uploaded(upload: Upload, uploaded: Uploaded) -> Json:
    (asset,) = uploaded.assets
    return {
        "id": asset_id(asset.url),
        "asset_group_id": asset.group_id,
        "name": asset.name,
        "description": asset.description,
        "type": upload.kind or KINDS[0],
        "url": asset.url,
        "source_url": asset.source,
        "requestId": "req-" + asset_id(asset.url).removeprefix("asset-"),
    }


def read_uploaded(body: Json) -> Uploaded:
    """The asset URL as it stands, or made of the id."""
    url, known_as = text_or_none(body.get("url")) or "", text_or_none(body.get("id"))
    if not is_asset(url):
        url = SCHEME + known_as if known_as else ""
    asset = Asset(
        source=text_or_none(body.get("source_url")) or "",
        url=url,
        group_id=text_or_none(body.get("asset_group_id")) or "",
        name=text_or_none(body.get("name")) or "",
        description=text_or_none(body.get("description")) or "",
        approved=bool(url),
    )
    return Uploaded(assets=(asset,))


LIBRARY = Library(
    routes=(
        LibraryRoute(operation="group", path="/v1/asset-groups"),
        LibraryRoute(operation="upload", path="/v1/asset-groups/{id}/assets"),
    ),
    on_request=False,
    groups=Groups(
        read_request=read_group_request,
        write_request=write_group_request,
        write_group=write_group,
        read_group=read_group,
    ),
    check_source=check_source,
    check_image=None,
    read_request=read_upload,
    write_request=write_upload,
    write_uploaded=write_uploaded,
    read_uploaded=read_uploaded,
)
