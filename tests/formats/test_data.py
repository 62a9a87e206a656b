"""The formats for programs: flat, thin, cloudevents; and the frozen bodies of email and webpush."""

import base64
import json
import re
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from html.parser import HTMLParser
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event

from service.errors import CODES, Problem
from service.formats import FORMATS
from service.formats.flat import flattened
from service.formats.shape import Judgement, Target, read_options
from service.model import EVENT_TYPES, Status
from service.wire import HttpAnswer
from tests.formats.given import ALL, BASE_URL, BY_TYPE, HOSTILE, NOW, TESTS, rendered, told, told_of

FORMATTED = ("flat", "thin", "cloudevents", "email", "webpush")
# subscribers.md, section g, in its order
KEYS = (
    *("id", "event_type", "occurred_at", "task_id", "status", "title", "prompt", "gateway", "model"),
    *("video_url", "video_url_expires_at", "thumbnail_url", "preview_url", "task_url"),
    *("duration_seconds", "width", "height", "aspect_ratio", "has_audio", "size_bytes", "mime_type"),
    *("cost_amount", "cost_currency", "created_at", "submitted_at", "finished_at", "elapsed_seconds"),
    *("attempt", "fallback_from", "error_code", "error_message", "error_retryable", "retry_url"),
    *("external_id", "result_source", "test"),
)
NUMBERS = ("duration_seconds", "width", "height", "size_bytes", "elapsed_seconds", "attempt")
FLAGS = ("has_audio", "error_retryable")

every = pytest.mark.parametrize("telling", ALL.values(), ids=ALL.keys())


@pytest.mark.parametrize("name", FORMATTED)
@every
def test_what_is_rendered_twice_is_the_same(name, telling):
    assert rendered(name, telling) == rendered(name, telling)


@pytest.mark.parametrize("name", FORMATTED)
@every
def test_a_body_is_json_and_an_object(name, telling):
    assert isinstance(json.loads(rendered(name, telling).body), dict)


# --- flat


def flat(telling: Any) -> Any:
    return json.loads(rendered("flat", telling).body)


def test_there_are_36_fixed_keys():
    assert len(set(KEYS)) == 36


@every
def test_every_fixed_key_is_in_every_flat_event_and_no_other(telling):
    assert tuple(key for key in flat(telling) if not key.startswith("meta_")) == KEYS


@every
def test_a_flat_event_has_one_level(telling):
    assert [value for value in flat(telling).values() if isinstance(value, dict | list)] == []


@every
def test_the_types_of_a_flat_event_are_always_the_same(telling):
    told_flat = flat(telling)
    kinds: dict[str, Any] = dict.fromkeys(KEYS, str) | dict.fromkeys(NUMBERS, (int, float)) | dict.fromkeys(FLAGS, bool)
    odd = {
        key: told_flat[key]
        for key in KEYS
        if key != "test" and told_flat[key] is not None and not isinstance(told_flat[key], kinds[key])
    }
    assert (odd, type(told_flat["test"])) == ({}, bool)


@every
def test_no_key_of_a_flat_event_is_the_one_that_zapier_adds(telling):
    assert "querystring" not in flat(telling)


def test_metadata_stand_as_texts_under_a_prefix():
    told_flat = flat(HOSTILE["odd metadata"])
    assert {key: value for key, value in told_flat.items() if key.startswith("meta_")} == {
        "meta_": None,
        "meta_a.b": '{"c":[1,true]}',
        "meta_n": "1.5",
        "meta_yes": "true",
        "meta_flat": "id",
    }


def test_metadata_that_are_named_like_a_fixed_key_take_no_ones_place():
    metadata = dict.fromkeys((*KEYS, "querystring"), "mine")
    told_flat = flat(told_of(metadata=metadata))
    assert {key: told_flat[key] for key in KEYS if told_flat[key] == "mine"} == {}
    assert all(told_flat[f"meta_{key}"] == "mine" for key in metadata)


@pytest.mark.parametrize(
    ("key", "telling", "most"),
    [("prompt", "huge success", 1_000), ("prompt", "huge failure", 1_000), ("error_message", "huge failure", 500)],
)
def test_long_texts_are_cut_where_everybody_sees_it(key, telling, most):
    text = flat(HOSTILE[telling])[key]
    assert (len(text), text[-1]) == (most, "…")


