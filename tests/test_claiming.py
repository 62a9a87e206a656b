"""The loop that claims work: it ends only when it is told to, and then it keeps nothing."""

import asyncio
from dataclasses import dataclass, field

import pytest

from service.claiming import claim_for_ever

PATIENCE_S = 10


@dataclass
class Work:
    """Something to claim. Each claim and give-back waits for its gate and raises what it is told to."""

    due: list[str] = field(default_factory=lambda: ["a", "b"])
    claim_gate: asyncio.Event = field(default_factory=asyncio.Event)
    claim_begun: asyncio.Event = field(default_factory=asyncio.Event)
    claim_errors: list[Exception] = field(default_factory=list)
    give_back_error: Exception | None = None
    asked: int = 0
    started: list[str] = field(default_factory=list)
    given_back: list[str] = field(default_factory=list)
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    async def until_due(self) -> int:
        self.asked += 1
        return 0 if self.due else 60_000

    async def claim(self) -> list[str]:
        self.claim_begun.set()
        await self.claim_gate.wait()
        if self.claim_errors:
            raise self.claim_errors.pop()
        claimed, self.due = self.due, []
        return claimed

    def start(self, claimed: list[str]) -> None:
        self.started += claimed

    async def give_back(self, claimed: list[str]) -> None:
        if self.give_back_error is not None:
            raise self.give_back_error
        self.given_back += claimed

    def run(self) -> "asyncio.Task[None]":
        return asyncio.create_task(
            claim_for_ever(
                "work",
                until_due=self.until_due,
                claim=self.claim,
                start=self.start,
                give_back=self.give_back,
                woken=self.woken,
            )
        )


async def until(enough):
    async with asyncio.timeout(PATIENCE_S):
        while not enough():
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)


async def cancelled_while_claiming(work: Work) -> "asyncio.Task[None]":
    """The loop, over, after it was cancelled with a claim under way."""
    loop = work.run()
    await work.claim_begun.wait()
    loop.cancel()
    await asyncio.sleep(0)
    work.claim_gate.set()
    await asyncio.wait({loop}, timeout=PATIENCE_S)
    return loop


async def test_what_is_due_is_claimed_and_set_going() -> None:
    work = Work()
    work.claim_gate.set()
    loop = work.run()
    await until(lambda: work.started)
    loop.cancel()
    assert work.started == ["a", "b"]


async def test_a_claim_that_is_cancelled_is_given_back() -> None:
    work = Work()
    await cancelled_while_claiming(work)
    assert (work.started, work.given_back) == ([], ["a", "b"])


async def test_a_cancelled_loop_ends_when_its_claim_fails() -> None:
    work = Work(claim_errors=[OSError("disk full")])
    assert (await cancelled_while_claiming(work)).cancelled()


async def test_a_cancelled_loop_ends_when_giving_back_fails() -> None:
    work = Work(give_back_error=OSError("disk full"))
    assert (await cancelled_while_claiming(work)).cancelled()


async def test_a_claim_that_fails_is_made_again() -> None:
    work = Work(claim_errors=[OSError("busy")])
    work.claim_gate.set()
    loop = work.run()
    await until(lambda: work.started)
    loop.cancel()
    assert work.started == ["a", "b"]


async def test_a_woken_loop_looks_at_once() -> None:
    work = Work(due=[])
    work.claim_gate.set()
    loop = work.run()
    await until(lambda: work.asked)
    work.due = ["c"]
    work.woken.set()
    await until(lambda: work.started)
    loop.cancel()
    assert work.asked <= 3


async def test_a_loop_that_nobody_wakes_looks_again_in_a_while() -> None:
    work = Work(due=[])
    work.claim_gate.set()
    loop = work.run()
    await until(lambda: work.asked == 2)
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop
