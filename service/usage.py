"""Usage: what tasks have used and cost, summed per owner, gateway, model and day, in the transaction that says so.

A task counts on the UTC day on which it was submitted, whenever it ends: what a receipt says and what an end says of
it, refunds too, meet in the same sum.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from service.clock import DAY
from service.costs import credits_of, micros_of, quota_of, tokens_of, write_cost
from service.model import TERMINAL, Task
from service.store.statements import Database, Row, Transaction, run
from service.wire import Json

GROUPS = ("owner", "gateway", "model", "day")
COUNTS = ("tasks", *(status.value for status in TERMINAL), "tokens", "quota", "credits")
MOST_ROWS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The sums of one group. keys: what it is the group of. costs: one for each currency."""

    keys: Json
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    costs: list[Json] = field(default_factory=list)


def book(before: Json, task: Task, *, ended: bool) -> Transaction[None]:
    """Add to the sums what a task's new result says beyond the one `before`; ended: and that it is over.

    Called where the result is written, and last of all: under PostgreSQL the row of the sum is locked until the commit.
    """
    rows: dict[str, dict[str, int]] = {}
    for cost, sign in ((before.get("cost"), -1), (task.result.get("cost"), 1)):
        if cost is not None:
            row = rows.setdefault(cost["currency"], {"cost": 0, "refunded": 0})
            row["cost"] += sign * micros_of(cost["amount"])
            row["refunded"] += sign * micros_of(cost["refunded"])
    if ended:
        cost = task.result.get("cost")
        rows.setdefault(cost["currency"] if cost else "", {}).update(_counts(task))
    for currency, sums in sorted(rows.items()):  # in one order, so that two transactions cannot lock each other out
        if any(sums.values()):
            yield run(
                "add_usage",
                owner=task.owner,
                day=task.created_at // DAY,
                gateway=task.gateway,
                model=task.request.model,
                currency=currency,
                **dict.fromkeys((*COUNTS, "cost", "refunded"), 0) | sums,
            )


def charged_between(owner: str, currency: str, first_day: int, end_day: int) -> Transaction[int]:
    """Millionths that an owner's tasks of these days are charged with, as far as is known. end_day: not included."""
    rows = yield run("charged_between", owner=owner, currency=currency, first_day=first_day, end_day=end_day)
    return int(rows[0]["cost"])


async def read_totals(
    database: Database, owner: str | None, first_day: int, end_day: int, groups: Sequence[str]
) -> list[Totals] | None:
    """The sums of these days by these GROUPS, by day first; None when they are more than MOST_ROWS. owner None: the
    admin, who sees everybody's."""
    asked = {f"by_{name}": int(name in groups) for name in GROUPS}
    rows = await database.read(
        "usage_totals", owner=owner, first_day=first_day, end_day=end_day, limit=MOST_ROWS + 1, **asked
    )
    return None if len(rows) > MOST_ROWS else _folded(rows, groups)


def _folded(rows: Iterable[Row], groups: Sequence[str]) -> list[Totals]:
    """One for each group, of rows that are one for each group and currency."""
    found: dict[tuple[object, ...], Totals] = {}
    for row in rows:
        keys = {name: row[name] for name in groups}
        totals = found.setdefault(tuple(keys.values()), Totals(keys=keys))
        for name in COUNTS:
            totals.counts[name] += row[name]
        if row["currency"]:
            totals.costs.append(write_cost(row["cost"], row["currency"], row["refunded"]))
    return list(found.values())


def _counts(task: Task) -> dict[str, int]:
    """One more that ended so, and what it is charged with: what is given back has not been used."""
    usage = {} if task.result.get("refunded") else task.result.get("usage") or {}
    return {
        "tasks": 1,
        task.status.value: 1,
        "tokens": tokens_of(usage) or 0,
        "quota": quota_of(usage) or 0,
        "credits": credits_of(usage) or 0,
    }
