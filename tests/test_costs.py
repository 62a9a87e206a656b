"""Costs: exact, in millionths, and what was held and given back."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.costs import (
    MOST_MICROS,
    UNITS,
    Price,
    amount_text,
    charged,
    micros_of,
    read_money,
    read_price,
    reckoned,
    write_cost,
)
from service.errors import SettingsError
from service.model import Snapshot, Status
from service.settings import PriceSettings
from tests.dialects.given import ANY_JSON, ANY_OBJECT

QUOTA = Price(unit="quota", per=500_000, amount=Decimal("1.00"), currency="USD")


def said(status=Status.SUCCEEDED, **more):
    return Snapshot(status=status, **more)


def cost(amount, refunded="0.00", currency="USD"):
    return {"amount": amount, "currency": currency, "refunded": refunded}


@given(st.integers(0, 2**62))
def test_an_amount_is_read_back_as_it_was_written(micros):
    assert micros_of(amount_text(micros)) == micros


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0.00"),
        (1, "0.000001"),
        (1_500_000, "1.50"),
        (1_636_250, "1.63625"),
        (10**12, "1000000.00"),
        (-2_000_000, "-2.00"),
    ],
)
def test_an_amount_has_two_places_or_as_many_as_there_are(micros, text):
    assert amount_text(micros) == text


@pytest.mark.parametrize(
    ("unit", "snapshot", "amount"),
    [
        ("tokens", said(usage={"total_tokens": 108_900, "completion_tokens": 1}), "108900.00"),
        ("tokens", said(usage={"output_tokens": 7522}), "7522.00"),
        ("quota", said(usage={"quota": 818_125}), "818125.00"),
        ("credits", said(usage={"creditsCharged": 40}), "40.00"),
        ("seconds", said(details={"duration": 5}), "5.00"),
        ("tasks", said(), "1.00"),
    ],
)
def test_each_unit_is_counted_where_its_gateway_says_it(unit, snapshot, amount):
    """F2 usage.output_tokens, F3 data.quota and data.data.usage, F6 creditsCharged."""
    price = Price(unit=unit, per=1, amount=Decimal(1), currency="USD")
    assert price.cost(snapshot) == cost(amount)


def test_a_price_is_for_so_many_units():
    assert QUOTA.cost(said(usage={"quota": 818_125})) == cost("1.63625")


def test_a_price_of_fractions_is_rounded_to_millionths_once():
    price = Price(unit="tokens", per=3, amount=Decimal("0.0000077"), currency="USD")
    assert price.cost(said(usage={"total_tokens": 100_000})) == cost("0.256667")


@pytest.mark.parametrize("odd", [None, True, "40", -1, 0.5, 10**13, 1e300, [], {}])
def test_an_odd_count_is_no_count(odd):
    assert QUOTA.cost(said(usage={"quota": odd})) is None


@pytest.mark.parametrize("unit", UNITS)
@given(usage=ANY_OBJECT, details=ANY_OBJECT, count=ANY_JSON)
def test_whatever_a_gateway_says_of_its_count_is_a_cost_or_none(unit, usage, details, count):
    for name in ("total_tokens", "quota", "creditsCharged", "duration"):
        usage, details = usage | {name: count}, details | {name: count}
    price = Price(unit=unit, per=7, amount=Decimal("0.3"), currency="USD")
    found = price.cost(said(usage=usage, details=details))
    assert found is None or 0 <= micros_of(found["amount"]) <= MOST_MICROS


def test_a_cost_beyond_all_reason_is_none():
    price = Price(unit="quota", per=1, amount=Decimal(999_999_999), currency="USD")
    most = MOST_MICROS // 10**6 // 999_999_999
    assert price.cost(said(usage={"quota": most})) is not None
    assert price.cost(said(usage={"quota": most + 1})) is None


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED, Status.EXPIRED])
def test_f3_what_ends_without_a_video_is_given_back_whole(status):
    """F3 "FAILURE -> pre-charge refunded automatically"; F4 Dashboard labels: "Failure Refund"."""
    snapshot = reckoned(said(status, usage={"quota": 500_000}), QUOTA, refunds=True)
    assert (snapshot.cost, snapshot.refunded) == (cost("0.00", "1.00"), True)


def test_what_nobody_promises_to_give_back_stays_charged():
    price = Price(unit="credits", per=100, amount=Decimal(1), currency="USD")
    snapshot = reckoned(said(Status.FAILED, usage={"creditsCharged": 40}), price, refunds=False)
    assert (snapshot.cost, snapshot.refunded) == (cost("0.40"), False)


def test_what_succeeds_is_not_given_back():
    assert not reckoned(said(usage={"quota": 1}), None, refunds=True).refunded


def test_f4_the_unused_part_of_what_was_held_is_given_back():
    """F4 Dashboard labels: "Pre-deduction Return"."""
    assert charged(cost("2.00"), cost("1.63625")) == cost("1.63625", "0.36375")


def test_a_task_that_fails_is_given_back_what_was_held_before():
    assert charged(cost("2.00"), cost("0.00")) == cost("0.00", "2.00")


def test_what_comes_back_in_two_steps_is_one_sum():
    assert charged(charged(cost("2.00"), cost("1.50")), cost("1.00")) == cost("1.00", "1.00")


def test_a_cost_that_grows_gives_nothing_back():
    assert charged(cost("1.00"), cost("1.50")) == cost("1.50")


@pytest.mark.parametrize(("before", "now"), [(None, cost("1.00")), (cost("1.00"), None)])
def test_silence_changes_no_cost(before, now):
    assert charged(before, now) == cost("1.00")


def test_another_currency_starts_anew():
    assert charged(cost("2.00"), cost("1.00", currency="EUR")) == cost("1.00", currency="EUR")


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=6))
def test_charged_and_given_back_are_together_the_most_that_was_held(held):
    seen = None
    for micros in held:
        seen = charged(seen, write_cost(micros, "USD", 0))
    assert seen is not None
    assert micros_of(seen["amount"]) == held[-1]
    assert micros_of(seen["amount"]) + micros_of(seen["refunded"]) == max(held)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"amount": "1,00"}, "gateways.x.price.amount: must be a decimal"),
        ({"amount": "-1"}, "gateways.x.price.amount: must be a decimal"),
        ({"amount": "1e3"}, "gateways.x.price.amount: must be a decimal"),
        ({"currency": "dollars"}, "gateways.x.price.currency: must be three capital letters"),
    ],
)
def test_a_price_that_is_none_is_named(change, words):
    settings = PriceSettings(**{"unit": "quota", "amount": "1.00", "currency": "USD"} | change)
    with pytest.raises(SettingsError, match=words):
        read_price(settings, "gateways.x.price")


@pytest.mark.parametrize("text", ["100", "100.00", "USD 100", "100 usd", "100.00USD", "-1 USD", ""])
def test_a_budget_that_is_none_is_named(text):
    with pytest.raises(SettingsError, match=r"owners.anna.budget: must be an amount and a currency"):
        read_money(text, "owners.anna.budget")


def test_a_budget_is_an_amount_and_a_currency():
    assert read_money("100.50 EUR", "x") == (100_500_000, "EUR")
