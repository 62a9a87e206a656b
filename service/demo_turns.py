"""What happens to the demo's subscribers on the way: a secret changes, one comes back, a reader is cut off."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from service.clock import system_clock
from service.demo_cast import Cast
from service.demo_story import Say, Story
from service.demo_subscribers import EVENTS
from service.wire import Json, dumps, loads

PATIENCE_S = 15
LOOK_EVERY_S = 0.1
MISSED_LEAST = 3  # events that are given up before the sleeper comes back
HEARD_FIRST = 50  # requests, until the secret changes
READ_FIRST = 40  # events, until the reader is cut off
CUT_OFF_S = 0.5


async def rotate(cast: Cast, story: Story, say: Say) -> None:
    """A new secret half way, while the old one is still good; the verifier goes on trusting the old one alone."""
    verifier = cast.subscribers.verifier
    await _until(lambda: len(verifier.log) >= HEARD_FIRST)
    name = story.subscriptions["verifier"]
    answer = await cast.call("POST", f"/v1/subscriptions/{name}/rotate-secret?grace=1h")
    verifier.new_secrets[EVENTS] = answer.raise_for_status().json()["secret"]
    story.rotated_at = system_clock()
    say("subscribers", "a secret was changed; for an hour events are signed with both, the old one and the new one")


async def come_back(cast: Cast, story: Story, say: Say) -> None:
    """The sleeper wakes up, and is told what was given up meanwhile."""
    sleeper, name = cast.subscribers.sleeper, story.subscriptions["sleeper"]
    try:
        async with asyncio.timeout(PATIENCE_S):
            while len(await _deliveries(cast, name, "exhausted")) < MISSED_LEAST:
                await _look_again()
            sleeper.awake = True
            # what is still tried comes by itself, or is given up
            while await _deliveries(cast, name, "pending"):
                await _look_again()
            missed = len(await _deliveries(cast, name, "exhausted"))
            replay = await _replay(cast, name)
    except TimeoutError:
        story.complaints.append(f"the sleeper was not told what it had missed within {PATIENCE_S} s")
        return
    story.expect(
        replay["status"] == "finished" and replay["replayed"] == missed,
        f"the sleeper missed {missed} events, and its replay is {replay['status']} with {replay['replayed']}",
    )
    say("subscribers", f"one was down, and missed {missed} events; back again, it gets them by one call")


async def _replay(cast: Cast, name: str) -> Json:
    """A replay of what was missed, when it is over."""
    wish = dumps({"only_missing": True, "per_second": 100})
    begun = (await cast.call("POST", f"/v1/subscriptions/{name}/replay", wish)).raise_for_status().json()
    while True:
        replay: Json = (await cast.call("GET", f"/v1/replays/{begun['id']}")).raise_for_status().json()
        if replay["status"] != "running":
            return replay
        await _look_again()


async def _deliveries(cast: Cast, name: str, status: str) -> list[Json]:
    query = f"/v1/deliveries?limit=200&subscription={name}&status={status}"
    found: list[Json] = (await cast.call("GET", query)).raise_for_status().json()["data"]
    return found


async def read_stream(cast: Cast, story: Story, say: Say) -> None:
    """Read until cancelled; cut off once on the way, and taken up behind the last event that was read."""
    last_id = ""
    while True:
        async for message in cast.stream(last_id):
            last_id = message.id
            story.streamed.append(loads(message.data)["id"])
            if not story.cut_off and len(story.streamed) >= READ_FIRST:
                break
        if not story.cut_off:
            story.cut_off = len(story.streamed)
            await asyncio.sleep(CUT_OFF_S)
            say("stream", f"a reader was cut off behind event {last_id}, and goes on from there")


async def catch_up(cast: Cast, story: Story) -> None:
    """Wait until the reader of the stream has heard all that there is, or will not."""
    there = {event["id"] for event in await cast.everything("/v1/events")}
    await _until(lambda: there <= set(story.streamed))


async def _until(true: Callable[[], bool]) -> None:
    """Until it is, or patience ends: then the recount says what is missing."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                await _look_again()


async def _look_again() -> None:
    await asyncio.sleep(LOOK_EVERY_S)
