"""Web Push: an event as the encrypted message that a browser's push service passes on.

Sources: RFC 8030 (the request), RFC 8291 and RFC 8188 (its encryption, aes128gcm), RFC 8292 (VAPID: who sends it).
"""

import base64
import binascii
import re
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service.clock import HOUR
from service.errors import Problem, SettingsError, invalid
from service.wire import HttpRequest, Json, canonical

MOST = 3_993  # bytes: push services take 4096, encryption adds 103 (RFC 8291, 4)
TOKEN_LIFETIME_MS = 12 * HOUR  # at most 24 h (RFC 8292, 2)
URGENCIES = ("very-low", "low", "normal", "high")  # RFC 8030, 5.3
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256 (FIPS 186-4, D.1.2.3)
_CONTACT = re.compile(r"mailto:[^@\s]+@[^@\s]+|https://[^\s/]+\S*")


class Push:
    """Encrypts and signs with a key that is derived from the service's secret_key: browsers are bound to its public
    half, so it has to survive a restart. SettingsError when the contact is none."""

    def __init__(self, secret_key: str, contact: str | None) -> None:
        if contact is not None and not _CONTACT.fullmatch(contact):
            raise SettingsError("webpush.contact: must be mailto: and an address, or an https:// URL")
        self._contact = contact
        # 16 bytes more than the scalar has, so that every scalar is as likely as any other (FIPS 186-4, B.4.1)
        derived = HKDF(algorithm=SHA256(), length=48, salt=None, info=b"reelhook vapid").derive(secret_key.encode())
        self._key = ec.derive_private_key(int.from_bytes(derived, "big") % (_ORDER - 1) + 1, ec.SECP256R1())

    def public_key(self) -> str:
        """What a page gives its browser as `applicationServerKey`, in base64url."""
        return _spelled(_point(self._key.public_key()))

    def check(self, p256dh: str, auth: str, at: str = "format_options") -> None:
        """Refuse, by a Problem that names the field, keys of a browser that nothing can be encrypted for."""
        if self._contact is None:
            raise invalid("format", "this service sends no push messages; its operator has to set webpush.contact")
        _encryption()
        _receiver(p256dh, f"{at}.p256dh")
        _secret(auth, f"{at}.auth")

    def request(
        self,
        url: str,
        p256dh: str,
        auth: str,
        body: bytes,
        now: int,
        *,
        ttl_s: int,
        urgency: str = "normal",
        topic: str | None = None,
    ) -> HttpRequest:
        """The request for one attempt; a Problem where it cannot be made.

        p256dh, auth: the browser's keys, in base64url. now: unix ms. ttl_s: how long the push service keeps it for a
        browser that is away. urgency: one of URGENCIES. topic: at most 32 letters of base64url; a newer message takes
        the place of one of the same topic that is still waiting.
        """
        self.check(p256dh, auth)
        if len(body) > MOST:
            raise invalid("format", f"a push message has at most {MOST} bytes; this one has {len(body)}")
        encrypted = _encryption().encrypt(
            body,
            private_key=ec.generate_private_key(ec.SECP256R1()),
            dh=_receiver(p256dh, "p256dh"),
            auth_secret=_secret(auth, "auth"),
            version="aes128gcm",
        )
        headers = {
            "content-type": "application/octet-stream",
            "content-encoding": "aes128gcm",
            "ttl": str(ttl_s),
            "urgency": urgency,
            "authorization": f"vapid t={self._token(url, now)},k={self.public_key()}",
        }
        if topic is not None:
            headers["topic"] = topic
        return HttpRequest(method="POST", url=url, headers=headers, body=encrypted)

    def _token(self, url: str, now: int) -> str:
        """The JWT that says who sends, to that push service alone, and for a while."""
        claims = {
            "aud": _audience(url),
            "exp": (now + TOKEN_LIFETIME_MS) // 1000,
            "sub": self._contact,
        }
        content = f"{_json({'typ': 'JWT', 'alg': 'ES256'})}.{_json(claims)}"
        r, s = decode_dss_signature(self._key.sign(content.encode(), ec.ECDSA(SHA256())))
        return f"{content}.{_spelled(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _audience(url: str) -> str:
    """The origin as RFC 6454, 6.2 spells it: without the port that the scheme has anyway."""
    parts = urlsplit(url)
    usual = {"https": ":443", "http": ":80"}[parts.scheme]
    return f"{parts.scheme}://{parts.netloc.removesuffix(usual)}"


def _encryption() -> Any:
    try:
        import http_ece  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise Problem("invalid_request", "format: webpush needs pip install 'reelhook[webpush]'", "format") from error
    return http_ece


def _receiver(p256dh: str, field: str) -> ec.EllipticCurvePublicKey:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _bytes(p256dh))
    except ValueError as error:
        raise invalid(field, "must be the browser's public key, as PushSubscription.getKey('p256dh') has it") from error


def _secret(auth: str, field: str) -> bytes:
    try:
        secret = _bytes(auth)
    except ValueError:
        secret = b""
    if len(secret) != 16:  # RFC 8291, 3.2
        raise invalid(field, "must be the browser's secret, as PushSubscription.getKey('auth') has it")
    return secret


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _json(value: Json) -> str:
    return _spelled(canonical(value))


def _spelled(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    """Base64url, or what some libraries make of it: the standard letters, and padding. ValueError when it is none."""
    plain = text.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
