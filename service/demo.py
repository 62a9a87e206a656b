"""`reelhook demo`: the whole story on one machine, without an account, and a recount of every promise at the end."""

import asyncio
import shutil
import signal
import tempfile
import time
from collections.abc import Coroutine, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import httpx
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from service.demo_card import panel_of
from service.demo_cast import Cast, ServiceDied, open_cast
from service.demo_count import FIGURES, recount
from service.demo_evidence import gather_evidence
from service.demo_story import Story, follow, submit_everything, subscribe
from service.demo_turns import catch_up, come_back, read_stream, rotate
from service.dialects import DIALECTS
from service.wire import Json, dump_text, loads

MOST_S = 40  # of the story; with the ways in and out (demo_cast.py) it stays under a minute
INTERRUPTED = 130
MOST_SENTENCES = 20  # on the screen

# figure -> what it counts, and where
MEANINGS: Mapping[str, str] = {
    "tasks": "of which the verifying subscriber has heard",
    "succeeded": "tasks, by the events that arrived",
    "failed": "tasks; creates that were refused are among them",
    "expired": "tasks, by their deadline or by the gateway's word",
    "cancelled": "tasks, by the caller or by the gateway",
    "by_callback": "ends that a callback told of",
    "by_sweep": "ends that the gateway was asked for",
    "forged_refused": "forged callbacks that the service refused",
    "duplicates_ignored": "repeated callbacks, acknowledged without effect",
    "ambiguous_creates": "creates whose answer the gateways have withheld",
    "double_creates": "tasks that a gateway had to create twice",
    "events": "that the verifying subscriber has taken",
    "deliveries": "events that subscribers have taken, each once",
    "attempts": "requests that they saw, failed ones among them",
    "verified": "requests that standardwebhooks has verified",
    "signed_twice": "of them by the old secret and by the new one",
    "hooked": "flat events that a Zap took, with its sample's keys",
    "cards": "failures that a Slack channel has been told of",
    "replayed": "events missed by one who was down, told by one call",
    "streamed": "events read from the stream, in two parts",
    "lost": "tasks without an end, and events that did not arrive",
}

T = TypeVar("T")


def run_demo(*, json: bool = False, keep: bool = False) -> int:
    """Play; 0 when every promise was kept, 1 when one was broken, 130 when it was interrupted.

    json: one JSON object on the last line of stdout; all else goes to stderr. keep: everything goes on until Ctrl-C,
    which is the normal end then, and the folder with the database stays.
    """
    console = Console(stderr=json, highlight=False, soft_wrap=True)
    if find_spec("standardwebhooks") is None:
        console.print("reelhook: the demo verifies signatures with standardwebhooks: pip install standardwebhooks")
        return 2
    folder = Path(tempfile.mkdtemp(prefix="reelhook-demo-"))
    status = INTERRUPTED
    try:
        status = asyncio.run(_until_stopped(_play(Screen(console), folder, json=json, keep=keep)))
    finally:
        if not keep or status == INTERRUPTED:
            shutil.rmtree(folder, ignore_errors=True)
    return status


async def _until_stopped(playing: Coroutine[Any, Any, int]) -> int:
    """The first Ctrl-C or SIGTERM ends the play; later ones do not disturb the clearing up, which takes seconds."""
    loop, task = asyncio.get_running_loop(), asyncio.create_task(playing)

    def stop() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: None)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        return await task
    except asyncio.CancelledError:
        return INTERRUPTED


async def _play(screen: "Screen", folder: Path, *, json: bool, keep: bool) -> int:
    screen.say("demo", f"starting {len(DIALECTS)} gateways, five subscribers and the service …")
    try:
        async with open_cast(folder) as cast:
            figures, broken = await _unless_it_dies(cast, _tell(cast, screen))
            screen.show(figures, broken)
            if json:
                print(dump_text(figures | {"broken": broken} | (_ways_in(cast) if keep else {})), flush=True)
            if keep:
                await _stay(cast, screen)
            return 1 if broken else 0
    except (ServiceDied, httpx.HTTPError, TimeoutError) as error:
        reason = f"the story had to be broken off: {str(error) or type(error).__name__}"
        screen.show({}, [reason])
        if json:
            print(dump_text(dict.fromkeys(FIGURES) | {"broken": [reason]}), flush=True)
        return 1


