"""Who may send next: the ladder of lanes, without a network and without a clock."""

import random

import pytest

from service.clock import SECOND
from service.lanes import LANES_MOST, LATEST_MS, SOONEST_MS, Lane, Lanes

SENDERS, SHARE, PLACES = 64, 8, 800
QUICK_MS, SLOW_MS, DEADLINE_MS, IN_TIME_MS = 20, 1_000, 15_000, 18_000
NOW = 1_800_000_000_000


def lanes(*, senders: int = SENDERS) -> Lanes[str]:
    return Lanes(senders=senders, share=SHARE, places=PLACES, slow_ms=SLOW_MS, in_time_ms=IN_TIME_MS)


def known(house: Lanes[str], name: str, took_ms: int, *, answered: bool = True, times: int = 1) -> None:
    """Let an endpoint show itself."""
    for _ in range(times):
        assert house.add(name, name)
        started = house.start()
        assert started is not None
        house.end(started[0], took_ms, answered=answered)


def filled(house: Lanes[str], name: str, most: int = 10**6) -> int:
    """How many a lane takes in."""
    return next((number for number in range(most) if not house.add(name, name)), most)


def started(house: Lanes[str]) -> list[Lane[str]]:
    """All that may be sent now, by lane."""
    found = []
    while (one := house.start()) is not None:
        found.append(one[0])
    return found


def names(found: list[Lane[str]]) -> list[object]:
    return [lane.name for lane in found]


# --- senders


def test_lanes_take_turns() -> None:
    house = lanes(senders=1)
    for name in "abc":
        known(house, name, QUICK_MS)
    for item in ("a1", "a2", "b1", "c1"):
        house.add(item[0], item)
    order = []
    while (one := house.start()) is not None:
        order.append(one[1])
        house.end(one[0], QUICK_MS)
    assert order == ["a1", "b1", "c1", "a2"]


def test_a_lane_holds_no_more_than_its_share() -> None:
    house = lanes()
    known(house, "a", QUICK_MS)
    filled(house, "a", 100)
    assert len(started(house)) == SHARE


def test_an_endpoint_of_which_nothing_is_known_is_tried_with_one() -> None:
    house = lanes()
    filled(house, "a", 100)
    assert len(started(house)) == 1


def test_an_endpoint_that_never_answers_has_one_sender() -> None:
    house = lanes()
    known(house, "a", DEADLINE_MS, answered=False, times=3)
    house.add("a", "a1")
    house.add("a", "a2")
    assert len(started(house)) == 1


def test_a_slow_endpoint_that_is_alone_has_its_whole_share() -> None:
    house = lanes()
    known(house, "a", 2_000)
    filled(house, "a", 50)
    assert len(started(house)) == SHARE


@pytest.mark.parametrize(
    ("took_ms", "answered", "part"),
    [(DEADLINE_MS, False, 1 / 4), (DEADLINE_MS - 500, True, 1 / 2), (None, True, 3 / 4)],
)
def test_endpoints_of_one_kind_hold_no_more_than_their_part(took_ms, answered, part) -> None:
    house = lanes()
    for number in range(2 * SENDERS):
        if took_ms is not None:
            known(house, f"{number}", took_ms, answered=answered, times=3)
    for number in range(2 * SENDERS):
        house.add(f"{number}", "one")
    assert len(started(house)) == SENDERS * part


