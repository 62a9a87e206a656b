"""Signatures: Standard Webhooks for what we send, callback tokens for what we receive, and what gateways may sign.

Sources: Standard Webhooks specification (headers webhook-id, webhook-timestamp, webhook-signature; signed content
`{id}.{timestamp}.{body}`; secrets `whsec_` + base64), itsdangerous for the tokens, Slack's "Verifying requests from
Slack" (subscribers.md, section b) for the clicks on its buttons.
"""

import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from itsdangerous import BadData, URLSafeSerializer, URLSafeTimedSerializer

SECRET_PREFIX, PUBLIC_PREFIX = "whsec_", "whpk_"
TOLERANCE_MS = 300_000


class Forged(Exception):
    """The signature or token is missing, wrong, too old, or somebody else's."""


class Expired(Forged):
    """It is ours, and its time is over: whoever holds it may be told so."""


def new_secret() -> str:
    """A signing secret: `whsec_` and the standard, padded base64 of 32 random bytes, which every library reads."""
    return _spell_secret(secrets.token_bytes(32))


def owner_secret(secret_key: str, owner: str) -> str:
    """The secret that signs the one-shot webhooks of an owner's tasks: derived, so that it is stored nowhere."""
    return _spell_secret(hmac.digest(secret_key.encode(), b"webhook secret of " + owner.encode(), "sha256"))


def listening_secret(key: str, server: str) -> str:
    """The secret of whoever listens with an API key: the same each time, so that it need not be set up anew."""
    return _spell_secret(hmac.digest(key.encode(), b"listening to " + server.encode(), "sha256"))


def sign(
    shared: Sequence[str], message_id: str, timestamp_s: int, body: bytes, own: Ed25519PrivateKey | None = None
) -> Mapping[str, str]:
    """The three headers of Standard Webhooks for one attempt: a `v1` for each shared secret, newest first, so that
    receivers may change theirs when it suits them; and with a key of our own a `v1a` (ed25519), which libraries that
    know only `v1` skip."""
    timestamp = str(timestamp_s)
    signatures = ["v1," + _signature(secret, message_id, timestamp, body) for secret in shared]
    if own is not None:
        signatures.append("v1a," + base64.b64encode(own.sign(_signed(message_id, timestamp, body))).decode())
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": " ".join(signatures)}


