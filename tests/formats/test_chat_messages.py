"""What is particular to one chat service: its message, its request, its target, and what is left out of it."""

import json

import pytest

from service.errors import Problem
from service.formats import FORMATS
from service.formats.fitting import ZERO_WIDTH
from service.formats.shape import Target, read_options
from tests.formats.chat_events import HUB, OPTIONS, URLS, all_bodies, rendered, telling, unfriendly


def message(name, event_type, **options):
    return json.loads(rendered(name, telling(event_type), **options))


def blocks(event_type, kind, **options):
    return [block for block in message("slack", event_type, **options)["blocks"] if block["type"] == kind]


def failed(**options):
    told = telling("task.failed")
    told.envelope["data"]["task"]["error"]["retryable"] = True
    return json.loads(rendered("slack", told, **options))


def sent(name, url, body, **options):
    return FORMATS[name].request(Target(url=url, options=read_options(FORMATS[name], options)), body)


def checked(name, url, **options):
    shape = FORMATS[name]
    return shape.check(Target(url=url, options=read_options(shape, options)))


# --- slack


def test_slack_hears_a_prompt_that_tries_to_call_the_channel_as_plain_text():
    body = json.loads(rendered("slack", unfriendly("task.failed", "<!channel> & <http://evil.example|x>")))
    header, *others = body["blocks"]
    marked = body["text"] + json.dumps(others)
    assert "<!channel>" not in marked and "<http://evil" not in marked and "&lt;!channel&gt; &amp; &lt;http" in marked
    assert "<!channel> & <http" in header["text"]["text"]  # which is plain text, where nothing is markup


def test_slack_links_are_written_as_slack_reads_them():
    assert f"<{HUB}/watch/tok|Watch>  |  <{HUB}/ui/tasks/task_1|Open task>" in rendered(
        "slack", telling("task.succeeded")
    )


def test_an_ampersand_in_a_link_is_an_entity_for_slack():
    told = telling("task.succeeded", links={"self_html": f"{HUB}/t?a=1&b=2"})
    assert f"<{HUB}/t?a=1&amp;b=2|Open task>" in rendered("slack", told)


def test_slack_shows_the_thumbnail_of_a_success():
    (image,) = blocks("task.succeeded", "image")
    assert (image["image_url"], image["alt_text"][:11]) == (f"{HUB}/content/tok.jpg", "Video ready")


def test_slack_has_no_image_that_it_cannot_fetch():
    video = {"thumbnail_url": "https://localhost/x.jpg"}
    assert '"image"' not in rendered("slack", telling("task.succeeded", video=video))


def test_a_retry_button_asks_before_it_costs_money():
    (actions,) = [block for block in failed()["blocks"] if block["type"] == "actions"]
    (button,) = actions["elements"]
    assert (button["action_id"], button["value"]) == ("retry_task", "tok.retry-1")
    assert button["confirm"]["text"]["text"] == "This starts a new paid generation."


@pytest.mark.parametrize("event_type", ["task.accepted", "task.running"])
def test_a_cancel_button_names_its_task_by_a_token(event_type):
    (actions,) = blocks(event_type, "actions")
    assert [(one["action_id"], one["value"]) for one in actions["elements"]] == [("cancel_task", "tok.cancel-1")]


def test_without_a_slack_app_actions_are_links():
    body = failed(buttons=False)
    assert not any(block["type"] == "actions" for block in body["blocks"])
    assert f"<{HUB}/tasks/retry/tok.retry-1|Retry…>" in json.dumps(body["blocks"], ensure_ascii=False)


def test_no_button_is_made_of_nothing():
    told = telling("task.running", links={"self": None, "cancel_html": None, "retry_html": None})
    assert '"actions"' not in rendered("slack", told)


def test_slack_loses_its_image_first_then_all_blocks():
    kinds = [
        [block["type"] for block in json.loads(body).get("blocks", [])]
        for body in all_bodies("slack", telling("task.succeeded"))
    ]
    assert ["image" in kind for kind in kinds] == [True, False, False]
    assert [bool(kind) for kind in kinds] == [True, True, False]


def test_what_looks_like_slack_hears_text_that_mentions_nobody():
    body = rendered("slack", unfriendly("task.failed", "@channel"))
    text = json.loads(sent("slack", "https://chat.example.com/hooks/x", body).body)
    assert "blocks" not in text and "@channel" not in text["text"] and f"@{ZERO_WIDTH}channel" in text["text"]


def test_what_looks_like_slack_hears_blocks_where_its_subscriber_says_so():
    body = rendered("slack", telling("task.failed"))
    assert "blocks" in json.loads(sent("slack", "http://127.0.0.1:9/hook", body, blocks="always").body)


