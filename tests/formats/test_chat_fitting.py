"""Text that is made to fit."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.formats import discord, mattermost, slack
from service.formats.fitting import fit, join, utf8, utf16

texts = st.text(alphabet=st.characters(codec="utf-8") | st.sampled_from("<>&*_`\\@|[]\n"), max_size=80)
limits = st.integers(min_value=4, max_value=60)


@pytest.mark.parametrize("measure", [utf16, utf8])
@given(text=texts, most=limits)
def test_nothing_is_longer_than_its_limit(measure, text, most):
    assert measure(fit(text, most, escape=slack.ESCAPE, measure=measure)) <= most


@given(text=texts, most=limits)
def test_what_fits_is_left_as_it_is(text, most):
    assert (fit(text, most) == text) is (utf16(text) <= most)


@given(text=texts, most=limits)
def test_what_does_not_fit_says_so(text, most):
    assert utf16(text) <= most or fit(text, most).endswith("…")


@given(text=texts, most=limits)
def test_slack_never_sees_half_an_entity(text, most):
    escaped = fit(text, most, escape=slack.ESCAPE)
    assert re.sub("&(amp|lt|gt);", "", escaped).translate({ord("…"): None}).count("&") == 0
    assert "<" not in escaped and ">" not in escaped


@given(text=texts)
def test_slack_reads_back_what_was_written(text):
    escaped = fit(text, 1_000, escape=slack.ESCAPE)
    assert escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == text


@pytest.mark.parametrize("module", [discord, mattermost])
@given(text=texts, most=limits)
def test_markdown_never_ends_in_a_backslash_that_escapes_what_follows(module, text, most):
    escaped = fit(text, most, escape=module.ESCAPE)
    assert not re.search(r"(?<!\\)(\\\\)*\\$", escaped.removesuffix("…"))


@pytest.mark.parametrize("letter", "*_`~|[]#<")
def test_discord_shows_markup_as_it_was_written(letter):
    assert fit(letter, 10, escape=discord.ESCAPE) == f"\\{letter}"


def test_a_family_is_not_left_with_a_joiner_to_nobody():
    assert fit("👩‍👩‍👧", 5) == "👩…"


def test_pieces_are_left_out_whole():
    assert join(["one", "a very long one", "", "two"], " | ", 10) == "one | two"
