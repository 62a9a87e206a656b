"""TLS to subscribers: what is wrong with a certificate in plain words, CA bundles, and client certificates."""

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager, suppress

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from service.egress import NotSent, open_egress
from service.egress.failures import CERTIFICATES, CLIENT_ALERTS, OTHER_TLS
from service.errors import Problem
from service.formats.hints import hint_for
from service.guard import Guard
from service.tls import CONTEXTS_KEPT, tls_context, tls_context_made
from service.web.serving import listen
from tests.certificates import Certified, certified, rsa_key, server_side, tls_peer
from tests.test_egress import LOOPBACK
from tests.test_egress_timings import told, tried

AUTHORITY = certified("An authority", authority=True)


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (certified(), "no TLS connection to 127.0.0.1: the certificate is self-signed"),
        (certified(by=AUTHORITY), "was issued by an unknown authority"),
    ],
)
async def test_a_certificate_that_nobody_vouches_for_is_refused_in_words(tmp_path, shown, words):
    async with tls_peer(server_side(tmp_path, shown)) as (url, _):
        refused = await told(url)
    assert isinstance(refused, NotSent)
    assert words in str(refused)


async def test_a_server_without_tls_is_named_as_such():
    async def refuse(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        refused = await told(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert isinstance(refused, NotSent)
    assert "does not speak TLS" in str(refused)


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (certified(by=AUTHORITY, days=(-3, -1)), "has expired"),
        (certified(by=AUTHORITY, days=(1, 3)), "is not yet valid"),
        (certified("10.1.2.3", by=AUTHORITY), "was issued for another host name"),
        (certified("example.com", by=AUTHORITY), "was issued for another host name"),
    ],
)
async def test_a_certificate_of_a_believed_authority_may_still_be_wrong(tmp_path, shown, words):
    async with tls_peer(server_side(tmp_path, shown)) as (url, _):
        refused = await told(url, tls=tls_context(AUTHORITY.pem, None, None))
    assert isinstance(refused, NotSent)
    assert words in str(refused)


async def test_what_the_bundle_vouches_for_is_believed(tmp_path):
    async with tls_peer(server_side(tmp_path, certified(by=AUTHORITY))) as (url, _):
        exchange = await told(url, tls=tls_context(AUTHORITY.pem, None, None))
    assert exchange.answer.body == b"ok"


async def test_a_self_signed_certificate_is_believed_when_it_is_the_bundle(tmp_path):
    shown = certified()
    async with tls_peer(server_side(tmp_path, shown)) as (url, _):
        exchange = await told(url, tls=tls_context(shown.pem, None, None))
    assert exchange.answer.body == b"ok"


async def test_a_bundle_is_believed_instead_of_everybody_else(tmp_path):
    async with tls_peer(server_side(tmp_path, certified(by=AUTHORITY))) as (url, _):
        refused = await told(url, tls=tls_context(certified("Another authority", authority=True).pem, None, None))
    assert isinstance(refused, NotSent)


async def test_a_client_certificate_is_shown(tmp_path):
    client = certified("reelhook.example", by=AUTHORITY)
    context = server_side(tmp_path, certified(by=AUTHORITY), clients_of=AUTHORITY)
    async with tls_peer(context) as (url, seen):
        exchange = await told(url, tls=tls_context(AUTHORITY.pem, client.pem, client.key_pem))
    assert exchange.answer.body == b"ok"
    assert seen == ["reelhook.example"]


@asynccontextmanager
async def refusing(context):
    """A server that says by an alert why it ends a handshake, as asyncio's does not; its base URL."""

    def refuse(listening):
        accepted, _ = listening.accept()
        with context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) as connection:
            with suppress(ssl.SSLError):
                connection.do_handshake()
            connection.shutdown(socket.SHUT_WR)  # closing with something unread would take the alert back
            while connection.recv(1024):
                pass

    with listen("127.0.0.1", 0) as listening:
        over = asyncio.create_task(asyncio.to_thread(refuse, listening))
        yield f"https://127.0.0.1:{listening.getsockname()[1]}"
        await over


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_missing_client_certificate_is_named_as_such(tmp_path, version):
    context = server_side(tmp_path, certified(by=AUTHORITY), clients_of=AUTHORITY)
    context.maximum_version = version
    async with refusing(context) as url:
        refused = await told(url, tls=tls_context(AUTHORITY.pem, None, None))
    assert isinstance(refused, NotSent)
    assert "client certificate" in str(refused)


async def test_a_client_certificate_of_an_unknown_authority_is_named_as_such(tmp_path):
    client = certified("reelhook.example")
    context = server_side(tmp_path, certified(by=AUTHORITY), clients_of=AUTHORITY)
    async with refusing(context) as url:
        refused = await told(url, tls=tls_context(AUTHORITY.pem, client.pem, client.key_pem))
    assert "client certificate" in str(refused)


async def test_a_handshake_without_a_word_is_called_that(tmp_path):
    context = server_side(tmp_path, certified(by=AUTHORITY), clients_of=AUTHORITY)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with tls_peer(context) as (url, _):
        refused = await told(url, tls=tls_context(AUTHORITY.pem, None, None))
    assert isinstance(refused, NotSent)
    assert "hung up during the TLS handshake" in str(refused)


