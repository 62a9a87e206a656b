"""Ark's list of tasks: gateways.md, section 2, the row "list".

GET …/tasks?page_num=1&page_size=20&filter.status=…&filter.model=…&filter.service_tier=…&filter.task_ids=a
    &filter.task_ids=b
{"total": 2, "items": [task, task]}, of the last 7 days only
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from service.dialects.answers import object_or_empty
from service.dialects.ark_task import read_ark_task
from service.dialects.shape import Lists, Query
from service.errors import invalid
from service.model import ListQuery, Snapshot, Status, VideoRequest
from service.wire import Json

PAGE, HIGHEST = 20, 500
FILTERS = ("filter.status", "filter.model", "filter.service_tier")
IDS = "filter.task_ids"
KNOWN = ("page_num", "page_size", *FILTERS, IDS)

# ASSUME that so many ids are taken: none is said to be too many, and the URL stays below 4 kB.
MOST_IDS = 50
SEVEN_DAYS_MS = 7 * 86_400_000


def tier_of(request: VideoRequest) -> str:
    """ASSUME that `filter.service_tier (def default)` hides the other tier even from a question by id."""
    return request.service_tier or "default"


def write_list_query(ids: Sequence[str], tier: str) -> Query:
    return [
        ("page_num", "1"),
        ("page_size", str(len(ids))),
        ("filter.service_tier", tier),
        *((IDS, task_id) for task_id in ids),
    ]


def read_list_query(query: Query) -> ListQuery:
    """A Problem that names the parameter where one is unknown, repeated, empty or out of range."""
    said: dict[str, str] = {}
    ids: list[str] = []
    for name, value in query:
        if name not in KNOWN:
            raise invalid(name, f"is no parameter here; known: {', '.join(KNOWN)}")
        if not value or "\x00" in value:
            raise invalid(name, "must not be empty")
        if name == IDS:
            ids.append(value)
        elif name in said:
            raise invalid(name, "is given more than once")
        else:
            said[name] = value
    if len(ids) > HIGHEST:
        raise invalid(IDS, f"must be at most {HIGHEST} ids")
    limit = _read_number(said, "page_size", PAGE)
    return ListQuery(
        offset=(_read_number(said, "page_num", 1) - 1) * limit,
        limit=limit,
        status=_read_status(said),
        model=said.get("filter.model"),
        service_tier=said.get("filter.service_tier", "default"),
        ids=tuple(ids),
    )


def write_list(total: int, items: Sequence[Json]) -> Json:
    return {"total": total, "items": list(items)}


def read_list(body: Json) -> Sequence[Snapshot] | None:
    items = body.get("items")
    if not isinstance(items, list):
        return None
    return [replace(read_ark_task(item), answer=object_or_empty(item)) for item in items]


def _read_number(said: dict[str, str], name: str, otherwise: int) -> int:
    text = said.get(name, str(otherwise))
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= HIGHEST:
        raise invalid(name, f"must be from 1 to {HIGHEST}")
    return int(text)


def _read_status(said: dict[str, str]) -> Status | None:
    word = said.get("filter.status")
    if word is not None and word not in list(Status):
        raise invalid("filter.status", f"must be one of {', '.join(Status)}")
    return Status(word) if word is not None else None


LISTS = Lists(
    most=MOST_IDS,
    shows_ms=SEVEN_DAYS_MS,
    kind=tier_of,
    write_query=write_list_query,
    read_query=read_list_query,
    write=write_list,
    read=read_list,
)
