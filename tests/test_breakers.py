"""Breakers: a host that does not answer is asked by one at a time, and nobody can shut it for others."""

from service.breakers import FIRST_MS, GUILTY_AFTER, HOSTS_MOST, LATE_MS, LONGEST_MS, OPENS_AFTER, Breakers, Broken

NOW = 1_800_000_000_000
HOST = "https://a.example:443"


def opened(breakers: Breakers, times: int = OPENS_AFTER, endpoint: str = "one") -> None:
    for _ in range(times):
        breakers.note(HOST, endpoint, NOW, answered=False)


def test_a_host_of_which_nothing_is_known_is_open_to_all() -> None:
    assert Breakers().admit(HOST, "one", NOW) is None


def test_a_few_misses_open_no_breaker() -> None:
    breakers = Breakers()
    opened(breakers, OPENS_AFTER - 1)
    assert breakers.admit(HOST, "one", NOW) is None


def test_misses_in_a_row_open_it_for_a_while() -> None:
    breakers = Breakers()
    opened(breakers)
    assert breakers.admit(HOST, "one", NOW) == NOW + FIRST_MS


def test_an_answer_between_the_misses_begins_the_count_again() -> None:
    breakers = Breakers()
    opened(breakers, OPENS_AFTER - 1)
    breakers.note(HOST, "two", NOW, answered=True)
    opened(breakers, OPENS_AFTER - 1)
    assert breakers.admit(HOST, "one", NOW) is None


def test_half_open_lets_one_probe_through_at_a_time() -> None:
    breakers = Breakers()
    opened(breakers)
    later = NOW + FIRST_MS
    assert [breakers.admit(HOST, "one", later), breakers.admit(HOST, "one", later)] == [None, later + FIRST_MS]


def test_a_probe_that_misses_opens_it_for_longer() -> None:
    breakers = Breakers()
    opened(breakers)
    later = NOW + FIRST_MS
    breakers.admit(HOST, "one", later)
    breakers.note(HOST, "one", later, answered=False)
    assert breakers.admit(HOST, "one", later) == later + 2 * FIRST_MS


def test_it_is_never_open_for_longer_than_its_longest_pause() -> None:
    breakers, at = Breakers(), NOW
    opened(breakers)
    for _ in range(30):
        at = breakers.admit(HOST, "one", at) or at
        breakers.admit(HOST, "one", at)
        breakers.note(HOST, "one", at, answered=False)
    assert breakers.admit(HOST, "one", at) == at + LONGEST_MS


def test_a_probe_that_is_answered_closes_it() -> None:
    breakers = Breakers()
    opened(breakers)
    breakers.admit(HOST, "one", NOW + FIRST_MS)
    assert breakers.note(HOST, "one", NOW + FIRST_MS, answered=True)
    assert breakers.admit(HOST, "one", NOW + FIRST_MS) is None


def test_an_endpoint_that_never_missed_is_let_through_as_a_probe() -> None:
    breakers = Breakers()
    opened(breakers)
    assert breakers.admit(HOST, "another", NOW) is None


def test_a_probe_that_is_not_made_leaves_the_place_free() -> None:
    breakers = Breakers()
    opened(breakers)
    breakers.admit(HOST, "one", NOW + FIRST_MS)
    breakers.cancel(HOST, "one")
    assert breakers.admit(HOST, "one", NOW + FIRST_MS) is None


def test_what_was_open_is_open_after_a_restart() -> None:
    before, after = Breakers(), Breakers()
    opened(before)
    after.restore(before.take_changes()[0])
    assert after.admit(HOST, "one", NOW) == NOW + FIRST_MS


def test_no_more_hosts_are_restored_than_are_remembered() -> None:
    breakers = Breakers()
    breakers.restore(Broken(str(number), 1, NOW + 60_000) for number in range(HOSTS_MOST + 1))
    admitted = [breakers.admit(str(number), "one", NOW) for number in (0, 1)]
    assert admitted == [None, NOW + 60_000]


def test_a_host_that_is_forgotten_is_not_kept_as_open() -> None:
    breakers = Breakers()
    breakers.restore(Broken(str(number), 1, NOW) for number in range(HOSTS_MOST + 1))
    assert breakers.take_changes() == ([], ["0"])


def test_changes_are_told_once() -> None:
    breakers = Breakers()
    opened(breakers)
    assert breakers.take_changes() == ([Broken(HOST, 1, NOW + FIRST_MS)], [])
    breakers.note(HOST, "one", NOW, answered=True)
    assert (breakers.take_changes(), breakers.take_changes()) == (([], [HOST]), ([], []))


def test_the_probe_of_one_that_hangs_is_not_in_the_way_of_another() -> None:
    breakers = Breakers()
    opened(breakers)
    assert breakers.admit(HOST, "one", NOW + FIRST_MS) is None
    assert breakers.admit(HOST, "another", NOW + FIRST_MS) is None


def test_many_that_never_missed_probe_one_at_a_time_too() -> None:
    breakers = Breakers()
    opened(breakers)
    assert [breakers.admit(HOST, name, NOW) for name in ("two", "three")] == [None, NOW + FIRST_MS]


def test_whoever_was_answered_last_is_let_through_as_often_as_he_asks() -> None:
    breakers = Breakers()
    opened(breakers)
    assert [breakers.admit(HOST, "another", NOW, trusted=True) for _ in range(3)] == [None] * 3


def test_the_end_of_one_probe_leaves_the_other_in_its_place() -> None:
    breakers = Breakers()
    opened(breakers)
    later = NOW + FIRST_MS
    breakers.admit(HOST, "one", later)
    breakers.admit(HOST, "another", later)
    breakers.note(HOST, "another", later, answered=False)
    breakers.note(HOST, "trusted", later, answered=False)
    assert breakers.admit(HOST, "third", later) is None
    assert breakers.admit(HOST, "one", later) is not None


def test_one_miss_is_no_guilt() -> None:
    breakers = Breakers()
    breakers.note(HOST, "blip", NOW, answered=False)
    opened(breakers)
    assert breakers.admit(HOST, "blip", NOW) is None


def test_owners_take_turns_at_the_probe_however_many_endpoints_they_have() -> None:
    breakers, at, probes = Breakers(), NOW, []
    many, one = [f"x{number}" for number in range(10)], "z"
    for endpoint in (*many, one):
        opened(breakers, GUILTY_AFTER, endpoint)
    for _ in range(400):
        for endpoint in (*many, one):  # the many always come first
            if breakers.admit(HOST, endpoint, at, owner=endpoint[0]) is None:
                probes.append(endpoint[0])
                breakers.note(HOST, endpoint, at, answered=False)
        at += 1_000
    assert probes.count("z") >= len(probes) // 3 > 0


def test_whoever_does_not_come_back_loses_his_turn() -> None:
    breakers = Breakers()
    for endpoint in ("gone", "here"):
        opened(breakers, GUILTY_AFTER, endpoint)
    due = breakers.admit(HOST, "gone", NOW, owner="a")
    assert due is not None and breakers.admit(HOST, "here", due + LATE_MS - 1, owner="b") is not None
    assert breakers.admit(HOST, "here", due + LATE_MS, owner="b") is None


def test_after_a_restart_the_guilty_are_those_whose_record_says_so() -> None:
    before, after = Breakers(), Breakers()
    opened(before)
    after.restore(before.take_changes()[0])
    assert after.admit(HOST, "well", NOW, failing=False) is None
    assert after.admit(HOST, "ill", NOW, failing=True) == NOW + FIRST_MS
