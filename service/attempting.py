"""One attempt of a delivery: the frozen bytes as a signed request, and what to make of the answer.

What an answer means is said by the delivery's format; when it is tried again, by its schedule, or exactly by the
endpoint where that names a time.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from service import __version__
from service.clock import SECOND, Clock
from service.egress import Egress, Exchange, Lost, NotSent
from service.endpoints import Endpoint, Endpoints, secrets_of
from service.errors import Problem
from service.formats.hints import hint_for
from service.formats.shape import Format, Judgement, Verdict
from service.mail import Mail
from service.pushing import Push
from service.schedule import asked_for, retry_at
from service.settings import DeliverySettings
from service.store.recording import Decision, Outcome
from service.store.rows import Dispatch
from service.subscriptions import Attempt, DeliveryStatus
from service.wire import HttpAnswer, HttpRequest, loads

log = logging.getLogger("reelhook.deliveries")

RESPONSE_KEPT = 2_048  # bytes of an answer that the log shows
HEADERS_KEPT, HEADER_KEPT = 40, 500
HOLD_MS = 30 * SECOND  # for which a whole subscription waits whose endpoint says that it is busy, and not for how long
FREE_STEPS = (
    200  # attempts of a delivery at which an endpoint may ask for less than its schedule's pause, free of charge
)
SECRET_HEADERS = frozenset(("authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key"))
BLANK = "…"
NOT_MADE = "the message was made for another format than the subscription has now"
NO_TIMINGS: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What came of a request. status: None without an answer. ambiguous: it may have arrived. timings: ms by phase."""

    verdict: Verdict
    answer: HttpAnswer | None = None
    ambiguous: bool = False
    request_headers: Mapping[str, str] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)


