"""The documentation of every setting, made from the settings themselves: `reelhook settings` prints it."""

import inspect
import types
import typing
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from service.settings import UNITS, GatewaySettings, OwnerSettings, Settings, Span, spelled

HEAD = """# Settings

Settings are read from a TOML file (`--config FILE`, else `REELHOOK_CONFIG`, else `reelhook.toml` where there is one),
and the environment goes over it: `REELHOOK_` and the name in capitals, with two underscores for a dot. A list in the
environment is separated by commas. A setting that does not exist, or has the wrong type, stops the start with its name.

Spans are written `"500ms"`, `"15s"`, `"10m"`, `"2h"`, `"3d"`.

This page is made by `reelhook settings`.
"""

BY_NAME = (GatewaySettings, OwnerSettings)


def page() -> str:
    """The whole page, as Markdown."""
    return HEAD + "".join(_tables(Settings, ""))


def _tables(kind: type[Any], where: str) -> Iterator[str]:
    title = f"[{where}]" if where else "Top level"
    yield f"\n## {title}\n\n"
    if where:
        yield f"{inspect.cleandoc(kind.__doc__ or '')}\n\n"
    yield "| setting | default | meaning |\n|---|---|---|\n"
    hints = typing.get_type_hints(kind)
    inner: list[tuple[type[Any], str]] = []
    for item in fields(kind):
        table = _table_of(hints[item.name])
        name = spelled(item.name)
        at = f"{where}.{name}" if where else name
        if table is None:
            yield f"| `{name}` | {_default(item, hints[item.name])} | {_meaning(item)} |\n"
        else:
            several = typing.get_origin(hints[item.name]) is tuple
            inner.append((table, f"[{at}]" if several else at + ".NAME" if table in BY_NAME else at))
    for table, at in inner:
        yield from _tables(table, at)


def _table_of(hint: Any) -> type[Any] | None:
    """The settings class that a field holds, also as an option or by name; None when it is a plain value."""
    if isinstance(hint, type) and is_dataclass(hint):
        return hint
    if typing.get_origin(hint) in (typing.Union, types.UnionType) or len(typing.get_args(hint)) == 2:
        return next((found for part in typing.get_args(hint) if (found := _table_of(part)) is not None), None)
    return None


def _meaning(item: "Field[Any]") -> str:
    choices = item.metadata.get("choices", ())
    note = f" One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else ""
    return str(item.metadata["meaning"]) + note


def _default(item: "Field[Any]", hint: Any) -> str:
    if item.default is MISSING:
        return "required"
    return f"`{_spelled(item.default, hint)}`" if item.default not in (None, "") else "–"


def _spelled(value: Any, hint: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_spelled(item, typing.get_args(hint)[0]) for item in value) + "]"
    if hint is Span or Span in typing.get_args(hint):
        unit = next(unit for unit in reversed(UNITS) if value % UNITS[unit] == 0)
        return f'"{value // UNITS[unit]}{unit}"'
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
