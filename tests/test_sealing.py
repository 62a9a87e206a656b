"""Encryption at rest: only the same key and the same owner of a text open it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.sealing import Seal, SealBroken

SEAL = Seal("a secret key of the service")
VALUE = {"headers": {"authorization": "Bearer töken"}, "tls": {"key": None, "n": [1, True]}}


def test_what_was_sealed_is_opened():
    assert SEAL.open(SEAL.seal(VALUE, "sub_1"), "sub_1") == VALUE


@given(st.dictionaries(st.text(), st.text()))
def test_every_value_comes_back(value):
    assert SEAL.open(SEAL.seal(value, "sub_1"), "sub_1") == value


def test_a_sealed_text_shows_nothing_of_its_content():
    assert "Bearer" not in SEAL.seal(VALUE, "sub_1")


def test_the_same_value_is_never_sealed_the_same_way():
    assert SEAL.seal(VALUE, "sub_1") != SEAL.seal(VALUE, "sub_1")


def test_another_start_with_the_same_key_opens_it():
    assert Seal("a secret key of the service").open(SEAL.seal(VALUE, "sub_1"), "sub_1") == VALUE


def test_a_changed_key_is_called_that():
    with pytest.raises(SealBroken, match=r"what is sealed of sub_1 was sealed with another secret_key"):
        Seal("another secret key").open(SEAL.seal(VALUE, "sub_1"), "sub_1")


def test_what_was_sealed_for_one_is_not_opened_for_another():
    with pytest.raises(SealBroken, match="damaged, or belongs to something else"):
        SEAL.open(SEAL.seal(VALUE, "sub_1"), "sub_2")


@given(st.data())
def test_a_text_in_which_anything_was_changed_is_not_opened(data):
    sealed = SEAL.seal(VALUE, "sub_1")
    at = data.draw(st.integers(0, len(sealed) - 2))  # the last letter has bits that mean nothing
    letter = data.draw(st.characters(codec="ascii").filter(lambda letter: letter != sealed[at]))
    with pytest.raises(SealBroken):
        SEAL.open(sealed[:at] + letter + sealed[at + 1 :], "sub_1")


@given(st.integers(0, 60))
def test_a_text_that_was_cut_is_not_opened(length):
    with pytest.raises(SealBroken):
        SEAL.open(SEAL.seal(VALUE, "sub_1")[:length], "sub_1")


@pytest.mark.parametrize("text", ["", "s1", "s1..", "s2.abc.def", "{}", "s1.é.x"])
def test_what_was_never_sealed_is_not_opened(text):
    with pytest.raises(SealBroken):
        SEAL.open(text, "sub_1")
