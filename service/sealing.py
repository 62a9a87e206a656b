"""What subscribers confide to us, encrypted at rest: custom headers, secret options, TLS material.

AES-256-GCM under a key that is derived from the service's secret_key. A sealed text is `s1.<key>.<nonce and content>`:
`key` names the secret_key that it was sealed with, so that a changed one is told from a damaged text.
"""

import base64
import binascii
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service.wire import Json, dumps, loads

VERSION = "s1"
NONCE = 12  # bytes; random, which is safe for some four billion texts under one key


class SealBroken(Exception):
    """A sealed text cannot be opened: it is damaged, belongs to somebody else, or another secret_key sealed it."""


class Seal:
    """Seals and opens with one secret_key."""

    def __init__(self, secret_key: str) -> None:
        self._cipher = AESGCM(_derived(secret_key, b"reelhook sealing", 32))
        self._name = _spelled(_derived(secret_key, b"reelhook sealing key name", 6))

    def seal(self, value: Json, about: str) -> str:
        """The value as a text that only `open` with the same `about` can read: the id of what it belongs to."""
        nonce = secrets.token_bytes(NONCE)
        content = self._cipher.encrypt(nonce, dumps(value), _bound(about))
        return f"{VERSION}.{self._name}.{_spelled(nonce + content)}"

    def open(self, text: str, about: str) -> Json:
        """The value again; SealBroken with the reason otherwise."""
        version, _, rest = text.partition(".")
        name, _, spelled = rest.partition(".")
        if version != VERSION:
            raise SealBroken(f"what is sealed of {about} was written by another version of Reelhook")
        if not hmac.compare_digest(name.encode(), self._name.encode()):
            raise SealBroken(
                f"what is sealed of {about} was sealed with another secret_key; "
                "start with that one again, or set its headers, secret options and TLS files anew"
            )
        try:
            sealed = base64.b64decode(spelled + "=" * (-len(spelled) % 4), altchars=b"-_", validate=True)
            opened = self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], _bound(about))
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise SealBroken(f"what is sealed of {about} is damaged, or belongs to something else") from error
        value: Json = loads(opened)
        return value


def _bound(about: str) -> bytes:
    return f"{VERSION}.{about}".encode()


def _derived(secret_key: str, purpose: bytes, length: int) -> bytes:
    """HKDF (RFC 5869): keys for different purposes that say nothing of each other, nor of the secret."""
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=purpose).derive(secret_key.encode())


def _spelled(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
