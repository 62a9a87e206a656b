"""The integration that docs/zapier.md shows, run by Node as Zapier runs it, against a whole Reelhook."""

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.hub import Hub, hub
from tests.servers import Sink

ROOT = Path(__file__).parent.parent
APP = ROOT / "docs" / "zapier" / "app.js"


async def zapier(it: Hub, target_url: str, event: str) -> Any:
    """What Zapier keeps and shows when a Zap is switched on, set up, and switched off twice."""
    if shutil.which("node") is None:
        if os.environ.get("REQUIRE_WITNESSES"):
            pytest.fail("node is required here: install it")
        pytest.skip("node is not installed")
    key = it.http.headers["authorization"].removeprefix("Bearer ")
    bundle = {
        "authData": {"base_url": it.base_url + "/", "api_key": key},
        "inputData": {"event": event},
        "targetUrl": target_url,
    }
    process = await asyncio.create_subprocess_exec(
        *("node", ROOT / "tests" / "zapier_platform.js", APP),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    answer, errors = await process.communicate(json.dumps(bundle).encode())
    assert process.returncode == 0, errors.decode()
    return json.loads(answer)


async def test_a_zap_is_switched_on_and_off(tmp_path: Path) -> None:
    async with Sink().open() as sink, hub(tmp_path, worker=False) as it:
        seen = await zapier(it, sink.url, "task.succeeded")
        left = await it.listed("/v1/hooks")
    hook = seen["subscribeData"]
    assert (seen["tested"], hook["target_url"], hook["event"], left) == (200, sink.url, "task.succeeded", [])


@pytest.mark.parametrize("event", ["task.succeeded", "task.failed", "task.*"])
async def test_the_static_sample_has_the_keys_of_every_event(tmp_path: Path, event: str) -> None:
    async with Sink().open() as sink, hub(tmp_path, worker=False) as it:
        seen = await zapier(it, sink.url, event)
    assert {tuple(each) for each in (*seen["listed"], seen["performed"])} == {tuple(seen["sample"])}


def test_the_page_shows_the_integration_as_it_is() -> None:
    assert f"```js\n{APP.read_text()}```" in (ROOT / "docs" / "zapier.md").read_text()
