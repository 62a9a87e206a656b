"""Costs: what a gateway's count of a task comes to in money. Decimal text outside, whole millionths in sums, no floats.

A cost is {amount, currency, refunded}: what the task is charged with as far as its gateway has said, and what of that
was held for it before and has been given back.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from service.errors import SettingsError
from service.model import Snapshot, Status
from service.settings import PriceSettings
from service.wire import Json, count_or_none

MICROS = 1_000_000
# Of one task. More is a slip of the gateway, and sums of such slips must not outgrow a BIGINT.
MOST_MICROS = 10_000_000 * MICROS

# Where the gateways count tokens: gateways.md section 2 "task object"; worldrouter.txt "Check task status".
TOKENS = ("total_tokens", "completion_tokens", "output_tokens")

# unit of a price -> how many of it a snapshot speaks of, None when it does not say
UNITS: Mapping[str, Callable[[Snapshot], int | None]] = {
    "tokens": lambda snapshot: tokens_of(snapshot.usage),
    "quota": lambda snapshot: quota_of(snapshot.usage),
    "credits": lambda snapshot: credits_of(snapshot.usage),
    "seconds": lambda snapshot: count_or_none(snapshot.details.get("duration")),
    "tasks": lambda snapshot: 1,
}
# A gateway that says one of these of a task gives back what it held for it, unless its dialect knows better.
WITHOUT_VIDEO = (Status.FAILED, Status.CANCELLED, Status.EXPIRED)

_AMOUNT = r"\d{1,9}(?:\.\d{1,12})?"
_CURRENCY = r"[A-Z]{3}"


def tokens_of(usage: Json) -> int | None:
    return next((count for name in TOKENS if (count := count_or_none(usage.get(name))) is not None), None)


def quota_of(usage: Json) -> int | None:
    """easyrouter.txt 2.2 "Raw quota charged for this task"."""
    return count_or_none(usage.get("quota"))


def credits_of(usage: Json) -> int | None:
    """seedance2.txt "creditsCharged is calculated when the task is accepted"."""
    return count_or_none(usage.get("creditsCharged"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What `per` units cost."""

    unit: str
    per: int
    amount: Decimal
    currency: str

    def cost(self, snapshot: Snapshot) -> Json | None:
        """What a snapshot says of the cost; None when it says nothing."""
        count = UNITS[self.unit](snapshot)
        micros = None if count is None else self._micros(count)
        if snapshot.refunded:
            return write_cost(0, self.currency, micros or 0)
        return None if micros is None else write_cost(micros, self.currency, 0)

    def _micros(self, count: int) -> int | None:
        exact = count * self.amount * MICROS / self.per
        micros = int(exact.to_integral_value(ROUND_HALF_EVEN))
        return micros if micros <= MOST_MICROS else None


def reckoned(snapshot: Snapshot, price: Price | None, *, refunds: bool) -> Snapshot:
    """A snapshot with what it says of the cost, and whether all of it is given back. refunds: so the gateway does with
    what ends without a video."""
    snapshot = replace(snapshot, refunded=refunds and snapshot.status in WITHOUT_VIDEO)
    return replace(snapshot, cost=price.cost(snapshot)) if price else snapshot


def charged(before: Json | None, now: Json | None) -> Json | None:
    """The cost after news of it: what was held once and is not charged any more has been given back."""
    if before is None or now is None or before["currency"] != now["currency"]:
        return now or before
    held = max(micros_of(cost["amount"]) + micros_of(cost["refunded"]) for cost in (before, now))
    amount = micros_of(now["amount"])
    return write_cost(amount, now["currency"], held - amount)


def write_cost(micros: int, currency: str, refunded: int) -> Json:
    return {"amount": amount_text(micros), "currency": currency, "refunded": amount_text(refunded)}


def amount_text(micros: int) -> str:
    """1636250 as "1.63625": at least two places, as many as there are."""
    sign, (whole, rest) = "-" if micros < 0 else "", divmod(abs(micros), MICROS)
    return f"{sign}{whole}.{f'{rest:06}'.rstrip('0'):0<2}"


def micros_of(amount: str) -> int:
    """amount_text, read back; for settings too, rounded to millionths."""
    return int((Decimal(amount) * MICROS).to_integral_value(ROUND_HALF_EVEN))


def read_price(settings: PriceSettings | None, where: str) -> Price | None:
    """The price that the settings name; SettingsError when it cannot be one."""
    if settings is None:
        return None
    if not re.fullmatch(_AMOUNT, settings.amount):
        raise SettingsError(f'{where}.amount: must be a decimal such as "0.0077", not {settings.amount!r}')
    if not re.fullmatch(_CURRENCY, settings.currency):
        raise SettingsError(f'{where}.currency: must be three capital letters such as "USD", not {settings.currency!r}')
    return Price(unit=settings.unit, per=settings.per, amount=Decimal(settings.amount), currency=settings.currency)


def read_money(text: str, where: str) -> tuple[int, str]:
    """(millionths, currency) of "100.00 USD"; SettingsError otherwise."""
    match: Any = re.fullmatch(f"({_AMOUNT}) ({_CURRENCY})", text)
    if match is None:
        raise SettingsError(f'{where}: must be an amount and a currency such as "100.00 USD", not {text!r}')
    return micros_of(match[1]), match[2]
