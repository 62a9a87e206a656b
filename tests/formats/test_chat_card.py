"""The card of an event: what people are told, before any service's words."""

import pytest

from service.formats.card import Mood, card_of, image_link, public_link, web_link
from service.model import EVENT_TYPES
from tests.formats.chat_events import HUB, emptied, telling


def facts_of(told):
    return dict(card_of(told).facts)


@pytest.mark.parametrize(
    ("event_type", "headline"),
    [
        (
            "task.accepted",
            "Video accepted: A paper boat on a rainy street, close up (easyrouter/dreamina-seedance-2-0)",
        ),
        ("task.succeeded", "Video ready: A paper boat on a rainy street, close up (easyrouter/dreamina-seedance-2-0)"),
        ("task.failed", "Video failed: A paper boat on a rainy street, close up - task_failed"),
    ],
)
def test_a_headline_says_what_happened_to_what(event_type, headline):
    assert card_of(telling(event_type)).headline == headline


def test_every_type_of_event_has_a_headline_of_its_own():
    assert len({card_of(emptied(event_type)).headline for event_type in EVENT_TYPES}) == len(EVENT_TYPES)


@pytest.mark.parametrize(
    ("event_type", "mood"),
    [("task.succeeded", Mood.GOOD), ("task.failed", Mood.BAD), ("task.running", Mood.NEUTRAL)],
)
def test_good_news_is_told_from_bad(event_type, mood):
    assert card_of(telling(event_type)).mood == mood


def test_a_success_quotes_the_prompt_and_a_failure_its_error():
    success, failure = card_of(telling("task.succeeded")), card_of(telling("task.failed"))
    assert (success.said, success.code) == ("A paper boat on a rainy street, close up", None)
    assert (failure.said, failure.code) == ("The input was refused by the content policy.", "task_failed")


def test_a_success_states_how_long_its_link_is_good():
    assert facts_of(telling("task.succeeded")) == {
        "Gateway": "easyrouter/dreamina-seedance-2-0",
        "Took": "84 s",
        "Video": "5 s · 720p · 16:9",
        "Link valid until": "2026-11-22 16:53 UTC",
        "Cost": "0.35 USD",
    }


def test_a_failure_states_what_the_gateway_said_and_whether_to_try_again():
    facts = facts_of(telling("task.failed"))
    assert (facts["Gateway said"], facts["Can retry"]) == ("content_policy", "yes")


def test_a_later_try_is_counted():
    assert facts_of(telling("task.succeeded", attempt=3))["Took"] == "84 s · attempt 3"


@pytest.mark.parametrize(
    ("seconds", "words"), [(1.5, "1.5 s"), (84, "84 s"), (150, "2 min 30 s"), (7_260, "2 h 1 min"), (-1, None)]
)
def test_a_span_is_told_in_words(seconds, words):
    assert facts_of(telling("task.succeeded", elapsed_seconds=seconds)).get("Took") == words


def test_the_preview_is_watched_rather_than_the_bare_file():
    (watch, open_task) = card_of(telling("task.succeeded")).links
    assert (watch, open_task) == (("Watch", f"{HUB}/watch/tok"), ("Open task", f"{HUB}/ui/tasks/task_1"))


def test_without_pages_the_file_and_the_api_are_linked():
    labels = dict(card_of(telling("task.succeeded", full=False)).links)
    assert labels["Watch"].startswith(f"{HUB}/content/") and labels["Task (API)"].startswith(f"{HUB}/v1/tasks/")


@pytest.mark.parametrize(
    ("event_type", "retryable", "actions"),
    [
        ("task.accepted", False, ["cancel"]),
        ("task.running", False, ["cancel"]),
        ("task.succeeded", False, []),
        ("task.failed", True, ["retry"]),
        ("task.failed", False, ["retry"]),
        ("task.expired", True, ["retry"]),
        ("task.cancelled", True, []),
    ],
)
def test_what_can_be_done_about_a_task_is_offered(event_type, retryable, actions):
    told = telling(event_type)
    error = told.envelope["data"]["task"]["error"]
    if error:
        error["retryable"] = retryable
    assert [action.name for action in card_of(told).actions] == actions


def test_nothing_is_offered_without_a_page_for_it():
    assert card_of(telling("task.running", links={"self": None, "cancel_html": None})).actions == ()


def test_the_address_of_an_endpoint_is_not_told():
    told = telling("subscription.disabled")
    told.envelope["data"]["subscription"] |= {"url": "https://example.com/secret-hook", "disabled_reason": "410 Gone"}
    card = card_of(told)
    assert card.said == "410 Gone"
    assert "secret-hook" not in repr(card)


def test_what_an_operational_event_says_are_its_facts():
    told = telling("delivery.exhausted")
    told.envelope["data"]["delivery"] |= {"attempts": 9, "error": "the endpoint answered HTTP 500"}
    card = card_of(told)
    assert (card.said, dict(card.facts)["Delivery attempts"]) == ("the endpoint answered HTTP 500", "9")


@pytest.mark.parametrize(
    ("text", "said"), [("a\x00b\x1bc", "abc"), ("a\r\nb\u2028c", "a\nb\nc"), ("\u202eabc", "abc"), (" \n ", "")]
)
def test_what_is_not_seen_is_not_told(text, said):
    assert card_of(telling("task.succeeded", prompt=text)).said == said


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://example.com/a|b<c>(d)", "https://example.com/a%7Cb%3Cc%3E%28d%29"),
        ("https://example.com/a%20b?x=1&y=2", "https://example.com/a%20b?x=1&y=2"),
        ("http://localhost:8000/x", "http://localhost:8000/x"),
        ("/v1/tasks/1", None),
        ("javascript:alert(1)", None),
        ("https://", None),
        ("https://[broken", None),
        ("https://example.com/" + "x" * 2_000, None),
        (None, None),
        (7, None),
    ],
)
def test_a_link_can_stand_in_any_markup_or_is_none(url, link):
    assert web_link(url) == link


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://example.com/a.png", True),
        ("https://8.8.8.8/a.png", True),
        ("https://[2a00:1450::1]/a.png", True),
        ("https://127.0.0.1/a.png", False),
        ("https://192.168.1.4/a.png", False),
        ("https://[::1]/a.png", False),
        ("https://localhost/a.png", False),
        ("https://hub/a.png", False),
        ("https://hub.local/a.png", False),
        ("https://hub.lan/a.png", False),
    ],
)
def test_what_the_internet_cannot_reach_is_no_public_link(url, public):
    assert (public_link(url) is not None) is public


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com/a.JPG?x=1", True),
        ("https://example.com/a.gif", True),
        ("https://example.com/a.webp", False),
        ("https://example.com/a", False),
        ("http://example.com/a.png", False),
        ("https://10.0.0.1/a.png", False),
    ],
)
def test_only_what_slack_can_fetch_is_an_image(url, shown):
    assert (image_link(url) is not None) is shown
