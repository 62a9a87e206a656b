"""Settings as they are written: a TOML file, with the environment over it.

    database = "reelhook.db"                  REELHOOK_DATABASE
    [sweep]
    first_guess = "90s"                       REELHOOK_SWEEP__FIRST_GUESS
    [gateways.easyrouter]
    key = "sk-…"                              REELHOOK_GATEWAYS__EASYROUTER__KEY

Spans are written "500ms", "15s", "10m", "2h", "3d"; lists in the environment are separated by commas.
"""

import os
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from service.errors import SettingsError
from service.settings import SECRET_LEAST, UNITS, Settings, Span, spelled

RESERVED = ("v1", "callbacks", "content", "health", "gateways", "tasks", "actions", "slack")
PREFIX = "REELHOOK_"
NO_SETTINGS = (PREFIX + "CONFIG", PREFIX + "KEY", PREFIX + "SERVER")  # words to commands, such as `listen`

S = TypeVar("S")


def read_settings(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings from a file and the environment; SettingsError says what is wrong and where.

    path: --config; otherwise REELHOOK_CONFIG, otherwise reelhook.toml when there is one.
    """
    environment = os.environ if environment is None else environment
    tree = _read_file(path, environment.get(PREFIX + "CONFIG"))
    for name, value in sorted(environment.items()):
        if name.startswith(PREFIX) and name not in NO_SETTINGS:
            _overlay(tree, name, value)
    settings = _read_table(Settings, tree, "")
    for name in settings.gateways:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name) or name in RESERVED:
            raise SettingsError(
                f"gateways.{name}: a gateway's name is made of small letters, digits and dashes, "
                f"and is none of {', '.join(RESERVED)}"
            )
    if settings.secret_key and len(settings.secret_key) < SECRET_LEAST:
        raise SettingsError(f"secret_key: must have at least {SECRET_LEAST} characters; leave it out to have one made")
    for name, gateway in settings.gateways.items():
        if gateway.signature is not None and not gateway.signature.secret:
            raise SettingsError(f"gateways.{name}.signature.secret: must not be empty")
    if settings.slack is not None and not settings.slack.signing_secret:
        raise SettingsError("slack.signing_secret: must not be empty; it stands under Basic Information of the app")
    if settings.public_url is not None and not settings.public_url.startswith(("http://", "https://")):
        raise SettingsError("public_url: must start with https:// or http://")
    return settings


def _read_file(path: Path | None, from_environment: str | None) -> dict[str, Any]:
    chosen = path or (Path(from_environment) if from_environment else None)
    if chosen is None and not Path("reelhook.toml").exists():
        return {}
    chosen = chosen or Path("reelhook.toml")
    try:
        return tomllib.loads(chosen.read_text())
    except OSError as error:
        raise SettingsError(f"cannot read {chosen}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{chosen} is not valid TOML: {error}") from error


def _overlay(tree: dict[str, Any], name: str, value: str) -> None:
    *parents, last = [part.lower() for part in name.removeprefix(PREFIX).split("__")]
    for index, part in enumerate(parents):
        # an environment variable cannot hold a dash, which a gateway's name may
        known = part.replace("_", "-") if index == 1 and parents[0] == "gateways" else part
        tree = tree.setdefault(known, {})
        if not isinstance(tree, dict):
            raise SettingsError(f"{name}: {'.'.join(parents)} is not a table")
    tree[last] = _FromEnvironment(value)


class _FromEnvironment(str):
    """A value that is text only because environment variables are."""


def _read_table(kind: type[S], table: Any, where: str) -> S:
    if not isinstance(table, dict):
        raise SettingsError(f"{where}: must be a table")
    known = {spelled(item.name): item for item in fields(kind)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(kind)
    values = {}
    for name, value in table.items():
        at = f"{where}.{name}" if where else name
        if name not in known:
            raise SettingsError(f"{at}: there is no such setting; known here: {', '.join(known)}")
        read = _read_value(hints[known[name].name], value, at)
        _check_value(read, known[name].metadata, at)
        values[known[name].name] = read
    for name, item in known.items():
        if item.name not in values and item.default is MISSING and item.default_factory is MISSING:
            raise SettingsError(f"{where}.{name}: is required")
    return kind(**values)


def _read_value(hint: Any, value: Any, at: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _read_value(next(part for part in typing.get_args(hint) if part is not type(None)), value, at)
    if is_dataclass(hint) and isinstance(hint, type):
        return _read_table(hint, value, at)
    if origin is tuple:
        items = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        if not isinstance(items, list):
            raise SettingsError(f"{at}: must be a list")
        kind = typing.get_args(hint)[0]
        tables = is_dataclass(kind)  # of several tables it must be told which one is meant
        return tuple(_read_value(kind, item, f"{at}[{i}]" if tables else at) for i, item in enumerate(items))
    if origin is not None:  # Mapping[str, X]
        if not isinstance(value, dict):
            raise SettingsError(f"{at}: must be a table of tables")
        return {name: _read_value(typing.get_args(hint)[1], inner, f"{at}.{name}") for name, inner in value.items()}
    return _read_plain(hint, value, at)


def _read_plain(hint: Any, value: Any, at: str) -> Any:
    if hint is Span:
        return _read_span(value, at)
    if isinstance(value, _FromEnvironment) and hint is int and re.fullmatch(r"-?\d+", value):
        return int(value)
    if isinstance(value, _FromEnvironment) and hint is bool and value.lower() in ("true", "false", "1", "0"):
        return value.lower() in ("true", "1")
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        words = {int: "an integer", str: "a string", bool: "true or false"}
        raise SettingsError(f"{at}: must be {words[hint]}, not {value!r}")
    return str(value) if hint is str else value


def _read_span(value: Any, at: str) -> Span:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", value) if isinstance(value, str) else None
    if match is None:
        raise SettingsError(f'{at}: must be a span such as "500ms", "15s", "10m", "2h" or "3d", not {value!r}')
    return Span(round(float(match[1]) * UNITS[match[2]]))


def _check_value(value: Any, metadata: Mapping[str, Any], at: str) -> None:
    choices, low, high = metadata.get("choices"), metadata.get("low"), metadata.get("high")
    if choices and value not in choices:
        raise SettingsError(f"{at}: must be one of {', '.join(choices)}, not {value!r}")
    if low is not None and value is not None and value < low:
        raise SettingsError(f"{at}: must be at least {low}")
    if high is not None and value is not None and value > high:
        raise SettingsError(f"{at}: must be at most {high}")
