"""The story of the demo: who subscribes, what is submitted, and how all of it comes to its end."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.demo_cases import CANCELLED, REPEATED, Case, bad_cases, documented_cases
from service.demo_cast import Cast
from service.demo_channels import CHANNEL, HOOK
from service.demo_subscribers import EVENTS, ONE_SHOT, Subscriber
from service.model import EVENT_TYPES, TERMINAL
from service.wire import Json, dumps, loads

STAGGER_S = 0.04  # between submits, so that a person sees them come in
LOOK_EVERY_S = 0.2
PATIENCE_S = 35
SLEEPERS_GATEWAY = "easyrouter"
ZAPS_EVENTS = ("task.succeeded", "task.failed")
CHANNELS_WISH = {"events": ["task.failed"], "format": "slack", "format_options": {"blocks": "always"}}

Say = Callable[[str, str], None]
"""Tell the audience: who, and what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A case, and what its caller was told. unknown: that nobody knows the outcome, and not to send it again."""

    case: Case
    status: int
    answer: Any
    unknown: bool

    @property
    def task_id(self) -> str | None:
        """As far as the caller knows it."""
        return self.case.task_id(self.answer)


@dataclass(slots=True, kw_only=True)
class Story:
    """What was asked and answered. submitted: that this is all of it. complaints: promises that were broken on the
    way. subscriptions: ids, by who they are of. rotated_at: when the verifier's new secret was known (unix ms).
    streamed: the ids of the events that the reader of the stream has heard; cut_off: behind how many of them it was
    cut off."""

    told: list[Told] = field(default_factory=list)
    submitted: asyncio.Event = field(default_factory=asyncio.Event)
    complaints: list[str] = field(default_factory=list)
    subscriptions: dict[str, str] = field(default_factory=dict)
    rotated_at: int = 0
    streamed: list[str] = field(default_factory=list)
    cut_off: int = 0

    def expect(self, true: bool, otherwise: str) -> None:
        if not true:
            self.complaints.append(otherwise)

    def case_of(self, task: Json) -> Case | None:
        """By the id that the caller was given; by the prompt where it was given none."""
        by_id = (told.case for told in self.told if told.task_id == task["id"])
        by_prompt = (
            told.case
            for told in self.told
            if told.task_id is None and (told.case.gateway, told.case.prompt) == (task["gateway"], task["prompt"])
        )
        return next(by_id, None) or next(by_prompt, None)


async def subscribe(cast: Cast, story: Story) -> None:
    """The verifier wants every event; the flaky one, who names none, gets the four ends; the sleeper wants them of one
    gateway, and gives up soon; the channel wants failures. The Zap comes by its REST hook."""
    verifier, flaky, sleeper, _, channel = cast.subscribers.all
    wishes: tuple[tuple[Subscriber, Json], ...] = (
        (verifier, {"url": verifier.url + EVENTS, "events": list(EVENT_TYPES)}),
        (flaky, {"url": flaky.url + EVENTS}),
        (sleeper, {"url": sleeper.url + EVENTS, "filters": {"gateway": SLEEPERS_GATEWAY}, "retry_seconds": [0.2]}),
        (channel, CHANNELS_WISH | {"url": channel.url + CHANNEL}),
    )
    for subscriber, wish in wishes:
        made = (await cast.call("POST", "/v1/subscriptions", dumps(wish))).raise_for_status().json()
        story.subscriptions[subscriber.name] = made["id"]
        if subscriber is verifier:
            cast.subscribers.verifier.secrets = {EVENTS: made["secret"], ONE_SHOT: cast.keys.webhook_secret}
    await _hook(cast, story)


async def _hook(cast: Cast, story: Story) -> None:
    """As Zapier does it: a sample before there is any event, from which the fields are learned, and the hook."""
    zap = cast.subscribers.zap
    samples = (await cast.call("GET", "/v1/hooks/samples?event=task.succeeded")).raise_for_status().json()
    zap.sample = frozenset(samples[0])
    wish = {"target_url": zap.url + HOOK, "event": list(ZAPS_EVENTS)}
    made = (await cast.call("POST", "/v1/hooks", dumps(wish))).raise_for_status().json()
    story.subscriptions[zap.name] = made["id"]
    zap.secrets = {HOOK: made["secret"]}


async def submit_everything(cast: Cast, story: Story) -> None:
    """All cases at once, as it happens in life, and the three that take more than one request."""
    submits, url = [], cast.subscribers.verifier.url
    for case in (*documented_cases(url), *bad_cases(url)):
        submits.append(asyncio.create_task(_submit(cast, story, case)))
        await asyncio.sleep(STAGGER_S)
    await asyncio.gather(*submits, _cancel(cast, story), _send_twice(cast, story), _try_wrong_keys(cast, story))


async def follow(cast: Cast, story: Story, say: Say, count: Callable[[int, int, int], None]) -> None:
    """Watch until every task has ended, every delivery too, and every callback was sent; or patience ends, and the
    recount will name what is missing. count: (tasks ended, tasks, deliveries still to make)."""
    ended: set[str] = set()
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                tasks = await cast.everything("/v1/tasks")
                for task in tasks:
                    if task["status"] in TERMINAL and task["id"] not in ended:
                        ended.add(task["id"])
                        say(task["gateway"], _end_in_words(story.case_of(task), task))
                pending = [each for each in await cast.everything("/v1/deliveries") if each["status"] == "pending"]
                count(len(ended), len(tasks), len(pending))
                over = story.submitted.is_set() and len(ended) == len(tasks) and not pending
                if over and await _all_called_back(cast, story):
                    failed = sum(not request.taken for request in cast.subscribers.flaky.log)
                    say("subscribers", f"the flaky one failed {failed} requests, and has taken every event in the end")
                    return
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        say("demo", f"not everything has ended within {PATIENCE_S} s")


def _end_in_words(case: Case | None, task: Json) -> str:
    if case is None:
        return f"a task that nobody asked for: {task['id']}"
    moral = case.moral.format(seconds=f"{task['elapsed_seconds']:.1f}")
    return f"{case.title}: {moral}"


async def _all_called_back(cast: Cast, story: Story) -> bool:
    """Whether the gateways have sent every odd callback that the cases announce, and got an answer to each."""
    wanted: Counter[tuple[str, str]] = Counter()
    for told in story.told:
        for kind, number in told.case.callbacks.items():
            wanted[told.case.gateway, kind] += number
    sent: Counter[tuple[str, str]] = Counter()
    for name, log in (await cast.sandbox_logs()).items():
        if any(note["status"] is None for note in log["callbacks"]):
            return False
        sent.update((name, note["kind"]) for note in log["callbacks"])
    return sent >= wanted


# --- submits


async def _submit(cast: Cast, story: Story, case: Case, headers: Mapping[str, str] | None = None) -> Told:
    answer = await cast.call("POST", case.path, case.body, headers)
    try:
        body = loads(answer.content)
    except ValueError:
        body = None
    unknown = answer.headers.get("x-should-retry") == "false"
    told = Told(case=case, status=answer.status_code, answer=body, unknown=unknown)
    story.told.append(told)
    return told


async def _cancel(cast: Cast, story: Story) -> None:
    """As seedance2.txt "Cancel Task" has it."""
    told = await _submit(cast, story, CANCELLED)
    await asyncio.sleep(0.5)
    public = told.answer.get("requestId") if isinstance(told.answer, dict) else None
    answer = await cast.call("POST", f"{CANCELLED.path}/{public}/cancel")
    story.expect(
        answer.status_code == 200 and answer.json().get("status") == "cancelled",
        f"the cancellation of a seedance2 task was answered with {answer.status_code} {answer.text[:200]}",
    )


async def _send_twice(cast: Cast, story: Story) -> None:
    """The same submit twice at the same time, and the same key once more for something else."""
    key = {"idempotency-key": "demo-1"}
    first, second = await asyncio.gather(
        _submit(cast, story, REPEATED, key), cast.call("POST", REPEATED.path, REPEATED.body, key)
    )
    story.expect(
        second.is_success and second.json().get("id") == first.task_id,
        f"a submit repeated with its Idempotency-Key was answered with {second.status_code} {second.text[:200]}",
    )
    other = await cast.call("POST", REPEATED.path, dumps(loads(REPEATED.body) | {"duration": 6}), key)
    story.expect(
        other.status_code == 409,
        f"another submit with a used Idempotency-Key was answered with {other.status_code}, not 409",
    )


async def _try_wrong_keys(cast: Cast, story: Story) -> None:
    """The native API and a gateway's, with a key that nobody was given, and with none."""
    for case in (REPEATED, CANCELLED):
        for authorization in ("Bearer rh_somebody-elses", ""):
            answer = await cast.call("POST", case.path, case.body, {"authorization": authorization})
            story.expect(
                answer.status_code == 401,
                f"a submit to {case.path} without a good key was answered with {answer.status_code}, not 401",
            )
