"""The command, as its users run it."""

import asyncio
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from service.wire import loads
from tests.hub import TRUST


def reelhook(folder, *words, config=""):
    """Run a command to its end."""
    path = folder / "reelhook.toml"
    path.write_text(f'database = "{folder / "cli.db"}"\n' + config)
    return subprocess.run(
        [sys.executable, "-m", "service", *words, *(["--config", str(path)] if words[0] in CONFIGURED else [])],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        check=False,
    )


CONFIGURED = ("serve", "worker", "migrate", "keys")


def test_a_key_is_made_and_shown_once(tmp_path):
    made = loads(reelhook(tmp_path, "keys", "create", "--owner", "anna", "--json").stdout)
    listed = reelhook(tmp_path, "keys", "list").stdout
    assert made["api_key"].startswith("rh_")
    assert made["api_key"] not in listed
    assert made["id"] in listed


def test_what_can_be_done_with_gateways_is_printed_for_scripts(tmp_path):
    tables = {table["title"]: table["rows"] for table in loads(reelhook(tmp_path, "gateways", "--json").stdout)}
    cancel = next(row for row in tables["What there is"] if row["what"] == "cancel")
    assert (cancel["seedance2"], cancel["videos"]) == ("yes", "undocumented")


def test_a_key_is_stored_as_a_hash(tmp_path):
    made = loads(reelhook(tmp_path, "keys", "create", "--owner", "anna", "--json").stdout)
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("cli.db*"))
    assert made["api_key"].encode() not in stored


def test_a_key_is_revoked_once(tmp_path):
    made = loads(reelhook(tmp_path, "keys", "create", "--owner", "anna", "--json").stdout)
    assert [reelhook(tmp_path, "keys", "revoke", made["id"]).returncode for _ in range(2)] == [0, 1]


def test_the_database_is_migrated_once(tmp_path):
    first, second = (reelhook(tmp_path, "migrate").stdout for _ in range(2))
    assert ("applied 0001" in first, "up to date" in second) == (True, True)


@pytest.mark.parametrize(
    ("words", "config", "said"),
    [
        (["serve"], "prt = 1", "prt: there is no such setting"),
        (["serve"], "[gateways.nowhere]\nkey = 'x'", "gateways.nowhere.dialect: must be one of worldrouter"),
        (["serve"], "[gateways.videos]\nkey = 'x'", "gateways.videos.base_url: is required"),
        (["serve"], "[gateways.cubicspaces]\nsurface = 'x'", "surface: must be one of official, unified"),
        (["serve"], "[gateways.easyrouter]\nkey = 'sk-…'", "gateways.easyrouter.key: must be printable ASCII"),
        (["serve"], "[gateways.easyrouter]\nbase_url = 'http://'", "gateways.easyrouter.base_url"),
        (["serve"], "[egress]\nallow = ['10.0.0.0/99']", "egress.allow"),
        (["serve", "--port", "99999"], "", "port"),
        (["worker"], "database = 'x/y'", "database"),
        (["migrate"], "[sweep]\ntimeout = 3", "sweep.timeout: must be a span"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_a_clear_word(tmp_path, words, config, said):
    if "database" in config:
        (tmp_path / "x").write_text("a file, not a folder")
        path = tmp_path / "other.toml"
        path.write_text(config)
        done = subprocess.run(
            [sys.executable, "-m", "service", *words, "--config", str(path)],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            check=False,
        )
    else:
        done = reelhook(tmp_path, *words, config=config)
    assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (2, True, False)


def test_a_port_that_is_taken_is_said(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = reelhook(tmp_path, "serve", "--port", str(taken.getsockname()[1]))
    assert (done.returncode, "cannot listen on" in done.stderr) == (2, True)


@pytest.mark.parametrize("words", [["serve", "--no-worker", "--port", "0"], ["worker"]])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_each_half_ends_with_zero_when_it_is_told_to(tmp_path, words, number):
    path = tmp_path / "reelhook.toml"
    path.write_text(f'database = "{tmp_path / "cli.db"}"\n')
    with subprocess.Popen(
        [sys.executable, "-m", "service", *words, "--config", str(path)], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        while "serving" not in (line := process.stderr.readline()) and "worker.started" not in line:
            assert line, "it ended before it started"
        process.send_signal(number)
        assert process.wait(timeout=30) == 0


@pytest.mark.parametrize("words", [["serve", "--no-worker", "--port", "0"], ["worker"]])
def test_each_half_may_open_as_many_files_as_the_system_lets_it(tmp_path, words):
    path = tmp_path / "reelhook.toml"
    path.write_text(f'database = "{tmp_path / "cli.db"}"\n')
    limited = ("sh", "-c", 'ulimit -S -n 256 && ulimit -H -n 500 && exec "$@"', "sh")
    with subprocess.Popen(
        [*limited, sys.executable, "-m", "service", *words, "--config", str(path)], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        while "open_files.allowed" not in (line := process.stderr.readline()):
            assert line, "it ended before it said so"
        process.kill()
    assert line.endswith("limit=500 before=256\n")


async def test_a_sandbox_says_where_it_is(tmp_path):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service", "sandbox", "--dialect", "videos", "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    async with httpx.AsyncClient(trust_env=False, verify=TRUST) as http:
        answer = await http.get(url + "/sandbox/log")
    process.terminate()
    assert (answer.json()["dialect"], await process.wait()) == ("videos", 0)
