"""TLS for one subscription: whom to believe, and who we are. Verification is never switched off."""

import asyncio
import binascii
import re
import secrets
import ssl
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
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
LONGEST_KEY = 8 * 1024  # characters: an RSA key of 4096 bits has 3,300, and files have words around it
KEY_BITS_MOST = 4096  # of an RSA key that we sign with
AUTHORITY_BITS_MOST = 16_384  # OpenSSL checks no signature of a longer key (rsa.h, OPENSSL_RSA_MAX_MODULUS_BITS)
# Connections are kept by context: one that is made anew begins with a handshake. One that believes the system's
# authorities takes about 1 MB, and 25 ms to make.
CONTEXTS_KEPT = 128
DSA = bytes.fromhex("06072a8648ce380401")  # RFC 3279, 2.3.2: id-dsa
MAKERS = 2  # contexts that are made at once

Texts = tuple[str | None, str | None, str | None, str]

_kept: OrderedDict[Texts, ssl.SSLContext] = OrderedDict()
_keeping = threading.Lock()
_makers = ThreadPoolExecutor(MAKERS, thread_name_prefix="tls")


async def tls_context_made(ca_pem: str | None, cert_pem: str | None, key_pem: str | None) -> ssl.SSLContext:
    """The same as `tls_context`, made in a thread where it is not known yet: nobody else has to wait for that."""
    check_texts(ca_pem, cert_pem, key_pem)
    texts = (ca_pem, cert_pem, key_pem, "tls")
    known = _known(texts)
    if known is not None:
        return known
    return await asyncio.get_running_loop().run_in_executor(_makers, _context, texts)


def tls_context(ca_pem: str | None, cert_pem: str | None, key_pem: str | None, at: str = "tls") -> ssl.SSLContext:
    """The context for a CA bundle, a client certificate with its key, or both; the same one for the same texts.

    ca_pem: the authorities that are believed instead of the system's; a server's own self-signed certificate will do.
    cert_pem: the certificate and those between it and its authority. A Problem names `<at>.ca`, `<at>.certificate` or
    `<at>.key`, and never quotes it.
    """
    check_texts(ca_pem, cert_pem, key_pem, at)
    return _context((ca_pem, cert_pem, key_pem, at))


def check_texts(ca_pem: str | None, cert_pem: str | None, key_pem: str | None, at: str = "tls") -> None:
    """A Problem where something is too long or missing; what the texts say is not looked at, which takes its time."""
    for name, pem, longest in (
        ("ca", ca_pem, LONGEST_PEM),
        ("certificate", cert_pem, LONGEST_PEM),
        ("key", key_pem, LONGEST_KEY),
    ):
        if pem is not None and len(pem) > longest:
            raise invalid(f"{at}.{name}", f"must be PEM of at most {longest} characters")
    if cert_pem is None and key_pem is not None:
        raise invalid(f"{at}.certificate", "is required with a key")
    if key_pem is None and cert_pem is not None:
        raise invalid(f"{at}.key", "is required with a certificate")


def _known(texts: Texts) -> ssl.SSLContext | None:
    with _keeping:
        known = _kept.get(texts)
        if known is not None:
            _kept.move_to_end(texts)
        return known


def _context(texts: Texts) -> ssl.SSLContext:
    """Whoever has waited for a maker may find it made meanwhile; of two that are made at once one is kept."""
    known = _known(texts)
    if known is not None:
        return known
    made = _made(*texts)
    with _keeping:
        kept = _kept.setdefault(texts, made)
        if len(_kept) > CONTEXTS_KEPT:
            _kept.popitem(last=False)
        return kept


def _made(ca_pem: str | None, cert_pem: str | None, key_pem: str | None, at: str) -> ssl.SSLContext:
    client = None
    if cert_pem is not None and key_pem is not None:  # first: whatever is wrong with it is found sooner
        certificates, key = _certificates(cert_pem, f"{at}.certificate", KEY_BITS_MOST), _key(key_pem, f"{at}.key")
        if not _belongs(key, certificates[0]):
            raise invalid(f"{at}.key", "does not belong to the certificate, which must be the first of its file")
        client = certificates, key
    context = ssl.create_default_context() if ca_pem is None else _believing(ca_pem, f"{at}.ca")
    if client is not None:
        _show(context, *client, f"{at}.certificate")
    return context