def test_a_prompt_that_just_fits_is_not_cut():
    assert flat(told_of(prompt="x" * 1_000))["prompt"] == "x" * 1_000


def test_a_flat_success_says_what_the_envelope_says():
    telling = told_of(external_id="shot-7")
    task, told_flat = telling.envelope["data"]["task"], flat(telling)
    assert {key: told_flat[key] for key in ("video_url", "duration_seconds", "aspect_ratio", "has_audio")} == {
        "video_url": "https://example.com/sample/video.mp4",
        "duration_seconds": 5,
        "aspect_ratio": "16:9",
        "has_audio": True,
    }
    assert (told_flat["id"], told_flat["task_id"]) == (telling.event.id, task["id"])
    assert (told_flat["cost_amount"], told_flat["cost_currency"], told_flat["external_id"]) == ("0.35", "USD", "shot-7")
    assert told_flat["occurred_at"].endswith("Z") and told_flat["video_url_expires_at"].endswith("Z")


@pytest.mark.parametrize("code", CODES)
def test_a_flat_failure_has_our_code_and_not_the_gateways(code):
    problem = Problem(code, "why", gateway_code="E1001")
    told_flat = flat(told_of(Status.FAILED, error=problem))
    assert (told_flat["error_code"], told_flat["error_message"], told_flat["error_retryable"]) == (
        code,
        "why",
        problem.retryable,
    )


def test_numbers_that_a_gateway_writes_as_texts_are_numbers():
    assert flat(HOSTILE["numbers as texts"])["duration_seconds"] == 5.5


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_a_test_event_says_so_in_the_same_keys(name):
    plain, test = flat(BY_TYPE[name]), flat(TESTS[f"test of {name}"])
    assert (list(plain), plain["test"], test["test"]) == (list(test), False, True)


@pytest.mark.parametrize("name", [name for name in EVENT_TYPES if not name.startswith("task.")])
def test_an_operational_event_says_what_happened(name):
    told_flat = flat(told(name, subscription={"id": "sub_1", "last_error": "the endpoint answered HTTP 500"}))
    assert "sub_1" in told_flat["title"]
    assert told_flat["error_message"] == "the endpoint answered HTTP 500"


@pytest.mark.parametrize("data", [{}, {"task": None}, {"task": []}, {"subscription": 5}, {"task": {"video": "x"}}])
def test_an_envelope_of_another_time_is_flattened_too(data):
    telling = told_of()
    envelope = {"id": "evt_1", "type": "gateway.callbacks_lost", "timestamp": "2026-11-21T09:30:00.000Z", "data": data}
    assert tuple(flattened(replace(telling, envelope=envelope))) == KEYS


# --- thin


@every
def test_a_thin_event_is_less_than_500_bytes(telling):
    assert len(rendered("thin", telling).body.encode()) < 500


def test_a_thin_event_says_which_task_and_where_to_ask():
    telling = told_of(external_id="shot-7")
    task_id = telling.envelope["data"]["task"]["id"]
    assert json.loads(rendered("thin", telling).body) == {
        "id": telling.event.id,
        "type": "task.succeeded",
        "timestamp": telling.envelope["timestamp"],
        "api_version": telling.envelope["api_version"],
        "data": {
            "task": {
                "id": task_id,
                "status": "succeeded",
                "external_id": "shot-7",
                "links": {"self": f"{BASE_URL}/v1/tasks/{task_id}"},
            }
        },
    }


def test_a_name_that_is_too_long_for_a_thin_event_is_cut_where_everybody_sees_it():
    task = json.loads(rendered("thin", HOSTILE["huge success"]).body)["data"]["task"]
    assert re.fullmatch("é{40,}…", task["external_id"])


def test_a_name_that_just_fits_into_a_thin_event_is_not_cut():
    room = 499 - len(rendered("thin", told_of(external_id="")).body)
    names = [json.loads(rendered("thin", told_of(external_id="x" * length)).body) for length in (room, room + 1)]
    assert [name["data"]["task"]["external_id"] for name in names] == ["x" * room, "x" * (room - 3) + "…"]


def test_a_thin_test_event_says_so():
    assert json.loads(rendered("thin", TESTS["test of task.failed"]).body)["test"] is True


def test_a_thin_operational_event_has_the_ids_of_what_it_is_about():
    data = json.loads(rendered("thin", BY_TYPE["delivery.exhausted"]).body)["data"]
    assert {name: list(about) for name, about in data.items()} == {"delivery": ["id"], "subscription": ["id"]}


