"""`reelhook verify`: a Standard Webhooks signature checked by hand, and what exactly is wrong with it."""

import base64
import binascii
import hmac
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from service.clock import SECOND
from service.signing import SECRET_PREFIX, TOLERANCE_MS, key_of
from service.wire import dumps, loads

HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
DIGEST = 32  # bytes of HMAC-SHA256


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """wrong: a sentence for each fault, none when it is valid. noted: what else there is to know."""

    wrong: tuple[str, ...]
    noted: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        return not self.wrong


def examine(secret: str, headers: Mapping[str, str], body: bytes, now: int) -> Finding:
    """Everything that keeps a receiver from taking this. headers: names in lower case. now: unix ms."""
    missing = [name for name in HEADERS if not headers.get(name)]
    if missing:
        return Finding(wrong=(f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing",))
    try:
        key_of(secret)
    except ValueError as error:
        return Finding(wrong=(f"the secret cannot be used: {error}",))
    message_id, timestamp, given = (headers[name].strip() for name in HEADERS)
    signatures, malformed = _read_signatures(given)
    late = list(_judge_age(timestamp, now))
    if not signatures:
        return Finding(wrong=(*late, *malformed, "there is no v1 signature to check"))
    expected = _expected(secret, message_id, timestamp, body)
    if any(hmac.compare_digest(expected, signature) for signature in signatures):
        return Finding(wrong=tuple(late), noted=tuple(malformed))
    reason = next(_reasons(secret, message_id, timestamp, body, signatures), None) or _no_reason(message_id, body)
    return Finding(wrong=(*late, *malformed, reason))


def read_headers(text: str) -> Mapping[str, str]:
    """Headers as a JSON object or as lines `name: value`; names in lower case, what is none is passed over."""
    try:
        read = loads(text)
    except ValueError:
        read = dict(line.partition(":")[::2] for line in text.splitlines() if ":" in line)
    if not isinstance(read, dict):
        return {}
    return {name.strip().lower(): value.strip() for name, value in read.items() if isinstance(value, str)}


def _judge_age(timestamp: str, now: int) -> Iterator[str]:
    if not (timestamp.isascii() and timestamp.isdigit()):
        yield f"webhook-timestamp must be unix seconds, not {timestamp[:40]!r}"
        return
    if len(timestamp) > 11:
        unit = "milliseconds" if len(timestamp) == 13 else "something else"
        yield f"webhook-timestamp must be unix seconds; {timestamp[:40]} looks like {unit}"
        return
    age_s, most_s = now // SECOND - int(timestamp), TOLERANCE_MS // SECOND
    if abs(age_s) > most_s:
        when = "before" if age_s > 0 else "after"
        fault = "too old" if age_s > 0 else "too far in the future"
        yield (
            f"the timestamp is {abs(age_s)} s {when} the time of checking, {fault} by {abs(age_s) - most_s} s "
            f"(receivers take {most_s} s)"
        )


def _read_signatures(header: str) -> tuple[list[bytes], list[str]]:
    """(the v1 ones, what is to be said of the others)."""
    signatures, said = [], []
    for part in header.split():
        version, comma, text = part.partition(",")
        if not comma:
            said.append(f"webhook-signature is malformed: {part[:60]!r} has no version; it must be v1,<base64>")
        elif version == "v1a":
            said.append("a v1a signature (ed25519) is not checked here")
        elif version != "v1":
            said.append(f"a signature of the unknown version {version[:20]!r} is not checked")
        elif (signature := _decoded(text)) is None:
            said.append(f"webhook-signature is malformed: {_fault(text)}")
        else:
            signatures.append(signature)
    return signatures, said


def _decoded(text: str) -> bytes | None:
    try:
        signature = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return signature if len(signature) == DIGEST else None


def _fault(text: str) -> str:
    if len(text) == 2 * DIGEST and all(letter in "0123456789abcdefABCDEF" for letter in text):
        return "the signature is written in hex; it must be base64"
    return f"{text[:60]!r} is not the base64 of {DIGEST} bytes"


def _expected(secret: str, message_id: str, timestamp: str, body: bytes) -> bytes:
    return hmac.digest(key_of(secret), f"{message_id}.{timestamp}.".encode() + body, "sha256")


def _reasons(secret: str, message_id: str, timestamp: str, body: bytes, signatures: list[bytes]) -> Iterator[str]:
    """The change that would make it valid: what was done to the message, or how it was signed."""

    def fits(key: bytes, name: str, content: bytes) -> bool:
        expected = hmac.digest(key, f"{name}.{timestamp}.".encode() + content, "sha256")
        return any(hmac.compare_digest(expected, signature) for signature in signatures)

    key = key_of(secret)
    for changed, words in _bodies(body):
        if changed != body and fits(key, message_id, changed):
            yield f"the body was changed: {words}"
    for raw in (secret, secret.removeprefix(SECRET_PREFIX)):
        if fits(raw.encode(), message_id, body):
            yield f"it was signed with the text of the secret; the key is what follows {SECRET_PREFIX}, base64 decoded"
    inner = _id_in(body)
    if inner is not None and inner != message_id and fits(key, inner, body):
        yield f"it was signed for webhook-id {inner}, not {message_id}"
    if any(hmac.compare_digest(hmac.digest(key, body, "sha256"), signature) for signature in signatures):
        yield "the body alone was signed; what is signed is {id}.{timestamp}.{body}"


def _bodies(body: bytes) -> Iterator[tuple[bytes, str]]:
    yield body.rstrip(b"\r\n"), "there is a line break at its end that was not signed"
    yield body + b"\n", "the line break at its end is missing"
    yield body.replace(b"\r\n", b"\n"), "its line breaks have become CR LF"
    yield body.replace(b"\n", b"\r\n"), "its line breaks have lost their CR"
    yield body.removeprefix(b"\xef\xbb\xbf"), "a byte order mark was put before it"
    yield b"", "an empty body was signed"
    with suppress(ValueError):
        yield dumps(loads(body)), "it was parsed and written anew; verify the bytes as they were received"


def _id_in(body: bytes) -> str | None:
    try:
        read = loads(body)
    except ValueError:
        return None
    inner = read.get("id") if isinstance(read, dict) else None
    return inner if isinstance(inner, str) else None


def _no_reason(message_id: str, body: bytes) -> str:
    """A signature does not say what it is of: only how likely each is."""
    inner = _id_in(body)
    if inner == message_id:
        return (
            "the signature is of another secret, or a value in the body was changed: the body is whole, and it is this "
            "message's; check that the secret is the one of this subscription"
        )
    if inner is not None and inner.startswith("evt_"):
        return f"the body is of another message: it is {inner}, and webhook-id says {message_id}"
    return (
        f"the signature is of another secret, or of another body than these {len(body)} bytes; check the secret, and "
        "verify the bytes as they were received, before anything parses them"
    )