def _believing(ca_pem: str, field: str) -> ssl.SSLContext:
    bundle = "".join(
        each.public_bytes(Encoding.PEM).decode() for each in _certificates(ca_pem, field, AUTHORITY_BITS_MOST)
    )
    try:
        context = ssl.create_default_context(cadata=bundle)
    except ssl.SSLError as error:
        raise invalid(field, f"cannot be used: {error.reason or error}") from error
    # Whatever is in the bundle is believed as it is. Python 3.13 is strict about what authorities look like, and many
    # private ones do not; that must not depend on the version.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _certificates(pem: str, field: str, bits_most: int) -> list[x509.Certificate]:
    if "PRIVATE KEY-----" in pem:
        raise invalid(field, "holds a private key; give certificates only")
    try:
        certificates = x509.load_pem_x509_certificates(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise invalid(field, "must be PEM: -----BEGIN CERTIFICATE----- and so on") from error
    for each in certificates:
        key = _key_of(each)
        if isinstance(key, rsa.RSAPublicKey) and key.key_size > bits_most:
            raise invalid(field, f"has an RSA key of {key.key_size} bits; at most {bits_most} can be used")
    return certificates


def _key_of(certificate: x509.Certificate) -> PublicKeyTypes | None:
    """None where it is of a kind that is not known here; OpenSSL may know it."""
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def _key(pem: str, field: str) -> PrivateKeyTypes:
    """Whether its factors are primes is not asked: that takes minutes for large ones, and the whole process waits. A
    key of factors that are none signs nothing that its certificate vouches for, which is seen at once."""
    if _is_dsa(pem):
        raise invalid(field, "is a DSA key, which is not for TLS")
    try:
        key = load_pem_private_key(pem.encode(), password=None, unsafe_skip_rsa_key_validation=True)
    except TypeError as error:
        raise invalid(field, "is encrypted with a password; give it without, we encrypt what we store") from error
    except (ValueError, UnsupportedAlgorithm, InternalError) as error:
        raise invalid(field, "must be a private key as PEM: -----BEGIN PRIVATE KEY----- and so on") from error
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size > KEY_BITS_MOST:
            raise invalid(field, f"has {key.key_size} bits; an RSA key may have at most {KEY_BITS_MOST}")
        if not _is_sound(key):
            raise invalid(field, "is no RSA key: its numbers do not belong together")
    return key


def _is_dsa(pem: str) -> bool:
    """Reading one computes its public half, which for a large one the whole process waits for."""
    if "BEGIN DSA " in pem:
        return True
    for body in re.findall("BEGIN PRIVATE KEY-----([^-]*)-----END", pem):
        with suppress(ValueError):
            if DSA in binascii.a2b_base64(re.sub(r"[^:\n]*:.*|\s|=", "", body) + "==="):
                return True
    return False


def _is_sound(key: rsa.RSAPrivateKey) -> bool:
    """Whether the numbers of a key are those of one, in so far as that is cheap to say."""
    numbers = key.private_numbers()
    n, e = numbers.public_numbers.n, numbers.public_numbers.e
    p, q, d = numbers.p, numbers.q, numbers.d
    if min(p, q) < 3 or p * q != n or not (p % 2 and q % 2 and e % 2) or not (1 < e < 1 << 64 and 1 < d < n):
        return False
    if any((d * e) % (factor - 1) != 1 for factor in (p, q)):
        return False
    return (numbers.dmp1, numbers.dmq1) == (d % (p - 1), d % (q - 1)) and (numbers.iqmp * q) % p == 1


def _belongs(key: PrivateKeyTypes, certificate: x509.Certificate) -> bool:
    public = _key_of(certificate)
    if public is None or _public(public) != _public(key.public_key()):
        return False
    if isinstance(key, rsa.RSAPrivateKey) and isinstance(public, rsa.RSAPublicKey):
        said = b"this is mine"
        try:
            signature = key.sign(said, padding.PKCS1v15(), hashes.SHA256())
            public.verify(signature, said, padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, InternalError, ValueError):
            return False
    return True


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
