"""Subscribing: a wish is vetted, its endpoint asked where that is wished, what is confided sealed, and all stored.

Nothing is stored that could never be sent to, and nothing is asked of an endpoint inside a transaction.
"""

import logging
from dataclasses import replace
from ssl import SSLContext

from service.asides import Asides
from service.clock import Clock
from service.egress import Egress
from service.errors import Problem
from service.handshakes import shake, unsubscribe_there
from service.mail import Mail
from service.model import new_id
from service.pushing import Push
from service.sealing import Seal, SealBroken
from service.settings import DeliverySettings
from service.signing import new_secret
from service.store.statements import Database
from service.store.telling import add_within, change_subscription, delete_subscription
from service.subscriptions import Subscription
from service.tls import tls_context_made
from service.wire import Json
from service.wishes import Wish, as_wished

log = logging.getLogger("reelhook.subscriptions")

SECRETS_MOST = 4  # that are signed with at once


class Subscribing:
    """Makes, changes and ends subscriptions. origin: who we are, as a DNS name, to endpoints that want to know."""

    def __init__(
        self,
        *,
        database: Database,
        egress: Egress,
        asides: Asides,
        mail: Mail,
        push: Push,
        seal: Seal,
        settings: DeliverySettings,
        clock: Clock,
        origin: str,
    ) -> None:
        self._database = database
        self._egress = egress
        self._asides = asides
        self._mail = mail
        self._push = push
        self._seal = seal
        self._settings = settings
        self._clock = clock
        self._origin = origin

    async def make(self, owner: str, wish: Wish, *, made_by: str = "api", field: str = "url") -> Subscription:
        """A new subscription, stored; a Problem with the reason otherwise. field: what the caller calls the URL."""
        now = self._clock()
        blank = Subscription(
            id=new_id("sub", now),
            owner=owner,
            url=wish.url,
            events=wish.events,
            format=wish.shape.name,
            secret=new_secret(),
            created_at=now,
            made_by=made_by,
        )
        subscription = await self._granted(blank, wish, None, field)
        most = self._settings.subscriptions
        if not await self._database.write(add_within, subscription, most):
            raise Problem("conflict", f"an owner may have at most {most} subscriptions; delete one first")
        return subscription

    async def change(self, subscription: Subscription, wish: Wish, of_owner: str | None) -> Subscription:
        """The subscription as it is wished now, stored; a Problem `conflict` when somebody else was faster."""
        changed = await self._granted(subscription, wish, subscription, "url")
        return await self._store(changed, of_owner)

    async def rotate(
        self, subscription: Subscription, secret: str, grace_ms: int, of_owner: str | None
    ) -> Subscription:
        """Sign with a new secret, and for a while with those before it too, so that receivers may change theirs.
        Without a grace all that were before are forgotten: that is what is wanted of one that has leaked."""
        now = self._clock()
        older = ({"secret": subscription.secret, "until": now + grace_ms}, *subscription.previous) if grace_ms else ()
        previous = tuple(each for each in older if each["until"] > now)[: SECRETS_MOST - 1]
        return await self._store(replace(subscription, secret=secret, previous=previous), of_owner)

    async def end(self, subscription: Subscription, of_owner: str | None) -> None:
        """Delete it, and tell the endpoint where a hook made it: the Zap behind it is switched off then, rather than
        left waiting for ever."""
        deleted = await self._database.write(delete_subscription, subscription.id, of_owner, self._clock())
        if deleted and subscription.made_by == "hook":
            try:
                async with self._asides.place(subscription.owner):
                    await unsubscribe_there(self._egress, subscription.url)
            except Problem as problem:  # it is deleted all the same
                log.warning("subscription.not_told subscription=%s error=%r", subscription.id, problem.message)

    def as_wished(self, subscription: Subscription) -> Json:
        """The body that would make it, what is confided included."""
        if subscription.sealed is not None:
            try:
                self._seal.open(subscription.sealed, subscription.id)
            except SealBroken as error:  # a change would store it without what is confided
                raise Problem("conflict", f"{error}; or delete this subscription and make another") from error
        return as_wished(subscription, self._confided(subscription))

    def names_confided(self, subscription: Subscription) -> Json:
        """What is confided, by name alone: {headers, secret_options, tls}."""
        confided = self._confided(subscription)
        return {
            "headers": sorted(confided.get("headers", {})),
            "secret_options": sorted(confided.get("options", {})),
            "tls": sorted(confided.get("tls", {})),
        }

    def _confided(self, subscription: Subscription) -> Json:
        """Nothing where it cannot be opened any more; deliveries say so."""
        if subscription.sealed is None:
            return {}
        try:
            return self._seal.open(subscription.sealed, subscription.id)
        except SealBroken as error:
            log.warning("subscription.sealed subscription=%s reason=%r", subscription.id, str(error))
            return {}

    async def _store(self, changed: Subscription, of_owner: str | None) -> Subscription:
        stored = await self._database.write(change_subscription, changed, of_owner)
        if stored is None:
            raise Problem("conflict", "the subscription was changed or deleted meanwhile: read it again first")
        return stored

    async def _granted(
        self, subscription: Subscription, wish: Wish, before: Subscription | None, field: str
    ) -> Subscription:
        if wish.shape.transport == "webpush":
            self._push.check(wish.options["p256dh"], wish.confided["options"]["auth"])
        if before is None or before.url != wish.url or before.format != wish.shape.name:
            await self._vet(wish, field)
        pem, tls, allowed = wish.confided.get("tls"), None, None
        if pem:  # read in any case: what cannot be used is refused now, and not at the first delivery
            tls = await tls_context_made(pem.get("ca"), pem.get("certificate"), pem.get("key"))
        if wish.handshake is not None:
            allowed = await self._allowed(subscription, wish, before, tls)
        sealed = self._seal.seal(wish.confided, subscription.id) if wish.confided else None
        return replace(
            subscription,
            url=wish.url,
            format=wish.shape.name,
            events=wish.events,
            filters=wish.filters,
            options=wish.options,
            sending=wish.sending | ({"allowed_per_minute": allowed} if allowed else {}),
            description=wish.description,
            tags=wish.tags,
            everyone=wish.everyone,
            sealed=sealed,
        )

    async def _vet(self, wish: Wish, field: str) -> None:
        """Refuse what could never be sent to."""
        if wish.shape.transport == "smtp":
            self._mail.check(wish.url, field)
        else:
            await self._egress.vet(wish.url, field)

    async def _allowed(
        self, subscription: Subscription, wish: Wish, before: Subscription | None, tls: SSLContext | None
    ) -> int | None:
        """How many requests a minute the endpoint allows; it is asked anew when the handshake or the URL is new."""
        asked = None if before is None else (before.url, before.sending.get("handshake"))
        if asked == (wish.url, wish.handshake):
            allowed: int | None = subscription.sending.get("allowed_per_minute")
            return allowed
        async with self._asides.place(subscription.owner):
            return await shake(
                self._egress,
                wish.handshake or "",
                wish.url,
                secret=subscription.secret,
                origin=self._origin,
                rate=wish.sending.get("rate_per_minute"),
                tls=tls,
            )
