"""Every format that a subscription may ask for, with its options: docs/formats.md, which `reelhook formats` prints.

All of it is read off the formats, so that the page cannot promise more than the code.
"""

from collections.abc import Sequence

from service.clock import SECOND
from service.formats import FORMATS, OFFERED
from service.formats.shape import Format, Option
from service.settings import UNITS
from service.wire import Json

HEAD = """# Formats

A subscription says how it wants to be told: `"format": "slack", "format_options": {"buttons": true}`; left out, it is
`standard`. An option that the format does not know is refused. What is rendered is frozen with the delivery: every
attempt sends the same bytes.

This page is made by `reelhook formats`; `reelhook formats --json` is for scripts. How each is delivered stands in
[subscriptions.md](subscriptions.md).

## What there is

- signed: by Standard Webhooks; where it is not, the URL or a token is the secret.
- URL: how the API shows it; its host alone where whoever has the whole of it can post there.
- schedule: the pauses between attempts, each drawn between nothing and its double, where the subscription has no
  `retry_seconds`. Chats get few attempts: nobody there drops what comes twice. At least half
  of each pause is waited for where they are few, and what provably never left uses none of them up.
- pace: the least span between two messages to one URL.

"""
OPTIONS = """
## Options

A secret option is encrypted at rest and shown to nobody; an answer names it in `secret_options`.
"""
TRANSPORTS = {"http": "POST", "smtp": "e-mail", "webpush": "POST, encrypted"}
KINDS = {str: "text", int: "whole number", bool: "truth value"}
FORMAT_COLUMNS = ("format", "for", "sent by", "signed", "URL", "schedule", "pace")
OPTION_COLUMNS = ("option", "kind", "default", "meaning")


def page() -> str:
    """The whole page, as Markdown."""
    shapes = [FORMATS[name] for name in OFFERED]
    told = [_table(FORMAT_COLUMNS, [_row(shape) for shape in shapes]), OPTIONS]
    for shape in shapes:
        if shape.options:
            options = [_option_row(option) for option in shape.options]
            told.append(f"\n### {shape.name}\n\n" + _table(OPTION_COLUMNS, options))
    without = ", ".join(f"`{shape.name}`" for shape in shapes if not shape.options)
    return HEAD + "".join(told) + f"\nWithout options: {without}.\n"


def values() -> list[Json]:
    """The same for scripts."""
    return [
        {
            "name": shape.name,
            "title": shape.title,
            "source": shape.source,
            "transport": shape.transport,
            "signed": shape.signed,
            "secret_url": shape.secret_url,
            "pauses_seconds": None if shape.pauses is None else [pause / SECOND for pause in shape.pauses],
            "spacing_seconds": shape.spacing_ms / SECOND,
            "options": [_option_value(option) for option in shape.options],
        }
        for shape in (FORMATS[name] for name in OFFERED)
    ]


def _row(shape: Format) -> tuple[str, ...]:
    return (
        f"`{shape.name}`",
        shape.title,
        TRANSPORTS[shape.transport],
        "yes" if shape.signed else "–",
        "its host" if shape.secret_url else "whole",
        "`deliveries.retries`" if shape.pauses is None else ", ".join(map(_span, shape.pauses)),
        _span(shape.spacing_ms) if shape.spacing_ms else "–",
    )


def _option_row(option: Option) -> tuple[str, ...]:
    kind = KINDS[option.kind] + (", secret" if option.secret else "")
    return f"`{option.name}`", kind, _default(option), option.meaning + _bounds(option)


def _option_value(option: Option) -> Json:
    return {
        "name": option.name,
        "kind": {str: "string", int: "integer", bool: "boolean"}[option.kind],
        "meaning": option.meaning,
        "default": option.default,
        "required": option.required,
        "secret": option.secret,
        "allowed": list(option.allowed) or None,
        "low": option.low,
        "high": option.high,
        "longest": option.longest if option.kind is str and not option.allowed else None,
    }


def _default(option: Option) -> str:
    if option.required:
        return "required"
    if option.default is None:
        return "–"
    return f"`{str(option.default).lower() if isinstance(option.default, bool) else option.default}`"


def _bounds(option: Option) -> str:
    if option.allowed:
        return f" (one of {', '.join(f'`{each}`' for each in option.allowed)})"
    if option.low is not None or option.high is not None:
        return f" (from {option.low} to {option.high})"
    return f" (at most {option.longest} characters)" if option.kind is str else ""


def _span(ms: int) -> str:
    unit = next(unit for unit in reversed(UNITS) if ms % UNITS[unit] == 0)
    return f"{ms // UNITS[unit]} {unit}"


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = (columns, ("---",) * len(columns), *rows)
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
