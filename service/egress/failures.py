"""What became of a request that has no whole answer, in words that say which side has to do something.

NotSent   the request provably never reached the other side: it may be sent again
Lost      it may have arrived, and nobody knows what became of it
"""

import os
import re
import ssl
from collections.abc import Mapping

import aiohttp
import httpx

# What OpenSSL calls the reasons for not believing a certificate (x509_vfy.h, X509_V_ERR_*).
CERTIFICATES = {
    9: "the certificate is not yet valid",
    10: "the certificate has expired",
    18: "the certificate is self-signed, and nobody else vouches for it",
    19: "the certificate was issued by an unknown authority, whose own one is self-signed",
    20: "the certificate was issued by an unknown authority, or the server leaves out those in between",
    21: "the certificate was issued by an unknown authority, or the server leaves out those in between",
    23: "the certificate was revoked",
    62: "the certificate was issued for another host name",
    64: "the certificate was issued for another host name",
}
# Alerts by which a server ends a handshake because of the client's side of it (RFC 8446, 6.2). In TLS 1.3 they come
# when our side is through with it, and the request is on its way.
CLIENT_ALERTS = {
    "CERTIFICATE_REQUIRED": "the server wants a client certificate",
    "HANDSHAKE_FAILURE": "the server refused the TLS handshake; it may want a client certificate",
    "BAD_CERTIFICATE": "the server does not accept the client certificate",
    "UNSUPPORTED_CERTIFICATE": "the server does not accept the client certificate",
    "CERTIFICATE_EXPIRED": "the server does not accept the client certificate, which has expired",
    "CERTIFICATE_REVOKED": "the server does not accept the client certificate, which was revoked",
    "CERTIFICATE_UNKNOWN": "the server does not accept the client certificate",
    "UNKNOWN_CA": "the server does not know the authority of the client certificate",
    "ACCESS_DENIED": "the server does not let the client certificate in",
}
OTHER_TLS = {
    "WRONG_VERSION_NUMBER": "the server does not speak TLS",
    "HTTP_REQUEST": "the server does not speak TLS",
    "RECORD_LAYER_FAILURE": "the server does not speak TLS",
    "PACKET_LENGTH_TOO_LONG": "the server does not speak TLS",
    "UNSUPPORTED_PROTOCOL": "the server only speaks versions of TLS that are no longer safe",
    "ALERT_PROTOCOL_VERSION": "the server speaks none of our versions of TLS",
    "UNEXPECTED_EOF_WHILE_READING": "the server hung up during the TLS handshake",
    "DH_KEY_TOO_SMALL": "the server only offers encryption that is no longer safe",
}
_UNSENT = "Can not write request body for"
_NEVER = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientSSLError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    httpx.InvalidURL,
    httpx.UnsupportedProtocol,
)


class NotSent(Exception):
    """The request never reached the other side. timings: as of an Exchange, where they were taken."""

    timings: Mapping[str, float] = {}


class Lost(Exception):
    """The request may have reached the other side; its answer did not reach us. timings: as of an Exchange, where they
    were taken."""

    timings: Mapping[str, float] = {}


def judged(error: BaseException, broken_by: BaseException | None = None) -> NotSent | Lost:
    """Whether the request can have reached the other side. Only failures to connect prove that it did not.

    broken_by: what the connection ended with, where that is known: `error` may only say that it had ended.
    """
    words = str(error) or type(error).__name__
    if isinstance(error, _NEVER):
        return NotSent(_in_words(error, words))
    alert = _alert(broken_by or error)
    if alert is not None:
        # only TLS 1.3 has this one, and there it ends the handshake before anything else is read
        kind = NotSent if alert == "CERTIFICATE_REQUIRED" else Lost
        return kind(f"no TLS connection: {CLIENT_ALERTS[alert]}")
    if isinstance(error, TimeoutError):
        return Lost("no answer in time")
    if isinstance(error, aiohttp.ClientResponseError):
        # its own words hold the URL, which may be a capability, and lines of the parser's
        return Lost(f"the answer is no HTTP: {(error.message.splitlines() or [''])[0][:100]}")
    if isinstance(error, aiohttp.ServerDisconnectedError):  # its own words may be all headers that have come so far
        return Lost("the server hung up before its answer was whole")
    if _UNSENT in words:  # and the URL, which may be a capability
        return Lost("the connection ended while the request was being sent")
    return Lost(words)


def plainly(error: BaseException) -> str:
    """The system's word for an error, without its number."""
    number = getattr(error, "errno", None)
    return (
        os.strerror(number) if isinstance(number, int) and number > 0 else getattr(error, "strerror", "") or str(error)
    )


def tls_in_words(error: ssl.SSLError | ssl.CertificateError, host: str) -> str:
    """Why a TLS handshake failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        known = CERTIFICATES.get(error.verify_code, f"the certificate is not accepted: {error.verify_message}")
        return f"no TLS connection to {host}: {known}"
    said = f"{error.reason} {error}"
    for words in (CLIENT_ALERTS, OTHER_TLS):
        for reason, meaning in words.items():
            if reason in said:
                return f"no TLS connection to {host}: {meaning}"
    return f"no TLS connection to {host}: {error.reason or error}"


def _alert(error: BaseException) -> str | None:
    """The alert about the client's side by which the server ended the handshake; None where it was something else."""
    found = re.search(r"\[SSL: \w*ALERT_(\w+)\]", str(error)) if isinstance(error, OSError) else None
    return found[1] if found and found[1] in CLIENT_ALERTS else None


def _in_words(error: BaseException, words: str) -> str:
    if isinstance(error, aiohttp.InvalidURL):
        return "the URL is none that can be sent to"  # and not the URL itself, which may be a capability
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "the connection could not be opened in time"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the host {error.host} cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        return tls_in_words(cause, error.host) if isinstance(cause, ssl.SSLError) else words
    if isinstance(error, aiohttp.ClientConnectorError):
        if isinstance(error.os_error, ssl.SSLError):
            return tls_in_words(error.os_error, error.host)
        reason = plainly(error.os_error)
        reason = reason or "the server hung up during the TLS handshake; it may want a client certificate"
        return f"cannot connect to {error.host}:{error.port}: {reason}"
    return words
