"""Requests that came as a form: everything is a string there (gateways.md section 3, "Encoding")."""

import re

from service.dialects.fields import Field, check_object
from service.errors import invalid
from service.wire import Json, Path, loads, pick, place, without_nulls

JSON_TEXTS: tuple[Path, ...] = (("metadata",), ("input_reference",), ("metadata", "content"))
TRUTHS = {"true": True, "false": False}


def unpack(rest: Json) -> Json:
    """The body with the JSON that came as text in one field: -F 'metadata={"duration":6}'."""
    for path in JSON_TEXTS:
        text = pick(rest, path)
        if isinstance(text, str) and text.lstrip().startswith(("{", "[")):
            place(rest, path, _read_text(text, ".".join(path)))
    check_object(rest, "metadata")
    return rest


def _read_text(text: str, where: str) -> object:
    try:
        return without_nulls(loads(text))
    except ValueError as error:
        raise invalid(where, f"is not valid JSON: {error}") from error


def settle_types(rest: Json, fields: tuple[Field, ...]) -> None:
    """Read the digits and the true or false of the fields that the tables say to be such; leave all else alone."""
    for field in fields:
        value = pick(rest, field.path)
        if not isinstance(value, str):
            continue
        if field.kind is int and re.fullmatch(r"-?[0-9]{1,18}", value):
            place(rest, field.path, int(value))
        elif field.kind is bool and value.lower() in TRUTHS:
            place(rest, field.path, TRUTHS[value.lower()])
