"""Asking an endpoint whether it wants to hear from us, where its subscription wants that; and telling it that we end.

Sources: resthooks.org, "Confirmation" (X-Hook-Secret); CloudEvents, "HTTP 1.1 Web Hooks for Event Delivery", 4 (abuse
protection); Zapier, "REST hook trigger" (a DELETE of the target URL pauses the Zap).
"""

import hmac
import logging
import ssl
from collections.abc import Mapping

from service.egress import Egress, Lost, NotSent
from service.errors import Problem, invalid
from service.guard import origin_of
from service.wire import NO_HEADERS, HttpAnswer, HttpRequest

log = logging.getLogger("reelhook.handshakes")

SECRET, CLOUDEVENTS = "x-hook-secret", "cloudevents"
HANDSHAKES = (SECRET, CLOUDEVENTS)
TIMEOUT_MS = 10_000
ANSWER_CAP = 4 * 1024
RATE_MOST = 1_000_000


async def shake(
    egress: Egress,
    kind: str,
    url: str,
    *,
    secret: str,
    origin: str,
    rate: int | None = None,
    tls: ssl.SSLContext | None = None,
    timeout_ms: int = TIMEOUT_MS,
) -> int | None:
    """How many requests per minute the endpoint allows, None where it sets no bound; a Problem when it says no.

    secret: what `x-hook-secret` wants to see again. origin, rate: who asks, as a DNS name, and for how many requests
    per minute, in `cloudevents`.
    """
    if kind == SECRET:
        headers = {"content-type": "application/json", "x-hook-secret": secret}
        request = HttpRequest(method="POST", url=url, headers=headers, body=b"{}")
        _check_secret(await _asked(egress, request, tls, timeout_ms), secret)
        return None
    if kind == CLOUDEVENTS:
        wished = {} if rate is None else {"webhook-request-rate": str(rate)}
        request = HttpRequest(method="OPTIONS", url=url, headers={"webhook-request-origin": origin} | wished)
        answer = await _asked(egress, request, tls, timeout_ms)
        _check_origin(answer, origin)
        return _allowed_rate(answer, rate)
    raise _refused(f"must be one of {', '.join(HANDSHAKES)}")


def headers_after(kind: str | None, origin: str) -> Mapping[str, str]:
    """What every delivery carries once the endpoint has consented."""
    return {"webhook-request-origin": origin} if kind == CLOUDEVENTS else NO_HEADERS


async def unsubscribe_there(egress: Egress, url: str, *, tls: ssl.SSLContext | None = None) -> None:
    """Tell an endpoint that nothing will come any more. What it says to that is logged, and changes nothing."""
    try:
        exchange = await egress.exchange(
            HttpRequest(method="DELETE", url=url), timeout_ms=TIMEOUT_MS, cap=ANSWER_CAP, tls=tls, apart=True
        )
    except (NotSent, Lost) as error:
        # the rest of the URL may be a capability
        log.warning("handshake.unsubscribe_failed origin=%s error=%r", origin_of(url), str(error))
    else:
        log.info("handshake.unsubscribed origin=%s status=%d", origin_of(url), exchange.answer.status)


async def _asked(egress: Egress, request: HttpRequest, tls: ssl.SSLContext | None, timeout_ms: int) -> HttpAnswer:
    try:
        exchange = await egress.exchange(request, timeout_ms=timeout_ms, cap=ANSWER_CAP, tls=tls, apart=True)
        return exchange.answer
    except (NotSent, Lost) as error:
        raise _refused(f"the endpoint could not be asked: {error}") from error


def _check_secret(answer: HttpAnswer, secret: str) -> None:
    if not 200 <= answer.status < 300:
        note = "; redirects are not followed" if 300 <= answer.status < 400 else ""
        raise _refused(f"the endpoint answered HTTP {answer.status} instead of 2xx{note}")
    given = answer.headers.get("x-hook-secret")
    if given is None:
        raise _refused("the endpoint did not answer with the X-Hook-Secret header that it was sent")
    if not hmac.compare_digest(given.strip().encode(), secret.encode()):
        raise _refused("the endpoint answered with another X-Hook-Secret than it was sent")


def _check_origin(answer: HttpAnswer, origin: str) -> None:
    """The status means nothing here: some answer OPTIONS with 405 and consent all the same."""
    allowed = answer.headers.get("webhook-allowed-origin")
    if allowed is None:
        raise _refused(f"the endpoint answered OPTIONS without WebHook-Allowed-Origin (HTTP {answer.status})")
    if allowed.strip().lower() not in ("*", origin.lower()):
        raise _refused(f"the endpoint does not allow {origin} in its WebHook-Allowed-Origin")


def _allowed_rate(answer: HttpAnswer, wished: int | None) -> int | None:
    """Where it says nothing, what was asked for is what it has consented to."""
    allowed = answer.headers.get("webhook-allowed-rate", "").strip()
    if not allowed:
        return wished
    if allowed == "*":
        return None
    if not (allowed.isascii() and allowed.isdigit() and len(allowed) < 16 and int(allowed) > 0):
        raise _refused("the endpoint's WebHook-Allowed-Rate is neither * nor a number of requests per minute")
    return min(int(allowed), RATE_MOST)


def _refused(reason: str) -> Problem:
    return invalid("handshake", reason)