async def test_connections_made_as_somebody_are_never_used_by_anybody_else(tmp_path):
    clients = [certified(name, by=AUTHORITY) for name in ("one.example", "two.example")]
    context = server_side(tmp_path, certified(by=AUTHORITY))
    context.load_verify_locations(cadata=AUTHORITY.pem)
    context.verify_mode = ssl.CERT_OPTIONAL
    contexts = [
        *(tls_context(AUTHORITY.pem, client.pem, client.key_pem) for client in clients),
        tls_context(AUTHORITY.pem, None, None),
    ]
    async with tls_peer(context) as (url, seen), open_egress(Guard(LOOPBACK), "test") as egress:
        for tls in contexts * 3:
            assert (await tried(egress, url, tls=tls)).answer.status == 200
    assert seen == ["one.example", "two.example", None], "each has a connection of its own, and keeps it"


def test_the_same_texts_have_the_same_context():
    client = certified()
    texts = (AUTHORITY.pem, client.pem, client.key_pem)
    assert tls_context(*texts) is tls_context(*texts)


def test_the_context_that_is_used_outlives_those_that_are_not():
    used, unused = tls_context(CLIENT.pem, None, None), tls_context(OTHER.pem, None, None)
    for _ in range(CONTEXTS_KEPT):
        tls_context(certified().pem, None, None)
        assert tls_context(CLIENT.pem, None, None) is used
    assert tls_context(OTHER.pem, None, None) is not unused


CLIENT, OTHER = certified(), certified()
ENCRYPTED = CLIENT.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pw")).decode()
# whether a number of this size is a prime would take a second to say, and these are not
LARGE = certified(by=AUTHORITY, key=rsa_key(2**2_304 - 1, 2**2_303 + 23))
COMPOSITE = certified(by=AUTHORITY, key=rsa_key(2**1_024 - 1, 2**1_023 + 3))
UNRELATED = Certified(CLIENT.certificate, rsa_key(2**1_024 - 1, 2**1_023 + 3, d=65_539)).key_pem
DSA_KEY = dsa.generate_private_key(1_024)  # noqa: S505 - it is to be refused
DSA = DSA_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    ("texts", "field", "words"),
    [
        (("no PEM", None, None), "tls.ca", "must be PEM"),
        (("", None, None), "tls.ca", "must be PEM"),
        (("x" * 70_000, None, None), "tls.ca", "at most"),
        ((CLIENT.pem + CLIENT.key_pem, None, None), "tls.ca", "private key"),
        ((None, "no PEM", CLIENT.key_pem), "tls.certificate", "must be PEM"),
        ((None, None, CLIENT.key_pem), "tls.certificate", "is required"),
        ((None, CLIENT.pem, None), "tls.key", "is required"),
        ((None, CLIENT.pem, "no PEM"), "tls.key", "must be a private key"),
        ((None, CLIENT.pem, CLIENT.pem), "tls.key", "must be a private key"),
        ((None, CLIENT.pem, OTHER.key_pem), "tls.key", "does not belong"),
        ((None, CLIENT.pem, ENCRYPTED), "tls.key", "password"),
        ((None, CLIENT.pem, "x" * 9_000), "tls.key", "at most 8192 characters"),
        ((None, CLIENT.pem, LARGE.key_pem), "tls.key", "has 4608 bits"),
        ((None, LARGE.pem, LARGE.key_pem), "tls.certificate", "an RSA key of 4608 bits"),
        ((None, COMPOSITE.pem, COMPOSITE.key_pem), "tls.key", "does not belong"),
        ((None, CLIENT.pem, UNRELATED), "tls.key", "numbers do not belong together"),
        ((None, CLIENT.pem, DSA), "tls.key", "is a DSA key"),
        ((None, CLIENT.pem, CLIENT.key_pem + "\ud800"), "tls.key", "must be a private key"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(texts, field, words):
    with pytest.raises(Problem) as caught:
        tls_context(*texts)
    assert caught.value.field == field
    assert words in caught.value.message


def test_an_rsa_key_of_a_usual_size_can_be_shown():
    client = certified(key=rsa.generate_private_key(65_537, 2_048))
    assert isinstance(tls_context(None, client.pem, client.key_pem), ssl.SSLContext)


async def test_others_go_on_while_a_context_is_made():
    client = certified()
    making = asyncio.create_task(tls_context_made(None, client.pem, client.key_pem))
    turns = 0
    while not making.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10
    assert making.result() is tls_context(None, client.pem, client.key_pem)


def test_no_context_leaves_a_server_unverified():
    for context in (tls_context(AUTHORITY.pem, None, None), tls_context(None, CLIENT.pem, CLIENT.key_pem)):
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (CERTIFICATES[18], "authority"),
        (CERTIFICATES[20], "authority"),
        (CERTIFICATES[62], "another name"),
        (CERTIFICATES[10], "renew"),
        (CERTIFICATES[9], "clocks"),
        *((words, "certificate of its clients") for words in sorted(set(CLIENT_ALERTS.values()))),
        (OTHER_TLS["WRONG_VERSION_NUMBER"], "no TLS at this port"),
    ],
)
def test_each_fault_has_the_hint_that_belongs_to_it(words, told):
    assert told in str(hint_for(None, "", f"no TLS connection to example.com: {words}", "https://example.com/"))
