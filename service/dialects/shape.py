"""What a dialect is: each message of a gateway described once, for the side that writes it and the side that reads it.

    message                      written by                         read by
    create request, list query   our client of the gateway          the compatible API, the sandbox
    receipt, task, callback,     the compatible API, the sandbox    our client, our callback receiver
    error, list, cancel answer
    page, models, deleted        the compatible API, the sandbox    nobody here: our client asks for none

A dialect is pure: no I/O, no clock, no web framework. What is tabular is a table (fields.py, status words); whatever
needs an `if` is a pair of functions `read_x` / `write_x` in the gateway's own file.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal

from service.dialects.library import Library
from service.errors import Problem
from service.model import TERMINAL, ListQuery, Snapshot, Status, VideoRequest, View
from service.wire import Json, Path, carry, pick, place, take

# page: a list, part by part, each after the last id of the one before; list: one by page numbers, filters and ids.
# decline: there is such a route in the documentation, and nothing here that could do it
Operation = Literal["create", "get", "cancel", "content", "list", "page", "delete", "models", "decline"]
Query = Sequence[tuple[str, str]]
"""The parameters of a query string, in order; a name can be there more than once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where an operation lives on the wire: `path` holds `{id}` except for create and list. The first of an operation
    is the one that our client uses; the others are aliases that our server answers too."""

    operation: Operation
    method: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """How a surface lists tasks, so that one question can ask about many.

    most: how many ids our client puts into a question. shows_ms: how old a task can be that is shown. kind: tasks that
    have the same one can be asked about together. write_query: of ids and their kind. write: of the total and of the
    tasks as write_task wrote them. read: None where the answer is no list.
    """

    most: int
    shows_ms: int
    kind: Callable[[VideoRequest], str]
    write_query: Callable[[Sequence[str], str], Query]
    read_query: Callable[[Query], ListQuery]
    write: Callable[[int, Sequence[Json]], Json]
    read: Callable[[Json], Sequence[Snapshot] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageQuery:
    """Which part of a caller's list: those that follow the id `after`, newest first unless said otherwise."""

    after: str | None
    limit: int
    oldest_first: bool


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that a caller may name, and whose it is."""

    model: str
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """One set of routes and messages; most gateways have one, cubicspaces two.

    id_prefix: how task ids start here. accepts: the canonical fields that can be expressed, for checking a request
    before anything is sent. callback_path: where the caller's callback URL stands. spelling: canonical name -> what the
    caller calls it, for a refusal that comes from behind a route. forms: whether a create may come as
    multipart/form-data. variants: what the content route offers, in the caller's words -> our own (video, last_frame).
    echoed: what in a task only the gateway knows. delete_cancels: whether `delete` cancels a task that is queued,
    besides deleting the record of one that is over. read_create, read_page and check raise Problem and nothing else;
    the readers of answers take any JSON and raise nothing.
    """

    name: str
    routes: tuple[Route, ...]
    id_prefix: str
    callback_path: Path
    accepts: frozenset[str]
    check: Callable[[VideoRequest], None]
    read_create: Callable[[Json], VideoRequest]
    write_create: Callable[[VideoRequest, str | None], Json]
    write_receipt: Callable[[View], Json]
    read_receipt: Callable[[Json], Snapshot]
    write_task: Callable[[View], Json]
    read_task: Callable[[Json], Snapshot]
    write_cancelled: Callable[[View], Json] | None = None
    read_cancelled: Callable[[Json], Snapshot] | None = None
    lists: Lists | None = None
    delete_cancels: bool = False
    spelling: Mapping[str, str] = field(default_factory=dict)
    forms: bool = False
    variants: Mapping[str, str] = field(default_factory=dict)
    read_page: Callable[[Mapping[str, str]], PageQuery] | None = None
    write_page: Callable[[Sequence[View], bool], Json] | None = None
    write_deleted: Callable[[View], Json] | None = None
    write_models: Callable[[Sequence[Offer]], Json] | None = None
    echoed: tuple[Path, ...] = ()

    def answered_task(self, view: View) -> Json:
        """write_task, with what else the gateway said, where it speaks this language too: unknown fields survive.

        Where it tells the callback URL back, that is ours, and a capability: the caller is shown his own, or none."""
        body, said = self.write_task(view), deepcopy(view.snapshot.answer)
        if take(said, self.callback_path) is not None and view.request.webhook_url is not None:
            place(said, self.callback_path, view.request.webhook_url)
        for path in self.echoed:
            if (value := pick(said, path)) is not None:
                place(body, path, value)
        carry(body, said)
        return body

    def route(self, operation: Operation) -> Route | None:
        """The route our client uses for an operation; None when the gateway has none."""
        return next((route for route in self.routes if route.operation == operation), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The wire language of a gateway.

    documentation: the name of the text that every fact here was read in. base_url: None when it says none.
    open_models: whether a gateway without a list of its own in the settings takes other ids besides `models` too.
    calls_back: whether the documentation describes a callback; callback_per_status: at each change, not only at the
    end. called_back: the statuses that callers of our compatible API are called back about. min_interval_ms: never ask
    about one task more often. result_needs_key: whether the result is downloaded with the key of the gateway.
    poll_header: the header that tells callers how many milliseconds to wait before they ask again. read_error: None
    when the answer is no error. write_error: HTTP status and body. refunds: whether a task that ended without a video
    costs nothing, as easyrouter.txt 5.4 and cubicspaces.txt "Failure Refund" say; ASSUME the same where nothing is
    said. library: what it does with images that are given to it before they are used.
    """

    name: str
    title: str
    documentation: str
    base_url: str | None
    models: tuple[str, ...]
    surfaces: tuple[Surface, ...]
    calls_back: bool
    read_callback: Callable[[Json], Snapshot]
    write_callback: Callable[[View], Json]
    read_error: Callable[[int, Any], Problem | None]
    write_error: Callable[[Problem], tuple[int, Json]]
    open_models: bool = False
    callback_per_status: bool = False
    called_back: tuple[Status, ...] = TERMINAL
    min_interval_ms: int = 1_000
    result_needs_key: bool = False
    refunds: bool = True
    poll_header: str | None = None
    library: Library | None = None

    def surface(self, name: str) -> Surface:
        return next(surface for surface in self.surfaces if surface.name == name)
