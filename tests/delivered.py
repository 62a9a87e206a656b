"""One real delivery of a subscription whose secret is being rotated, for those who verify it."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from service.wire import HttpRequest
from tests.hub import hub
from tests.servers import Sink

SIGNATURES = ["v1", "v1a", "sha256"]


@dataclass(frozen=True)
class Delivered:
    """What a receiver got. old, new: the secrets that are good just now. public_key: as the API publishes it."""

    request: HttpRequest
    old: str
    new: str
    public_key: str


def deliver(folder: Path) -> Delivered:
    """Sent by a whole Reelhook, for a task that its gateway has made."""
    return asyncio.run(_deliver(folder))


async def _deliver(folder: Path) -> Delivered:
    async with Sink().open() as sink, hub(folder) as it:
        made = await it.subscribe(sink.url, signatures=SIGNATURES)
        rotated = (await it.post(f"/v1/subscriptions/{made['id']}/rotate-secret?grace=24h")).json()
        await it.submit("Ein Café am Fluß, 雨")
        (request,) = await sink.wait_for(len)
        published = (await it.http.get("/v1/signing-key")).json()
    return Delivered(request, made["secret"], rotated["secret"], published["public_key"])
