"""TLS for one subscription: whom to believe, and who we are. Verification is never switched off."""

import secrets
import ssl
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from service.errors import invalid

LONGEST_PEM = 64 * 1024  # characters: some thirty certificates
# Connections are kept by context: one that is made anew begins with a handshake. One that believes the system's
# authorities takes about 1 MB, and 25 ms to make.
CONTEXTS_KEPT = 128


def tls_context(ca_pem: str | None, cert_pem: str | None, key_pem: str | None, at: str = "tls") -> ssl.SSLContext:
    """The context for a CA bundle, a client certificate with its key, or both; the same one for the same texts.

    ca_pem: the authorities that are believed instead of the system's; a server's own self-signed certificate will do.
    cert_pem: the certificate and those between it and its authority. A Problem names `<at>.ca`, `<at>.certificate` or
    `<at>.key`, and never quotes it.
    """
    for name, pem in (("ca", ca_pem), ("certificate", cert_pem), ("key", key_pem)):
        if pem is not None and len(pem) > LONGEST_PEM:
            raise invalid(f"{at}.{name}", f"must be PEM of at most {LONGEST_PEM} characters")
    if cert_pem is None and key_pem is not None:
        raise invalid(f"{at}.certificate", "is required with a key")
    if key_pem is None and cert_pem is not None:
        raise invalid(f"{at}.key", "is required with a certificate")
    return _context(ca_pem, cert_pem, key_pem, at)


@lru_cache(maxsize=CONTEXTS_KEPT)
def _context(ca_pem: str | None, cert_pem: str | None, key_pem: str | None, at: str) -> ssl.SSLContext:
    if ca_pem is None:
        context = ssl.create_default_context()
    else:
        context = _believing(ca_pem, f"{at}.ca")
    if cert_pem is not None and key_pem is not None:
        certificates, key = _certificates(cert_pem, f"{at}.certificate"), _key(key_pem, f"{at}.key")
        if _public(certificates[0].public_key()) != _public(key.public_key()):
            raise invalid(f"{at}.key", "does not belong to the certificate, which must be the first of its file")
        _show(context, certificates, key, f"{at}.certificate")
    return context


def _believing(ca_pem: str, field: str) -> ssl.SSLContext:
    bundle = "".join(each.public_bytes(Encoding.PEM).decode() for each in _certificates(ca_pem, field))
    try:
        context = ssl.create_default_context(cadata=bundle)
    except ssl.SSLError as error:
        raise invalid(field, f"cannot be used: {error.reason or error}") from error
    # Whatever is in the bundle is believed as it is. Python 3.13 is strict about what authorities look like, and many
    # private ones do not; that must not depend on the version.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _certificates(pem: str, field: str) -> list[x509.Certificate]:
    if "PRIVATE KEY-----" in pem:
        raise invalid(field, "holds a private key; give certificates only")
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise invalid(field, "must be PEM: -----BEGIN CERTIFICATE----- and so on") from error


def _key(pem: str, field: str) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(pem.encode(), password=None)
    except TypeError as error:
        raise invalid(field, "is encrypted with a password; give it without, we encrypt what we store") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise invalid(field, "must be a private key as PEM: -----BEGIN PRIVATE KEY----- and so on") from error


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _show(context: ssl.SSLContext, certificates: Sequence[x509.Certificate], key: PrivateKeyTypes, field: str) -> None:
    """OpenSSL's bindings take a certificate from a file only: the key goes there encrypted, by a password that nobody
    will have known."""
    password = secrets.token_bytes(32).hex().encode()
    try:
        spelled = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "client.pem")
            path.write_bytes(spelled + b"".join(each.public_bytes(Encoding.PEM) for each in certificates))
            context.load_cert_chain(path, password=password)
    except (ssl.SSLError, ValueError) as error:
        reason = error.reason if isinstance(error, ssl.SSLError) else None
        raise invalid(field, f"cannot be used: {reason or 'this kind of key is not for TLS'}") from error