def sign_plainly(secret: str, body: bytes) -> Mapping[str, str]:
    """X-Hub-Signature-256, for old receivers: the hex HMAC-SHA256 of the body alone. The key is the whole text of the
    secret, as such receivers use it."""
    return {"x-hub-signature-256": "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()}


def signing_key(secret_key: str, owner: str) -> Ed25519PrivateKey:
    """The key behind an owner's `v1a` signatures: derived, so that it is stored nowhere and never lost."""
    seed = hmac.digest(secret_key.encode(), b"ed25519 key of " + owner.encode(), "sha256")
    return Ed25519PrivateKey.from_private_bytes(seed)


def public_key(key: Ed25519PrivateKey) -> str:
    """`whpk_` and base64, as the Standard Webhooks specification spells public keys."""
    return PUBLIC_PREFIX + base64.b64encode(key.public_key().public_bytes_raw()).decode()


def verify(secret: str, headers: Mapping[str, str], body: bytes, now: int) -> None:
    """Check Standard Webhooks headers (names in lower case); Forged when any of it is wrong. now: unix ms."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    _check_age(timestamp, now)
    expected = _signature(secret, message_id, timestamp, body).encode()
    given = [part.removeprefix("v1,") for part in headers.get("webhook-signature", "").split() if part[:3] == "v1,"]
    if not any(hmac.compare_digest(expected, signature.encode()) for signature in given[:10]):
        raise Forged("no signature of the body matches")


def verify_slack(secret: str, headers: Mapping[str, str], body: bytes, now: int) -> None:
    """Check what Slack signs a click with: `v0=` and the HMAC of `v0:{timestamp}:{body}`, not older than five minutes.
    Forged when any of it is wrong. headers: names in lower case. now: unix ms."""
    timestamp = headers.get("x-slack-request-timestamp", "")
    _check_age(timestamp, now)
    digest = hmac.digest(secret.encode(), f"v0:{timestamp}:".encode() + body, "sha256").hex()
    if not hmac.compare_digest(f"v0={digest}".encode(), headers.get("x-slack-signature", "").encode()):
        raise Forged("the signature of the click does not match")


@dataclass(frozen=True, slots=True, kw_only=True)
class BodySignature:
    """How a gateway, or a proxy in front of it, signs its callbacks.

    scheme: standard-webhooks, or hmac-sha256 of the body. header: where the HMAC stands, after an optional `prefix`
    such as `sha256=`. encoding: hex or base64. timestamp_header: when given, its value and a dot go before the body.
    """

    scheme: str
    secret: str
    header: str = "x-signature"
    encoding: str = "hex"
    prefix: str = ""
    timestamp_header: str | None = None

    def check(self, headers: Mapping[str, str], body: bytes, now: int) -> None:
        """Forged unless the body carries the signature. headers: names in lower case."""
        if self.scheme == "standard-webhooks":
            return verify(self.secret, headers, body, now)
        if self.timestamp_header is not None:
            timestamp = headers.get(self.timestamp_header.lower(), "")
            _check_age(timestamp, now)
            body = timestamp.encode() + b"." + body
        digest = hmac.digest(self.secret.encode(), body, "sha256")
        expected = digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode()
        given = headers.get(self.header.lower(), "").strip()
        if not hmac.compare_digest((self.prefix + expected).encode(), given.encode()):
            raise Forged("the signature of the body does not match")
        return None


class CallbackTokens:
    """The capability in a callback URL: names one task of one gateway, cannot be guessed, and ends some day."""

    def __init__(self, secret_key: str, *, lifetime_ms: int) -> None:
        self._serializer = URLSafeTimedSerializer(secret_key, salt="reelhook.callback")
        self._lifetime_s = lifetime_ms // 1000

    def issue(self, gateway: str, task_id: str) -> str:
        return self._serializer.dumps([gateway, task_id])

    def read(self, gateway: str, token: str) -> str:
        """The task id; Forged when the token is not ours, too old, or another gateway's."""
        try:
            named, task_id = self._serializer.loads(token, max_age=self._lifetime_s)
        except (BadData, ValueError, TypeError) as error:
            raise Forged(str(error)) from error
        if named != gateway:
            raise Forged("the token belongs to another gateway")
        return str(task_id)


class ContentTokens:
    """The capability in a content link: names one result of one task, and says itself until when it is good. The same
    result has the same token whenever it is shown."""

    def __init__(self, secret_key: str) -> None:
        self._serializer = URLSafeSerializer(secret_key, salt="reelhook.content")

    def issue(self, task_id: str, variant: str, expires_at: int) -> str:
        """expires_at: unix ms."""
        return str(self._serializer.dumps([task_id, variant, expires_at]))

    def read(self, token: str, now: int) -> tuple[str, str]:
        """(task id, variant); Forged when the token is not ours, or its time is over."""
        try:
            task_id, variant, expires_at = self._serializer.loads(token)
        except (BadData, ValueError, TypeError) as error:
            raise Forged(str(error)) from error
        if now >= expires_at:
            raise Forged("the link has expired")
        return str(task_id), str(variant)


class ActionTokens:
    """The capability in the link of a page or a button: names one task, what may be done with it, and until when."""

    def __init__(self, secret_key: str) -> None:
        self._serializer = URLSafeSerializer(secret_key, salt="reelhook.action")

    def issue(self, task_id: str, action: str, expires_at: int) -> str:
        """action: view, retry or cancel. expires_at: unix ms."""
        return str(self._serializer.dumps([task_id, action, expires_at]))

    def read(self, token: str, now: int) -> tuple[str, str]:
        """(task id, action); Forged when the token is not ours, Expired when its time is over."""
        try:
            task_id, action, expires_at = self._serializer.loads(token)
        except (BadData, ValueError, TypeError) as error:
            raise Forged(str(error)) from error
        if now >= expires_at:
            raise Expired("the link has expired")
        return str(task_id), str(action)


def key_of(secret: str) -> bytes:
    """The bytes of a `whsec_` secret. ValueError when it is none."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(f"a signing secret is {SECRET_PREFIX} and base64: {error}") from error
    if not key:
        raise ValueError("a signing secret must not be empty")
    return key


def _spell_secret(key: bytes) -> str:
    return SECRET_PREFIX + base64.b64encode(key).decode()


def _signed(message_id: str, timestamp: str, body: bytes) -> bytes:
    return f"{message_id}.{timestamp}.".encode() + body


def _signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    # not hmac.digest: it lets go of the interpreter, and then waits in line for it behind the thread that writes
    return base64.b64encode(hmac.new(key_of(secret), _signed(message_id, timestamp, body), "sha256").digest()).decode()


def _check_age(timestamp: str, now: int) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        raise Forged("the timestamp is missing or no number")
    if abs(now - int(timestamp) * 1000) > TOLERANCE_MS:
        raise Forged("the timestamp is too far from now")
