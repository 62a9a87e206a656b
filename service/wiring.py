"""From settings to services: one place that knows who needs whom. The clock and chance are the seams of the tests."""

import logging
import random
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from service import __version__
from service.archive import open_archive
from service.archiver import Archiver
from service.asides import Asides
from service.attempting import Attempting
from service.cancelling import Cancelling
from service.clock import Clock, system_clock
from service.content import Content
from service.deliveries import Deliveries
from service.egress import Egress, open_egress
from service.endpoints import Endpoints
from service.errors import SettingsError
from service.events import Publisher
from service.feed import Feed
from service.gateways import Gateway, open_gateways
from service.guard import Guard
from service.hearing import Hearing
from service.hub import Hub
from service.keys import Keys
from service.limits import Limits
from service.links import Links
from service.looking import Looks
from service.mail import Mail
from service.mounts import Mount, open_mounts
from service.pace import Pace
from service.preparing import Preparing
from service.pruning import Pruning
from service.pushing import Push
from service.replaying import Replaying
from service.retrying import Retrying
from service.sealing import Seal
from service.settings import Settings
from service.signing import ActionTokens, CallbackTokens, ContentTokens
from service.store.reads import Reads
from service.store.sqlite import SqliteDatabase
from service.store.statements import Database, Transaction, run
from service.subscribing import Subscribing
from service.sweeper import Sweeper
from service.tasks import Tasks
from service.trying import Trying
from service.unanswered import Unanswered
from service.uploading import Uploading

log = logging.getLogger("reelhook.wiring")


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that lives as long as the program. secret_key: signs callback URLs and derives owners' secrets."""

    settings: Settings
    clock: Clock
    database: Database
    reads: Reads
    egress: Egress
    gateways: Mapping[str, Gateway]
    mounts: Mapping[str, Mount]
    pace: Pace
    keys: Keys
    tokens: CallbackTokens
    links: Links
    tasks: Tasks
    cancelling: Cancelling
    retrying: Retrying
    hub: Hub
    feed: Feed
    unanswered: Unanswered
    uploading: Uploading
    sweeper: Sweeper
    deliveries: Deliveries
    attempting: Attempting
    endpoints: Endpoints
    publisher: Publisher
    seal: Seal
    mail: Mail
    push: Push
    asides: Asides
    subscribing: Subscribing
    trying: Trying
    replaying: Replaying
    content: Content
    archiver: Archiver
    pruning: Pruning
    secret_key: str


