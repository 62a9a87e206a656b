"""The assets of a sandbox: groups, images that were taken in or moderated, and what goes wrong with them.

Words in square brackets in an image's URL, name or description are a script, as those in a prompt are:
https://example.com/cat-[rejected].png. The statuses, [drop], [stall] and [slow create] mean the same as of a create.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote

from service.assets import SCHEME, Asset, AssetGroup, Upload, Uploaded, asset_id, assets_named
from service.dialects.library import Library
from service.egress import Egress
from service.errors import Problem
from service.images import look_at
from service.model import VideoRequest
from service.sandbox_log import SandboxLog, UploadNote
from service.sandbox_script import Script, read_script

LOOK_MS = 2_000

# Known from the start, so that the documented examples can be played: worldrouter.txt "Asset flow for image
# references", cubicspaces.txt "Moderated Image-to-Video Example" and "First And Last Frame Example".
DOCUMENTED: Mapping[str, tuple[str, ...]] = {
    "worldrouter": ("asset-1",),
    "cubicspaces": ("reviewed-image-asset-id", "first-frame-asset-id", "last-frame-asset-id"),
}
DOCUMENTED_GROUPS: Mapping[str, tuple[str, ...]] = {"worldrouter": ("group-1",)}


class SandboxLibrary:
    """What a sandbox gateway knows of images."""

    def __init__(self, dialect: str, library: Library, egress: Egress, log: SandboxLog) -> None:
        self._library = library
        self._egress = egress
        self._log = log
        self._groups = set(DOCUMENTED_GROUPS.get(dialect, ()))
        self._assets = dict.fromkeys(DOCUMENTED.get(dialect, ()), "")
        self._delayed: Counter[str] = Counter()

    def make_group(self, wanted: AssetGroup) -> AssetGroup:
        made = replace(wanted, id=f"group-{len(self._groups) + 1}")
        self._groups.add(made.id)
        self._log.groups += 1
        return made

    def check(self, request: VideoRequest) -> None:
        """Refuse a create that names what is not here."""
        for url in assets_named(request):
            if asset_id(url) not in self._assets:
                raise Problem("forbidden", f"{url} is not an asset of this account")
        if request.asset_group_id is not None:
            self._check_group(request.asset_group_id)

    async def take_in(self, upload: Upload, group_id: str) -> Uploaded:
        """Take images in; Problem where the script or the documented limits have it so."""
        if group_id:
            self._check_group(group_id)
        script = script_of(upload)
        await self._look(upload)
        seen = "\n".join(upload.sources)
        if self._delayed[seen] < script.number("delayed"):
            self._delayed[seen] += 1
            raise Problem(
                "moderation_delayed", "the moderation is not ready yet; send the same request again in a few seconds"
            )
        assets = tuple(self._made(upload, source, group_id) for source in upload.sources)
        batch = _short(seen)
        return Uploaded(assets=assets, batch_id=f"review-batch-{batch}", job_id=f"moderation-task-{batch}")

    def _made(self, upload: Upload, source: str, group_id: str) -> Asset:
        approved = "rejected" not in read_script(unquote(source))
        self._log.uploads.append(UploadNote(source=source, group=group_id, approved=approved))
        if not approved:
            return Asset(source=source, url="", approved=False)
        known_as = f"asset-{len(self._assets) + 1}"
        self._assets[known_as] = group_id
        return Asset(
            source=source,
            url=SCHEME + known_as,
            group_id=group_id,
            name=upload.name,
            description=upload.description,
        )

    async def _look(self, upload: Upload) -> None:
        """The limits, as far as the image can be fetched from here."""
        for source, at in zip(upload.sources, upload.places, strict=True):
            if self._library.check_image is not None:
                seen = await look_at(self._egress, source, LOOK_MS)
                self._library.check_image(seen.size, seen.length, at)

    def _check_group(self, group_id: str) -> None:
        if group_id not in self._groups:
            raise Problem("forbidden", f"{group_id} is not an asset group of this account")


def script_of(upload: Upload) -> Script:
    return read_script(unquote(" ".join((*upload.sources, upload.name, upload.description))))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
