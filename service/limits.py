"""Limits of owners: how many tasks may be pending, and what a month may cost; checked where the task is stored."""

from dataclasses import dataclass
from datetime import UTC, datetime

from service.clock import DAY, SECOND
from service.costs import amount_text, read_money
from service.errors import Problem, SettingsError
from service.model import Task, iso
from service.settings import OwnerSettings, Settings
from service.store.rows import IdempotencyKey, Repeat, Repeatable
from service.store.statements import Transaction, run
from service.store.tasks import insert_task
from service.subscriptions import Subscription
from service.usage import charged_between

EVERYBODY = "*"
TRY_AGAIN_MS = 5 * SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Of one owner. budget_micros: millionths of the currency for a calendar month (UTC). None: no limit."""

    pending: int | None = None
    budget_micros: int | None = None
    currency: str = ""


class Limits:
    """What each owner may do. SettingsError when the settings cannot be meant."""

    def __init__(self, settings: Settings) -> None:
        everybody = settings.owners.get(EVERYBODY, OwnerSettings())
        self._otherwise = _limit(everybody, everybody, EVERYBODY)
        self._by_owner = {name: _limit(each, everybody, name) for name, each in settings.owners.items()}
        _check_currencies(settings, (self._otherwise, *self._by_owner.values()))

    def store(
        self,
        task: Task,
        key: IdempotencyKey | None,
        subscription: Subscription | None,
        repeatable: Repeatable | None = None,
    ) -> Transaction[Repeat | None]:
        """insert_task, within its owner's limits; a Problem, and nothing of it is stored, when they are reached. A
        repeated submit is told what its first one was, whatever the limits are by now."""
        limit = self._by_owner.get(task.owner, self._otherwise)
        if limit.pending is None and limit.budget_micros is None:
            return (yield from insert_task(task, key, subscription, repeatable))
        yield run("take_turn", owner=task.owner, now=task.created_at)  # one submit of an owner at a time
        replay = yield from insert_task(task, key, subscription, repeatable)
        if replay is None:
            yield from _check_pending(limit, task)
            yield from _check_budget(limit, task)
        return replay


def _check_pending(limit: Limit, task: Task) -> Transaction[None]:
    if limit.pending is None:
        return
    rows = yield run("count_pending", owner=task.owner, most=limit.pending + 1)  # with this one
    if rows[0]["pending"] > limit.pending:
        raise Problem(
            "too_many_pending",
            f"{task.owner} may have {limit.pending} pending tasks, and has them: wait until one of them has ended",
            retry_after_ms=TRY_AGAIN_MS,
        )


def _check_budget(limit: Limit, task: Task) -> Transaction[None]:
    """What this task will cost is not known yet: it is let in while anything of the budget is left."""
    if limit.budget_micros is None:
        return
    first_day, end_day = month_of(task.created_at)
    spent = yield from charged_between(task.owner, limit.currency, first_day, end_day)
    if spent >= limit.budget_micros:
        raise Problem(
            "insufficient_credit",
            f"the budget of {task.owner} for this month is used up: {amount_text(spent)} of "
            f"{amount_text(limit.budget_micros)} {limit.currency}. The next month begins {iso(end_day * DAY)}",
        )


def month_of(now: int) -> tuple[int, int]:
    """The calendar month (UTC) of an instant, as days since 1970: its first day, and the first that is not in it."""
    first = datetime.fromtimestamp(now / 1000, UTC).replace(day=1)
    after = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return int(first.timestamp()) * 1000 // DAY, int(after.timestamp()) * 1000 // DAY


def _limit(own: OwnerSettings, everybody: OwnerSettings, name: str) -> Limit:
    """An owner's own settings, and everybody's where they say nothing."""
    pending = everybody.pending if own.pending is None else own.pending
    budget = everybody.budget if own.budget is None else own.budget
    if budget is None:
        return Limit(pending=pending)
    micros, currency = read_money(budget, f"owners.{name}.budget")
    return Limit(pending=pending, budget_micros=micros, currency=currency)


def _check_currencies(settings: Settings, limits: tuple[Limit, ...]) -> None:
    """A budget counts one currency: what is charged in another would not count at all."""
    priced = any(gateway.price is not None for gateway in settings.gateways.values())
    if not priced and any(limit.budget_micros is not None for limit in limits):
        raise SettingsError("owners: a budget counts nothing without [gateways.NAME.price]; give one of them a price")
    for name, gateway in settings.gateways.items():
        for limit in limits:
            if gateway.price is not None and limit.currency not in ("", gateway.price.currency):
                raise SettingsError(
                    f"gateways.{name}.price.currency: is {gateway.price.currency}, and there is a budget in "
                    f"{limit.currency}, which would not count it; use one currency"
                )
