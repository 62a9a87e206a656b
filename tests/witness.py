"""Client libraries that people already have, each in a process of its own, so that two versions can be asked."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
OLDER = ROOT / ".witness" / "openai-2.8.0"  # made by `make witness`


class Witness:
    """The openai library, current or older, behind a pipe."""

    def __init__(self, folder: Path | None) -> None:
        path = {"PYTHONPATH": str(folder)} if folder else {}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(ROOT / "tests" / "openai_caller.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")} | path,
        )
        self.version: str = self._read()["version"]

    async def call(self, base_url: str, api_key: str, name: str, **args: Any) -> Any:
        """What a method of the client returned, or the error that it raised: {"value": …} or {"error": …}."""
        asked = {"base_url": base_url, "api_key": api_key, "call": name, "args": args}
        return await asyncio.to_thread(self._ask, asked)

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(timeout=10)
        self._process.stdout.close()

    def _ask(self, asked: Any) -> Any:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())