async def _tell(cast: Cast, screen: "Screen") -> tuple[dict[str, int], list[str]]:
    screen.say("demo", f"the service is at {cast.base_url}, process {cast.process.pid}")
    story = Story()
    with screen.console.status("submitting …") as status:

        def count(ended: int, tasks: int, pending: int) -> None:
            status.update(f"tasks ended: {ended} of {tasks}; deliveries to make: {pending}")

        async with asyncio.timeout(MOST_S):
            await subscribe(cast, story)
            following = asyncio.create_task(follow(cast, story, screen.say, count))
            reading = asyncio.create_task(read_stream(cast, story, screen.say))
            try:
                turns = (rotate(cast, story, screen.say), come_back(cast, story, screen.say))
                await asyncio.gather(submit_everything(cast, story), *turns)
                story.submitted.set()
                await following
                await catch_up(cast, story)
            finally:
                following.cancel()
                reading.cancel()
            screen.show_card(cast)
            return recount(await gather_evidence(cast, story))


async def _unless_it_dies(cast: Cast, doing: Coroutine[Any, Any, T]) -> T:
    """Do it; ServiceDied when the service ends meanwhile, which a request that fails may be the first to notice."""
    dying, done = asyncio.create_task(cast.until_it_dies()), asyncio.create_task(doing)
    try:
        await asyncio.wait((dying, done), return_when=asyncio.FIRST_COMPLETED)
        if done.done() and done.exception() is not None:
            await asyncio.wait((dying,), timeout=1)
        if dying.done():
            await dying
        return await done
    finally:
        dying.cancel()
        done.cancel()
        await asyncio.gather(dying, done, return_exceptions=True)


async def _stay(cast: Cast, screen: "Screen") -> None:
    """Leave everything running until Ctrl-C."""
    screen.show_ways_in(_ways_in(cast), cast)
    try:
        await cast.until_it_dies()
    except asyncio.CancelledError:
        screen.say("demo", f"stopping; {cast.folder} stays")


def _ways_in(cast: Cast) -> Json:
    return {
        "base_url": cast.base_url,
        "api_key": cast.keys.api_key,
        "admin_key": cast.keys.admin_key,
        "database": str(cast.folder / "reelhook.db"),
        "sandboxes": dict(cast.sandboxes),
    }


class Screen:
    """What the audience sees: a line for whatever happens, and the recount as a table."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._started_at = time.monotonic()

    def say(self, who: str, what: str) -> None:
        elapsed = time.monotonic() - self._started_at
        self.console.print(f"[dim]{elapsed:5.1f} s[/]  [cyan]{who:<11}[/]  {escape(what)}")

    def show_card(self, cast: Cast) -> None:
        """The first one that the channel got."""
        for seen in cast.subscribers.channel.log[:1]:
            self.console.print()
            self.console.print(panel_of(loads(seen.body), "#videos"), soft_wrap=False)

    def show(self, figures: Mapping[str, int], broken: Sequence[str]) -> None:
        table = Table(title="counted at the far side", title_justify="left", show_header=False, box=None)
        for name, number in figures.items():
            table.add_row(name, f"[bold]{number}[/]", f"[dim]{MEANINGS[name]}[/]")
        if figures:
            self.console.print()
            self.console.print(table)
        for sentence in broken[:MOST_SENTENCES]:
            self.console.print(f"[bold red]broken:[/] {escape(sentence)}")
        if len(broken) > MOST_SENTENCES:
            self.console.print(f"[bold red]broken:[/] and {len(broken) - MOST_SENTENCES} more; --json has them all")
        if not broken:
            self.console.print("[bold green]Every promise was kept.[/]")

    def show_ways_in(self, ways_in: Json, cast: Cast) -> None:
        base_url, key = ways_in["base_url"], ways_in["api_key"]
        lines = [
            ("service", base_url),
            ("API key", f"{key}   (admin: {ways_in['admin_key']})"),
            ("database", ways_in["database"]),
            ("log", cast.folder / "service.log"),
            *((name, url) for name, url in ways_in["sandboxes"].items()),
        ]
        self.console.print("\nEverything goes on until Ctrl-C. Look around:")
        for name, value in lines:
            self.console.print(f"  [cyan]{name:<12}[/] {escape(str(value))}")
        self.console.print(f"  curl -H 'Authorization: Bearer {key}' {base_url}/v1/tasks")
        self.console.print(f"  curl {ways_in['sandboxes']['easyrouter']}/sandbox/log")
