"""The command `reelhook`."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

from service import __version__
from service.cli_events import add_commands
from service.clock import system_clock
from service.dialects import DIALECTS
from service.errors import SettingsError
from service.keys import insert_key, new_key, revoke_key
from service.open_files import allow_files
from service.sandbox import SandboxSettings
from service.sandbox_script import marker_table
from service.settings import Settings
from service.settings_file import read_settings
from service.signing import owner_secret
from service.web.app import create_app
from service.web.serving import listen, serve_until
from service.wire import dump_text
from service.wiring import Services, open_database, open_services, read_secret_key
from service.worker import CREATES_DRAIN_MS, working


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except SettingsError as error:
        print(f"reelhook: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def serve(options: argparse.Namespace) -> int:
    settings = _settings(options)
    allow_files()
    host, port = options.host or settings.host, settings.port if options.port is None else options.port
    try:
        listening = listen(host, port)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(f"cannot listen on {host} port {port}: {reason}; choose another --port") from error

    async def until_stopped() -> None:
        async with open_services(settings) as services, _loops(services, wanted=not options.no_worker):
            app = create_app(settings, lambda: nullcontext(services))
            await serve_until(app, listening, on_signals)

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(until_stopped())
    return 0


@asynccontextmanager
async def _loops(services: Services, *, wanted: bool) -> AsyncIterator[None]:
    if wanted:
        async with working(services):
            yield
    else:
        try:
            yield
        finally:
            await services.tasks.drain(CREATES_DRAIN_MS)


def on_signals(stop: Callable[[], None]) -> None:
    """SIGTERM or SIGINT: stop, and let finish what is under way. A second one does not wait for that: it ends at once,
    which loses nothing that was acknowledged, for that is what everything here is built for."""
    stopping = False

    def signalled() -> None:
        nonlocal stopping
        if stopping:
            sys.stderr.write("reelhook: ended without waiting; what was under way is taken up at the next start\n")
            sys.stderr.flush()
            os._exit(130)
        stopping = True
        stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled)


def work(options: argparse.Namespace) -> int:
    settings = _settings(options)
    allow_files()

    async def until_stopped() -> None:
        stopped = asyncio.Event()
        on_signals(stopped.set)
        async with open_services(settings) as services, working(services):
            logging.getLogger("reelhook.worker").info("worker.started")
            await stopped.wait()

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(until_stopped())
    return 0


def migrate(options: argparse.Namespace) -> int:
    settings = _settings(options)

    async def apply() -> list[str]:
        async with open_database(settings, migrate=False) as database:
            return await database.migrate()

    applied = asyncio.run(apply())
    print("\n".join(f"applied {name}" for name in applied) or "nothing to do: the database is up to date")
    return 0


def show_settings(options: argparse.Namespace) -> int:
    from service.settings_page import page

    print(page(), end="")
    return 0


def show_gateways(options: argparse.Namespace) -> int:
    from service.gateways_page import page, values

    print(dump_text(values()) if options.json else page(), end="\n" if options.json else "")
    return 0


def show_formats(options: argparse.Namespace) -> int:
    from service.formats_page import page, values

    print(dump_text(values()) if options.json else page(), end="\n" if options.json else "")
    return 0


def keys_create(options: argparse.Namespace) -> int:
    settings = _settings(options)
    if not options.owner.strip() or not options.owner.isprintable():
        raise SettingsError("--owner: must be a name of printable characters")
    key = new_key()

    async def create() -> tuple[str, str]:
        async with open_database(settings) as database:
            role = "admin" if options.admin else "owner"
            key_id = await database.write(insert_key, key, options.owner, role, system_clock())
            secret_key = await read_secret_key(settings, database)
            return key_id, owner_secret(secret_key, options.owner)

    key_id, secret = asyncio.run(create())
    if options.json:
        print(dump_text({"id": key_id, "owner": options.owner, "api_key": key, "webhook_secret": secret}))
    else:
        print(f"API key of {options.owner} (shown once): {key}")
        print(f"Secret that signs the webhooks of single tasks (webhook_url, callback_url): {secret}")
    return 0


def keys_list(options: argparse.Namespace) -> int:
    settings = _settings(options)

    async def rows() -> Sequence[object]:
        async with open_database(settings) as database:
            return await database.read("keys")

    for row in asyncio.run(rows()):
        print(dump_text(row))
    return 0


def keys_revoke(options: argparse.Namespace) -> int:
    settings = _settings(options)

    async def revoke() -> bool:
        async with open_database(settings) as database:
            return await database.write(revoke_key, options.id, system_clock())

    if asyncio.run(revoke()):
        print(f"revoked {options.id}")
        return 0
    print(f"reelhook: there is no active key {options.id}; see `reelhook keys list`", file=sys.stderr)
    return 1


def sandbox(options: argparse.Namespace) -> int:
    from service.web.sandbox import run_sandbox

    try:
        settings = SandboxSettings(seed=options.seed, api_key=options.api_key, rates=dict(options.rate))
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(run_sandbox(options.dialect, options.host, options.port, settings))
    except (ValueError, OSError, OverflowError) as error:
        print(f"reelhook: {error}", file=sys.stderr)
        return 2
    return 0


def _rate(text: str) -> tuple[str, float]:
    marker, _, rate = text.partition("=")
    return marker, float(rate)


def demo(options: argparse.Namespace) -> int:
    from service.demo import run_demo

    return run_demo(json=options.json, keep=options.keep)


def _settings(options: argparse.Namespace) -> Settings:
    settings = read_settings(options.config)
    logging.basicConfig(
        level=settings.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    for chatty in ("aiosqlite", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return settings


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not on this platform
        return None
    return uvloop.new_event_loop


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="reelhook", description="A self-hosted event service for AI-video tasks.")
    parser.add_argument("--version", action="version", version=f"reelhook {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    configured = argparse.ArgumentParser(add_help=False)
    configured.add_argument("--config", type=Path, metavar="FILE", help="a TOML file (default: reelhook.toml)")

    command = commands.add_parser("serve", parents=[configured], help="run the service: web and worker in one process")
    command.add_argument("--no-worker", action="store_true", help="web only; `reelhook worker` runs the loops")
    command.add_argument("--host", help="overrides the setting")
    command.add_argument("--port", type=int, help="overrides the setting")
    command.set_defaults(run=serve)

    command = commands.add_parser("worker", parents=[configured], help="run the loops: sweep, deliver, prune")
    command.set_defaults(run=work)

    command = commands.add_parser("migrate", parents=[configured], help="bring the database up to date")
    command.set_defaults(run=migrate)

    command = commands.add_parser("settings", help="print every setting with its default and meaning, as Markdown")
    command.set_defaults(run=show_settings)

    command = commands.add_parser("gateways", help="print what can be done with each gateway, as Markdown")
    command.add_argument("--json", action="store_true", help="for scripts")
    command.set_defaults(run=show_gateways)

    command = commands.add_parser("formats", help="print every format of events with its options, as Markdown")
    command.add_argument("--json", action="store_true", help="for scripts")
    command.set_defaults(run=show_formats)

    keys = commands.add_parser("keys", help="make, list and revoke API keys").add_subparsers(
        required=True, metavar="ACTION"
    )
    command = keys.add_parser("create", parents=[configured], help="make a key; it is shown once")
    command.add_argument("--owner", required=True, help="whose tasks and subscriptions it is for")
    command.add_argument("--admin", action="store_true", help="may read everybody's")
    command.add_argument("--json", action="store_true", help="for scripts")
    command.set_defaults(run=keys_create)
    command = keys.add_parser("list", parents=[configured], help="list keys, a JSON object a line")
    command.set_defaults(run=keys_list)
    command = keys.add_parser("revoke", parents=[configured], help="revoke a key")
    command.add_argument("id", help="the id that `keys list` shows")
    command.set_defaults(run=keys_revoke)

    command = commands.add_parser(
        "sandbox",
        help="run a scripted gateway",
        description="A gateway that is not there. What happens to a task is written in its prompt, in brackets:\n\n"
        + marker_table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--dialect", required=True, choices=list(DIALECTS), help="whose language it speaks")
    command.add_argument("--host", default="127.0.0.1")
    command.add_argument("--port", type=int, default=9000, help="0 takes a free one (default: 9000)")
    command.add_argument(
        "--api-key", default=SandboxSettings().api_key, help="the key it expects (default: %(default)s)"
    )
    command.add_argument("--seed", type=int, default=0, help="decides all chances")
    command.add_argument(
        "--rate",
        type=_rate,
        action="append",
        default=[],
        metavar="MARKER=P",
        help="how likely a marker is for prompts that have none, such as fail=0.1; may be repeated",
    )
    command.set_defaults(run=sandbox)

    add_commands(commands)

    command = commands.add_parser("demo", help="see the whole story on this machine, without an account")
    command.add_argument("--json", action="store_true", help="one JSON object on the last line")
    command.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C")
    command.set_defaults(run=demo)
    return parser
