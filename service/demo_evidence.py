"""What can be known after the demo: the logs of the far side, and what the service's own API says."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

from service.demo_cast import Cast, Subscribers
from service.demo_story import Story
from service.demo_subscribers import EVENTS, Received
from service.wire import Json, loads

Place = tuple[str, str]
"""Where deliveries go: a subscriber's name and a path of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that can be known afterwards. tasks, events, deliveries: as the API lists them. creates, callbacks: as the
    sandboxes noted them, each with its gateway. received: by place, in order. heard: the events that the verifier,
    who subscribed to all of them, has taken."""

    story: Story
    subscribers: Subscribers
    tasks: list[Json]
    events: list[Json]
    deliveries: list[Json]
    sandbox_status: Mapping[str, str]
    gets: Mapping[str, int]
    fingerprints: list[int]
    creates: list[Json]
    callbacks: list[Json]
    received: Mapping[Place, list[Received]]
    heard: list[Json]

    def create_of(self, task: Json) -> Json | None:
        """The sandbox's own task behind one of ours: by its id, or by its prompt where the id never arrived."""
        for create in self.creates:
            if create["id"] == task["gateway_task_id"]:
                return create
        same = (each for each in self.creates if (each["gateway"], each["prompt"]) == (task["gateway"], task["prompt"]))
        return next(same, None) if task["gateway_task_id"] is None else None

    def requests(self) -> Iterator[tuple[Place, str, list[Received]]]:
        """Each delivery as its subscriber saw it: where, which message, and all requests for it."""
        for place, received in self.received.items():
            ordered = sorted(received, key=lambda request: request.message_id)  # stable: in order of arrival
            for message_id, requests in groupby(ordered, key=lambda request: request.message_id):
                yield place, message_id, list(requests)


async def gather_evidence(cast: Cast, story: Story) -> Evidence:
    logs = await cast.sandbox_logs()
    deliveries = await cast.everything("/v1/deliveries")
    event_ids = {delivery["id"]: delivery["event_id"] for delivery in deliveries}  # where nothing is signed
    received: dict[Place, list[Received]] = {}
    for subscriber in cast.subscribers.all:
        for request in subscriber.log:
            known = replace(request, message_id=event_ids.get(request.message_id, request.message_id))
            received.setdefault((subscriber.name, request.path), []).append(known)
    events = (seen for seen in cast.subscribers.verifier.log if seen.taken and seen.path == EVENTS)
    heard = {seen.message_id: loads(seen.body) for seen in events}
    return Evidence(
        story=story,
        subscribers=cast.subscribers,
        tasks=await cast.everything("/v1/tasks"),
        events=await cast.everything("/v1/events"),
        deliveries=deliveries,
        sandbox_status={task["id"]: task["status"] for log in logs.values() for task in log["tasks"]},
        gets={task_id: number for log in logs.values() for task_id, number in log["gets_by_task"].items()},
        fingerprints=[number for log in logs.values() for number in log["tasks_by_fingerprint"].values()],
        creates=[{"gateway": name} | note for name, log in logs.items() for note in log["creates"]],
        callbacks=[{"gateway": name} | note for name, log in logs.items() for note in log["callbacks"]],
        received=received,
        heard=list(heard.values()),
    )
