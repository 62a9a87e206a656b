"""Rules of persistence for assets: whose they are, what was made of which image, and who is uploading it now."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from service.assets import Asset, AssetGroup, hash_of_source, spelled
from service.errors import Problem
from service.store.statements import Transaction, run, run_many

GROUP_ITSELF = "group"  # in place of a hash: the making of the owner's own group


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadKey:
    """What must not be uploaded twice. group_id: empty where assets stand in no group."""

    owner: str
    gateway: str
    group_id: str
    source_hash: str


@dataclass(frozen=True, slots=True)
class Known:
    """It was made before: the URL of the asset, or the id of the group."""

    made: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """Nobody else does it now. tries: how many times it may have reached the gateway, with this one."""

    tries: int


class Taken:
    """Somebody else is at it."""


def key_of(owner: str, gateway: str, group_id: str, source: str) -> UploadKey:
    return UploadKey(owner=owner, gateway=gateway, group_id=group_id, source_hash=hash_of_source(source))


def key_of_group(owner: str, gateway: str) -> UploadKey:
    return UploadKey(owner=owner, gateway=gateway, group_id="", source_hash=GROUP_ITSELF)


def claim_upload(key: UploadKey, lease: str, now: int, until: int) -> Transaction[Known | Claimed | Taken]:
    """Claim the making of an asset or a group, unless it was made or is being made."""
    known = yield from _made(key)
    if known is not None:
        return Known(known)
    rows = yield run("claim_upload", **asdict(key), lease=lease, now=now, until=until)
    return Claimed(rows[0]["tries"]) if rows else Taken()


def _made(key: UploadKey) -> Transaction[str | None]:
    if key.source_hash == GROUP_ITSELF:
        rows = yield run("own_group", owner=key.owner, gateway=key.gateway)
        return str(rows[0]["id"]) if rows else None
    rows = yield run("asset_of_source", **asdict(key))
    return str(rows[0]["url"]) if rows else None


def finish_upload(key: UploadKey, lease: str, made: Asset | AssetGroup, now: int) -> Transaction[str]:
    """Keep what was made; what counts, when another was quicker."""
    if isinstance(made, AssetGroup):
        yield from add_group(key.owner, key.gateway, made, now, own=True)
    else:
        yield from add_assets(key.owner, key.gateway, key.group_id, [made], now)
    yield run("forget_upload", **asdict(key), lease=lease)
    return (yield from _made(key)) or ""


def free_upload(key: UploadKey, lease: str, *, arrived: bool) -> Transaction[None]:
    """Let somebody try again. arrived: whether this try may have reached the gateway."""
    yield run("free_upload", **asdict(key), lease=lease, arrived=int(arrived))


def forget_upload(key: UploadKey, lease: str) -> Transaction[None]:
    yield run("forget_upload", **asdict(key), lease=lease)


def add_group(owner: str, gateway: str, group: AssetGroup, now: int, *, own: bool = False) -> Transaction[None]:
    yield run(
        "insert_asset_group",
        owner=owner,
        gateway=gateway,
        id=storable(group.id),
        name=storable(group.name),
        description=storable(group.description),
        own=int(own),
        now=now,
    )


def add_assets(owner: str, gateway: str, group_id: str, assets: Sequence[Asset], now: int) -> Transaction[None]:
    """Keep the approved ones as this owner's."""
    rows = [
        {
            "owner": owner,
            "gateway": gateway,
            "url": storable(spelled(asset.url)),
            "group_id": storable(group_id),
            "source": storable(asset.source),
            "source_hash": hash_of_source(asset.source),
            "now": now,
        }
        for asset in assets
        if asset.approved
    ]
    if rows:
        yield run_many("insert_asset", rows)


def check_assets(
    owner: str, gateway: str, urls: Iterable[str], group_id: str | None, *, foreign: bool
) -> Transaction[None]:
    """Refuse, by a Problem, an asset or a group that is another owner's. foreign: whether those are allowed that
    nobody has made through Reelhook."""
    for url in urls:
        if not (yield run("usable_asset", owner=owner, gateway=gateway, url=storable(url), foreign=int(foreign))):
            raise Problem("forbidden", f"{url} is not an asset of yours", field="media")
    groups = [group_id] if group_id is not None else []
    for each in groups:
        if not (yield run("usable_group", owner=owner, gateway=gateway, id=storable(each), foreign=int(foreign))):
            raise Problem("forbidden", f"{each} is not an asset group of yours", field="asset_group_id")


def group_of_assets(owner: str, gateway: str, urls: Iterable[str]) -> Transaction[str | None]:
    """The group in which the first of these assets stands that stands in one."""
    for url in urls:
        rows = yield run("group_of_asset", owner=owner, gateway=gateway, url=storable(url))
        if rows:
            return str(rows[0]["group_id"])
    return None


def forget_sources(owner: str, gateway: str, urls: Iterable[str]) -> Transaction[None]:
    """Make these assets anew when they are next wanted; they stay their owner's."""
    rows = [{"owner": owner, "gateway": gateway, "url": storable(url)} for url in urls]
    yield run_many("keep_asset_without_source", rows)
    yield run_many("forget_sources", rows)


def storable(value: str) -> str:
    """As both databases can hold it: PostgreSQL knows no NUL."""
    return value.replace("\x00", "\\x00")
