"""What every chat format does with every event: it renders, within the limits of its service, and mentions nobody."""

import json
import re

import pytest
from slack_sdk.models.blocks import Block

from service.formats import FORMATS, OFFERED
from service.formats.fitting import ZERO_WIDTH, utf8, utf16
from service.formats.shape import Target, read_options
from service.model import EVENT_TYPES
from service.wire import dump_text
from tests.formats.chat_events import (
    CHATS,
    HOSTILE,
    HUB,
    OPTIONS,
    TELLINGS,
    URLS,
    all_bodies,
    rendered,
    telling,
    unfriendly,
)

every_chat = pytest.mark.parametrize("name", CHATS)
every_telling = pytest.mark.parametrize("told", TELLINGS)


def target(name):
    return Target(url=URLS[name], options=read_options(FORMATS[name], OPTIONS.get(name)))


def texts_of(value):
    """Every text in a JSON value that is not a URL."""
    if isinstance(value, dict):
        return [text for key, inner in value.items() if key != "url" for text in texts_of(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in texts_of(inner)]
    return [value] if isinstance(value, str) else []


# --- the limits of each service (subscribers.md, sections b and c)


def slack_is_valid(message):
    blocks = message.get("blocks")
    assert 0 < utf16(message["text"]) <= 4_000
    assert (message["unfurl_links"], message["unfurl_media"]) == (False, False)
    if blocks is None:
        return
    assert 0 < len(blocks) <= 50
    for block, parsed in zip(blocks, Block.parse_all(blocks), strict=True):
        assert parsed is not None and parsed.to_dict().keys() == block.keys()  # its own checks of lengths
        if block["type"] == "header":
            assert 0 < utf16(block["text"]["text"]) <= 150
        elif block["type"] == "section":
            fields = block.get("fields", [])
            assert len(fields) <= 10
            assert all(0 < utf16(field["text"]) <= 2_000 for field in fields)
            assert fields or 0 < utf16(block["text"]["text"]) <= 3_000
        elif block["type"] == "image":
            assert block["image_url"].startswith("https://") and 0 < utf16(block["alt_text"]) <= 2_000
        elif block["type"] == "actions":
            assert 0 < len(block["elements"]) <= 25
            assert all(0 < len(element["value"]) <= 2_000 for element in block["elements"])
        else:
            assert [bool(element["text"]) for element in block["elements"]] == [True]


def mattermost_is_valid(message):
    assert set(message) == {"text"}
    assert 0 < utf16(message["text"]) <= 4_000


def rocketchat_is_valid(message):
    assert 0 < utf16(message["text"]) <= 5_000
    for attachment in message.get("attachments", []):
        assert all(field["title"] and field["value"] for field in attachment.get("fields", []))


def discord_is_valid(message):
    assert message["allowed_mentions"] == {"parse": []}
    assert "embeds" in message or 0 < utf16(message["content"]) <= 2_000
    for embed in message.get("embeds", []):
        fields = embed["fields"]
        assert 0 < utf16(embed["title"]) <= 256
        assert utf16(embed.get("description", "")) <= 4_096
        assert utf16(embed.get("footer", {}).get("text", "")) <= 2_048
        assert len(fields) <= 25
        assert all(0 < utf16(field["name"]) <= 256 and 0 < utf16(field["value"]) <= 1_024 for field in fields)
        total = embed["title"] + embed.get("description", "") + embed.get("footer", {}).get("text", "")
        assert utf16(total + "".join(field["name"] + field["value"] for field in fields)) <= 6_000


def teams_is_valid(message):
    assert utf8(dump_text(message)) <= 21_000
    card = message if message["type"] == "AdaptiveCard" else message["attachments"][0]["content"]
    ids = [element["id"] for element in card["body"]]
    assert (card["version"], ids[0], len(set(ids))) == ("1.4", "headline", len(ids))
    assert all(run["text"] for element in card["body"] for run in element.get("inlines", []))
    assert len(card.get("actions", [])) <= 6


def ntfy_is_valid(message):
    assert 0 < utf8(message["message"]) <= 4_096
    assert 0 < utf8(message["title"]) <= 250
    assert 1 <= message["priority"] <= 5
    assert len(message.get("actions", [])) <= 3


def telegram_is_valid(message):
    text = message["text"]
    assert 0 < utf16(text) <= 4_096
    assert "parse_mode" not in message and message["link_preview_options"] == {"is_disabled": True}
    for entity in message.get("entities", []):
        assert 0 <= entity["offset"] < entity["offset"] + entity["length"] <= utf16(text)


VALID = {
    "slack": slack_is_valid,
    "mattermost": mattermost_is_valid,
    "rocketchat": rocketchat_is_valid,
    "discord": discord_is_valid,
    "teams": teams_is_valid,
    "ntfy": ntfy_is_valid,
    "telegram": telegram_is_valid,
}


# --- of every format


@every_telling
@every_chat
def test_every_event_is_within_the_limits_at_every_step_of_leaving_out(name, told):
    bodies = all_bodies(name, TELLINGS[told])
    assert len(bodies) <= 3
    for body in bodies:
        VALID[name](json.loads(body))


@pytest.mark.parametrize(("name", "options"), [("slack", {"buttons": False}), ("teams", {"teams_card": "wrapped"})])
@every_telling
def test_other_options_keep_to_the_limits_too(name, options, told):
    for body in all_bodies(name, TELLINGS[told], **options):
        VALID[name](json.loads(body))


@every_chat
def test_what_is_rendered_twice_is_the_same(name):
    told = unfriendly("task.failed", "".join(HOSTILE.values()))
    assert rendered(name, told) == rendered(name, told)


def test_slack_makes_nothing_of_what_looks_like_a_link():
    told = rendered("slack", telling("task.failed"))
    assert told.count('"verbatim":true') == told.count('"type":"mrkdwn"')


@every_chat
def test_each_step_leaves_something_out(name):
    bodies = all_bodies(name, telling("task.succeeded"))
    assert len(set(bodies)) == len(bodies)


@pytest.mark.parametrize("event_type", EVENT_TYPES)
@every_chat
def test_the_last_step_still_says_what_it_is_about(name, event_type):
    told = telling(event_type)
    about = told.envelope["data"]
    subject = about["task"]["title"] if "task" in about else about["subscription"]["id"]
    assert subject in all_bodies(name, told)[-1].replace("\\", "")


@every_chat
def test_a_test_says_that_it_is_one(name):
    assert "Test" in rendered(name, telling("task.succeeded", test=True))
    assert "Test" not in rendered(name, telling("task.succeeded"))


@pytest.mark.parametrize("name", ["mattermost", "rocketchat", "telegram", "discord"])
@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_no_name_in_an_event_is_mentioned(name, event_type):
    for body in all_bodies(name, unfriendly(event_type, HOSTILE["mentions"])):
        texts = "\n".join(texts_of(json.loads(body)))
        assert re.findall(f"@(?!{ZERO_WIDTH})", texts) == []


@pytest.mark.parametrize("name", ["mattermost", "rocketchat", "discord"])
def test_no_link_is_made_by_an_event_itself(name):
    for body in all_bodies(name, unfriendly("task.failed", HOSTILE["links"])):
        for text in texts_of(json.loads(body)):
            assert not re.search(r"(?<!\\)\]\(http://evil", text) and "<http://evil" not in text.replace("\\<", "")


@every_chat
def test_what_is_cut_off_ends_in_an_ellipsis(name):
    assert "x…" in rendered(name, unfriendly("task.succeeded", "x" * 10_000))


@pytest.mark.parametrize("letter", ["x", "<", "*", "@", "🎬", '"'])
@every_chat
def test_however_long_a_failure_is_its_headline_its_error_and_a_link_are_told(name, letter):
    told = telling("task.failed", title=f"boat {letter * 10_000}", model=letter * 10_000, external_id=letter * 10_000)
    told.envelope["data"]["task"]["error"]["message"] = f"storm {letter * 10_000}"
    body = rendered(name, told)
    assert "boat" in body and "storm" in body and f"{HUB}/ui/tasks/task_1" in body


@every_chat
def test_it_is_offered_sent_unsigned_and_given_up_soon(name):
    shape = FORMATS[name]
    assert (name in OFFERED, shape.signed, shape.pauses) == (True, False, (10_000, 60_000))


@every_chat
def test_its_own_address_is_accepted(name):
    FORMATS[name].check(target(name))


@every_chat
def test_a_request_is_made_of_the_frozen_body_alone(name):
    body = rendered(name, telling("task.succeeded"))
    request = FORMATS[name].request(target(name), body)
    assert request == FORMATS[name].request(target(name), body)
    where = {"ntfy": {"topic": "videos"}, "telegram": {"chat_id": "-1001", "message_thread_id": 7}}
    assert json.loads(request.body) == json.loads(body) | where.get(name, {})


@every_chat
def test_no_secret_option_is_part_of_what_is_frozen(name):
    body = rendered(name, telling("task.succeeded"))
    secrets = [option.name for option in FORMATS[name].options if option.secret]
    assert not any(OPTIONS[name][secret] in body for secret in secrets)


@pytest.mark.parametrize("name", ["slack", "mattermost", "rocketchat", "discord", "teams"])
def test_a_url_that_is_a_capability_is_shown_to_nobody(name):
    assert FORMATS[name].secret_url
