"""What the answers of chat services mean (subscribers.md, sections b and c)."""

import pytest

from service.formats import FORMATS
from service.formats.shape import Judgement
from service.wire import HttpAnswer, dumps
from tests.formats.chat_events import CHATS, NOW

DELIVERED, RETRY, DEGRADE, REFUSED, GONE = Judgement


def judged(name, status, body=b"", **headers):
    data = body if isinstance(body, bytes) else dumps(body)
    answer = HttpAnswer(
        status=status, headers={key.replace("_", "-"): value for key, value in headers.items()}, body=data
    )
    return FORMATS[name].judge(answer, NOW)


@pytest.mark.parametrize(
    ("name", "status", "body", "judgement"),
    [
        ("slack", 200, b"ok", DELIVERED),
        ("slack", 200, b"", REFUSED),
        ("slack", 200, b"<html>sign in</html>", REFUSED),
        ("slack", 204, b"", REFUSED),
        ("slack", 403, b"invalid_token", GONE),
        ("slack", 400, b"invalid_token", GONE),
        ("slack", 200, {"ok": False, "error": "invalid_token"}, GONE),
        ("slack", 404, b"no_service", GONE),
        ("slack", 404, b"no_service_id", GONE),
        ("slack", 404, b"no_active_hooks", GONE),
        ("slack", 404, b"no_team", GONE),
        ("slack", 404, b"team_disabled", GONE),
        ("slack", 404, b"channel_not_found", GONE),
        ("slack", 410, b"channel_is_archived", GONE),
        ("slack", 403, b"action_prohibited", GONE),
        ("slack", 403, b"posting_to_general_channel_denied", GONE),
        ("slack", 400, b"invalid_payload", DEGRADE),
        ("slack", 400, b"invalid_blocks", DEGRADE),
        ("slack", 400, b"invalid_blocks: downloading image failed", DEGRADE),
        ("slack", 400, b"no_text", DEGRADE),
        ("slack", 400, b"too_many_attachments", DEGRADE),
        ("slack", 429, b"rate_limited", RETRY),
        ("slack", 500, b"rollup_error", RETRY),
        ("slack", 503, b"", RETRY),
        ("slack", 302, b"", RETRY),
        ("slack", 404, b"<html>", REFUSED),
        ("mattermost", 200, b"ok", DELIVERED),
        ("mattermost", 400, {"id": "web.incoming_webhook.invalid.app_error"}, GONE),
        ("mattermost", 404, {"id": "web.incoming_webhook.channel.app_error"}, GONE),
        ("mattermost", 500, {"id": "web.incoming_webhook.channel.app_error"}, RETRY),
        ("mattermost", 501, {"id": "web.incoming_webhook.disabled.app_error"}, REFUSED),
        ("mattermost", 403, {"id": "web.incoming_webhook.permissions.app_error"}, REFUSED),
        ("mattermost", 400, {"id": 7}, REFUSED),
        ("mattermost", 429, b"", RETRY),
        ("mattermost", 502, b"", RETRY),
        ("rocketchat", 200, {"success": True}, DELIVERED),
        ("rocketchat", 200, {"success": False, "error": "unknown-error"}, REFUSED),
        ("rocketchat", 404, {"success": False, "error": "Invalid integration id or token provided."}, GONE),
        ("rocketchat", 400, {"success": False, "error": "Invalid integration id or token provided."}, GONE),
        ("rocketchat", 400, {"success": False, "error": "invalid-channel"}, GONE),
        ("rocketchat", 400, {"success": False}, DEGRADE),
        ("rocketchat", 503, b"", RETRY),
        ("discord", 200, {"id": "1"}, DELIVERED),
        ("discord", 204, b"", DELIVERED),
        ("discord", 404, {"code": 10015}, GONE),
        ("discord", 401, {"code": 50027}, GONE),
        ("discord", 400, {"embeds": ["0"]}, DEGRADE),
        ("discord", 400, {"code": 220001}, REFUSED),
        ("discord", 403, b"", REFUSED),
        ("discord", 429, {"retry_after": 1.5}, RETRY),
        ("discord", 500, b"", RETRY),
        ("teams", 202, b"", DELIVERED),
        ("teams", 200, b"", DELIVERED),
        ("teams", 404, {"error": {"code": "WorkflowNotFound"}}, GONE),
        ("teams", 400, {"error": {"code": "WorkflowTriggerIsNotEnabled", "message": "in state 'Deleted'"}}, GONE),
        ("teams", 400, {"error": {"code": "WorkflowTriggerIsNotEnabled", "message": "in state 'Disabled'"}}, REFUSED),
        ("teams", 401, {"error": {"code": "DirectApiAuthorizationRequired"}}, REFUSED),
        ("teams", 413, b"", DEGRADE),
        ("teams", 400, b"", DEGRADE),
        ("teams", 429, b"", RETRY),
        ("teams", 504, b"", RETRY),
        ("ntfy", 200, {"id": "x"}, DELIVERED),
        ("ntfy", 403, {"code": 40301, "error": "forbidden"}, REFUSED),
        ("ntfy", 404, b"", REFUSED),
        ("ntfy", 413, b"", DEGRADE),
        ("ntfy", 400, {"code": 40018, "error": "invalid request: actions invalid"}, DEGRADE),
        ("ntfy", 429, {"code": 42908}, RETRY),
        ("ntfy", 507, b"", RETRY),
        ("telegram", 200, {"ok": True, "result": {}}, DELIVERED),
        ("telegram", 200, b"<html>", REFUSED),
        ("telegram", 403, {"ok": False, "description": "Forbidden: bot was blocked by the user"}, GONE),
        ("telegram", 401, {"ok": False, "description": "Unauthorized"}, GONE),
        ("telegram", 404, {"ok": False, "description": "Not Found"}, GONE),
        ("telegram", 400, {"ok": False, "description": "Bad Request: chat not found"}, GONE),
        ("telegram", 400, {"ok": False, "parameters": {"migrate_to_chat_id": -1005}}, GONE),
        ("telegram", 400, {"ok": False, "description": "Bad Request: message is too long"}, DEGRADE),
        ("telegram", 429, {"ok": False, "parameters": {"retry_after": 3}}, RETRY),
        ("telegram", 502, b"", RETRY),
    ],
)
def test_an_answer_means_what_its_service_says_it_does(name, status, body, judgement):
    verdict = judged(name, status, body)
    assert verdict.judgement == judgement
    assert (verdict.error is None) is (judgement is DELIVERED)


