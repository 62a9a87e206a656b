"""Reaching into JSON by path, filling it up, and reading it from bytes."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import Problem
from service.wire import (
    DEEPEST,
    MOST_VALUES,
    HttpAnswer,
    Json,
    dumps,
    fill,
    kind_of,
    loads,
    pick,
    place,
    read_object,
    take,
    without_nulls,
)

TREES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), TREES, max_size=3)
PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(tuple)


def nulls_in(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = sum(1 for one in inner if one is None) if isinstance(value, dict) else 0
    return own + sum(map(nulls_in, inner))


def test_take_gives_the_value_and_removes_it() -> None:
    body = {"a": {"b": 1, "c": 2}}
    assert take(body, ("a", "b")) == 1
    assert body == {"a": {"c": 2}}


def test_take_removes_the_objects_that_it_leaves_empty() -> None:
    body: Json = {"a": {"b": {"c": 1}}, "d": 2}
    take(body, ("a", "b", "c"))
    assert body == {"d": 2}


def test_take_leaves_an_object_alone_that_was_empty_before() -> None:
    body: Json = {"a": {}}
    assert take(body, ("a", "b")) is None
    assert body == {"a": {}}


@pytest.mark.parametrize("body", [{}, {"a": None}, {"a": 5}, {"a": [1]}, {"a": "b"}])
def test_take_gives_nothing_where_there_is_no_object(body: Json) -> None:
    before = dict(body)
    assert take(body, ("a", "b")) is None
    assert body == before


@given(body=OBJECTS, path=PATHS)
@settings(deadline=None)
def test_take_gives_what_pick_shows_and_only_once(body: Json, path: tuple[str, ...]) -> None:
    shown = pick(body, path)
    assert take(body, path) == shown
    assert take(body, path) is None


@given(path=PATHS, value=st.integers())
def test_pick_shows_what_place_put(path: tuple[str, ...], value: int) -> None:
    body: Json = {}
    place(body, path, value)
    assert pick(body, path) == value


@pytest.mark.parametrize("body", [None, 5, "a", [], {"a": None}, {"a": [{"b": 1}]}])
def test_pick_shows_nothing_where_there_is_no_object(body: Any) -> None:
    assert pick(body, ("a", "b")) is None


def test_fill_adds_what_is_missing_at_any_depth() -> None:
    body: Json = {"model": "m", "metadata": {"seed": 1}}
    fill(body, {"draft": True, "metadata": {"frames": 121}})
    assert body == {"model": "m", "draft": True, "metadata": {"seed": 1, "frames": 121}}


def test_fill_takes_the_same_value_twice() -> None:
    body: Json = {"model": "m"}
    fill(body, {"model": "m"})
    assert body == {"model": "m"}


def test_fill_refuses_a_collision_by_name() -> None:
    with pytest.raises(Problem, match=r"extra\.metadata\.seed: is already set") as caught:
        fill({"metadata": {"seed": 1}}, {"metadata": {"seed": 2}})
    assert caught.value.field == "extra.metadata.seed"


def test_fill_refuses_an_object_for_a_value() -> None:
    with pytest.raises(Problem, match=r"extra\.duration"):
        fill({"duration": 5}, {"duration": {"seconds": 5}})


@given(body=OBJECTS)
def test_fill_of_an_empty_body_is_a_copy(body: Json) -> None:
    filled: Json = {}
    fill(filled, body)
    assert filled == body


def test_without_nulls_drops_null_members_at_any_depth() -> None:
    assert without_nulls({"a": None, "b": {"c": None, "d": [{"e": None}, None]}}) == {"b": {"d": [{}, None]}}


@given(value=TREES)
def test_without_nulls_leaves_no_null_member(value: Any) -> None:
    assert nulls_in(without_nulls(value)) == 0


@given(body=OBJECTS)
def test_without_nulls_leaves_the_original_alone(body: Json) -> None:
    before = dumps(body)
    without_nulls(body)
    assert dumps(body) == before


@given(value=TREES)
def test_json_comes_back_as_it_was_written(value: Any) -> None:
    assert loads(dumps(value)) == value


@pytest.mark.parametrize("text", ["", "{", "NaN", "[1,]", '"\\ud800"', "{'a': 1}"])
def test_what_is_not_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="line 1 column"):
        loads(text)


@pytest.mark.parametrize("kind", [str, str.encode])
def test_json_is_read_to_a_depth_that_can_be_written_again(kind: Any) -> None:
    text = kind("[" * DEEPEST + "]" * DEEPEST)
    assert dumps(loads(text)).decode() == "[" * DEEPEST + "]" * DEEPEST


@pytest.mark.parametrize("open_close", [("[", "]"), ('{"a":', "}")], ids=["arrays", "objects"])
@pytest.mark.parametrize("levels", [DEEPEST + 1, 500, 900])
def test_json_that_is_nested_too_deeply_is_a_value_error(open_close: tuple[str, str], levels: int) -> None:
    text = open_close[0] * levels + "1" + open_close[1] * levels
    with pytest.raises(ValueError, match="nested more than"):
        loads(text)


def test_a_wide_body_is_not_a_deep_one() -> None:
    assert len(loads(dumps([[]] * 1000))) == 1000


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 500 + b"]" * 500])
def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(Problem, match="the body is not valid JSON") as caught:
        read_object(body)
    assert caught.value.code == "invalid_request"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"[]", "an array"),
        (b'"x"', "a string"),
        (b"5", "an integer"),
        (b"5.5", "a number"),
        (b"true", "a boolean"),
        (b"null", "null"),
    ],
)
def test_a_body_that_is_no_object_is_refused_by_its_kind(body: bytes, kind: str) -> None:
    with pytest.raises(Problem, match=f"must be a JSON object, not {kind}"):
        read_object(body)


def test_an_object_is_an_object_in_the_words_of_json() -> None:
    assert kind_of({}) == "an object"


@pytest.mark.parametrize(
    ("value", "span"),
    [("20", 20_000), ("Sat, 21 Nov 2026 09:00:25 GMT", 25_000), ("Sat, 21 Nov 2020 09:00:00 GMT", 0), ("soon", None)],
)
def test_retry_after_is_read_in_both_its_forms(value, span):
    now = 1_795_251_600_000  # Sat, 21 Nov 2026 09:00:00 GMT
    assert HttpAnswer(status=503, headers={"retry-after": value}).retry_after_ms(now) == span


@pytest.mark.parametrize("text", ["[" + "0," * MOST_VALUES + "0]", "[" + "[]," * MOST_VALUES + "[]]"])
def test_json_of_too_many_values_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="more than"):
        loads(text)


def test_a_long_text_with_commas_is_one_value() -> None:
    assert loads(dumps({"a": "[," * MOST_VALUES})) == {"a": "[," * MOST_VALUES}