# --- cloudevents


def received(telling: Any, **options: Any) -> Any:
    """The event as the reference library reads it off the request that is sent."""
    sent = rendered("cloudevents", telling, **options)
    target = Target(url="https://example.com/ce", options=options)
    request = FORMATS["cloudevents"].request(target, sent.body)
    return from_http_event(HTTPMessage(headers={**request.headers, **sent.headers}, body=request.body))


@pytest.mark.parametrize("mode", ["binary", "structured"])
@every
def test_the_reference_library_reads_every_event(mode, telling):
    event = received(telling, mode=mode)
    assert (event.get_id(), event.get_type(), event.get_time().timestamp() * 1000, event.get_data()) == (
        telling.event.id,
        f"dev.reelhook.{telling.event.type}.v1",
        NOW,
        telling.envelope["data"],
    )


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_an_event_comes_from_its_gateway_and_is_about_its_task(mode):
    telling = told_of()
    event = received(telling, mode=mode)
    assert (event.get_source(), event.get_subject()) == (
        f"{BASE_URL}/gateways/easyrouter",
        telling.envelope["data"]["task"]["id"],
    )


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_source_and_type_are_as_the_options_say(mode):
    event = received(told_of(), mode=mode, source="urn:x:video%20s", type_prefix="com.example")
    assert (event.get_source(), event.get_type()) == ("urn:x:video%20s", "com.example.task.succeeded.v1")


def test_test_events_carry_an_extension():
    assert received(TESTS["test of task.failed"]).get_extension("test") == "true"
    assert received(TESTS["test of task.failed"], mode="structured").get_extension("test") is True
    assert received(BY_TYPE["task.failed"]).get_extension("test") is None


def test_the_default_is_binary_with_a_body_that_is_plain_json():
    sent = rendered("cloudevents", told_of())
    request = FORMATS["cloudevents"].request(Target(url="https://example.com/"), sent.body)
    assert (request.headers["content-type"], list(json.loads(sent.body))) == ("application/json", ["task"])


@every
def test_header_values_are_visible_ascii(telling):
    values = rendered("cloudevents", telling).headers.values()
    assert all(re.fullmatch(r"[!-~]+", value) and '"' not in value for value in values)


def test_a_change_of_the_mode_does_not_change_what_was_frozen_before():
    structured = rendered("cloudevents", told_of(), mode="structured")
    request = FORMATS["cloudevents"].request(
        Target(url="https://example.com/", options={"mode": "binary"}), structured.body
    )
    assert request.headers["content-type"] == "application/cloudevents+json"


@pytest.mark.parametrize(
    ("options", "at"),
    [
        ({"mode": "batched"}, "format_options.mode"),
        ({"source": "no uri"}, "format_options.source"),
        ({"source": "https://[::1"}, "format_options.source"),
        ({"source": "gateways"}, "format_options.source"),
        ({"source": "urn:ü"}, "format_options.source"),
        ({"type_prefix": "Com.Example"}, "format_options.type_prefix"),
        ({"type_prefix": "com..example"}, "format_options.type_prefix"),
        ({"type_prefix": "com.example."}, "format_options.type_prefix"),
        ({"other": 1}, "format_options.other"),
    ],
)
def test_odd_options_of_cloudevents_are_refused_by_name(options, at):
    assert refusal("cloudevents", "https://example.com/", options) == at


def refusal(name: str, url: str, options: Any) -> str | None:
    """The field that a target is refused for; None when it is taken."""
    shape = FORMATS[name]
    try:
        shape.check(Target(url=url, options=read_options(shape, options)))
    except Problem as problem:
        return problem.field
    return None


# --- email


def mail(telling: Any, **options: Any) -> Any:
    return json.loads(rendered("email", telling, **options).body)


@every
def test_a_mail_has_what_the_sender_needs(telling):
    frozen = mail(telling)
    assert (list(frozen), frozen["message_id"], frozen["timestamp"]) == (
        ["subject", "text", "html", "message_id", "timestamp"],
        telling.event.id,
        NOW // 1000,
    )


@every
def test_a_subject_is_one_printable_line(telling):
    subject = mail(telling, subject_prefix="[video]")["subject"]
    assert subject.startswith("[video] ") and len(subject) <= 200
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202e]", subject)