@asynccontextmanager
async def open_database(settings: Settings, *, migrate: bool = True) -> AsyncIterator[Database]:
    """The database, brought up to date unless that is asked not to be."""
    database = await _connect(settings.database)
    try:
        if migrate:
            for name in await database.migrate():
                log.info("store.migrated name=%s", name)
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def open_services(
    settings: Settings, *, clock: Clock = system_clock, chance: Callable[[], float] = random.random
) -> AsyncIterator[Services]:
    """The services, open for as long as the block lasts. SettingsError when the settings cannot be."""
    guard = _guard(settings)
    async with open_database(settings) as database, open_egress(guard, f"Reelhook/{__version__}") as egress:
        secret_key = await read_secret_key(settings, database)
        gateways = open_gateways(settings.gateways, egress, clock, settings.public_url)
        mounts = open_mounts(settings, gateways)
        reads = Reads(database)
        pace = Pace(reads, clock, settings.sweep.first_guess)
        tokens = CallbackTokens(secret_key, lifetime_ms=settings.callbacks.token_lifetime)
        base_url = (settings.public_url or "").rstrip("/")
        links = Links(
            base_url,
            ContentTokens(secret_key),
            settings.content.link_lifetime,
            archiving=settings.archive.enabled,
            actions=ActionTokens(secret_key),
        )
        publisher = Publisher(links, lambda: deliveries.lease())  # noqa: PLW0108 - they need each other
        seal, mail = Seal(secret_key), Mail(settings.email, egress)
        push = Push(secret_key, settings.webpush.contact)
        origin = urlsplit(base_url).hostname or "reelhook"
        endpoints = Endpoints(settings.deliveries, secret_key, seal, origin)
        feed, asides = Feed(reads, settings.stream), Asides()
        attempting = Attempting(
            egress=egress,
            mail=mail,
            push=push,
            endpoints=endpoints,
            settings=settings.deliveries,
            clock=clock,
            chance=chance,
        )
        deliveries = Deliveries(
            database=database,
            reads=reads,
            attempting=attempting,
            endpoints=endpoints,
            publisher=publisher,
            news=feed.news,
            settings=settings.deliveries,
            clock=clock,
        )
        hub = Hub(
            database=database,
            publisher=publisher,
            settings=settings,
            clock=clock,
            hand_over=deliveries.take_over,
            news=feed.news,
        )
        hearing = Hearing(publisher, settings, chance)
        uploading = Uploading(database=database, egress=egress, settings=settings, clock=clock)
        tasks = Tasks(
            hub=hub,
            reads=reads,
            gateways=gateways,
            egress=egress,
            pace=pace,
            tokens=tokens,
            limits=Limits(settings),
            hearing=hearing,
            preparing=Preparing(hub=hub, uploading=uploading, hearing=hearing),
        )
        looks = Looks(hub=hub, gateways=gateways, tasks=tasks, pace=pace, chance=chance)
        archive = open_archive(settings.archive, egress)
        content = Content(
            database=database, gateways=gateways, egress=egress, archive=archive, settings=settings, clock=clock
        )
        yield Services(
            settings=settings,
            clock=clock,
            database=database,
            reads=reads,
            egress=egress,
            gateways=gateways,
            mounts=mounts,
            pace=pace,
            keys=Keys(database, clock),
            tokens=tokens,
            links=links,
            tasks=tasks,
            unanswered=Unanswered(database, clock),
            uploading=uploading,
            retrying=Retrying(reads=reads, tasks=tasks, gateways=gateways, secret_key=secret_key),
            cancelling=Cancelling(hub=hub, reads=reads, gateways=gateways, hearing=hearing),
            hub=hub,
            feed=feed,
            sweeper=Sweeper(hub=hub, reads=reads, gateways=gateways, tasks=tasks, looks=looks),
            deliveries=deliveries,
            attempting=attempting,
            endpoints=endpoints,
            publisher=publisher,
            seal=seal,
            mail=mail,
            push=push,
            asides=asides,
            subscribing=Subscribing(
                database=database,
                egress=egress,
                asides=asides,
                mail=mail,
                push=push,
                seal=seal,
                settings=settings.deliveries,
                clock=clock,
                origin=origin,
            ),
            trying=Trying(database=database, attempting=attempting, asides=asides, links=links, clock=clock),
            replaying=Replaying(
                database=database,
                reads=reads,
                publisher=publisher,
                clock=clock,
                remembered_ms=settings.retention.deliveries,
            ),
            content=content,
            archiver=Archiver(hub=hub, reads=reads, archive=archive, content=content, chance=chance),
            pruning=Pruning(database, settings.retention, clock),
            secret_key=secret_key,
        )


async def read_secret_key(settings: Settings, database: Database) -> str:
    """The key of the settings, or the one that was made at the first start."""
    if settings.secret_key:
        return settings.secret_key
    return await database.write(_secret_key, secrets.token_urlsafe(32))


async def _connect(name: str) -> Database:
    if "://" in name and not name.startswith(("postgres://", "postgresql://")):
        raise SettingsError(f"database: must be a file or a postgresql:// URL, not {name.partition('://')[0]}://…")
    if not name.startswith(("postgres://", "postgresql://")):
        return await SqliteDatabase.open(Path(name))
    try:
        from service.store.postgres import PostgresDatabase
    except ModuleNotFoundError as error:
        raise SettingsError("database: PostgreSQL needs asyncpg: pip install 'reelhook[postgres]'") from error
    return await PostgresDatabase.open(name)


def _guard(settings: Settings) -> Guard:
    for block in settings.egress.allow:
        try:
            ip_network(block)
        except ValueError as error:
            raise SettingsError(f"egress.allow: {error}") from error
    return Guard(settings.egress.allow)


def _secret_key(fresh: str) -> Transaction[str]:
    yield run("insert_state", name="secret_key", value=fresh)
    rows = yield run("state", name="secret_key")
    return str(rows[0]["value"])