class Attempting:
    """Makes attempts."""

    def __init__(
        self,
        *,
        egress: Egress,
        mail: Mail,
        push: Push,
        endpoints: Endpoints,
        settings: DeliverySettings,
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self._egress = egress
        self._mail = mail
        self._push = push
        self._endpoints = endpoints
        self._settings = settings
        self._clock = clock
        self._chance = chance

    async def attempt(self, dispatch: Dispatch, *, apart: bool = False) -> Outcome:
        """One request, and what to make of its answer. Nothing is raised for whatever the other side does. apart: by a
        connection that takes none away from deliveries."""
        started_at = self._clock()
        endpoint = self._endpoints.of(dispatch.subscription)
        sent = await self._send(endpoint, dispatch, started_at, apart)
        now = self._clock()
        decision = self._decide(endpoint, dispatch, sent.verdict, now)
        attempt = Attempt(
            delivery_id=dispatch.delivery_id,
            number=dispatch.attempts + 1,
            started_at=started_at,
            duration_ms=now - started_at,
            status=sent.answer.status if sent.answer else None,
            error=sent.verdict.error,
            hint=sent.verdict.hint,
            ambiguous=sent.ambiguous,
            level=dispatch.level,
            request_headers=sent.request_headers,
            response_headers=_kept(sent.answer.headers) if sent.answer else {},
            response=_shown(sent.answer),
            timings=sent.timings,
            next_at=decision.next_at,
        )
        log.info(
            "delivery.attempt delivery=%s event=%s type=%s subscription=%s format=%s number=%d status=%s error=%r "
            "ms=%d",
            *(dispatch.delivery_id, dispatch.event_id, dispatch.event_type, dispatch.subscription.id),
            *(endpoint.format.name, attempt.number, attempt.status, attempt.error, attempt.duration_ms),
        )
        return Outcome(dispatch=dispatch, attempt=attempt, decision=decision)

    async def _send(self, endpoint: Endpoint, dispatch: Dispatch, now: int, apart: bool) -> Sent:
        if endpoint.problem is not None:
            return _unanswered(endpoint.problem, dispatch, {}, ambiguous=False)
        try:
            request = self._request(endpoint, dispatch, now)
        except Exception:  # tried again it would not be another message
            log.exception("delivery.not_made delivery=%s format=%s", dispatch.delivery_id, endpoint.format.name)
            return Sent(verdict=Verdict(judgement=Judgement.REFUSED, error=NOT_MADE))
        shown = _kept(request.headers, secret=endpoint.headers)
        try:
            exchange = await self._exchange(endpoint, request, apart)
        except NotSent as error:
            return _unanswered(str(error), dispatch, shown, ambiguous=False, timings=error.timings)
        except Lost as error:
            words = f"{error}; it may have been received"
            return _unanswered(words, dispatch, shown, ambiguous=True, timings=error.timings)
        except Problem as problem:  # what the operator allowed when it was subscribed, and does not any more
            return Sent(verdict=Verdict(judgement=Judgement.REFUSED, error=problem.message))
        answer = exchange.answer
        verdict = endpoint.format.judge(answer, self._clock())
        if verdict.judgement is not Judgement.DELIVERED and verdict.hint is None:
            text = answer.body[:RESPONSE_KEPT].decode("utf-8", "replace")
            verdict = replace(verdict, hint=hint_for(answer.status, text, verdict.error or "", endpoint.target.url))
        return Sent(verdict=verdict, answer=answer, request_headers=shown, timings=exchange.timings)

    async def _exchange(self, endpoint: Endpoint, request: HttpRequest, apart: bool) -> Exchange:
        timeout_ms, cap = endpoint.timeout_ms, self._settings.answer_cap
        match endpoint.format.transport:
            case "smtp":
                return await self._mail.send(endpoint.target.url, loads(request.body), timeout_ms=timeout_ms)
            case "webpush":
                request = self._encrypted(endpoint, request)
        # a certificate that has become unusable is a Problem, which the attempt shows
        tls = await endpoint.tls()
        return await self._egress.exchange(request, timeout_ms=timeout_ms, cap=cap, tls=tls, apart=apart)

    def _encrypted(self, endpoint: Endpoint, request: HttpRequest) -> HttpRequest:
        """The frozen message for one browser; only the encryption differs between attempts."""
        options = endpoint.target.options
        return self._push.request(
            endpoint.target.url,
            options["p256dh"],
            options["auth"],
            request.body,
            self._clock(),
            ttl_s=options["ttl"],
            urgency=options["urgency"],
            topic=options["topic"],
        )

    def _request(self, endpoint: Endpoint, dispatch: Dispatch, now: int) -> HttpRequest:
        made = endpoint.format.request(endpoint.target, body_at(endpoint.format, dispatch.body, dispatch.level))
        headers = {
            **made.headers,
            **dispatch.headers,
            "user-agent": f"Reelhook/{__version__}",
            "accept-encoding": "identity",  # answers are judged by their words, and shown
            **{name.lower(): value for name, value in endpoint.headers.items()},
            **endpoint.consented,
            "x-reelhook-delivery": dispatch.delivery_id,
            "x-reelhook-attempt": str(dispatch.attempts + 1),
            "x-reelhook-event": dispatch.event_type,
            **endpoint.signed(secrets_of(dispatch.subscription, now), dispatch.event_id, now, made.body),
        }
        return HttpRequest(method=made.method, url=made.url, headers=headers, body=made.body)

    def _decide(self, endpoint: Endpoint, dispatch: Dispatch, verdict: Verdict, now: int) -> Decision:
        """An endpoint that names a time shorter than the schedule's next pause does not use the schedule up."""
        level, base = dispatch.level, dispatch.base
        match verdict.judgement:
            case Judgement.DELIVERED:
                return Decision(status=DeliveryStatus.DELIVERED, level=level, base=base)
            case Judgement.GONE:
                gone = verdict.error or "the endpoint is gone"
                return Decision(status=DeliveryStatus.EXHAUSTED, level=level, base=base, gone=gone)
            case Judgement.DEGRADE if _less_is_left(endpoint.format, dispatch):
                return Decision(status=DeliveryStatus.PENDING, next_at=now, level=level + 1, base=base + 1)
            case Judgement.DEGRADE | Judgement.REFUSED:
                return Decision(status=DeliveryStatus.EXHAUSTED, level=level, base=base)
        step, asked = dispatch.attempts + 1 - base, verdict.retry_after_ms
        next_at = retry_at(step, now, self._chance(), endpoint.pauses)
        if next_at is not None and asked is not None:
            asked_at = asked_for(now, asked)
            shorter = asked_at - now < endpoint.pauses[step - 1]
            if not shorter or dispatch.attempts < FREE_STEPS:  # else the schedule would be over within minutes
                next_at = asked_at
                base += shorter
        return Decision(
            status=DeliveryStatus.EXHAUSTED if next_at is None else DeliveryStatus.PENDING,
            next_at=next_at,
            level=level,
            base=base,
            held_until=_held_until(verdict, next_at, now),
        )


def _held_until(verdict: Verdict, next_at: int | None, now: int) -> int:
    if not verdict.holds:
        return 0
    asked = verdict.retry_after_ms
    return min(next_at or now, now + HOLD_MS) if asked is None else asked_for(now, asked)


def body_at(shape: Format, body: str, level: int) -> str:
    """The frozen body with so much left out of it."""
    for _ in range(level):
        less = shape.degrade(body) if shape.degrade else None
        if less is None:
            break
        body = less
    return body


def _less_is_left(shape: Format, dispatch: Dispatch) -> bool:
    return shape.degrade is not None and shape.degrade(body_at(shape, dispatch.body, dispatch.level)) is not None


def _unanswered(
    error: str,
    dispatch: Dispatch,
    shown: Mapping[str, str],
    *,
    ambiguous: bool,
    timings: Mapping[str, float] = NO_TIMINGS,
) -> Sent:
    hint = hint_for(None, "", error, dispatch.subscription.url)
    verdict = Verdict(judgement=Judgement.RETRY, error=error, hint=hint)
    return Sent(verdict=verdict, ambiguous=ambiguous, request_headers=shown, timings=timings)


def _kept(headers: Mapping[str, str], secret: Mapping[str, str] | None = None) -> dict[str, str]:
    """Headers for the log: not endless, and without what is confided."""
    blank = SECRET_HEADERS.union(name.lower() for name in secret) if secret else SECRET_HEADERS
    return {
        name: BLANK if name.lower() in blank else _clean(value[:HEADER_KEPT])
        for name, value in islice(headers.items(), HEADERS_KEPT)
    }


def _clean(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def _shown(answer: HttpAnswer | None) -> str:
    if answer is None or not answer.body:
        return ""
    return answer.body[:RESPONSE_KEPT].decode("utf-8", "replace").replace("\x00", "\ufffd")