@every
def test_the_standard_library_makes_a_message_of_every_mail(telling):
    frozen = mail(telling)
    message = EmailMessage(policy=SMTP)
    message["Subject"], message["Message-ID"] = frozen["subject"], f"<{frozen['message_id']}@example.com>"
    message.set_content(frozen["text"])
    message.add_alternative(frozen["html"], subtype="html")
    read: Any = message_from_bytes(message.as_bytes(), policy=SMTP)
    assert (read["Subject"].strip(), read["Bcc"], read.get_body(("plain",)).get_content().replace("\r\n", "\n")) == (
        frozen["subject"],
        None,
        frozen["text"],
    )


class _Tags(HTMLParser):
    """What stands in an HTML text: its tags, and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name == "href"]


@every
def test_nothing_that_somebody_wrote_becomes_html(telling):
    tags = _Tags()
    tags.feed(mail(telling)["html"])
    known = {"html", "head", "meta", "body", "h2", "p", "a", "br", "table", "tr", "td", "small"}
    assert (tags.tags - known, [url for url in tags.links if not url.startswith("https://")]) == (set(), [])


@pytest.mark.parametrize("part", ["text", "html"])
def test_a_mail_of_a_success_leads_to_the_video(part):
    telling = told_of()
    assert telling.envelope["data"]["task"]["video"]["content_url"] in mail(telling)[part]


@pytest.mark.parametrize("part", ["text", "html"])
def test_a_mail_of_a_failure_says_why(part):
    assert "The input was refused by the content policy." in mail(told("task.failed"))[part]


def test_a_mail_says_when_it_is_a_test():
    assert mail(TESTS["test of task.failed"])["subject"].startswith("[Test] ")


@every
def test_a_mail_is_small(telling):
    assert len(rendered("email", telling).body.encode()) < 64 * 1024


def test_a_link_that_is_none_is_not_written_as_one():
    telling = told_of()
    telling.envelope["data"]["task"]["video"] |= {"content_url": "javascript:alert(1)", "url": "https://a/b c"}
    tags = _Tags()
    tags.feed(mail(telling)["html"])
    assert all(url.startswith("https://") and " " not in url for url in tags.links)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/",
        "a@example.com",
        "mailto:",
        "mailto:a",
        "mailto:a@",
        "mailto:@example.com",
        "mailto:a@example.com,",
        "mailto:a@example.com?bcc=b@example.com",
        "mailto:a@example.com?subject=x",
        "mailto:a%0d%0aBcc:b@example.com",
        "mailto:a@example.com\r\nBcc: b@example.com",
        "mailto:a@example.com\n",
        "mailto:.a@example.com",
        "mailto:a b@example.com",
        "mailto:<a@example.com>",
        "mailto:a@exa_mple.com",
        "mailto:a@-example.com",
        "mailto:ä@example.com",
        "mailto:" + "a" * 65 + "@example.com",
        "mailto:a@" + "b" * 64 + ".com",
        "mailto:a@" + "b." * 127 + "com",
        "mailto:" + ",".join(f"a{number}@example.com" for number in range(11)),
    ],
)
def test_what_is_no_list_of_addresses_is_refused(url):
    assert refusal("email", url, {}) == "url"


def test_ten_recipients_are_taken():
    assert refusal("email", "mailto:" + ",".join(f"a{number}@example.com" for number in range(10)), {}) is None


def test_a_subject_prefix_cannot_add_a_header():
    assert (
        refusal("email", "mailto:a@example.com", {"subject_prefix": "x\r\nBcc: y"}) == "format_options.subject_prefix"
    )


@pytest.mark.parametrize(
    ("code", "judgement"),
    [
        (250, Judgement.DELIVERED),
        (251, Judgement.DELIVERED),
        (354, Judgement.RETRY),
        (421, Judgement.RETRY),
        (450, Judgement.RETRY),
        (452, Judgement.RETRY),
        (535, Judgement.RETRY),
        (550, Judgement.REFUSED),
        (552, Judgement.REFUSED),
        (554, Judgement.REFUSED),
    ],
)
def test_what_mail_servers_answer(code, judgement):
    assert FORMATS["email"].judge(HttpAnswer(status=code), NOW).judgement is judgement


# --- webpush

KEY = base64.urlsafe_b64encode(
    bytes.fromhex(
        "04"
        "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    )  # the generator of P-256
).decode()
AUTH = base64.urlsafe_b64encode(bytes(range(16))).decode().rstrip("=")
PUSH = {"p256dh": KEY.rstrip("="), "auth": AUTH}
ENDPOINT = "https://push.example.net/send/abc"


def push(telling: Any) -> Any:
    return json.loads(rendered("webpush", telling).body)


@every
def test_a_notification_is_small_and_has_its_keys(telling):
    assert len(rendered("webpush", telling).body.encode()) < 3_000
    assert list(push(telling)) == ["title", "body", "url", "tag", "event_id", "type", "task_id"]


def test_a_notification_says_what_happened():
    telling = told_of(Status.FAILED)
    shown = push(telling)
    assert (shown["title"], shown["body"], shown["tag"]) == (
        "Video failed: A paper boat on a rainy street, close up - task_failed",
        "The input was refused by the content policy.",
        telling.envelope["data"]["task"]["id"],
    )


def test_long_texts_of_a_notification_are_cut_where_everybody_sees_it():
    shown = push(told_of(Status.FAILED, prompt="p" * 900, error=Problem("task_failed", "🐞" * 900)))
    assert len(shown["body"]) <= 350 and shown["body"].endswith("🐞…")


def test_a_link_that_is_too_long_is_left_out_whole():
    telling = told_of(result={"video_url": "https://example.com/" + "v" * 8_000})
    telling.envelope["data"]["task"]["video"]["content_url"] = None
    assert push(telling)["url"] is None


def test_a_notification_degrades_once_to_its_title():
    degrade = FORMATS["webpush"].degrade
    assert degrade is not None
    less = degrade(rendered("webpush", told("task.failed")).body)
    assert less is not None and json.loads(less) == push(told("task.failed")) | {
        "body": "",
        "event_id": json.loads(less)["event_id"],
    }
    assert degrade(less) is None


@pytest.mark.parametrize("options", [PUSH, PUSH | {"p256dh": KEY}, PUSH | {"topic": "a-Z_9" * 6, "ttl": 0}])
def test_the_keys_of_a_browser_are_taken(options):
    assert refusal("webpush", ENDPOINT, options) is None


@pytest.mark.parametrize(
    ("url", "change", "at"),
    [
        ("http://push.example.net/send/abc", {}, "url"),
        ("mailto:a@example.com", {}, "url"),
        (ENDPOINT, {"p256dh": None}, "format_options.p256dh"),
        (ENDPOINT, {"auth": None}, "format_options.auth"),
        (ENDPOINT, {"ttl": -1}, "format_options.ttl"),
        (ENDPOINT, {"ttl": 2_419_201}, "format_options.ttl"),
        (ENDPOINT, {"ttl": "5"}, "format_options.ttl"),
        (ENDPOINT, {"urgency": "urgent"}, "format_options.urgency"),
        (ENDPOINT, {"topic": "a b"}, "format_options.topic"),
        (ENDPOINT, {"topic": "a" * 33}, "format_options.topic"),
    ],
)
def test_what_no_browser_has_made_is_refused_by_name(url, change, at):
    assert refusal("webpush", url, PUSH | change) == at


@pytest.mark.parametrize(
    ("status", "judgement"),
    [
        (201, Judgement.DELIVERED),
        (202, Judgement.DELIVERED),
        (404, Judgement.GONE),
        (410, Judgement.GONE),
        (413, Judgement.DEGRADE),
        (429, Judgement.RETRY),
        (401, Judgement.RETRY),
        (403, Judgement.RETRY),
        (500, Judgement.RETRY),
    ],
)
def test_what_push_services_answer(status, judgement):
    assert FORMATS["webpush"].judge(HttpAnswer(status=status), NOW).judgement is judgement


def test_a_push_service_that_asks_for_a_pause_gets_it():
    verdict = FORMATS["webpush"].judge(HttpAnswer(status=429, headers={"retry-after": "7"}), NOW)
    assert (verdict.holds, verdict.retry_after_ms) == (True, 7_000)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_told_with_what_to_do(status):
    assert "VAPID" in str(FORMATS["webpush"].judge(HttpAnswer(status=status), NOW).hint)


def test_the_secret_of_a_browser_is_marked_as_one():
    assert [option.name for option in FORMATS["webpush"].options if option.secret] == ["auth"]