@pytest.mark.parametrize(
    ("name", "body", "headers", "wait_ms"),
    [
        ("slack", b"", {"retry_after": "30"}, 30_000),
        ("mattermost", b"", {}, None),
        ("discord", {"retry_after": 1.5}, {}, 1_500),
        ("discord", {"retry_after": 1.5}, {"retry_after": "2"}, 2_000),
        ("discord", {"retry_after": "soon"}, {}, None),
        ("discord", {"retry_after": True}, {}, None),
        ("telegram", {"parameters": {"retry_after": 7}}, {}, 7_000),
        ("telegram", {"parameters": None}, {}, None),
    ],
)
def test_a_service_that_is_asked_too_often_is_left_alone_for_as_long_as_it_says(name, body, headers, wait_ms):
    verdict = judged(name, 429, body, **headers)
    assert (verdict.judgement, verdict.holds, verdict.retry_after_ms) == (RETRY, True, wait_ms)


@pytest.mark.parametrize(
    ("name", "status", "body", "hint"),
    [
        ("slack", 403, b"invalid_token", "add a new one in Slack"),
        ("slack", 200, b"", "Mattermost and Rocket.Chat"),
        ("discord", 400, {"code": 220001}, "thread_id"),
        ("teams", 202, b"", "run history"),
        ("teams", 401, b"", "sig"),
        ("teams", 400, b"", "teams_card"),
        ("ntfy", 401, b"", "token"),
        ("telegram", 403, b"", "add it again"),
        ("telegram", 400, {"parameters": {"migrate_to_chat_id": -1005}}, "-1005"),
        ("mattermost", 501, {"id": "web.incoming_webhook.disabled.app_error"}, "System Console"),
    ],
)
def test_a_verdict_says_what_can_be_done(name, status, body, hint):
    assert hint in judged(name, status, body).hint


@pytest.mark.parametrize(
    "body", [b"", b"\xff\x00{", b"[]", b"null", b"7", b'{"code":[],"id":{},"error":5,"ok":1}', b"x" * 70_000]
)
@pytest.mark.parametrize("name", CHATS)
def test_no_answer_is_too_strange_to_be_judged(name, body):
    verdicts = [judged(name, status, body) for status in (200, 302, 400, 401, 403, 404, 410, 413, 429, 500, 503)]
    assert all(len(verdict.error or "") < 400 for verdict in verdicts)
