"""Imports point down, and what few rooms may touch stays in those rooms."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

SERVICE = Path(__file__).parent.parent / "service"

# A room is a module or a package directly under service/; "" is service/__init__.py itself.
FLOORS = {
    27: ("__main__",),
    26: ("cli",),
    25: ("demo", "cli_events"),
    24: ("demo_count",),
    23: ("demo_heard",),
    22: ("demo_evidence", "demo_turns"),
    21: ("demo_story",),
    20: ("demo_cast", "demo_cases"),
    19: ("demo_channels",),
    18: ("demo_subscribers",),
    17: ("demo_card",),
    16: ("web", "worker"),
    15: ("wiring",),
    14: ("sweeper", "archiver", "sandbox"),
    13: ("looking", "retrying", "deliveries"),
    12: (
        "tasks",
        "content",
        "sandbox_callbacks",
        "sandbox_library",
        "triggering",
        "trying",
        "replaying",
        "subscribing",
    ),
    11: ("cancelling", "preparing", "orders", "places", "listening"),
    10: ("hearing", "hub", "running"),
    9: (
        "settling",
        "mounts",
        "sandbox_task",
        "uploading",
        "standing",
        "attempting",
        "triggered",
        "forwarding",
        "wishes",
    ),
    8: ("gateways", "events", "endpoints", "formats_page"),
    7: ("formats", "limits", "outcomes", "gateway_settings", "told"),
    6: ("links", "gateways_page"),
    5: ("dialects", "keys", "pace", "usage", "unanswered", "feed", "pruning"),
    4: ("store", "settings_page", "images", "archive", "costs"),
    3: ("assets", "settings_file", "readers", "mail", "handshakes", "verifying"),
    2: (
        "egress",
        "signing",
        "sealing",
        "pushing",
        "subscriptions",
        "schedule",
        "mailto",
        "model",
        "settings",
        "sandbox_video",
        "sandbox_script",
        "sandbox_log",
    ),
    1: (
        "asides",
        "open_files",
        "wire",
        "byte_ranges",
        "image_size",
        "guard",
        "claiming",
        "lanes",
        "breakers",
        "tls",
        "sse",
    ),
    0: ("errors", "clock", ""),
}
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms}

RESERVED = {  # library -> the rooms that may import it
    **dict.fromkeys(("sqlite3", "aiosqlite", "asyncpg"), ("store",)),
    **dict.fromkeys(("aiohttp", "httpx", "httpx_aiohttp"), ("egress", "demo", "demo_cast")),
    "aiosmtplib": ("mail",),
}
PURE = ("dialects", "formats")  # no I/O, no clock
IMPURE = ("time", "random", "asyncio", "socket", "starlette", "httpx", "aiohttp", "os", "sqlite3")
CLOCK_READERS = ("service.clock.system_clock",)


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(SERVICE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in sorted(SERVICE.rglob("*.py"))}


def room_of(module: str) -> str:
    return [*module.split("."), ""][1]


def imported_names(module: str) -> Iterator[str]:
    """In full, wherever in the file the import stands."""
    path = MODULES[module]
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            yield from (".".join([*above, *filter(None, [node.module]), alias.name]) for alias in node.names)


def imported_modules(module: str) -> set[str]:
    """Those of service/: `from service.store import Store` imports a module or a name in one."""
    names = {name for name in imported_names(module) if name.split(".")[0] == "service"}
    return {name if name in MODULES else name.rpartition(".")[0] or name for name in names}


def comes_from(name: str, libraries: tuple[str, ...]) -> bool:
    return any(name == library or name.startswith(f"{library}.") for library in libraries)


def test_every_module_has_a_floor() -> None:
    homeless = [module for module in MODULES if room_of(module) not in FLOOR]
    assert not homeless, f"give each of these a floor in FLOORS: {', '.join(homeless)}"


def test_imports_point_down() -> None:
    wrong = [
        f"{module} on floor {FLOOR[room_of(module)]} imports {target} on floor {FLOOR[room_of(target)]}"
        for module in MODULES
        for target in imported_modules(module)
        if room_of(module) in FLOOR and room_of(target) in FLOOR and room_of(module) != room_of(target)
        if FLOOR[room_of(target)] >= FLOOR[room_of(module)]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_import_goes_round_in_a_circle() -> None:
    try:
        TopologicalSorter({module: imported_modules(module) - {module} for module in MODULES}).prepare()
    except CycleError as error:
        raise AssertionError(" is imported by ".join(error.args[1])) from None


def test_only_store_knows_databases_and_only_egress_knows_http_clients() -> None:
    wrong = [
        f"{module} imports {name}; only {' and '.join(rooms)} may"
        for module in MODULES
        for name in imported_names(module)
        for library, rooms in RESERVED.items()
        if comes_from(name, (library,)) and room_of(module) not in rooms
    ]
    assert not wrong, "\n".join(wrong)


def test_dialects_and_formats_do_no_io_and_read_no_clock() -> None:
    wrong = [
        f"{module} imports {name}"
        for module in MODULES
        for name in imported_names(module)
        if room_of(module) in PURE and comes_from(name, IMPURE + CLOCK_READERS)
    ]
    assert not wrong, "\n".join(wrong)
