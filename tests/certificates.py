"""Certificates for tests: an authority, and what it or nobody vouches for."""

import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from service.web.serving import listen

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Certified:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def certified(
    name: str = "127.0.0.1",
    *,
    by: Certified | None = None,
    authority: bool = False,
    days: tuple[int, int] = (-1, 1),
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
) -> Certified:
    """A certificate for a host, by an authority or by itself. days: from when and until when it is valid."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    try:
        alternative: x509.GeneralName = x509.IPAddress(ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    issuer = by.key if by else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * DAY)
        .not_valid_after(now + days[1] * DAY)
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
    )
    return Certified(builder.sign(issuer, hashes.SHA256()), key)


def rsa_key(*factors: int, **other: int) -> rsa.RSAPrivateKey:
    """An RSA key of two numbers, primes or not. other: numbers that are to be others than they would be."""
    p, q = factors
    d = pow(65_537, -1, (p - 1) * (q - 1))
    numbers = {"p": p, "q": q, "d": d, "dmp1": d % (p - 1), "dmq1": d % (q - 1), "iqmp": pow(q, -1, p)} | other
    public = rsa.RSAPublicNumbers(e=65_537, n=p * q)
    return rsa.RSAPrivateNumbers(**numbers, public_numbers=public).private_key(unsafe_skip_rsa_key_validation=True)


def server_side(folder: Path, shown: Certified, *, clients_of: Certified | None = None) -> ssl.SSLContext:
    """What a server shows, and whose clients alone it lets in."""
    path = folder / "server.pem"
    path.write_text(shown.pem + shown.key_pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    if clients_of is not None:
        context.load_verify_locations(cadata=clients_of.pem)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@asynccontextmanager
async def tls_peer(context: ssl.SSLContext):
    """A server that answers each request of a connection with `ok`; its base URL, and its connections: for each the
    common name of the client's certificate, None without one."""
    import asyncio

    seen: list[str | None] = []

    async def serve(reader, writer):
        shown = writer.get_extra_info("peercert")
        seen.append(dict(part[0] for part in shown["subject"])["commonName"] if shown else None)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, OSError):
            pass
        writer.close()

    listening = listen("127.0.0.1", 0)
    server = await asyncio.start_server(serve, sock=listening, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
