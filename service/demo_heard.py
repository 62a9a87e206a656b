"""The recount of the subscriber side: who was to hear what, in which form, and whether that came to pass."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime

from service.demo_channels import CHANNEL, HOOK
from service.demo_evidence import Evidence, Place
from service.demo_story import CHANNELS_WISH, SLEEPERS_GATEWAY, ZAPS_EVENTS, Story
from service.demo_subscribers import EVENTS, ONE_SHOT, Received
from service.formats.flat import METADATA_PREFIX
from service.model import TERMINAL_EVENTS
from service.wire import Json

VERIFIER, FLAKY, SLEEPER = ("verifier", EVENTS), ("flaky", EVENTS), ("sleeper", EVENTS)
SINGLE, ZAP, SLACK = ("verifier", ONE_SHOT), ("zap", HOOK), ("slack", CHANNEL)


def subscribers_figures(evidence: Evidence) -> Mapping[str, int]:
    """As the far side has them."""
    taken = Counter(place for place, _, requests in evidence.requests() if requests[-1].taken)
    return {
        "signed_twice": sum(seen.verified_anew for seen in evidence.received.get(VERIFIER, ())),
        "hooked": taken[ZAP],
        "cards": taken[SLACK],
        "replayed": sum(_was_given_up(requests) for place, _, requests in evidence.requests() if place == SLEEPER),
        "streamed": len(set(evidence.story.streamed)),
    }


def unheard(evidence: Evidence) -> Iterator[str]:
    """Events that a subscriber should have got, and has not taken."""
    taken = {(place, message_id) for place, message_id, requests in evidence.requests() if requests[-1].taken}
    for event in evidence.events:
        for place in _wanting(evidence, event):
            if (place, event["id"]) not in taken:
                yield f"{place[0]}{place[1]} has not got {event['type']} {event['id']}"
    streamed = set(evidence.story.streamed)
    for event in evidence.events:
        if event["id"] not in streamed:
            yield f"the reader of the stream has not heard {event['type']} {event['id']}"


def misheard(evidence: Evidence) -> Iterator[str]:
    """What somebody was told who did not want it, or not as it was promised."""
    yield from _unwanted(evidence)
    yield from _fields(evidence)
    yield from _rotation(evidence)
    yield from (f"Slack would not have taken a card: {fault}" for fault in evidence.subscribers.channel.refusals)
    yield from _replays(evidence)
    yield from _stream(evidence.story)


def _wanting(evidence: Evidence, event: Json) -> Iterator[Place]:
    """Who wants an event, by what they subscribed to."""
    kind, task = event["type"], event["data"].get("task", {})
    yield VERIFIER
    if kind in TERMINAL_EVENTS:
        yield FLAKY
        if task["gateway"] == SLEEPERS_GATEWAY:
            yield SLEEPER
        case = evidence.story.case_of(task)
        if case is not None and ONE_SHOT.encode() in case.body:
            yield SINGLE
    if kind in ZAPS_EVENTS:
        yield ZAP
    if kind in CHANNELS_WISH["events"]:
        yield SLACK


def _unwanted(evidence: Evidence) -> Iterator[str]:
    wanted = {(place, event["id"]) for event in evidence.events for place in _wanting(evidence, event)}
    for place, message_id, _ in evidence.requests():
        # of its own task a caller may hear more than the end, as its gateway's documentation has it
        if place != SINGLE and (place, message_id) not in wanted:
            yield f"{place[0]}{place[1]} was sent {message_id}, which it does not want"


def _fields(evidence: Evidence) -> Iterator[str]:
    """The Zap's: the same keys in the sample, in successes and in failures."""
    zap = evidence.subscribers.zap
    kinds = set()
    for event in zap.live():
        kinds.add(event["event_type"])
        keys = {key for key in event if not key.startswith(METADATA_PREFIX)}
        if keys != zap.sample:
            yield f"{event['event_type']} {event['id']} has other keys than the sample: {sorted(keys ^ zap.sample)}"
    for kind in ZAPS_EVENTS:
        if kind not in kinds:
            yield f"the Zap has seen no {kind}"


def _rotation(evidence: Evidence) -> Iterator[str]:
    """Whatever happened after the change is signed with both secrets; with the old one everything is (_attempts)."""
    told_at = {event["id"]: datetime.fromisoformat(event["timestamp"]).timestamp() * 1000 for event in evidence.events}
    later = [
        request
        for request in evidence.received.get(VERIFIER, ())
        if told_at.get(request.message_id, 0) > evidence.story.rotated_at
    ]
    if not later or not evidence.story.rotated_at:
        yield "nothing was told after the verifier's secret was changed"
    for request in later:
        if not request.verified_anew:
            yield f"{request.message_id} is not signed with the new secret"


def _replays(evidence: Evidence) -> Iterator[str]:
    """What the sleeper says was given up and came later, against what the service says that it began again."""
    name = evidence.story.subscriptions["sleeper"]
    said = sum(bool(each["replay_count"]) for each in evidence.deliveries if each["subscription_id"] == name)
    seen = subscribers_figures(evidence)["replayed"]
    if seen != said:
        yield f"replayed: the far side counts {seen}, the service says {said}"


def _was_given_up(requests: list[Received]) -> bool:
    """The sleeper's deliveries have two attempts; only a replay makes a third."""
    return len(requests) > 2 and requests[-1].taken


def _stream(story: Story) -> Iterator[str]:
    if not story.cut_off:
        yield "the reader of the stream was never cut off"
    for event_id, number in Counter(story.streamed).items():
        if number > 1:
            yield f"the reader of the stream heard {event_id} {number} times"
