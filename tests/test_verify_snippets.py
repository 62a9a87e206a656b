"""The snippets that docs/verify.md shows, each run by its own language on a delivery that was really made."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from service.signing import new_secret, sign
from tests.delivered import Delivered, deliver
from tests.servers import Sink

FOLDER = Path(__file__).parent.parent / "docs" / "verify"
PAGE = FOLDER.parent / "verify.md"
LANGUAGES: Mapping[str, Sequence[str]] = {  # file -> what runs it
    "verify.py": (sys.executable, "verify.py"),
    "verify.mjs": ("node", "verify.mjs"),
    "main.go": ("go", "build"),
    "verify.rb": ("ruby", "verify.rb"),
    "verify.php": ("php", "verify.php"),
    "verify.sh": ("sh", "verify.sh"),
}
OPTIONAL = ("main.go",)  # .ci/run installs the others
NAMES = ("webhook-id", "webhook-timestamp", "webhook-signature")
GOOD = ("as it came", "signed with the new secret alone", "signed by one before", "a minute ahead")


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Delivered:
    return deliver(tmp_path_factory.mktemp("hub"))


def here(name: str) -> Sequence[str]:
    """The command that runs a snippet; skipped where its language is not installed."""
    command = LANGUAGES[name]
    for program in (command[0], *(("openssl",) if name.endswith(".sh") else ())):
        if shutil.which(program) is None:
            if os.environ.get("REQUIRE_WITNESSES") and name not in OPTIONAL:
                pytest.fail(f"{program} is required here: install it")
            pytest.skip(f"{program} is not installed")
    return command


def cases(real: Delivered) -> Mapping[str, tuple[str, Mapping[str, str], bytes]]:
    """(secret, headers, body) by what is the matter with them."""
    body, came = real.request.body, {name: real.request.headers[name] for name in NAMES}
    message_id, now = came["webhook-id"], int(time.time())

    def signed(*secrets: str, at: int = now) -> dict[str, str]:
        return dict(sign(secrets, message_id, at, body))

    return {
        "as it came": (real.new, came, body),
        "signed with the new secret alone": (real.new, signed(real.new), body),
        "signed by one before": (real.new, signed(new_secret(), real.new), body),
        "a minute ahead": (real.new, signed(real.new, at=now + 60), body),
        "another body": (real.new, came, body.replace(b"task.succeeded", b"task.failed")),
        "another id": (real.new, came | {"webhook-id": "evt_1"}, body),
        "another time": (real.new, came | {"webhook-timestamp": str(now - 30)}, body),
        "another secret": (new_secret(), came, body),
        "too old": (real.new, signed(real.new, at=now - 310), body),
        "too far ahead": (real.new, signed(real.new, at=now + 310), body),
        "no time": (real.new, came | {"webhook-timestamp": "yesterday"}, body),
        "no signature": (real.new, came | {"webhook-signature": ""}, body),
        "ed25519 alone": (real.new, came | {"webhook-signature": "v1a," + "A" * 86 + "=="}, body),
        "no version": (real.new, came | {"webhook-signature": signed(real.new)["webhook-signature"][3:]}, body),
    }


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_snippet_takes_what_we_sent_and_nothing_else(name: str, delivered: Delivered, tmp_path: Path) -> None:
    command = here(name)
    if name == "main.go":
        program = tmp_path / "verify"
        subprocess.run(["go", "build", "-o", program, FOLDER / name], check=True, cwd=tmp_path)
        command = [str(program)]
    taken = []
    for case, (secret, headers, body) in cases(delivered).items():
        given = {f"WEBHOOK_{each.partition('-')[2].upper()}": headers[each] for each in NAMES}
        env = os.environ | given | {"WEBHOOK_SECRET": secret}
        ran = subprocess.run(command, check=False, cwd=FOLDER, input=body, env=env, stderr=subprocess.PIPE)
        assert not ran.stderr, f"{case}: {ran.stderr.decode()}"
        taken += [case] if ran.returncode == 0 else []
    assert tuple(taken) == GOOD


async def test_what_curl_sends_with_the_snippet_is_verified_by_the_reference_library() -> None:
    here("verify.sh")
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    secret, body = new_secret(), '{"name": "Café"}\n'.encode()
    async with Sink(204).open() as sink:
        ran = await _piped(("sh", "send.sh", sink.url), body, {"WEBHOOK_SECRET": secret})
    (request,) = sink.requests
    assert ran == b"204\n"
    assert Webhook(secret).verify(request.body, dict(request.headers)) == {"name": "Café"}


async def _piped(command: Sequence[str], body: bytes, env: Mapping[str, str]) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=FOLDER, env=os.environ | env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    answer, _ = await process.communicate(body)
    return answer


@pytest.mark.parametrize("name", [*LANGUAGES, "send.sh"])
def test_the_page_shows_the_snippet_as_it_is(name: str) -> None:
    shown = re.findall(rf"\[verify/{re.escape(name)}\][^`]*```[a-z]+\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert shown == [(FOLDER / name).read_text()]


def test_every_file_of_the_folder_is_tried() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} == {*LANGUAGES, "send.sh"}
