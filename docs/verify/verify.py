"""Verify an event of Reelhook (Standard Webhooks v1) with the standard library alone."""

import base64
import hmac
import os
import sys
import time

TOLERANCE_S = 300


def verify(secret: str, message_id: str, timestamp: str, signatures: str, body: bytes) -> bool:
    """body: the bytes as they were received, before anything parses them."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 12):
        return False
    if abs(time.time() - int(timestamp)) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    expected = b"v1," + base64.b64encode(digest)
    return any(hmac.compare_digest(expected, each.encode()) for each in signatures.split(" "))


if __name__ == "__main__":  # by hand: python verify.py < body
    names = ("WEBHOOK_SECRET", "WEBHOOK_ID", "WEBHOOK_TIMESTAMP", "WEBHOOK_SIGNATURE")
    sys.exit(0 if verify(*(os.environ[name] for name in names), sys.stdin.buffer.read()) else 1)
