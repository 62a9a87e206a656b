"""The commands for developers of subscribers: listen, trigger and verify."""

import argparse
import asyncio
import os
import random
import signal
import sys
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any

from service.clock import SECOND, system_clock
from service.egress import Lost, NotSent
from service.errors import Problem, SettingsError
from service.formats import FORMATS, OFFERED
from service.forwarding import Forwarded, open_forwarder
from service.listening import Heard, Listener, Refused, Source, open_line, show
from service.model import EVENT_TYPES
from service.signing import listening_secret, new_secret
from service.triggering import NotMade, post_sample, read_values, trigger
from service.verifying import HEADERS, examine, read_headers
from service.wire import dump_text

SERVER = "http://127.0.0.1:8080"
STANDARD = "standard"
SHOWN = 2_000  # characters of an answer, on the screen


def listen(options: argparse.Namespace) -> int:
    """Until Ctrl-C, which is the normal end; 1 when the service says no."""
    key = _key(options)
    secret = options.secret or listening_secret(key, options.server.rstrip("/"))
    shape = options.format or STANDARD
    source = Source(server=options.server, key=key, events=options.events, start=options.start)

    async def run() -> int:
        target = open_forwarder(
            options.forward_to,
            field="--forward-to",
            format=shape,
            secret=secret,
            clock=system_clock,
            options=_values(options.option, "--option"),
            allow=options.allow,
        )
        async with open_line(options.server) as egress, target as forwarder:
            if options.json:
                _print(dump_text({"forward_to": options.forward_to, "format": shape, "secret": secret}))
            else:
                _print(f"forwarding to {options.forward_to} ({shape})")
                if FORMATS[shape].signed:
                    _print(f"signing secret: {secret}")
            listener = Listener(
                egress=egress,
                forwarder=forwarder,
                source=source,
                clock=system_clock,
                chance=random.random,
                say=_say_json if options.json else _say,
                note=_note,
            )
            try:
                await _until_stopped(listener.run())
            except Refused as error:
                _note(str(error))
                return 1
            finally:
                _note(f"events forwarded: {listener.heard}, of which failed: {listener.failed}")
            return 0

    return _run(run)


async def _until_stopped(listening: Coroutine[Any, Any, None]) -> None:
    """Until Ctrl-C or SIGTERM, which end it at once."""
    loop, task = asyncio.get_running_loop(), asyncio.create_task(listening)
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not stopped:
            raise


def _say(heard: Heard) -> None:
    forwarded = heard.forwarded
    at = datetime.fromtimestamp(heard.at / SECOND).astimezone().strftime("%H:%M:%S")
    outcome = forwarded.status if forwarded.status is not None else "–"
    task = heard.task_id or heard.event_id
    _print(_plain(f"{at}  {heard.event_type:<21}  {task}  {outcome}  {forwarded.took_ms} ms"))
    if forwarded.error is not None:
        _print(f"          {_plain(forwarded.error)}")
        _show_answer(forwarded, "          ")


def _say_json(heard: Heard) -> None:
    _print(dump_text(show(heard)))


def trigger_event(options: argparse.Namespace) -> int:
    """0 when it was made, and with --to: taken; 1 otherwise."""
    changes = _values(options.set, "--set")
    if options.to is not None:
        return _run(lambda: _post_sample(options, changes))
    for name in ("format", "option", "allow", "secret"):
        if getattr(options, name):
            raise SettingsError(f"--{name}: goes with --to; without it, each subscription is told as it wishes")
    key = _key(options)

    async def run() -> int:
        try:
            async with open_line(options.server) as egress:
                made = await trigger(egress, options.server, key, options.event, changes)
        except (NotMade, NotSent, Lost) as error:
            _note(f"no event was made: {error}" if isinstance(error, NotMade) else f"{options.server}: {error}")
            return 1
        if options.json:
            _print(dump_text(made))
            return 0
        deliveries = made["deliveries"]
        _print(f"{made['event']['id']}  {made['event']['type']}  told to {len(deliveries)} subscriptions")
        for delivery in deliveries:
            _print(f"  {delivery['id']}  to {delivery['subscription_id']}")
        return 0

    return _run(run)


async def _post_sample(options: argparse.Namespace, changes: dict[str, Any]) -> int:
    shape = options.format or STANDARD
    if options.secret is None and FORMATS[shape].signed:
        raise SettingsError("--secret: is required with --to: the secret that the receiver verifies with (whsec_…)")
    target = open_forwarder(
        options.to,
        field="--to",
        format=shape,
        secret=options.secret or new_secret(),
        clock=system_clock,
        options=_values(options.option, "--option"),
        allow=options.allow,
    )
    async with target as forwarder:
        event_id, forwarded = await post_sample(forwarder, options.event, changes, system_clock)
    if options.json:
        _print(
            dump_text(
                {
                    "event_id": event_id,
                    "status": forwarded.status,
                    "took_ms": forwarded.took_ms,
                    "error": forwarded.error,
                    "answer": forwarded.answer,
                }
            )
        )
    else:
        outcome = f"HTTP {forwarded.status}" if forwarded.status is not None else "no answer"
        _print(f"{event_id}  {options.event}  {outcome}  {forwarded.took_ms} ms")
        if forwarded.error is not None:
            _print(_plain(forwarded.error))
        _show_answer(forwarded, "")
    return 0 if forwarded.error is None else 1


