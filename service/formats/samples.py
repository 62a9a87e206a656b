"""Sample events: what a subscriber will hear, made of tasks that never were, with the keys of live ones."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from service.clock import DAY, MINUTE, SECOND
from service.errors import Problem
from service.formats.operational import about_delivery, about_subscription
from service.formats.standard import show_task
from service.links import Links
from service.model import TERMINAL_EVENTS, Status, Submission, Task, VideoRequest, first_id
from service.subscriptions import Subscription
from service.wire import Json

TOOK_MS = 84 * SECOND
LATER_MS = 60 * MINUTE


def sample_data(event_type: str, links: Links, now: int) -> Json:
    """The `data` of a sample envelope of one of EVENT_TYPES. now: unix ms."""
    return _ABOUT[event_type.partition(".")[0]](event_type, links, now)


def sample_task(status: Status, now: int) -> Task:
    """A task that stands so. Its result is no video that anybody made."""
    begun = now - TOOK_MS
    task = Task(
        id=first_id("task", begun),
        owner="sample",
        gateway="easyrouter",
        dialect="easyrouter",
        surface="unified",
        request=VideoRequest(
            model="dreamina-seedance-2-0",
            prompt="A paper boat on a rainy street, close up",
            duration=5,
            ratio="16:9",
            resolution="720p",
        ),
        status=status,
        submission=Submission.ACCEPTED,
        when_full="queue",
        created_at=begun,
        updated_at=now,
        deadline_at=begun + LATER_MS,
        next_at=None if status.terminal else now + MINUTE,
        gateway_task_id="sample-1",
        accepted_at=begun + SECOND,
        running_at=begun + 2 * SECOND if status is not Status.QUEUED else None,
        finished_at=now if status.terminal else None,
        progress=100 if status.terminal else 50 if status is Status.RUNNING else 10,
        settled_by="callback" if status.terminal else None,
    )
    if status is Status.SUCCEEDED:
        details = {"duration": 5, "resolution": "720p", "ratio": "16:9", "generate_audio": True}
        result: Json = {
            "video_url": "https://example.com/sample/video.mp4",
            "details": details,
            "cost": {"amount": "0.35", "currency": "USD", "refunded": "0.00"},
        }
        return replace(task, result=result)
    return replace(task, error=_ERRORS.get(status))


_ERRORS = {
    Status.FAILED: Problem(
        "task_failed", "The input was refused by the content policy.", gateway_code="content_policy"
    ),
    Status.CANCELLED: Problem("cancelled", "cancelled by its owner"),
    Status.EXPIRED: Problem("expired", "the gateway did not finish it in time"),
}


def _about_task(event_type: str, links: Links, now: int) -> Json:
    word = event_type.partition(".")[2]
    status = Status.QUEUED if word == "accepted" else Status(word)
    return {"task": show_task(sample_task(status, now), links)}


def sample_subscription(now: int, *, disabled: bool) -> Subscription:
    """A subscription whose endpoint has answered nothing but failures for days."""
    return Subscription(
        id=first_id("sub", now),
        owner="sample",
        url="https://example.com/hook",
        events=TERMINAL_EVENTS,
        format="standard",
        secret="",
        created_at=now - 30 * DAY,
        failing_since=now - 3 * DAY,
        failures=42,
        disabled_at=now if disabled else None,
        disabled_reason="a sample: nothing but failures" if disabled else None,
    )


def _about_subscription(event_type: str, links: Links, now: int) -> Json:
    disabled = event_type == "subscription.disabled"
    about = about_subscription(
        sample_subscription(now, disabled=disabled),
        percent=100 if disabled else 50,
        disables_at=now if disabled else now + 3 * DAY,
        status=500,
        error="the endpoint answered HTTP 500",
    )
    return {"subscription": about}


def _about_delivery(event_type: str, links: Links, now: int) -> Json:
    delivery = about_delivery(first_id("dlv", now), first_id("evt", now), "task.succeeded", attempts=11)
    return {"delivery": delivery} | _about_subscription("subscription.failing", links, now)


_ABOUT: Mapping[str, Callable[[str, Links, int], Json]] = {
    "task": _about_task,
    "subscription": _about_subscription,
    "delivery": _about_delivery,
}
