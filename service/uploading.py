"""Give images to a gateway: look at them, send them, keep whose they are."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from service.assets import Asset, AssetGroup, Upload, Uploaded
from service.clock import SECOND, Clock
from service.dialects.library import Library
from service.egress import Egress
from service.errors import Problem
from service.gateways import Gateway
from service.images import look_at
from service.outcomes import Busy, Refused, Unknown, Unsent
from service.settings import Settings
from service.store.assets import add_assets, add_group, storable
from service.store.statements import Database

log = logging.getLogger("reelhook.assets")

LOOK_MOST_MS = 10 * SECOND
LOOKS_AT_ONCE = 4
ASK_AGAIN_MS = 5 * SECOND

T = TypeVar("T")
NotDone = Refused | Busy | Unsent | Unknown
"""Why something was not made, as for creates; but whatever these are may be sent again, because nobody pays for it."""


class Uploading:
    """Asset groups and assets of the owners, at the gateways that have some."""

    def __init__(self, *, database: Database, egress: Egress, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._egress = egress
        self._timeout_ms = settings.submit.prepare_timeout
        self._look_ms = min(LOOK_MOST_MS, self._timeout_ms)
        self._clock = clock

    @property
    def longest_ms(self) -> int:
        """How long one image can take: its name, a look at it, its turn, and the answer."""
        return 2 * self._look_ms + 2 * self._timeout_ms

    # --- for callers of a gateway's own API

    async def make_group(self, gateway: Gateway, owner: str, wanted: AssetGroup) -> AssetGroup:
        """Make a group and keep it as the owner's; Problem when the gateway does not."""
        made = done(await self.send_group(gateway, wanted))
        await self._database.write(add_group, owner, gateway.name, made, self._clock())
        return made

    async def take_in(self, gateway: Gateway, owner: str, upload: Upload, group_id: str) -> Uploaded:
        """Have images taken in and keep the approved ones as the owner's; Problem when the gateway does not."""
        if group_id:
            await self._check_group(gateway, owner, group_id)
        uploaded = done(await self.send_images(gateway, upload, group_id))
        await self._database.write(add_assets, owner, gateway.name, group_id, uploaded.assets, self._clock())
        return uploaded

    async def _check_group(self, gateway: Gateway, owner: str, group_id: str) -> None:
        foreign = int(gateway.settings.foreign_assets)
        usable = await self._database.read(
            "usable_group", owner=owner, gateway=gateway.name, id=storable(group_id), foreign=foreign
        )
        if not usable:
            raise Problem("forbidden", f"{group_id} is not an asset group of yours")

    # --- one request

    async def send_group(self, gateway: Gateway, wanted: AssetGroup) -> AssetGroup | NotDone:
        groups = library_of(gateway).groups
        assert groups is not None  # callers ask only where there are groups
        answer = await gateway.give("group", groups.write_request(wanted), "", self._timeout_ms)
        if not isinstance(answer, dict):
            return answer
        made = groups.read_group(answer)
        if not made.id:
            return Unknown(Problem("gateway_error", f"{gateway.name} answered without an id for the group"))
        log.info("assets.group gateway=%s group=%s", gateway.name, made.id)
        return replace(made, name=made.name or wanted.name, description=made.description or wanted.description)

    async def send_images(self, gateway: Gateway, upload: Upload, group_id: str) -> Uploaded | NotDone:
        """Look at the images as far as the gateway documents limits, and send what may pass."""
        library = library_of(gateway)
        try:
            await self._look(library, upload)
        except Problem as problem:
            return Refused(problem)
        answer = await gateway.give("upload", library.write_request(upload), group_id, self._timeout_ms)
        if not isinstance(answer, dict):
            return answer
        uploaded = library.read_uploaded(answer)
        if not uploaded.assets:
            return Unknown(Problem("gateway_error", f"{gateway.name} answered without a word about the images"))
        log.info("assets.uploaded gateway=%s images=%s", gateway.name, len(uploaded.assets))
        return replace(uploaded, assets=_with_sources(upload, uploaded, group_id))

    async def _look(self, library: Library, upload: Upload) -> None:
        """A Problem about an image that we would not be let fetch, or that is beyond the documented limits."""
        check = library.check_image
        if check is None:
            return
        turns = asyncio.Semaphore(LOOKS_AT_ONCE)
        timeout_ms = self._look_ms

        async def look(index: int, source: str) -> None:
            async with turns:
                at = upload.places[index]
                with suppress(TimeoutError):
                    async with asyncio.timeout(timeout_ms / 1000):
                        await self._egress.vet(source, at, must_resolve=False)
                seen = await look_at(self._egress, source, timeout_ms)
                check(seen.size, seen.length, at)

        for told in await asyncio.gather(*(look(*each) for each in enumerate(upload.sources)), return_exceptions=True):
            if isinstance(told, BaseException):
                raise told


def library_of(gateway: Gateway) -> Library:
    library = gateway.dialect.library
    assert library is not None  # callers ask only where there is one
    return library


def done(outcome: T | NotDone) -> T:
    """What was made; otherwise why not, as a Problem."""
    if isinstance(outcome, NotDone):
        if outcome.problem.code == "moderation_delayed":
            outcome.problem.retry_after_ms = outcome.problem.retry_after_ms or ASK_AGAIN_MS
        raise outcome.problem
    return outcome


def _with_sources(upload: Upload, uploaded: Uploaded, group_id: str) -> tuple[Asset, ...]:
    """The assets under the very URLs that were sent: a gateway may leave them out, or spell them in its own way."""
    assets = uploaded.assets
    in_order = len(assets) == len(upload.sources)
    return tuple(
        replace(
            asset,
            source=upload.sources[index] if in_order and asset.source not in upload.sources else asset.source,
            group_id=asset.group_id or group_id,
            name=asset.name or upload.name,
            description=asset.description or upload.description,
        )
        for index, asset in enumerate(assets)
    )