def verify(options: argparse.Namespace) -> int:
    """0 when it is valid, 1 with a line for each fault otherwise."""
    try:
        headers = dict(read_headers(Path(options.headers).read_text(encoding="utf-8"))) if options.headers else {}
        body = sys.stdin.buffer.read() if options.body == "-" else Path(options.body).read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(str(error)) from error
    for name, value in zip(HEADERS, (options.id, options.timestamp, options.signature), strict=True):
        if value is not None:
            headers[name] = value
    finding = examine(options.secret, headers, body, options.at)
    _print("valid" if finding.valid else "not valid")
    for sentence in finding.wrong + finding.noted:
        _print(f"  {_plain(sentence)}")
    return 0 if finding.valid else 1


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The parsers of these commands."""
    connected = argparse.ArgumentParser(add_help=False)
    connected.add_argument(
        "--server", default=os.environ.get("REELHOOK_SERVER") or SERVER, help="the service (default: %(default)s)"
    )
    connected.add_argument("--key", metavar="KEY", help="an API key (default: REELHOOK_KEY of the environment)")
    connected.add_argument("--json", action="store_true", help="for scripts: one JSON object a line")

    sending = argparse.ArgumentParser(add_help=False)
    sending.add_argument("--format", choices=OFFERED, help="how events are told (default: standard)")
    sending.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="an option of the format; may be repeated"
    )
    sending.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="NETWORK",
        help="a private network that may be sent to besides this machine, such as 192.168.1.0/24; may be repeated",
    )

    command = commands.add_parser(
        "listen", parents=[connected, sending], help="forward the service's events to a program on this machine"
    )
    command.add_argument("--forward-to", required=True, metavar="URL", help="where, such as http://localhost:3000/hook")
    command.add_argument(
        "--events", default="", metavar="A,B", help="types or patterns such as task.*, separated by commas"
    )
    command.add_argument("--secret", metavar="whsec_…", help="sign with this (default: one made of the key)")
    command.add_argument(
        "--from", dest="start", default="now", metavar="now|beginning|CURSOR", help="where to begin (default: now)"
    )
    command.set_defaults(run=listen)

    command = commands.add_parser(
        "trigger", parents=[connected, sending], help="make a sample event, to see whether it arrives"
    )
    command.add_argument("event", choices=EVENT_TYPES, metavar="EVENT", help=", ".join(EVENT_TYPES))
    command.add_argument(
        "--set", action="append", default=[], metavar="PATH=VALUE", help="such as data.task.prompt=hello; JSON or text"
    )
    command.add_argument("--to", metavar="URL", help="post it straight there, without any service")
    command.add_argument("--secret", metavar="whsec_…", help="with --to: sign with this")
    command.set_defaults(run=trigger_event)

    command = commands.add_parser("verify", help="check a Standard Webhooks signature by hand")
    command.add_argument("--secret", required=True, metavar="whsec_…", help="of the subscription")
    command.add_argument("--id", help="the header webhook-id")
    command.add_argument("--timestamp", help="the header webhook-timestamp")
    command.add_argument("--signature", help="the header webhook-signature")
    command.add_argument("--headers", metavar="FILE", help="all of them, as lines or as JSON")
    command.add_argument("--body", default="-", metavar="FILE", help="the body as received (default: standard input)")
    command.add_argument(
        "--at", type=_instant, default="now", metavar="TIME", help="judge its age then: unix seconds, or RFC 3339"
    )
    command.set_defaults(run=verify)


def _instant(text: str) -> int:
    if text == "now":
        return system_clock()
    if text.isascii() and text.isdigit() and len(text) < 12:
        return int(text) * SECOND
    return round(datetime.fromisoformat(text).timestamp() * SECOND)


def _values(words: list[str], option: str) -> dict[str, Any]:
    try:
        return read_values(words, option)
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _key(options: argparse.Namespace) -> str:
    key: str = options.key or os.environ.get("REELHOOK_KEY", "")
    if not key.strip() or not key.isascii() or not key.isprintable():
        raise SettingsError("--key: is required: an API key (`reelhook keys create`), or REELHOOK_KEY")
    return key.strip()


def _run(command: Callable[[], Coroutine[Any, Any, int]]) -> int:
    try:
        return asyncio.run(command())
    except Problem as problem:
        raise SettingsError(problem.message) from problem


def _show_answer(forwarded: Forwarded, indent: str) -> None:
    for line in forwarded.answer[:SHOWN].splitlines():
        _print(indent + _plain(line))


def _plain(text: str) -> str:
    """What others have sent must not command the terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _print(line: str) -> None:
    print(line, flush=True)


def _note(words: str) -> None:
    """Not part of the output proper."""
    print(f"reelhook: {_plain(words)}", file=sys.stderr, flush=True)
