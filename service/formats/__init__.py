"""The formats that events are told in, one entry for each; what one is stands in `shape`."""

from collections.abc import Mapping

from service.formats import cloudevents, email, flat, gateway, standard, thin, webpush
from service.formats.shape import Format

FORMATS: Mapping[str, Format] = {
    shape.name: shape
    for shape in (
        standard.FORMAT,
        flat.FORMAT,
        thin.FORMAT,
        cloudevents.FORMAT,
        email.FORMAT,
        webpush.FORMAT,
        gateway.FORMAT,
    )
}

OFFERED = tuple(name for name, shape in FORMATS.items() if shape.offered)
"""What a subscription may ask for; `gateway` is for the one-shot callbacks of the compatible API."""
