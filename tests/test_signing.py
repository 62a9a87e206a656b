"""Signatures and tokens, with the reference library as witness."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from itsdangerous import URLSafeTimedSerializer
from standardwebhooks import Webhook

from service.signing import BodySignature, CallbackTokens, Forged, key_of, new_secret, owner_secret, sign, verify

NOW = int(datetime.now(UTC).timestamp() * 1000)
BODY = b'{"type":"task.succeeded"}'


def test_the_reference_library_verifies_what_we_sign():
    secret = new_secret()
    headers = dict(sign([secret], "evt_1", NOW // 1000, BODY))
    assert Webhook(secret).verify(BODY, headers) == {"type": "task.succeeded"}


def test_we_verify_what_the_reference_library_signs():
    secret = new_secret()
    signature = Webhook(secret).sign("evt_1", datetime.fromtimestamp(NOW // 1000, UTC), BODY.decode())
    headers = {"webhook-id": "evt_1", "webhook-timestamp": str(NOW // 1000), "webhook-signature": signature}
    verify(secret, headers, BODY, NOW)


def test_a_secret_is_standard_padded_base64_of_32_bytes():
    assert len(key_of(new_secret())) == 32


def test_one_of_several_signatures_is_enough():
    secret = new_secret()
    headers = dict(sign([secret], "evt_1", NOW // 1000, BODY))
    headers["webhook-signature"] = "v1,b3RoZXI= v1a,xxx " + headers["webhook-signature"]
    verify(secret, headers, BODY, NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "evt_2"},
        {"webhook-timestamp": str(NOW // 1000 - 301)},
        {"webhook-timestamp": str(NOW // 1000 + 302)},
        {"webhook-timestamp": "now"},
        {"webhook-timestamp": "²"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "garbage é"},
    ],
)
def test_a_wrong_header_is_forged(change):
    secret = new_secret()
    headers = dict(sign([secret], "evt_1", NOW // 1000, BODY)) | change
    with pytest.raises(Forged):
        verify(secret, headers, BODY, NOW)


def test_another_body_is_forged():
    secret = new_secret()
    with pytest.raises(Forged):
        verify(secret, sign([secret], "evt_1", NOW // 1000, BODY), BODY + b" ", NOW)


def test_an_owners_secret_is_the_same_every_time_and_his_own():
    assert owner_secret("k", "anna") == owner_secret("k", "anna") != owner_secret("k", "bert")


@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_an_hmac_of_the_body_in_a_named_header_is_accepted(encoding):
    digest = hmac.digest(b"s3cret", BODY, "sha256")
    spelled = digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()
    signature = BodySignature(
        scheme="hmac-sha256", secret="s3cret", header="X-Hub-Signature-256", encoding=encoding, prefix="sha256="
    )
    signature.check({"x-hub-signature-256": "sha256=" + spelled}, BODY, NOW)


def test_an_hmac_with_a_timestamp_signs_the_timestamp_too():
    stamp = str(NOW // 1000)
    spelled = hmac.new(b"s3cret", stamp.encode() + b"." + BODY, hashlib.sha256).hexdigest()
    signature = BodySignature(scheme="hmac-sha256", secret="s3cret", timestamp_header="X-Timestamp")
    signature.check({"x-signature": spelled, "x-timestamp": stamp}, BODY, NOW)


@pytest.mark.parametrize("headers", [{}, {"x-signature": "00"}, {"x-signature": "é"}])
def test_a_body_without_its_hmac_is_forged(headers):
    with pytest.raises(Forged):
        BodySignature(scheme="hmac-sha256", secret="s3cret").check(headers, BODY, NOW)


def test_an_old_timestamp_is_forged_even_with_a_sound_hmac():
    stamp = str(NOW // 1000 - 1_000)
    spelled = hmac.new(b"s3cret", stamp.encode() + b"." + BODY, hashlib.sha256).hexdigest()
    signature = BodySignature(scheme="hmac-sha256", secret="s3cret", timestamp_header="x-timestamp")
    with pytest.raises(Forged):
        signature.check({"x-signature": spelled, "x-timestamp": stamp}, BODY, NOW)


def test_a_callback_token_names_its_task():
    tokens = CallbackTokens("key", lifetime_ms=60_000)
    assert tokens.read("videos", tokens.issue("videos", "task_1")) == "task_1"


def test_a_callback_token_of_another_gateway_is_forged():
    tokens = CallbackTokens("key", lifetime_ms=60_000)
    with pytest.raises(Forged):
        tokens.read("easyrouter", tokens.issue("videos", "task_1"))


def test_a_callback_token_of_another_key_is_forged():
    token = CallbackTokens("other", lifetime_ms=60_000).issue("videos", "task_1")
    with pytest.raises(Forged):
        CallbackTokens("key", lifetime_ms=60_000).read("videos", token)


def test_a_callback_token_ends_some_day():
    tokens = CallbackTokens("key", lifetime_ms=-1_000)
    with pytest.raises(Forged):
        tokens.read("videos", tokens.issue("videos", "task_1"))


@pytest.mark.parametrize("payload", ["task_1", ["videos"], {"a": 1}, None, 5])
def test_a_token_that_we_signed_for_something_else_is_forged(payload):
    token = URLSafeTimedSerializer("key", salt="reelhook.callback").dumps(payload)
    with pytest.raises(Forged):
        CallbackTokens("key", lifetime_ms=60_000).read("videos", token)


@pytest.mark.parametrize("token", ["", ".", "a.b.c", "é", "a" * 10_000])
def test_garbage_is_forged(token):
    with pytest.raises(Forged):
        CallbackTokens("key", lifetime_ms=60_000).read("videos", token)
