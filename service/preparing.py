"""What has to happen before a create may leave: images that the gateway wants given to it first.

A task that is being prepared is stored and unsent. Each image is made an asset once for its owner, gateway and group;
what was made is kept, so that a task whose process has died goes on where it stopped. An upload whose reply was lost is
sent again at most twice: nobody pays for one, and all it can leave behind is an asset that nobody uses.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from service.assets import AssetGroup, Upload, Uploaded, assets_named
from service.clock import SECOND, woken_or_after
from service.errors import Problem
from service.gateways import Gateway
from service.hearing import Hearing
from service.hub import Hub
from service.model import Submission, Task, new_id
from service.outcomes import Busy, Refused, Unknown
from service.settling import Settled
from service.store.assets import (
    Claimed,
    Known,
    UploadKey,
    claim_upload,
    finish_upload,
    forget_sources,
    forget_upload,
    free_upload,
    group_of_assets,
    key_of,
    key_of_group,
)
from service.store.statements import Transaction
from service.store.tasks import find_task, step
from service.uploading import NotDone, Uploading, library_of
from service.wire import Json, dump_text

log = logging.getLogger("reelhook.tasks")

TRIES_MOST = 3
TURN_MS = SECOND // 10  # how soon an image that another process uploads is looked for again
LEASE_MARGIN_MS = SECOND
ABOUT_THE_IMAGE = ("invalid_request", "forbidden", "not_found", "too_large", "unsupported_media_type")
Made = AssetGroup | Uploaded
Make = Callable[[], Awaitable[Made | NotDone]]
OWN_GROUP = AssetGroup(name="reelhook", description="images of tasks, uploaded by Reelhook")


@dataclass(frozen=True, slots=True)
class Prepared:
    """All images are there. assets: {"group": id or None, "urls": {source: asset URL}}."""

    assets: Json


class Preparing:
    """Takes a stored task to where its create may leave."""

    def __init__(self, *, hub: Hub, uploading: Uploading, hearing: Hearing) -> None:
        self._hub = hub
        self._database = hub.database
        self._uploading = uploading
        self._hearing = hearing
        self._submit = hub.settings.submit
        self._clock = hub.clock
        self._making: dict[UploadKey, asyncio.Event] = {}  # by this process; waiters need not ask the database

    async def prepare(self, task: Task, gateway: Gateway) -> Prepared | NotDone:
        """Have every image of a task taken in that is not yet."""
        sources = gateway.unprepared(task.request)
        group_id = await self._group(task, gateway) if sources else ""
        if isinstance(group_id, NotDone):
            return group_id
        making = (self._asset(task, gateway, group_id, source) for source in sources)
        done = await asyncio.gather(*making, return_exceptions=True)  # all of them, or some would go on unleased
        for one in done:
            if isinstance(one, BaseException):
                raise one
        made = [one for one in done if not isinstance(one, BaseException)]
        failed = [one for one in made if isinstance(one, NotDone)]
        if failed:  # a refusal is final, whatever became of the others
            return next((one for one in failed if isinstance(one, Refused)), failed[0])
        return Prepared({"group": group_id or None, "urls": dict(zip(sources, made, strict=True))})

    async def record(self, task: Task, outcome: Prepared | NotDone) -> Settled:
        """What came of it. All of these are fenced by the lease: who has lost it changes nothing."""
        log.info("task.prepare task=%s gateway=%s outcome=%s", task.id, task.gateway, type(outcome).__name__.lower())
        now = self._clock()
        if isinstance(outcome, Prepared):
            return await self._hub.commit(self._ready, task, outcome.assets, now)
        if isinstance(outcome, Refused) or task.when_full == "refuse":
            return await self._hub.commit(self._refused, task, outcome.problem, now)
        return await self._hub.commit(self._hearing.postpone, task, outcome.problem, now)

    async def doubt_assets(self, task: Task, problem: Problem) -> None:
        """Have a task's images made anew for the next one, where the gateway may not know their assets any more."""
        if problem.code in ("forbidden", "unknown_route") and task.assets:
            urls = task.assets.get("urls", {}).values()
            await self._database.write(forget_sources, task.owner, task.gateway, list(urls))

    def _ready(self, task: Task, assets: Json, now: int) -> Transaction[Settled]:
        ready = yield from step(
            "prepared_task",
            id=task.id,
            lease=task.lease,
            assets=dump_text(assets),
            next_at=now + self._submit.lease,
            now=now,
        )
        return Settled(ready or (yield from find_task(task.id)) or task, [])

    def _refused(self, task: Task, problem: Problem, now: int) -> Transaction[Settled]:
        current = yield from find_task(task.id)
        if current is None or current.lease != task.lease or current.submission is not Submission.UNSENT:
            return Settled(current or task, [])
        return (yield from self._hearing.refuse(task, problem, now))

    # --- one group, one image

    async def _group(self, task: Task, gateway: Gateway) -> str | NotDone:
        """The group that the images go into: the caller's, that of his other assets, or one of the owner's for all."""
        if library_of(gateway).groups is None:
            return ""
        if task.request.asset_group_id is not None:
            return task.request.asset_group_id
        named = assets_named(task.request)
        known = await self._database.write(group_of_assets, task.owner, gateway.name, named)
        if known is not None:
            return known

        async def make() -> AssetGroup | NotDone:
            return await self._uploading.send_group(gateway, OWN_GROUP)

        return await self._once(key_of_group(task.owner, gateway.name), make, "media", gateway)

    async def _asset(self, task: Task, gateway: Gateway, group_id: str, source: str) -> str | NotDone:
        index = [media.url for media in task.request.media].index(source)
        at = f"media[{index}].url"
        upload = Upload(sources=(source,), places=(at,), model=task.request.model, name=f"image-{index + 1}")

        async def make() -> Uploaded | NotDone:
            return await self._uploading.send_images(gateway, upload, group_id)

        return await self._once(key_of(task.owner, gateway.name, group_id, source), make, at, gateway)

    async def _once(self, key: UploadKey, make: Make, at: str, gateway: Gateway) -> str | NotDone:
        """The URL or id of what is made once. Who finds somebody else making it waits for that."""
        started_at = self._clock()
        while True:
            now = self._clock()
            lease = new_id("lease", now)
            until = now + self._uploading.longest_ms + LEASE_MARGIN_MS
            claim = await self._database.write(claim_upload, key, lease, now, until)
            if isinstance(claim, Known):
                return claim.made
            if isinstance(claim, Claimed):
                done = self._making[key] = asyncio.Event()
                try:
                    return await self._make(key, lease, claim.tries, make, at, gateway)
                finally:
                    self._making.pop(key, None)
                    done.set()
            if now - started_at > self._submit.prepare_timeout:
                return Busy(Problem("too_many_pending", f"{at}: another task is uploading this image"))
            made = self._making.get(key)
            await (woken_or_after(made, SECOND) if made else asyncio.sleep(TURN_MS / 1000))

    async def _make(
        self, key: UploadKey, lease: str, tries: int, make: Make, at: str, gateway: Gateway
    ) -> str | NotDone:
        if tries > TRIES_MOST:
            await self._database.write(forget_upload, key, lease)
            words = f"{at}: {gateway.name} did not confirm this image {TRIES_MOST} times over"
            return Refused(Problem("gateway_error", words, field=at))
        try:
            outcome = await make()
            return await self._keep(key, lease, outcome, at, gateway)
        except BaseException:  # cancelled, or a fault of ours: it may have arrived
            await asyncio.shield(self._database.write(free_upload, key, lease, arrived=True))
            raise

    async def _keep(
        self, key: UploadKey, lease: str, outcome: Made | NotDone, at: str, gateway: Gateway
    ) -> str | NotDone:
        if isinstance(outcome, Uploaded):
            (asset,) = outcome.assets[:1]
            if not asset.approved:
                await self._database.write(forget_upload, key, lease)
                return Refused(_rejected(at, gateway))
            return await self._database.write(finish_upload, key, lease, asset, self._clock())
        if isinstance(outcome, AssetGroup):
            return await self._database.write(finish_upload, key, lease, outcome, self._clock())
        await self._free(key, lease, outcome)
        return _told(outcome, at, gateway)

    async def _free(self, key: UploadKey, lease: str, outcome: NotDone) -> None:
        if isinstance(outcome, Refused):
            await self._database.write(forget_upload, key, lease)
            return
        answered = outcome.problem.code == "moderation_delayed" and outcome.problem.gateway_status is not None
        arrived = isinstance(outcome, Unknown) and not answered
        await self._database.write(free_upload, key, lease, arrived=arrived)


def _rejected(at: str, gateway: Gateway) -> Problem:
    return Problem(
        "invalid_request",
        f"{at}: {gateway.name} has not approved this image",
        field=at,
        gateway_code="image_rejected",
    )


def _told(outcome: NotDone, at: str, gateway: Gateway) -> NotDone:
    """What the gateway says about an image, under the caller's own name for it."""
    problem = outcome.problem
    if problem.code in ABOUT_THE_IMAGE and problem.field is None and problem.gateway_status is not None:
        message = f"{at}: {gateway.name} says: {problem.message}"
        outcome = type(outcome)(replace(problem, message=message, field=at))
    return outcome
