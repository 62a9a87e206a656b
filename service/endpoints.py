"""Endpoints: what it takes to send to a subscription, read once from what it wishes, and kept until it changes."""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.clock import HOUR, MINUTE
from service.formats import FORMATS
from service.formats.shape import Format, Target
from service.guard import origin_of
from service.handshakes import headers_after
from service.sealing import Seal, SealBroken
from service.settings import DeliverySettings
from service.signing import sign, sign_plainly, signing_key
from service.subscriptions import Subscription
from service.tls import tls_context_made
from service.wire import Json

SIGNATURES = ("v1", "v1a", "sha256")
REMEMBERED = 10_000
UNSENT_MS = 6 * HOUR  # for which what never left is tried again where the attempts are few


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """headers: of the owner's own, decrypted; consented: what follows from a handshake. pauses: between attempts (ms);
    sparing: they are few on purpose, and what provably never left does not use them up.
    share: attempts under way at once; spacing_ms: from the start of one to the next. lane: whose turn it is; host:
    whose breaker. certificates: the owner's own {ca, certificate, key}, as PEM. problem: why nothing can be sent, None
    where it can."""

    format: Format
    target: Target
    headers: Mapping[str, str] = field(repr=False)
    timeout_ms: int
    pauses: tuple[int, ...]
    sparing: bool
    share: int | None
    spacing_ms: int
    lane: Hashable = field(repr=False)
    host: str
    signatures: tuple[str, ...]
    key: Ed25519PrivateKey | None = field(default=None, repr=False)
    consented: Mapping[str, str] = field(default_factory=dict)
    certificates: Json = field(default_factory=dict, repr=False)
    problem: str | None = None

    async def tls(self) -> SSLContext | None:
        """The context of its certificates, None for the system's. It is not kept here: one may take a megabyte."""
        pem = self.certificates
        return await tls_context_made(pem.get("ca"), pem.get("certificate"), pem.get("key")) if pem else None

    def signed(self, secrets: tuple[str, ...], event_id: str, now: int, body: bytes) -> Mapping[str, str]:
        """The headers that sign an attempt made now (unix ms)."""
        if not self.format.signed:
            return {}
        headers = dict(sign(secrets, event_id, now // 1000, body, self.key))
        if "sha256" in self.signatures:
            headers |= sign_plainly(secrets[0], body)
        return headers


def secrets_of(subscription: Subscription, now: int) -> tuple[str, ...]:
    """The secrets to sign with now, newest first."""
    return (subscription.secret, *(each["secret"] for each in subscription.previous if each["until"] > now))


class Endpoints:
    """Endpoints by subscription and revision. origin: who we are, as a DNS name."""

    def __init__(self, settings: DeliverySettings, secret_key: str, seal: Seal, origin: str) -> None:
        self._origin = origin
        self._settings = settings
        self._secret_key = secret_key
        self._seal = seal
        self._known: OrderedDict[tuple[str, int], Endpoint] = OrderedDict()

    def of(self, subscription: Subscription) -> Endpoint:
        key = (subscription.id, subscription.revision)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._read(subscription)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return known

    def _read(self, subscription: Subscription) -> Endpoint:
        shape = FORMATS[subscription.format]
        sending = subscription.sending
        secret, problem = self._confided(subscription)
        signatures = tuple(sending.get("signatures", ("v1",)))
        return Endpoint(
            format=shape,
            target=Target(url=subscription.url, options=subscription.options | secret.get("options", {})),
            headers=secret.get("headers", {}),
            timeout_ms=min(sending.get("timeout_ms", self._settings.timeout), self._settings.timeout),
            pauses=_pauses(sending, shape, self._settings),
            sparing=_is_sparing(sending, shape),
            share=sending.get("concurrency"),
            spacing_ms=max(shape.spacing_ms, _spacing_ms(sending)),
            lane=_lane_of(subscription, shape),
            host=origin_of(subscription.url),
            signatures=signatures,
            key=signing_key(self._secret_key, subscription.owner) if "v1a" in signatures else None,
            consented=headers_after(sending.get("handshake"), self._origin),
            certificates=secret.get("tls", {}),
            problem=problem,
        )

    def _confided(self, subscription: Subscription) -> tuple[Json, str | None]:
        """(what it keeps encrypted, why that cannot be had)."""
        if subscription.sealed is None:
            return {}, None
        try:
            return self._seal.open(subscription.sealed, subscription.id), None
        except SealBroken as error:
            return {}, str(error)


def _pauses(sending: Json, shape: Format, settings: DeliverySettings) -> tuple[int, ...]:
    given: Any = sending.get("retries_ms")
    if given is not None:
        return tuple(given)
    return settings.retries if shape.pauses is None else shape.pauses


def _is_sparing(sending: Json, shape: Format) -> bool:
    """Not where its owner has said how often."""
    return sending.get("retries_ms") is None and shape.pauses is not None and sum(shape.pauses) < UNSENT_MS


def _spacing_ms(sending: Json) -> int:
    """From the stricter of the owner's own limit and what the endpoint allowed in its handshake."""
    rates = [sending[name] for name in ("rate_per_minute", "allowed_per_minute") if sending.get(name)]
    return -(-MINUTE // min(rates)) if rates else 0


def _lane_of(subscription: Subscription, shape: Format) -> Hashable:
    """The secret stands for the subscription. The one-shot subscriptions of an owner share his secret, so that what is
    known of his endpoint is known of it for the next task too. Where a URL is a channel with a limit of its own, all
    who post there share its lane."""
    url = subscription.url.partition("?")[0]
    return subscription.url if shape.secret_url else (subscription.secret, url)