def test_slow_endpoints_share_their_part_equally() -> None:
    house = lanes()
    for name in "abcdefgh":
        known(house, name, 14_000)
    for name in "abcdefgh":
        filled(house, name, 50)
    found = names(started(house))
    assert {found.count(name) for name in "abcdefgh"} == {SENDERS // 2 // 8}


def test_an_endpoint_that_answers_at_once_finds_a_sender_beside_all_others_together() -> None:
    house = lanes()
    known(house, "well", QUICK_MS)
    for number in range(SENDERS):
        known(house, f"silent {number}", DEADLINE_MS, answered=False, times=3)
        known(house, f"slow {number}", 14_000)
    for number in range(SENDERS):
        for kind in ("silent", "slow", "new"):
            filled(house, f"{kind} {number}", 3)
    assert len(started(house)) == SENDERS * 3 // 4
    filled(house, "well", 100)
    assert names(started(house)) == ["well"] * SHARE


def test_endpoints_with_a_backlog_leave_senders_to_those_with_nothing_under_way() -> None:
    house = lanes()
    for number in range(10):
        known(house, f"{number}", 900)
    known(house, "well", QUICK_MS)
    for number in range(10):
        filled(house, f"{number}", 20)
    assert len(started(house)) == SENDERS * 7 // 8
    house.add("well", "one")
    assert names(started(house)) == ["well"]


def test_every_kind_has_its_turn_when_the_house_is_full() -> None:
    house = lanes(senders=8)
    known(house, "slow", 14_000)
    for number in range(20):
        known(house, f"quick {number}", 900)
    for number in range(20):
        filled(house, f"quick {number}", 5)
    busy = started(house)
    house.add("slow", "one")
    for _ in range(8):
        house.end(busy.pop(0), 900)
        more = started(house)
        if "slow" in names(more):
            return
        busy += more
    raise AssertionError("not one of eight senders that became free went to the slow endpoint")


def test_one_sender_serves_all_kinds() -> None:
    house = lanes(senders=1)
    known(house, "slow", 14_000)
    known(house, "silent", DEADLINE_MS, answered=False, times=3)
    order = []
    for name in ("slow", "silent", "new"):
        house.add(name, name)
    while (one := house.start()) is not None:
        order.append(one[1])
        house.end(one[0])
    assert sorted(order) == ["new", "silent", "slow"]


def test_an_endpoint_that_answers_again_rises_again() -> None:
    house = lanes()
    known(house, "a", DEADLINE_MS, answered=False, times=4)
    known(house, "a", QUICK_MS, times=10)
    filled(house, "a", 50)
    assert len(started(house)) == SHARE


def test_an_endpoint_that_refuses_at_once_holds_nobody_up_and_is_quick() -> None:
    house = lanes()
    known(house, "a", 1, answered=False, times=5)
    filled(house, "a", 50)
    assert len(started(house)) == SHARE


def test_an_unknown_endpoint_that_has_failed_before_begins_among_the_slow_ones() -> None:
    house = lanes()
    for number in range(SENDERS):
        house.add(f"{number}", "again", doubtful=True)
    assert len(started(house)) == SENDERS // 2


# --- places


def test_a_lane_that_is_alone_may_take_half_of_the_house() -> None:
    house = lanes()
    known(house, "a", QUICK_MS)
    assert filled(house, "a") == PLACES // 2


def test_full_lanes_leave_room_for_another() -> None:
    house = lanes()
    for name in "abcd":
        known(house, name, QUICK_MS)
        filled(house, name)
    known_before = house.waiting
    known(house, "e", QUICK_MS)
    assert filled(house, "e") > (PLACES - known_before) // 3


def test_a_lane_is_no_longer_than_can_be_sent_in_time() -> None:
    house = lanes()
    known(house, "a", 3_000)
    assert filled(house, "a") == SHARE * IN_TIME_MS // 3_000


def test_a_silent_endpoint_has_one_delivery_waiting() -> None:
    house = lanes()
    known(house, "a", DEADLINE_MS, answered=False, times=3)
    assert filled(house, "a") == 1


def test_unknown_endpoints_cannot_fill_the_house() -> None:
    house = lanes()
    for number in range(PLACES):
        filled(house, f"{number}", 10)
    assert house.waiting <= PLACES * 3 / 4


# --- what finds no room


def test_what_finds_no_room_comes_back_at_twice_the_pace_of_its_lane() -> None:
    house = lanes()
    known(house, "a", 2_000)
    waiting = filled(house, "a")
    each = 2_000 / SHARE / 2
    due = [house.room_at("a", NOW) - NOW for _ in range(3)]
    assert due == [round(waiting * each + number * each) for number in range(3)]


def test_what_finds_no_room_does_not_come_back_at_once() -> None:
    house = lanes()
    known(house, "a", 1)
    assert house.room_at("a", NOW) == NOW + SOONEST_MS


def test_what_finds_no_room_at_a_silent_endpoint_comes_back_within_minutes() -> None:
    house = lanes()
    known(house, "a", DEADLINE_MS, answered=False, times=3)
    assert max(house.room_at("a", NOW) for _ in range(2_000)) == NOW + LATEST_MS


def test_what_finds_no_room_at_an_unknown_endpoint_comes_back_when_it_is_known() -> None:
    house = lanes()
    house.add("a", "a")
    assert max(house.room_at("a", NOW) for _ in range(2_000)) == NOW + IN_TIME_MS


# --- the house as a whole


def test_what_waits_is_handed_out_at_the_end_and_never_sent() -> None:
    house = lanes()
    for item in ("a1", "a2", "b1"):
        house.add(item[0], item)
    house.start()
    assert (sorted(house.clear()), house.start(), house.waiting) == (["a2", "b1"], None, 0)


def test_idle_lanes_are_remembered_up_to_a_number() -> None:
    house = lanes()
    for number in range(LANES_MOST + 100):
        known(house, f"{number}", QUICK_MS)
    assert house.remembered == LANES_MOST


def test_what_waits_is_handed_out_though_many_lanes_are_remembered() -> None:
    house = lanes()
    for number in range(LANES_MOST):
        known(house, f"{number}", QUICK_MS)
    for name in "abc":
        house.add(name, name)
    assert sorted(house.clear()) == ["a", "b", "c"]


@pytest.mark.parametrize("seed", range(20))
def test_everything_is_sent_once_whatever_the_endpoints_do(seed) -> None:
    """A day in the house, by chance: nothing lost, nothing twice, never more senders than there are."""
    chance = random.Random(seed)
    house = lanes(senders=chance.choice((1, 2, 7, SENDERS)))
    taken: list[str] = []
    sent: list[str] = []
    busy: list[Lane[str]] = []
    number = 0
    for _ in range(3_000):
        if chance.random() < 0.5:
            number += 1
            if house.add(chance.randrange(30), f"{number}", doubtful=chance.random() < 0.2):
                taken.append(f"{number}")
            else:
                assert house.room_at(chance.randrange(30), NOW) >= NOW + SECOND
        elif busy:
            lane = busy.pop(chance.randrange(len(busy)))
            house.end(lane, chance.choice((None, 1, 900, 14_000)), answered=chance.random() < 0.7)
        while (one := house.start()) is not None:
            busy.append(one[0])
            sent.append(one[1])
        assert house.waiting == len(taken) - len(sent)
        assert len(busy) <= SENDERS
    while busy:
        house.end(busy.pop(), 1)
        while (one := house.start()) is not None:
            busy.append(one[0])
            sent.append(one[1])
    assert sorted(sent) == sorted(taken)


# --- limits of a lane's own


def test_a_lane_with_a_pause_of_its_own_starts_one_and_rests() -> None:
    house = lanes()
    for item in ("a1", "a2"):
        house.add("a", item, spacing_ms=SECOND)
    known_lane = house.start(NOW)
    assert known_lane is not None
    house.end(known_lane[0], QUICK_MS)
    assert (house.start(NOW + SECOND - 1), house.ready_at) == (None, NOW + SECOND)


def test_a_lane_that_has_rested_starts_again() -> None:
    house = lanes()
    for item in ("a1", "a2"):
        house.add("a", item, spacing_ms=SECOND)
    first = house.start(NOW)
    assert first is not None
    house.end(first[0], QUICK_MS)
    second = house.start(NOW + SECOND)
    assert second is not None and second[1] == "a2"


def test_a_lane_that_rests_is_no_longer_than_it_can_send_in_time() -> None:
    house = lanes()
    taken = 0
    while house.add("a", "x", spacing_ms=SECOND):
        taken += 1
    assert taken == IN_TIME_MS // SECOND


def test_a_lane_has_no_more_senders_than_its_own_share() -> None:
    house = lanes()
    known(house, "a", QUICK_MS)
    for _ in range(10):
        house.add("a", "x", share=2)
    assert len(started(house)) == 2


def test_owners_take_turns_however_many_lanes_they_have() -> None:
    house = lanes(senders=1)
    endpoints = ("a1", "a2", "a3", "b1")
    for name in endpoints:
        known(house, name, QUICK_MS)
    for name in endpoints:
        house.add(name, name, owner=name[0])
    order = []
    while (one := house.start()) is not None:
        order.append(one[1])
        house.end(one[0], QUICK_MS)
    assert order == ["a1", "b1", "a2", "a3"]
