"""A clean stop of the senders: nothing stays leased, and what an endpoint has acknowledged is not forgotten."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from service.deliveries import Deliveries
from service.settings import Settings, Span
from service.store.rows import Dispatch
from service.store.statements import Database, P, T, Transaction
from service.store.telling import add_subscription, insert_deliveries, insert_event
from service.subscriptions import Subscription
from service.wiring import Services, open_services
from tests.hub import SETTINGS
from tests.servers import Sink
from tests.store.given import a_dispatch, a_subscription, an_event, fresh_id

PATIENCE_S = 10


@dataclass
class Gated:
    """The database, but one kind of transaction can be held back, and told to fail first."""

    database: Database
    held: str = ""
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    errors: list[Exception] = field(default_factory=list)
    writes: "list[asyncio.Task[Any]]" = field(default_factory=list)

    async def write(self, transaction: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Like the drivers: a caller who is cancelled does not undo what he asked for."""
        writing = asyncio.create_task(self._write(transaction, *args, **kwargs))
        self.writes.append(writing)
        return await asyncio.shield(writing)

    async def _write(self, transaction: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        if transaction.__name__ == self.held:
            self.begun.set()
            await self.gate.wait()
            if self.errors:
                raise self.errors.pop()
        return await self.database.write(transaction, *args, **kwargs)

    async def read(self, name: str, /, **params: Any) -> Any:
        return await self.database.read(name, **params)

    async def migrate(self) -> list[str]:
        return []

    async def close(self) -> None:
        pass


@dataclass
class Post:
    """Senders of their own, over a gated database, and a subscription at a URL."""

    services: Services
    database: Gated
    deliveries: Deliveries
    subscription: Subscription

    async def due(self, number: int = 1, *, leased: bool = False, lease_ms: int = 60_000) -> list[Dispatch]:
        """New deliveries, due for whoever claims them or leased to these senders."""
        now = self.services.clock()
        made = []
        for _ in range(number):
            event = an_event(task_id=fresh_id("task"), created_at=now)
            dispatch = a_dispatch(event, self.subscription, leased_until=now + lease_ms)
            await self.services.database.write(insert_event, event)
            await self.services.database.write(insert_deliveries, event, [dispatch], leased=leased)
            made.append(dispatch)
        return made

    async def rows(self) -> list[tuple[str, bool]]:
        """(status, whether it is due now and leased to nobody) of each delivery, once all is written."""
        await asyncio.gather(*self.database.writes, return_exceptions=True)
        found = await self.services.database.read(
            "deliveries_page",
            **dict.fromkeys(("owner", "status", "event_id", "subscription_id")),
            since=0,
            until=2**62,
            before="~",
            limit=1_000,
        )
        now = self.services.clock()
        return [
            (row["status"], row["lease"] is None and row["next_at"] is not None and row["next_at"] <= now)
            for row in found
        ]


@asynccontextmanager
async def post(folder, url: str, *, held: str = "", **changes: Any) -> AsyncIterator[Post]:
    settings: Settings = replace(
        SETTINGS,
        database=str(folder / "post.db"),
        deliveries=replace(SETTINGS.deliveries, **{"timeout": Span(5_000)} | changes),
    )
    async with open_services(settings) as services:
        gated = Gated(services.database, held)
        deliveries = Deliveries(
            database=gated,
            reads=services.reads,
            attempting=services.attempting,
            endpoints=services.endpoints,
            publisher=services.publisher,
            news=lambda owner: None,
            settings=settings.deliveries,
            clock=services.clock,
        )
        subscription = a_subscription(id=fresh_id("sub"), url=url, secret="whsec_AAAA")
        await services.database.write(add_subscription, subscription)
        yield Post(services, gated, deliveries, subscription)


async def stopped(running: "asyncio.Task[None]") -> None:
    running.cancel()
    await ended(running)


async def ended(running: "asyncio.Task[None]") -> None:
    await asyncio.wait({running}, timeout=PATIENCE_S)
    assert running.cancelled()


async def test_a_stop_in_the_middle_of_a_claim_leaves_nothing_leased(tmp_path) -> None:
    async with post(tmp_path, "http://127.0.0.1:1/", held="claim_as_wished") as it:
        await it.due(3)
        running = asyncio.create_task(it.deliveries.run())
        await it.database.begun.wait()
        asyncio.get_running_loop().call_soon(it.database.gate.set)
        await stopped(running)
        assert await it.rows() == [("pending", True)] * 3


async def test_a_stop_waits_for_the_attempt_under_way(tmp_path) -> None:
    async with Sink(0).open() as sink, post(tmp_path, sink.url) as it:
        await it.due()
        running = asyncio.create_task(it.deliveries.run())
        await sink.wait_for(len)
        running.cancel()
        await asyncio.sleep(0)
        sink.release()
        await ended(running)
        assert await it.rows() == [("delivered", False)]


async def test_a_stop_waits_until_outcomes_are_on_disk(tmp_path) -> None:
    async with Sink().open() as sink, post(tmp_path, sink.url, held="_batch") as it:
        await it.due()
        running = asyncio.create_task(it.deliveries.run())
        await it.database.begun.wait()
        running.cancel()
        done, _ = await asyncio.wait({running}, timeout=0.1)
        assert not done
        it.database.gate.set()
        await ended(running)
        assert await it.rows() == [("delivered", False)]


async def test_an_outcome_that_cannot_be_recorded_at_a_stop_is_tried_again(tmp_path) -> None:
    async with Sink().open() as sink, post(tmp_path, sink.url, held="_batch") as it:
        await it.due()
        it.database.errors = [OSError("disk full")]
        running = asyncio.create_task(it.deliveries.run())
        await it.database.begun.wait()
        it.database.gate.set()
        await stopped(running)
        assert await it.rows() == [("delivered", False)]


async def test_what_is_handed_over_after_the_stop_is_given_back(tmp_path) -> None:
    async with post(tmp_path, "http://127.0.0.1:1/") as it:
        running = asyncio.create_task(it.deliveries.run())
        await asyncio.sleep(0)
        await stopped(running)
        it.deliveries.take_over(await it.due(2, leased=True))
        async with asyncio.timeout(PATIENCE_S):
            while await it.rows() != [("pending", True)] * 2:
                await asyncio.sleep(0.01)


async def test_what_waits_for_a_sender_at_the_stop_is_given_back(tmp_path) -> None:
    async with Sink(0).open() as sink, post(tmp_path, sink.url, concurrency=1) as it:
        running = asyncio.create_task(it.deliveries.run())
        await asyncio.sleep(0)
        it.deliveries.take_over(await it.due(3, leased=True))
        await sink.wait_for(len)
        running.cancel()
        await asyncio.sleep(0)
        sink.release()
        await ended(running)
        assert sorted(await it.rows()) == [("delivered", False)] + [("pending", True)] * 2


async def test_what_has_waited_too_long_for_its_lease_is_given_back_unsent(tmp_path) -> None:
    async with Sink().open() as sink, post(tmp_path, sink.url) as it:
        running = asyncio.create_task(it.deliveries.run())
        await asyncio.sleep(0)
        it.deliveries.take_over(await it.due(leased=True, lease_ms=5_500))
        (request,) = await sink.wait_for(len)  # as claimed anew, well before that lease would have ended
        assert request.headers["x-reelhook-attempt"] == "1"
        await stopped(running)
        assert await it.rows() == [("delivered", False)]


async def test_an_outcome_that_cannot_be_written_keeps_no_other_from_it(tmp_path):
    async with Sink().open() as sink, post(tmp_path, sink.url) as it:
        sent = await it.due(3, leased=True)
        outcomes = [await it.services.attempting.attempt(dispatch) for dispatch in sent]
        outcomes[1] = replace(outcomes[1], attempt=replace(outcomes[1].attempt, response="\udcc9"))
        it.deliveries._outcomes += outcomes
        await it.deliveries._record_all()
        assert [status for status, _ in await it.rows()] == ["delivered"] * 3
        assert not it.deliveries._unrecorded  # it goes on claiming


async def test_outcomes_are_kept_while_none_can_be_written(tmp_path):
    async with Sink().open() as sink, post(tmp_path, sink.url) as it:
        sent = await it.due(1, leased=True)
        outcome = await it.services.attempting.attempt(sent[0])
        unwritable = replace(outcome, attempt=replace(outcome.attempt, delivery_id="\udcc9"))
        it.deliveries._outcomes += [unwritable] * 5
        await it.deliveries._record_apart()
        assert len(it.deliveries._outcomes) == 5


async def test_an_outcome_that_cannot_be_written_whole_is_written_though_it_is_alone(tmp_path):
    async with Sink().open() as sink, post(tmp_path, sink.url) as it:
        sent = await it.due(1, leased=True)
        outcome = await it.services.attempting.attempt(sent[0])
        it.deliveries._outcomes.append(replace(outcome, attempt=replace(outcome.attempt, response="\udcc9")))
        await it.deliveries._record_all()
        assert (await it.rows(), it.deliveries._unrecorded) == ([("delivered", False)], False)
