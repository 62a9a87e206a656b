"""The formats that events are told in: Event and task in, the body of a request out; one entry for each."""

from collections.abc import Callable, Mapping

from service.formats import gateway, standard
from service.links import Links
from service.model import Event, Task

Format = Callable[[Event, Task, Links], str]

FORMATS: Mapping[str, Format] = {"standard": standard.render, "gateway": gateway.render}
"""Name -> render. The bytes are frozen with the delivery: every attempt sends the same."""

OFFERED = ("standard",)
"""What a subscription may ask for; `gateway` is for the one-shot callbacks of the compatible API."""
