"""GET /v1/usage: what tasks have used and cost, summed over days."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.clock import DAY
from service.errors import invalid
from service.usage import GROUPS, MOST_ROWS, Totals, read_totals
from service.web.answers import json_answer
from service.web.entry import entered
from service.web.requests import read_query
from service.wire import Json

MOST_DAYS = 366
EPOCH = date(1970, 1, 1)


async def show_usage(request: Request) -> Response:
    """The sums of one's own tasks, an admin's of everybody's; by the UTC day on which a task was submitted."""
    services, caller = await entered(request)
    query = read_query(request, ("from", "to", "group_by"))
    first, last = read_days(query, datetime.fromtimestamp(services.clock() / 1000, UTC).date())
    groups = read_groups(query)
    found = await read_totals(services.database, caller.owner, _number(first), _number(last) + 1, groups)
    if found is None:
        raise invalid("group_by", f"makes more than {MOST_ROWS} rows; ask for fewer days or groups")
    shown = [show_totals(totals) for totals in found]
    return json_answer({"from": first.isoformat(), "to": last.isoformat(), "group_by": groups, "data": shown})


def read_days(query: Mapping[str, str], today: date) -> tuple[date, date]:
    """The first and the last day, both included; by default this month until today."""
    last = _read_day(query, "to") or today
    first = _read_day(query, "from") or last.replace(day=1)
    if first > last:
        raise invalid("from", "must not be after `to`")
    if last - first >= timedelta(days=MOST_DAYS):
        raise invalid("from", f"must be less than {MOST_DAYS} days before `to`")
    return first, last


def read_groups(query: Mapping[str, str]) -> list[str]:
    """What the rows are told apart by; by default gateway and model."""
    groups = [name.strip() for name in query.get("group_by", "gateway,model").split(",")]
    for name in groups:
        if name not in GROUPS:
            raise invalid("group_by", f"must be made of {', '.join(GROUPS)}, separated by commas")
    return list(dict.fromkeys(groups))


def show_totals(totals: Totals) -> Json:
    keys = dict(totals.keys)
    if "day" in keys:
        keys["day"] = (EPOCH + timedelta(days=keys["day"])).isoformat()
    counts = dict(totals.counts)
    usage = {name: counts.pop(name) for name in ("tokens", "quota", "credits")}
    return keys | counts | {"usage": usage, "costs": totals.costs}


def _read_day(query: Mapping[str, str], name: str) -> date | None:
    if name not in query:
        return None
    try:
        day = datetime.strptime(query[name], "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise invalid(name, "must be a day such as 2026-11-21") from error
    if day < EPOCH:
        raise invalid(name, f"must not be before {EPOCH}")
    return day


def _number(day: date) -> int:
    return (day - EPOCH) // timedelta(milliseconds=DAY)


ROUTES = [Route("/v1/usage", show_usage, methods=["GET"])]
