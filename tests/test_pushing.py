"""Web Push as a browser and its push service see it; http_ece and py_vapid are the witnesses."""

import base64
import json
import sys

import http_ece  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02  # type: ignore[import-untyped]

from service.egress import open_egress
from service.errors import Problem, SettingsError
from service.guard import Guard
from service.pushing import MOST, Push
from tests.servers import Sink

NOW = 1_800_000_000_000
URL = "https://push.example.com/send/abc?x=1"
PUSH = Push("a secret key of the service", "mailto:ops@example.com")


def spelled(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def read(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Browser:
    """A subscription as a browser makes one."""

    def __init__(self, scalar=42):
        self.key, self.secret = ec.derive_private_key(scalar, ec.SECP256R1()), b"sixteen bytes ok"
        self.p256dh = spelled(self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
        self.auth = spelled(self.secret)

    def decrypt(self, body):
        return http_ece.decrypt(body, private_key=self.key, auth_secret=self.secret, version="aes128gcm")


BROWSER = Browser()


def pushed(body=b'{"title":"Video ready"}', url=URL, **options):
    return PUSH.request(url, BROWSER.p256dh, BROWSER.auth, body, NOW, **{"ttl_s": 3600} | options)


def parts_of(request):
    """(JWT, public key) of the Authorization header."""
    scheme, _, rest = request.headers["authorization"].partition(" ")
    assert scheme == "vapid"
    named = dict(part.split("=", 1) for part in rest.split(","))
    return named["t"], named["k"]


def claims_of(request):
    return json.loads(read(parts_of(request)[0].split(".")[1]))


def test_the_browser_reads_what_was_sent():
    assert BROWSER.decrypt(pushed().body) == b'{"title":"Video ready"}'


def test_nobody_else_reads_it():
    with pytest.raises(http_ece.ECEException):
        Browser(43).decrypt(pushed().body)


def test_a_push_service_can_verify_who_sent_it():
    assert Vapid02.verify(pushed().headers["authorization"])


def test_a_token_whose_claims_were_changed_is_not_verified():
    token, key = parts_of(pushed())
    head, _, signature = token.split(".")
    forged = f"{head}.{spelled(b'{}')}.{signature}"
    assert not Vapid02.verify(f"vapid t={forged},k={key}")


def test_the_token_is_for_that_push_service_and_ends():
    claims = {"aud": "https://push.example.com", "exp": NOW // 1000 + 12 * 3600, "sub": "mailto:ops@example.com"}
    assert claims_of(pushed()) == claims


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://push.example.com:443/x", "https://push.example.com"),
        ("https://push.example.com:8443/x", "https://push.example.com:8443"),
        ("http://127.0.0.1:80/x", "http://127.0.0.1"),
    ],
)
def test_the_token_names_the_origin(url, origin):
    assert claims_of(pushed(url=url))["aud"] == origin


def test_the_headers_are_those_of_the_protocol():
    headers = dict(pushed(ttl_s=60, urgency="high", topic="task_1").headers)
    del headers["authorization"]
    assert headers == {
        "content-type": "application/octet-stream",
        "content-encoding": "aes128gcm",
        "ttl": "60",
        "urgency": "high",
        "topic": "task_1",
    }


def test_a_message_without_a_topic_replaces_none():
    assert "topic" not in pushed().headers


def test_the_public_key_is_the_one_that_messages_are_signed_with():
    assert parts_of(pushed())[1] == PUSH.public_key()


def test_the_public_key_survives_a_restart():
    assert Push("a secret key of the service", None).public_key() == PUSH.public_key()


def test_another_service_has_another_key():
    assert Push("another secret key", None).public_key() != PUSH.public_key()


def test_the_public_key_is_a_point_that_browsers_take():
    assert len(read(PUSH.public_key())) == 65


def test_the_longest_message_fits_into_what_push_services_take():
    assert len(pushed(b"x" * MOST).body) == 4096


def test_a_longer_message_is_refused_before_it_is_sent():
    with pytest.raises(Problem, match="at most"):
        pushed(b"x" * (MOST + 1))


@pytest.mark.parametrize(
    ("p256dh", "auth", "field"),
    [
        ("", BROWSER.auth, "format_options.p256dh"),
        ("no key", BROWSER.auth, "format_options.p256dh"),
        (spelled(b"\4" + b"x" * 64), BROWSER.auth, "format_options.p256dh"),
        ("é" * 88, BROWSER.auth, "format_options.p256dh"),
        (BROWSER.p256dh, "", "format_options.auth"),
        (BROWSER.p256dh, spelled(b"short"), "format_options.auth"),
        (BROWSER.p256dh, "é", "format_options.auth"),
    ],
)
def test_keys_that_nothing_can_be_encrypted_for_are_refused_by_name(p256dh, auth, field):
    with pytest.raises(Problem) as caught:
        PUSH.check(p256dh, auth)
    assert caught.value.field == field


def test_keys_with_padding_and_the_letters_of_plain_base64_are_read():
    plain = base64.b64encode(read(BROWSER.p256dh)).decode()
    PUSH.check(plain, base64.b64encode(BROWSER.secret).decode())


def test_without_a_contact_nothing_is_pushed():
    with pytest.raises(Problem, match=r"webpush\.contact"):
        Push("a secret key of the service", None).check(BROWSER.p256dh, BROWSER.auth)


@pytest.mark.parametrize("contact", ["ops@example.com", "mailto:", "http://example.com", "mailto:a@b c"])
def test_a_contact_that_nobody_can_turn_to_is_refused_at_the_start(contact):
    with pytest.raises(SettingsError, match=r"webpush\.contact"):
        Push("a secret key of the service", contact)


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "http_ece", None)
    with pytest.raises(Problem, match=r"pip install 'reelhook\[webpush\]'"):
        PUSH.check(BROWSER.p256dh, BROWSER.auth)


async def test_it_arrives_as_it_was_made():
    async with Sink(201).open() as sink, open_egress(Guard(["127.0.0.0/8"]), "test") as egress:
        request = pushed(url=sink.url + "/send/abc")
        exchange = await egress.exchange(request, timeout_ms=5_000, cap=1024)
    assert exchange.answer.status == 201
    [received] = sink.requests
    assert BROWSER.decrypt(received.body) == b'{"title":"Video ready"}'
    assert received.headers["content-encoding"] == "aes128gcm"
