"""A stranger at the callback route: what a gateway, or somebody who pretends to be one, sends there."""

from dataclasses import replace
from typing import Any

import httpx

from service.wire import dumps
from tests.hub import GATEWAY, PATIENCE_S, SANDBOX, TRUST, Hub

SLOW = replace(SANDBOX, queue_ms=(60_000, 60_000))  # it calls back nothing of its own
TRUSTING = replace(GATEWAY, trust="trust")

DONE = {"id": "cgt-1", "status": "succeeded", "content": {"video_url": "https://media.example.com/v.mp4"}}


async def called(
    it: Hub,
    task: Any,
    body: Any = DONE,
    *,
    content: bytes | None = None,
    headers: dict[str, str] | None = None,
    token: str | None = None,
    gateway: str | None = None,
) -> httpx.Response:
    """POST to the callback URL of a task, as nobody."""
    token = token or it.services.tokens.issue(it.dialect.name, task["id"])
    async with httpx.AsyncClient(base_url=it.base_url, trust_env=False, verify=TRUST, timeout=PATIENCE_S) as nobody:
        return await nobody.post(
            f"/callbacks/{gateway or it.dialect.name}/{token}",
            content=dumps(body) if content is None else content,
            headers=headers,
        )
