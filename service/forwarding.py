"""One event after the other to an address of the developer's own, signed as a subscriber's would be."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_network

from service import __version__
from service.clock import SECOND, Clock
from service.egress import Egress, Lost, NotSent, open_egress
from service.errors import Problem, invalid
from service.formats import FORMATS
from service.formats.shape import Format, Target, Telling, read_options
from service.guard import Guard
from service.model import new_id
from service.signing import key_of, sign
from service.wire import HttpRequest, Json

LOOPBACK = ("127.0.0.0/8", "::1/128")
TIMEOUT_MS = 30 * SECOND  # longer than a subscriber is given: a developer may be standing at a breakpoint
ANSWER_CAP = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded:
    """What became of one event. error: None when it was delivered. answer: the body that came back."""

    status: int | None
    took_ms: int
    error: str | None
    answer: str = ""


class Forwarder:
    """Sends to one address in one format. Make it with `open_forwarder`."""

    def __init__(self, egress: Egress, shape: Format, target: Target, secret: str, clock: Clock) -> None:
        self._egress = egress
        self._shape = shape
        self._target = target
        self._secret = secret
        self._clock = clock

    async def forward(self, telling: Telling) -> Forwarded:
        """One request; what came back, or why nothing did."""
        begun = self._clock()
        try:
            request = self.request(telling, begun)
            answer = await self._egress.deliver(request, timeout_ms=TIMEOUT_MS, cap=ANSWER_CAP)
        except (NotSent, Lost, Problem) as error:
            return Forwarded(status=None, took_ms=self._clock() - begun, error=str(error))
        now = self._clock()
        verdict = self._shape.judge(answer, now)
        body = answer.body.decode("utf-8", "replace")
        return Forwarded(status=answer.status, took_ms=now - begun, error=verdict.error, answer=body)

    def request(self, telling: Telling, now: int) -> HttpRequest:
        """What a subscriber would get. now: unix ms."""
        rendered = self._shape.render(telling, self._target.options)
        request = self._shape.request(self._target, rendered.body)
        headers = {
            **request.headers,
            **rendered.headers,
            "user-agent": f"Reelhook/{__version__}",
            "x-reelhook-delivery": new_id("dlv", now),
            "x-reelhook-attempt": "1",
            "x-reelhook-event": telling.event.type,
        }
        if self._shape.signed:
            headers |= sign([self._secret], telling.event.id, now // SECOND, request.body)
        return replace(request, headers=headers)


@asynccontextmanager
async def open_forwarder(
    url: str,
    *,
    field: str,
    format: str,
    secret: str,
    clock: Clock,
    options: Json | None = None,
    allow: Sequence[str] = (),
) -> AsyncIterator[Forwarder]:
    """To an address on this machine, or a public one, or one in the networks that are allowed besides. A Problem that
    names the option when it cannot be. field: what the URL is called. options: of the format."""
    shape = FORMATS[format]
    if shape.transport != "http":
        raise invalid("--format", f"{format} is not sent to a URL")
    try:
        key_of(secret)
    except ValueError as error:
        raise invalid("--secret", str(error)) from error
    target = Target(url=url, options=read_options(shape, options, "--option"))
    guard = _guard(allow)
    async with open_egress(guard, f"Reelhook/{__version__}") as egress:
        try:
            await egress.vet(url, field, must_resolve=False)
        except Problem as problem:
            words = problem.message.replace("list it in egress.allow", "name its network by --allow")
            raise Problem(problem.code, words, field=field) from problem
        yield Forwarder(egress, shape, target, secret, clock)


def _guard(allow: Sequence[str]) -> Guard:
    for block in allow:
        try:
            ip_network(block)
        except ValueError as error:
            raise invalid("--allow", str(error)) from error
    return Guard((*LOOPBACK, *allow))
