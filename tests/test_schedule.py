"""When to try again, when to look again."""

import pytest

from service.clock import HOUR, MINUTE, SECOND
from service.schedule import asked_for, back_off, first_look, look_after_hint, next_look, retry_at, usual
from service.settings import DeliverySettings

RETRIES = DeliverySettings().retries


def test_retries_go_on_for_three_days_by_default():
    """F8.7: the schedule."""
    assert 71 * HOUR < sum(RETRIES) < 80 * HOUR


def test_the_first_retry_comes_after_five_seconds_in_the_middle():
    assert retry_at(1, 1_000, 0.5, RETRIES) == 1_000 + 5 * SECOND


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 0), (0.25, 2_500), (1.0, 10_000)])
def test_a_pause_is_drawn_between_nothing_and_its_double(chance, pause):
    assert retry_at(1, 0, chance, RETRIES) == pause


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 2_500), (0.5, 5_000), (1.0, 7_500)])
def test_where_attempts_are_few_half_of_a_pause_is_waited_for_in_any_case(chance, pause):
    assert retry_at(1, 0, chance, RETRIES, 0.5) == pause


def test_the_schedule_ends():
    assert retry_at(len(RETRIES) + 1, 0, 0.5, RETRIES) is None


@pytest.mark.parametrize(("asked", "given"), [(20 * SECOND, 20 * SECOND), (0, SECOND), (100 * 24 * HOUR, 24 * HOUR)])
def test_what_an_endpoint_asks_for_is_honoured_exactly_within_its_bounds(asked, given):
    assert asked_for(1_000, asked) == 1_000 + given


def test_back_off_doubles():
    assert [back_off(misses, 1.0) for misses in (1, 2, 3, 4)] == [1_000, 2_000, 4_000, 8_000]


def test_back_off_ends_at_five_minutes_however_many_misses():
    assert back_off(10_000, 1.0) == 5 * MINUTE


def test_nothing_is_usual_before_five_have_been_seen():
    assert usual([1, 2, 3, 4]) is None


def test_usual_is_the_time_by_which_nine_in_ten_were_done():
    assert usual(list(range(100, 0, -1))) == 91


def test_a_callback_is_waited_for_longer_than_tasks_usually_take():
    assert first_look(60 * SECOND, callback_expected=True) > 60 * SECOND


def test_without_a_callback_the_first_look_comes_before_tasks_are_usually_done():
    assert first_look(60 * SECOND, callback_expected=False) < 60 * SECOND


def test_looks_are_never_closer_than_the_gateway_allows():
    assert next_look(100, 1_000, shortest_ms=5_000, callback_expected=False) == 5_000


def test_looks_become_rarer_the_longer_a_task_takes():
    pauses = [
        next_look(elapsed, MINUTE, shortest_ms=1, callback_expected=False) for elapsed in (MINUTE, HOUR, 10 * HOUR)
    ]
    assert pauses == [6 * SECOND, 5 * MINUTE, 5 * MINUTE]


@pytest.mark.parametrize(("since_hint", "pause"), [(0, 500), (700, 700), (3_500, 3_500), (40_000, 15_000)])
def test_after_a_hint_looks_double_their_distance_up_to_fifteen_seconds(since_hint, pause):
    """F8.5: 0.5, 1, 2, 4, 8, 15 s after a callback."""
    assert look_after_hint(since_hint, 100) == pause


def test_after_a_hint_looks_still_keep_the_distance_that_the_gateway_asks_for():
    """F5 Poll, F8.5."""
    assert look_after_hint(0, 5_000) == 5_000


def test_a_hint_is_stale_after_a_minute():
    assert look_after_hint(MINUTE + 1, 100) is None
