"""Opt-in handshakes and the reverse unsubscribe, with real endpoints."""

import logging
import socket
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from service.egress import open_egress
from service.errors import Problem
from service.guard import Guard
from service.handshakes import headers_after, shake, unsubscribe_there
from service.tls import tls_context
from tests.certificates import certified, server_side, tls_peer
from tests.servers import serve
from tests.test_egress import LOOPBACK, hang
from tests.test_egress_timings import endpoint

ORIGIN = "hooks.example.com"


@asynccontextmanager
async def answering(answer):
    """An endpoint that answers by a function of the request: its URL, and the requests."""
    seen = []

    async def receive(request):
        seen.append((request.method, dict(request.headers), await request.body()))
        return answer(request)

    app = Starlette(routes=[Route("/{path:path}", receive, methods=["POST", "OPTIONS", "DELETE"])])
    async with serve(app) as url:
        yield f"{url}/hook", seen


def says(status=200, **headers):
    return lambda request: Response(status_code=status, headers={k.replace("_", "-"): v for k, v in headers.items()})


def echo(request):
    return Response(headers={"X-Hook-Secret": request.headers["x-hook-secret"]})


async def shaken(kind, url, *, allow=LOOPBACK, **options):
    async with open_egress(Guard(allow), "test") as egress:
        return await shake(egress, kind, url, secret="s3cret", origin=ORIGIN, **options)


async def refusal(kind, url, **options):
    with pytest.raises(Problem) as caught:
        await shaken(kind, url, **options)
    assert caught.value.field == "handshake"
    return caught.value.message


async def test_an_endpoint_that_sends_the_secret_back_consents():
    async with answering(echo) as (url, seen):
        assert await shaken("x-hook-secret", url) is None
    [(method, headers, body)] = seen
    assert (method, headers["x-hook-secret"], body) == ("POST", "s3cret", b"{}")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (says(), "did not answer with the X-Hook-Secret"),
        (says(x_hook_secret="another"), "another X-Hook-Secret"),
        (says(x_hook_secret=""), "another X-Hook-Secret"),
        (says(404, x_hook_secret="s3cret"), "HTTP 404"),
        (says(302, x_hook_secret="s3cret", location="/elsewhere"), "redirects are not followed"),
    ],
)
async def test_an_endpoint_that_does_not_send_it_back_is_refused_in_words(answer, words):
    async with answering(answer) as (url, seen):
        assert words in await refusal("x-hook-secret", url)
    assert len(seen) == 1


@pytest.mark.parametrize("allowed", [ORIGIN, "*", "HOOKS.Example.com", f" {ORIGIN} "])
@pytest.mark.parametrize("status", [200, 204, 405])
async def test_an_endpoint_that_allows_our_origin_consents_whatever_its_status(status, allowed):
    async with answering(says(status, webhook_allowed_origin=allowed)) as (url, seen):
        assert await shaken("cloudevents", url) is None
    assert (seen[0][0], seen[0][1]["webhook-request-origin"]) == ("OPTIONS", ORIGIN)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (says(204), "without WebHook-Allowed-Origin (HTTP 204)"),
        (says(webhook_allowed_origin="other.example.com"), f"does not allow {ORIGIN}"),
        (says(webhook_allowed_origin=f"evil.{ORIGIN}"), f"does not allow {ORIGIN}"),
    ],
)
async def test_an_endpoint_that_does_not_allow_our_origin_is_refused_in_words(answer, words):
    async with answering(answer) as (url, _):
        assert words in await refusal("cloudevents", url)


@pytest.mark.parametrize(("said", "rate"), [({}, 120), ({"webhook_allowed_rate": "60"}, 60)])
async def test_an_endpoint_bounds_the_rate_that_is_asked_for(said, rate):
    async with answering(says(webhook_allowed_origin="*", **said)) as (url, seen):
        assert await shaken("cloudevents", url, rate=120) == rate
    assert seen[0][1]["webhook-request-rate"] == "120"


async def test_an_endpoint_may_allow_any_rate():
    async with answering(says(webhook_allowed_origin="*", webhook_allowed_rate="*")) as (url, _):
        assert await shaken("cloudevents", url, rate=120) is None


@pytest.mark.parametrize("rate", ["0", "-1", "many", "1.5", "9" * 40])
async def test_a_rate_that_is_none_is_refused(rate):
    async with answering(says(webhook_allowed_origin="*", webhook_allowed_rate=rate)) as (url, _):
        assert "WebHook-Allowed-Rate" in await refusal("cloudevents", url)


@pytest.mark.parametrize("kind", ["x-hook-secret", "cloudevents"])
async def test_an_endpoint_at_a_closed_address_is_not_asked(kind):
    async with answering(echo) as (url, seen):
        assert "not a public address" in await refusal(kind, url, allow=())
    assert seen == []


@pytest.mark.parametrize("kind", ["x-hook-secret", "cloudevents"])
async def test_an_endpoint_that_does_not_answer_is_refused_in_time(kind):
    async with endpoint(hang) as url:
        assert "could not be asked: no answer in time" in await refusal(kind, url, timeout_ms=100)


async def test_a_handshake_shows_the_client_certificate(tmp_path):
    authority = certified("An authority", authority=True)
    client = certified("reelhook.example", by=authority)
    context = server_side(tmp_path, certified(by=authority), clients_of=authority)
    async with tls_peer(context) as (url, seen):
        tls = tls_context(authority.pem, client.pem, client.key_pem)
        assert "WebHook-Allowed-Origin" in await refusal("cloudevents", url, tls=tls)
    assert seen == ["reelhook.example"]


async def test_a_handshake_that_nobody_knows_is_refused():
    assert "must be one of x-hook-secret, cloudevents" in await refusal("telepathy", "http://127.0.0.1/")


def test_deliveries_name_the_origin_where_it_was_asked_for():
    assert headers_after("cloudevents", ORIGIN) == {"webhook-request-origin": ORIGIN}
    assert headers_after("x-hook-secret", ORIGIN) == headers_after(None, ORIGIN) == {}


async def unsubscribed(url, allow=LOOPBACK):
    async with open_egress(Guard(allow), "test") as egress:
        await unsubscribe_there(egress, url)


async def test_an_endpoint_is_told_that_nothing_comes_any_more():
    async with answering(says(200)) as (url, seen):
        await unsubscribed(url)
    assert [method for method, _, _ in seen] == ["DELETE"]


async def test_what_an_endpoint_says_to_that_is_logged_without_the_url(caplog):
    caplog.set_level(logging.INFO, "reelhook.handshakes")
    async with answering(says(500)) as (url, _):
        await unsubscribed(url)
    assert "status=500" in caplog.text
    assert "/hook" not in caplog.text, "a URL may be a capability"


async def test_an_endpoint_that_cannot_be_told_is_logged(caplog):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        await unsubscribed(f"http://127.0.0.1:{free.getsockname()[1]}/hook")
    assert "handshake.unsubscribe_failed" in caplog.text
    assert "/hook" not in caplog.text, "a URL may be a capability"
