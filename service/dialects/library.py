"""How a gateway takes images in before a create may name them: messages of both sides, as in shape.py.

message                        written by                         read by
group request, upload request  our client of the gateway          the compatible API, the sandbox
group, upload answer           the compatible API, the sandbox    our client
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from service.assets import AssetGroup, Upload, Uploaded
from service.errors import Problem
from service.image_size import Size
from service.wire import Json

Operation = Literal["group", "upload"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryRoute:
    """Where images go in; `path` of an upload holds `{id}` where it goes into a group. The first of an operation is our
    client's, the others are aliases."""

    operation: Operation
    path: str
    method: str = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The messages of a gateway whose assets stand in groups."""

    read_request: Callable[[Json], AssetGroup]
    write_request: Callable[[AssetGroup], Json]
    write_group: Callable[[AssetGroup], Json]
    read_group: Callable[[Json], AssetGroup]


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """What a gateway does with images that are given to it first.

    on_request: only where the settings ask for it (`moderate`); otherwise no image gets in by another way.
    check_source, check_image: raise Problem, about the URL of an image (URL, how the caller spells its place) and about
    what was seen of it (size, length in bytes, place); a None was not to be seen. read_error: where it is not the
    dialect's.
    """

    routes: tuple[LibraryRoute, ...]
    on_request: bool
    groups: Groups | None
    check_source: Callable[[str, str], None]
    check_image: Callable[[Size | None, int | None, str], None] | None
    read_request: Callable[[Json], Upload]
    write_request: Callable[[Upload], Json]
    write_uploaded: Callable[[Upload, Uploaded], Json]
    read_uploaded: Callable[[Json], Uploaded]
    read_error: Callable[[int, Any], Problem | None] | None = None

    def route(self, operation: Operation) -> LibraryRoute:
        """Where our client sends it."""
        return next(route for route in self.routes if route.operation == operation)
