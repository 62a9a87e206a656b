"""TLS to subscribers: what is wrong with a certificate in plain words, CA bundles, and client certificates."""

import pytest

from service.egress import NotSent
from tests.certificates import certified, server_side, tls_peer
from tests.test_egress_timings import told

AUTHORITY = certified("An authority", authority=True)


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (certified(), "the TLS certificate of 127.0.0.1 is self-signed"),
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