# --- discord


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://discord.com/api/webhooks/1/a", "?wait=true"),
        ("https://discord.com/api/webhooks/1/a?thread_id=5", "?thread_id=5&wait=true"),
        ("https://discord.com/api/webhooks/1/a?wait=false&thread_id=5", "?thread_id=5&wait=true"),
    ],
)
def test_discord_is_asked_to_say_whether_it_saved_the_message(url, asked):
    assert sent("discord", url, "{}").url == f"https://discord.com/api/webhooks/1/a{asked}"


def test_discord_gets_no_link_that_it_would_not_take():
    links = {"self": "http://localhost:8000/v1/tasks/1"}
    (embed,) = json.loads(rendered("discord", telling("task.failed", links=links)))["embeds"]
    assert "url" not in embed and "localhost:8000" in embed["description"]


def test_discord_is_left_with_plain_text_that_mentions_nobody():
    last = json.loads(all_bodies("discord", telling("task.succeeded"))[-1])
    assert set(last) == {"content", "allowed_mentions"}
    assert f"[Watch]({HUB}/watch/tok)" in last["content"]


# --- teams


def test_a_workflow_gets_a_message_with_a_card():
    body = message("teams", "task.succeeded", teams_card="wrapped")
    (attachment,) = body["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert attachment["content"]["type"] == "AdaptiveCard"


def test_a_workflow_that_wants_a_bare_card_gets_one():
    assert message("teams", "task.succeeded", teams_card="bare")["type"] == "AdaptiveCard"


def test_no_word_of_an_event_is_markdown_for_teams():
    kinds = {element["type"] for element in message("teams", "task.failed")["body"]}
    assert kinds == {"RichTextBlock"}


def test_a_card_that_is_too_large_for_teams_leaves_out_whole_parts():
    told = unfriendly("task.succeeded", "\x22" * 10_000)
    told.envelope["data"]["task"]["links"]["self_html"] = f"{HUB}/" + "x" * 1_900
    told.envelope["data"]["task"]["video"]["preview_url"] = f"{HUB}/" + "x" * 1_900
    body = rendered("teams", told)
    assert len(body.encode()) <= 21_000 and json.loads(body)["body"][1]["id"] == "said"


# --- ntfy


@pytest.mark.parametrize(
    ("url", "options"),
    [("https://ntfy.sh", {"topic": "videos"}), ("https://ntfy.sh/videos", {}), ("https://ntfy.sh/videos/", {})],
)
def test_ntfy_is_posted_to_at_its_root_with_the_topic_inside(url, options):
    request = sent("ntfy", url, rendered("ntfy", telling("task.failed")), **options)
    assert (request.url, json.loads(request.body)["topic"]) == ("https://ntfy.sh/", "videos")


def test_ntfy_gets_its_token_in_a_header_and_nowhere_else():
    request = sent("ntfy", "https://ntfy.sh/videos", "{}", token="tk_1")
    assert request.headers["authorization"] == "Bearer tk_1" and b"tk_1" not in request.body
    assert "authorization" not in sent("ntfy", "https://ntfy.sh/videos", "{}").headers


def test_a_phone_can_open_what_it_is_told_of():
    body = message("ntfy", "task.succeeded")
    assert body["click"] == f"{HUB}/watch/tok"
    assert [(one["action"], one["label"]) for one in body["actions"]] == [("view", "Watch"), ("view", "Open task")]


def test_bad_news_is_louder_unless_its_subscriber_says_how_loud():
    loud = [message("ntfy", event, priority=None)["priority"] for event in ("task.failed", "task.succeeded")]
    assert (loud, message("ntfy", "task.failed", priority=1)["priority"]) == ([4, 3], 1)


# --- telegram


def test_the_token_of_a_bot_stands_in_the_path_of_a_request():
    request = sent("telegram", "https://api.telegram.org/", "{}", **OPTIONS["telegram"])
    assert request.url == "https://api.telegram.org/bot123456:ABC-DEF1234ghIkl/sendMessage"


def test_entities_are_placed_by_utf_16_units():
    body = json.loads(rendered("telegram", telling("task.succeeded", title="🎬👩‍👩‍👧", prompt="🎬 boat")))
    units = body["text"].encode("utf-16-le")
    marked = {
        entity["type"]: units[2 * entity["offset"] : 2 * (entity["offset"] + entity["length"])].decode("utf-16-le")
        for entity in body["entities"]
    }
    assert (marked["blockquote"], marked["text_link"]) == ("🎬 boat", "Open task")


def test_telegram_keeps_the_links_when_it_loses_the_entities():
    last = json.loads(all_bodies("telegram", telling("task.succeeded"))[-1])
    assert "entities" not in last and f"\n{HUB}/watch/tok" in last["text"]


def test_a_message_goes_to_the_chat_and_the_topic_that_were_asked_for():
    frozen = rendered("telegram", telling("task.succeeded"))
    body = json.loads(sent("telegram", "https://api.telegram.org/", frozen, **OPTIONS["telegram"]).body)
    assert (body["chat_id"], body["message_thread_id"], body["disable_notification"]) == ("-1001", 7, True)


def test_what_waits_goes_to_the_chat_that_the_options_name_by_then():
    frozen = json.dumps({"chat_id": "-1", "message_thread_id": 3, "text": "x"})
    body = json.loads(sent("telegram", "https://api.telegram.org/", frozen, chat_id="-1005", token="1:a").body)
    assert body == {"chat_id": "-1005", "text": "x"}


def test_no_chat_is_frozen():
    assert "chat_id" not in rendered("telegram", telling("task.succeeded"), **OPTIONS["telegram"])


# --- what cannot be sent to

BOT = OPTIONS["telegram"]


@pytest.mark.parametrize(
    ("name", "url", "options", "field", "hint"),
    [
        ("slack", "https://discord.com/api/webhooks/1/a/slack", {}, "url", "discord"),
        ("slack", "https://mattermost.example.com/hooks/x", {}, "url", "mattermost"),
        ("slack", "https://rocket.example.com/hooks/x", {}, "url", "rocketchat"),
        ("slack", "https://hooks.slack.com/triggers/T/1/x", {}, "url", "flat"),
        ("slack", "https://hooks.slack.com/workflows/T/1/x", {}, "url", "flat"),
        ("mattermost", URLS["slack"], {}, "url", "slack"),
        ("rocketchat", URLS["slack"], {}, "url", "slack"),
        ("discord", URLS["slack"], {}, "url", "slack"),
        ("discord", "https://discord.com/api/webhooks/1/a/slack", {}, "url", "/slack"),
        ("teams", URLS["slack"], {}, "url", "slack"),
        ("teams", "https://acme.webhook.office.com/webhookb2/x", {}, "url", "workflow"),
        ("ntfy", "https://ntfy.sh/", {}, "format_options.topic", "required"),
        ("ntfy", "https://ntfy.sh/a", {"topic": "b"}, "format_options.topic", "once"),
        ("ntfy", "https://ntfy.sh/a/b", {}, "url", "topic"),
        ("ntfy", "https://ntfy.sh/", {"topic": "a b"}, "format_options.topic", "letters"),
        ("telegram", "https://api.telegram.org/bot123456:abc", BOT, "url", "format_options.token"),
        ("telegram", "https://api.telegram.org/?x=1", BOT, "url", "api.telegram.org"),
        ("telegram", URLS["telegram"], BOT | {"chat_id": "me"}, "format_options.chat_id", "number"),
        ("telegram", URLS["telegram"], BOT | {"token": "../x"}, "format_options.token", "BotFather"),
    ],
)
def test_a_target_that_would_not_hear_it_is_refused_with_what_to_do(name, url, options, field, hint):
    with pytest.raises(Problem) as refused:
        checked(name, url, **options)
    assert refused.value.field == field and hint in refused.value.message


@pytest.mark.parametrize(
    ("name", "url", "options"),
    [
        ("slack", "https://relay.example.com/hook", {}),
        ("slack", "http://127.0.0.1:9000/hook", {"blocks": "always"}),
        ("discord", "https://canary.discord.com/api/webhooks/1/a?thread_id=5", {}),
        ("ntfy", "https://push.example.com/videos", {"topic": "videos"}),
        ("telegram", "http://10.0.0.5:8081", BOT | {"chat_id": "@my_channel"}),
    ],
)
def test_a_target_of_ones_own_is_accepted(name, url, options):
    assert checked(name, url, **options) is None


@pytest.mark.parametrize(
    ("name", "options", "field"),
    [
        ("slack", {"button": True}, "format_options.button"),
        ("slack", {"buttons": "yes"}, "format_options.buttons"),
        ("slack", {"blocks": "never"}, "format_options.blocks"),
        ("discord", {"wait": True}, "format_options.wait"),
        ("teams", {"teams_card": "naked"}, "format_options.teams_card"),
        ("ntfy", {"priority": 6}, "format_options.priority"),
        ("telegram", {"chat_id": "1"}, "format_options.token"),
        ("telegram", BOT | {"thread_id": 0}, "format_options.thread_id"),
    ],
)
def test_an_option_that_is_none_or_means_nothing_is_refused(name, options, field):
    with pytest.raises(Problem) as refused:
        read_options(FORMATS[name], options)
    assert refused.value.field == field
