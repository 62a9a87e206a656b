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
from service.endpoints import UNSENT_MS, Endpoint, Endpoints, secrets_of
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
ERROR_KEPT = 200  # characters
HOLD_MS = 30 * SECOND  # for which a whole subscription waits whose endpoint says that it is busy, and not for how long
FREE_STEPS = (
    200  # attempts of a delivery at which an endpoint may ask for less than its schedule's pause, free of charge
)
SECRET_HEADERS = frozenset(("authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key"))
BLANK = "…"
SPARING_FLOOR = 0.5  # of a pause: so that few attempts are not all made within the same outage
NOT_MADE = "the message was made for another format than the subscription has now"
BROKEN = "Reelhook failed at this attempt, and its log says why; it may have been received"
NO_TIMINGS: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What came of a request. status: None without an answer. ambiguous: it may have arrived. timings: ms by phase."""

    verdict: Verdict
    answer: HttpAnswer | None = None
    ambiguous: bool = False
    request_headers: Mapping[str, str] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def never_left(self) -> bool:
        return self.answer is None and not self.ambiguous


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
        try:
            sent = await self._send(endpoint, dispatch, started_at, apart)
        except Exception:  # ours, and nobody knows how far it came: it counts, or it would be made for ever
            log.exception("delivery.failed delivery=%s format=%s", dispatch.delivery_id, endpoint.format.name)
            sent = Sent(verdict=Verdict(judgement=Judgement.RETRY, error=BROKEN), ambiguous=True)
        now = self._clock()
        decision = self._decide(endpoint, dispatch, sent, now)
        attempt = Attempt(
            delivery_id=dispatch.delivery_id,
            number=dispatch.attempts + 1,
            started_at=started_at,
            duration_ms=now - started_at,
            status=sent.answer.status if sent.answer else None,
            error=_cut(sent.verdict.error) if sent.verdict.error else None,
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

    def _decide(self, endpoint: Endpoint, dispatch: Dispatch, sent: Sent, now: int) -> Decision:
        """An endpoint that names a time shorter than the schedule's next pause does not use the schedule up."""
        level, base, verdict = dispatch.level, dispatch.base, sent.verdict
        over = Decision(status=DeliveryStatus.EXHAUSTED, level=level, base=base, unsent=dispatch.unsent)
        match verdict.judgement:
            case Judgement.DELIVERED:
                return replace(over, status=DeliveryStatus.DELIVERED)
            case Judgement.GONE:
                return replace(over, gone=_cut(verdict.error or "the endpoint is gone"))
            case Judgement.DEGRADE if _less_is_left(endpoint.format, dispatch):
                return replace(over, status=DeliveryStatus.PENDING, next_at=now, level=level + 1, base=base + 1)
            case Judgement.DEGRADE | Judgement.REFUSED:
                return over
        if sent.never_left and (later := self._unsent_retry_at(endpoint, dispatch, now)) is not None:
            apart = dispatch.unsent + 1
            return replace(over, status=DeliveryStatus.PENDING, next_at=later, base=base + 1, unsent=apart)
        step, asked = dispatch.attempts + 1 - base, verdict.retry_after_ms
        next_at = retry_at(step, now, self._chance(), endpoint.pauses, SPARING_FLOOR if endpoint.sparing else 0)
        if next_at is None:
            return replace(over, held_until=_held_until(verdict, None, now))
        if asked is not None:
            asked_at = asked_for(now, asked)
            shorter = asked_at - now < endpoint.pauses[step - 1]
            if not shorter or dispatch.attempts < FREE_STEPS:  # else the schedule would be over within minutes
                next_at = asked_at
                base += shorter
        held_until = _held_until(verdict, next_at, now)
        return replace(over, status=DeliveryStatus.PENDING, next_at=next_at, base=base, held_until=held_until)

    def _unsent_retry_at(self, endpoint: Endpoint, dispatch: Dispatch, now: int) -> int | None:
        """Where the attempts are few lest a message comes twice, one that never left is free: it follows the schedule
        of the settings for a while. None where that is over, or does not apply."""
        until = dispatch.begun_at + UNSENT_MS
        if not endpoint.sparing or now >= until:
            return None
        at = retry_at(dispatch.unsent + 1, now, self._chance(), self._settings.retries)
        return None if at is None else min(at, until)


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


def _cut(error: str) -> str:
    """It may quote the answer, and goes into the log, the subscription and the reason for its end."""
    words = _clean(" ".join(error[: 4 * ERROR_KEPT].split()))
    return words if len(words) <= ERROR_KEPT else words[: ERROR_KEPT - 1] + BLANK


def _clean(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def _shown(answer: HttpAnswer | None) -> str:
    if answer is None or not answer.body:
        return ""
    return answer.body[:RESPONSE_KEPT].decode("utf-8", "replace").replace("\x00", "\ufffd")
