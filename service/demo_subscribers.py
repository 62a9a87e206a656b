"""The demo's subscribers that are programs; they keep their own log of everything that they were ever sent.

One verifies every request with the `standardwebhooks` library; another is as bad as endpoints are: it hangs up, answers
500 or says nothing at first, and takes each event in the end; a third is down for a while.
"""

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from service.web.serving import NoAnswer, listen, serving

EVENTS, ONE_SHOT = "/events", "/one-shot"  # the path of a subscription; that of single tasks (callback_url, webhookUrl)

# What the flaky one does with the first attempts of the first event, of the second, and so on, over and over.
HANG_UP, FAIL, SILENCE = "hang up", "answer 500", "say nothing"
FAULTS = ((HANG_UP,), (FAIL,), (SILENCE,), (FAIL, HANG_UP), (), (HANG_UP, FAIL))


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as a subscriber saw it. message_id: that of the delivery where it is not signed. answer: None when it
    gave none. verified: None when it does not verify. verified_anew: by the secret that has taken the place of the
    first as well."""

    path: str
    message_id: str
    body: bytes
    answer: int | None
    verified: bool | None = None
    verified_anew: bool = False

    @property
    def message(self) -> tuple[str, str]:
        return self.path, self.message_id

    @property
    def taken(self) -> bool:
        return self.answer == 200


@dataclass(slots=True)
class Subscriber(ABC):
    """One of them. url: its base URL, once it listens."""

    name: str
    url: str = ""
    log: list[Received] = field(default_factory=list)

    async def receive(self, request: Request) -> Response:
        try:
            body = await request.body()
        except ClientDisconnect:  # not a whole request, so nothing to count
            return Response(status_code=400)
        headers = dict(request.headers)
        message_id = headers.get("webhook-id") or headers.get("x-reelhook-delivery", "")
        return self.take(request.url.path, message_id, body, headers)

    @abstractmethod
    def take(self, path: str, message_id: str, body: bytes, headers: dict[str, str]) -> Response: ...


@dataclass(slots=True)
class Verifier(Subscriber):
    """Knows the secret of each of its paths, and takes nothing that is not signed with it. new_secrets: those that have
    taken the place of some, which it looks at as well: old ones are good for as long as they were promised to be."""

    secrets: dict[str, str] = field(default_factory=dict)
    new_secrets: dict[str, str] = field(default_factory=dict)

    def take(self, path: str, message_id: str, body: bytes, headers: dict[str, str]) -> Response:
        verified = path in self.secrets and _verifies(self.secrets[path], body, headers)
        anew = path in self.new_secrets and _verifies(self.new_secrets[path], body, headers)
        answer = 200 if verified else 401
        self.log.append(
            Received(path=path, message_id=message_id, body=body, answer=answer, verified=verified, verified_anew=anew)
        )
        return Response(status_code=answer)


@dataclass(slots=True)
class Flaky(Subscriber):
    """Takes each event, but hardly ever at once."""

    def take(self, path: str, message_id: str, body: bytes, headers: dict[str, str]) -> Response:
        fault = self._fault(path, message_id)
        answer = {None: 200, FAIL: 500}.get(fault)
        self.log.append(Received(path=path, message_id=message_id, body=body, answer=answer))
        return NoAnswer(stalled=fault == SILENCE) if answer is None else Response(status_code=answer)

    def _fault(self, path: str, message_id: str) -> str | None:
        messages = list(dict.fromkeys([*(seen.message for seen in self.log), (path, message_id)]))
        faults = FAULTS[messages.index((path, message_id)) % len(FAULTS)]
        attempts = sum(seen.message == (path, message_id) for seen in self.log)
        return faults[attempts] if attempts < len(faults) else None


@dataclass(slots=True)
class Sleeper(Subscriber):
    """Down until it is woken: what stands in front of it answers 502 as long as that."""

    awake: bool = False

    def take(self, path: str, message_id: str, body: bytes, headers: dict[str, str]) -> Response:
        answer = 200 if self.awake else 502
        self.log.append(Received(path=path, message_id=message_id, body=body, answer=answer))
        return Response(status_code=answer)


def listening(subscriber: Subscriber) -> AbstractAsyncContextManager[str]:
    """The base URL of a subscriber, for as long as the block lasts."""
    app = Starlette(routes=[Route("/{rest:path}", subscriber.receive, methods=["POST"])])
    return serving(app, listen())


def _verifies(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    from standardwebhooks import Webhook, WebhookVerificationError

    try:
        Webhook(secret).verify(body, headers)
    except (WebhookVerificationError, ValueError):
        return False
    return True
