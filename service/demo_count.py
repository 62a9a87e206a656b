"""The recount: every figure from the logs of the far side, held against what the service's own API says.

The far side is what the sandbox gateways and the subscribers wrote down; a difference is a broken promise, in words.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from service.demo_evidence import Evidence
from service.demo_heard import misheard, subscribers_figures, unheard
from service.model import TERMINAL, TERMINAL_EVENTS
from service.wire import Json

FIGURES = (
    *("tasks", "succeeded", "failed", "expired", "cancelled", "by_callback", "by_sweep", "forged_refused"),
    *("duplicates_ignored", "ambiguous_creates", "double_creates", "events", "deliveries", "attempts", "verified"),
    *("signed_twice", "hooked", "cards", "replayed", "streamed"),
    "lost",
)


def recount(evidence: Evidence) -> tuple[dict[str, int], list[str]]:
    """The figures as the far side has them, and every broken promise in a sentence."""
    ends = [event for event in evidence.heard if event["type"] in TERMINAL_EVENTS]
    by_end = Counter(event["data"]["task"]["status"] for event in ends)
    by_source = Counter(event["data"]["task"]["result_source"] for event in ends)
    kinds = Counter(_kind(note) for note in evidence.callbacks)
    messages = list(evidence.requests())
    figures = {
        "tasks": len({event["data"]["task"]["id"] for event in evidence.heard if "task" in event["data"]}),
        **{status.value: by_end[status.value] for status in TERMINAL},
        "by_callback": by_source["callback"],
        "by_sweep": by_source["sweep"],
        "forged_refused": kinds["forged", "refused"],
        "duplicates_ignored": kinds["duplicate", "taken"],
        "ambiguous_creates": sum(not create["answered"] for create in evidence.creates),
        "double_creates": sum(number - 1 for number in evidence.fingerprints),
        "events": len(evidence.heard),
        "deliveries": sum(any(request.taken for request in requests) for *_, requests in messages),
        "attempts": sum(len(requests) for *_, requests in messages),
        "verified": sum(bool(request.verified) for *_, requests in messages for request in requests),
        **subscribers_figures(evidence),
    }
    lost = [*_unended(evidence), *unheard(evidence)]
    broken = [
        *evidence.story.complaints,
        *_differences(evidence, figures),
        *_cases(evidence),
        *_ends(evidence),
        *_callbacks(evidence),
        *_creates(evidence),
        *_attempts(evidence),
        *misheard(evidence),
        *lost,
    ]
    return {name: figures.get(name, len(lost)) for name in FIGURES}, list(dict.fromkeys(broken))


def _kind(note: Json) -> tuple[str, str]:
    status = note["status"] or 0
    return note["kind"], "taken" if 200 <= status < 300 else "refused" if 400 <= status < 500 else "failed"


def _differences(evidence: Evidence, figures: Mapping[str, int]) -> Iterator[str]:
    """The figures of the far side against the same ones of the API."""
    by_status = Counter(task["status"] for task in evidence.tasks)
    by_source = Counter(task["result_source"] for task in evidence.tasks)
    said: dict[str, Any] = {
        "tasks": len(evidence.tasks),
        **{status.value: by_status[status.value] for status in TERMINAL},
        "by_callback": by_source["callback"],
        "by_sweep": by_source["sweep"],
        "events": len(evidence.events),
        "deliveries": sum(delivery["status"] == "delivered" for delivery in evidence.deliveries),
        "attempts": sum(delivery["attempt_count"] for delivery in evidence.deliveries),
        "ambiguous_creates": sum(told.unknown for told in evidence.story.told),
    }
    for name, number in said.items():
        if figures[name] != number:
            yield f"{name}: the far side counts {figures[name]}, the service says {number}"
    meant = len(evidence.story.told)
    if len(evidence.tasks) != meant:
        yield f"{meant} tasks were submitted, and the service has {len(evidence.tasks)}"
    if figures["double_creates"]:
        yield f"{figures['double_creates']} tasks were created a second time at a gateway"


def _cases(evidence: Evidence) -> Iterator[str]:
    """What each caller was told, and how its task ended, against what the case says."""
    for told in evidence.story.told:
        case = told.case
        if told.status != case.told:
            answer = f"{told.status} {told.answer}"
            yield f"{case.gateway}, {case.title}: the caller was answered {answer:.200}, not {case.told}"
        if told.unknown != case.unknown:
            yield f"{case.gateway}, {case.title}: the caller was {'' if told.unknown else 'not '}told not to try again"
    for task in evidence.tasks:
        known = evidence.story.case_of(task)
        if known is None:
            yield f"nobody asked for task {task['id']} of {task['gateway']}"
        elif task["status"] in TERMINAL and (task["status"] != known.ends or task["result_source"] not in known.by):
            yield (
                f"{known.gateway}, {known.title}: it ended {task['status']} by {task['result_source']}, "
                f"not {known.ends} by {' or '.join(known.by)}"
            )


def _ends(evidence: Evidence) -> Iterator[str]:
    """What the gateways themselves say of the tasks that have ended, and how the service came to know."""
    acknowledged = {
        note["task"] for note in evidence.callbacks if note["kind"] != "forged" and _kind(note)[1] == "taken"
    }
    for task in evidence.tasks:
        create = evidence.create_of(task)
        source = task["result_source"]
        if source not in ("callback", "sweep", "cancel"):
            continue
        if create is None:
            yield f"task {task['id']} ended {task['status']} by {source}, and {task['gateway']} has no such task"
            continue
        status = evidence.sandbox_status[create["id"]]
        if status != task["status"]:
            yield f"task {task['id']} ended {task['status']}, and {task['gateway']} says {status}"
        if source == "callback" and create["id"] not in acknowledged:
            yield f"task {task['id']} ended by a callback, and {task['gateway']} has sent none"
        if source == "sweep" and not evidence.gets.get(create["id"]):
            yield f"task {task['id']} ended by a sweep, and {task['gateway']} was never asked"
    for task_id, number in Counter(
        event["data"]["task"]["id"] for event in evidence.events if event["type"] in TERMINAL_EVENTS
    ).items():
        if number > 1:
            yield f"task {task_id} has {number} events that end it"


def _callbacks(evidence: Evidence) -> Iterator[str]:
    for note in evidence.callbacks:
        kind, became = _kind(note)
        if became != ("refused" if kind == "forged" else "taken"):
            yield f"a {kind} callback of {note['gateway']} was answered with {note['status'] or 'nothing'}"
    kinds = Counter((note["gateway"], note["kind"]) for note in evidence.callbacks)
    wanted: Counter[tuple[str, str]] = Counter()
    for told in evidence.story.told:
        wanted.update({(told.case.gateway, kind): number for kind, number in told.case.callbacks.items()})
    for (gateway, kind), number in wanted.items():
        if kinds[gateway, kind] < number:
            yield f"{gateway} was to send {number} {kind} callbacks, and sent {kinds[gateway, kind]}"


def _creates(evidence: Evidence) -> Iterator[str]:
    """As many tasks at each gateway, with each prompt, as were meant to be."""
    made = Counter((create["gateway"], create["prompt"]) for create in evidence.creates)
    meant: Counter[tuple[str, str]] = Counter()
    for told in evidence.story.told:
        meant[told.case.gateway, told.case.prompt] += told.case.creates
    for key in made | meant:
        if made[key] != meant[key]:
            yield f"{key[0]} has {made[key]} tasks {key[1]!r}, and {meant[key]} were meant"


def _attempts(evidence: Evidence) -> Iterator[str]:
    """The same bytes each time, signed each time, and nothing after a 2xx."""
    for (name, path), message_id, requests in evidence.requests():
        if len({request.body for request in requests}) > 1:
            yield f"{name}{path}: {message_id} came with other bytes the second time"
        if any(request.taken for request in requests[:-1]):
            yield f"{name}{path}: {message_id} was sent again after it had been taken"
        if not all(request.verified for request in requests if request.verified is not None):
            yield f"{name}{path}: the signature of {message_id} did not verify"


def _unended(evidence: Evidence) -> Iterator[str]:
    for task in evidence.tasks:
        if task["status"] not in TERMINAL:
            yield f"task {task['id']} of {task['gateway']} has not ended: it is still {task['status']}"
