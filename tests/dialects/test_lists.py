"""Lists of tasks: our client half and our server half against each other."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.dialects.shape import Lists, Surface
from service.errors import Problem
from service.model import Status
from tests.dialects.given import ANY_OBJECT, SPOKEN, Spoken, spoiled, view, wired

LISTING = pytest.mark.parametrize("each", [each for each in SPOKEN if each.surface.lists], ids=str)


def lists_of(surface: Surface) -> Lists:
    assert surface.lists is not None
    return surface.lists


@pytest.mark.parametrize("each", SPOKEN, ids=str)
def test_a_surface_can_ask_by_list_exactly_when_it_has_a_route_for_it(each: Spoken) -> None:
    assert (each.surface.lists is not None) == (each.surface.route("list") is not None)


@LISTING
def test_the_server_reads_the_question_that_the_client_wrote(each: Spoken) -> None:
    lists = lists_of(each.surface)
    query = lists.read_query(lists.write_query(["cgt-1", "cgt-2"], "flex"))
    assert (query.ids, query.service_tier, query.offset, query.limit) == (("cgt-1", "cgt-2"), "flex", 0, 2)


@LISTING
def test_a_question_about_as_many_as_can_be_is_answered_on_one_page(each: Spoken) -> None:
    lists = lists_of(each.surface)
    assert lists.read_query(lists.write_query(["cgt-1"] * lists.most, "default")).limit == lists.most


@LISTING
def test_the_client_reads_the_list_that_the_server_wrote(each: Spoken) -> None:
    lists, tasks = lists_of(each.surface), [view(each, status) for status in Status]
    shown = lists.read(wired(lists.write(6, [each.surface.write_task(task) for task in tasks])))
    assert shown is not None
    assert [snapshot.status for snapshot in shown] == list(Status)


@LISTING
@given(data=st.data())
def test_a_reader_of_lists_raises_for_no_json_at_all(each: Spoken, data: st.DataObject) -> None:
    lists = lists_of(each.surface)
    body = lists.write(1, [each.surface.write_task(view(each, Status.SUCCEEDED))])
    for odd in (data.draw(ANY_OBJECT), data.draw(spoiled(body))):
        lists.read(odd)


@LISTING
@given(query=st.lists(st.tuples(st.sampled_from(["page_num", "page_size", "filter.status", "x"]), st.text())))
def test_any_query_is_read_or_refused_by_name(each: Spoken, query: Any) -> None:
    try:
        lists_of(each.surface).read_query(query)
    except Problem as problem:
        assert (problem.status, bool(problem.field)) == (400, True)


def test_ark_asks_by_repeated_ids() -> None:
    """gateways.md section 2: `filter.task_ids` REPEATED key, as the official SDK sends it."""
    surface = next(each.surface for each in SPOKEN if each.dialect.name == "ark")
    assert lists_of(surface).write_query(["cgt-1", "cgt-2"], "default") == [
        ("page_num", "1"),
        ("page_size", "2"),
        ("filter.service_tier", "default"),
        ("filter.task_ids", "cgt-1"),
        ("filter.task_ids", "cgt-2"),
    ]


def test_ark_lists_a_page_of_twenty_of_the_default_tier_unless_told_otherwise() -> None:
    surface = next(each.surface for each in SPOKEN if each.dialect.name == "ark")
    query = lists_of(surface).read_query([])
    assert (query.offset, query.limit, query.service_tier, query.ids) == (0, 20, "default", ())
