"""Whatever comes over the wire: requests are taken or refused by name, answers are read as far as they can be."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.dialects.answers import STATUS_WORDS
from service.errors import Problem
from service.model import Snapshot, Status
from service.wire import Json
from tests.dialects.given import (
    ANY_JSON,
    ANY_OBJECT,
    SPOKEN,
    WITH_CONTENT,
    Spoken,
    minimal,
    places,
    said_at,
    spoiled,
    spoken,
    view,
    wired,
)
from tests.golden import Golden, goldens

EVERY_SURFACE = pytest.mark.parametrize("each", SPOKEN, ids=str)
CREATES = goldens("create-*.request")


def readers(each: Spoken) -> list[Callable[[Any], Snapshot]]:
    cancelled = [each.surface.read_cancelled] if each.surface.read_cancelled else []
    return [each.surface.read_receipt, each.surface.read_task, each.dialect.read_callback, *cancelled]


def read_or_refused(each: Spoken, body: Json) -> None:
    """A request is refused with the name of a field, or is stable: written and read again it is the same."""
    try:
        request = each.surface.read_create(body)
    except Problem as problem:
        assert problem.status == 400
        assert problem.field
        return
    assert each.surface.read_create(wired(each.surface.write_create(request, request.webhook_url))) == request


@EVERY_SURFACE
@given(body=ANY_JSON)
def test_a_reader_of_answers_raises_for_no_json_at_all(each: Spoken, body: Any) -> None:
    for read in readers(each):
        assert isinstance(read(body), Snapshot)


@EVERY_SURFACE
@given(data=st.data(), status=st.sampled_from(list(Status)))
def test_a_reader_of_answers_raises_for_no_spoiled_answer(each: Spoken, data: st.DataObject, status: Status) -> None:
    body = data.draw(spoiled(each.surface.write_task(view(each, status))))
    for read in readers(each):
        snapshot = read(body)
        assert snapshot.video_url is None or isinstance(snapshot.video_url, str)


@EVERY_SURFACE
@given(body=ANY_JSON, status=st.integers(100, 599))
def test_a_reader_of_errors_raises_for_no_json_at_all(each: Spoken, body: Any, status: int) -> None:
    problem = each.dialect.read_error(status, body)
    assert problem is None or problem.message


@EVERY_SURFACE
@given(body=ANY_OBJECT)
def test_any_object_is_read_as_a_request_or_refused_by_name(each: Spoken, body: Json) -> None:
    read_or_refused(each, minimal(each) | body)


@EVERY_SURFACE
@given(body=ANY_OBJECT)
def test_an_object_that_is_no_request_is_refused_by_name(each: Spoken, body: Json) -> None:
    read_or_refused(each, body)


@pytest.mark.parametrize("request_", CREATES, ids=str)
@given(data=st.data())
def test_a_spoiled_request_is_read_or_refused_by_name(request_: Golden, data: st.DataObject) -> None:
    read_or_refused(spoken(request_.gateway, request_.path), data.draw(spoiled(request_.json)))


@EVERY_SURFACE
@given(body=ANY_OBJECT)
def test_the_smallest_request_is_refused_without_its_model(each: Spoken, body: Json) -> None:
    with pytest.raises(Problem):
        each.surface.read_create({name: value for name, value in (minimal(each) | body).items() if name != "model"})


def place_of(each: Spoken, name: str) -> str:
    """Where a caller says a number."""
    return name if each.surface.forms and name == "duration" else each.surface.spelling.get(name, name)


@EVERY_SURFACE
@pytest.mark.parametrize("number", [10**30, -(10**30), 2**63, 1e300])
def test_a_huge_number_is_refused_where_a_number_belongs(each: Spoken, number: float) -> None:
    for name in ("duration", "seed"):
        if name in each.surface.accepts:
            at = place_of(each, name)
            with pytest.raises(Problem, match=at):
                each.surface.read_create(minimal(each) | said_at(at, number))


@EVERY_SURFACE
@pytest.mark.parametrize("value", [True, "5", 5.5, [5], {"n": 5}])
def test_a_duration_is_an_integer_and_nothing_like_it(each: Spoken, value: object) -> None:
    if value == "5" and each.surface.forms:  # gateways.md section 3: "numbers as strings"
        assert each.surface.read_create(minimal(each) | {"duration": value}).duration == 5
        return
    at = place_of(each, "duration")
    with pytest.raises(Problem, match=f"{at}: must be an integer"):
        each.surface.read_create(minimal(each) | said_at(at, value))


@pytest.mark.parametrize("each", [each for each in SPOKEN if each.surface.callback_path[0] == "metadata"], ids=str)
@pytest.mark.parametrize("body", [{"images": [5]}, {"images": "x"}, {"image": 5}, {"image": ""}, {"images": [[]]}])
def test_an_image_is_a_url_and_nothing_like_it(each: Spoken, body: Json) -> None:
    with pytest.raises(Problem, match="image"):
        each.surface.read_create(minimal(each) | body)


CONTENTS: list[tuple[Any, str]] = [
    ("text", r"content: must be an array"),
    ([5], r"content\[0\]: must be an object"),
    ([{}], r"content\[0\]\.type: must be one of text, image_url, video_url, audio_url"),
    ([{"type": "image", "image": "https://example.com/cat.png"}], r"content\[0\]\.type: must be one of text"),
    ([{"type": "text", "text": 5}], r"content\[0\]\.text: must be a string"),
    ([{"type": "video_url", "video_url": "https://x/"}], r"content\[0\]\.video_url: must be an object"),
    ([{"type": "video_url", "video_url": {"url": 5}}], r"content\[0\]\.video_url\.url: must be a URL"),
    ([{"type": "video_url", "video_url": {"url": "https://x/"}, "role": 5}], r"content\[0\]\.role: must be a string"),
]


@pytest.mark.parametrize("each", WITH_CONTENT, ids=str)
@pytest.mark.parametrize(("content", "message"), CONTENTS, ids=str)
def test_a_faulty_content_item_is_refused_by_its_place(each: Spoken, content: Any, message: str) -> None:
    body = minimal(each)
    with pytest.raises(Problem, match=message):
        each.surface.read_create(
            body | ({"content": content} if "content" in body else {"metadata": {"content": content}})
        )


@EVERY_SURFACE
@given(word=st.text().filter(lambda word: word.strip().lower().replace(" ", "_").replace("-", "_") not in STATUS_WORDS))
def test_an_unknown_status_word_says_nothing_about_the_task(each: Spoken, word: str) -> None:
    body = each.surface.write_task(view(each, Status.SUCCEEDED))
    known = each.surface.read_task(body).word
    for holder, key in [place for place in places(body) if place[0][place[1]] == known]:
        holder[key] = word
    snapshot = each.surface.read_task(body)
    assert (snapshot.status, snapshot.word, snapshot.video_url) == (None, word[:100], None)
