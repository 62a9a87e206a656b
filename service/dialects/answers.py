"""What all readers and writers of answers share: status words, progress, and why a task ended without a video.

A reader of answers never fails on an odd type: what cannot be read is absent.
"""

from collections.abc import Mapping
from typing import Any

from service.errors import Problem
from service.guard import LONGEST_TOLD, read_target
from service.model import Status, View
from service.wire import Json

# Every status word seen in any of the gateways, spelled without case, blanks and dashes
# (gateways.md F0: "case/space-insensitive"). A word that is not here ends nothing.
STATUS_WORDS: Mapping[str, Status] = {
    word: status
    for status, words in {
        Status.QUEUED: "submitted not_start pending created unknown queued in_queue queueing",
        Status.RUNNING: "in_progress running processing generating",
        Status.SUCCEEDED: "success succeeded succeed completed finished",
        Status.FAILED: "failure failed fail error",
        Status.CANCELLED: "cancelled canceled",
        Status.EXPIRED: "expired timeout timed_out",
    }.items()
    for word in words.split()
}

# Where a gateway has no word for these it says "failed", and the error code tells (gateways.md F0, words to emit).
HIDDEN_IN_FAILED: Mapping[str, Status] = {
    "cancelled": Status.CANCELLED,
    "canceled": Status.CANCELLED,
    "expired": Status.EXPIRED,
}


def read_status(word: Any) -> tuple[Status | None, str]:
    """A gateway's status word as (status, the word as it stood); status None when nobody knows the word."""
    if not isinstance(word, str):
        return None, str(word)[:100] if isinstance(word, int | float) else ""
    return STATUS_WORDS.get(word.strip().lower().replace(" ", "_").replace("-", "_")), word[:100]


def read_first_status(word: Any) -> tuple[Status | None, str]:
    """The same for a receipt, where no word, or "", means queued: the gateway took the task (gateways.md F0)."""
    return (Status.QUEUED, "") if word is None or word == "" else read_status(word)


def read_progress(value: Any) -> int | None:
    """0 to 100 from 50, 50.0, "50" or "50%"; None from anything else."""
    if isinstance(value, str):
        value = value.strip().removesuffix("%")
        if not value.isascii() or not value.isdigit() or len(value) > 3:
            return None
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(max(0, min(100, value)))


def read_failure(
    status: Status | None, message: Any, code: Any, *, signs: tuple[Any, ...] = ()
) -> tuple[Status | None, Problem | None]:
    """The status, and the error when it is failed. The code, or any of the other `signs`, may tell that failed really
    means cancelled or expired."""
    if status is not Status.FAILED:
        return status, None
    for sign in (code, *signs):
        if isinstance(sign, str) and sign.strip().lower() in HIDDEN_IN_FAILED:
            return HIDDEN_IN_FAILED[sign.strip().lower()], None
    said = text_or_none(message) or "the gateway says no more than that the task failed"
    code = text_or_none(code)
    return status, Problem("task_failed", said[:2000], gateway_code=code and code[:200])


def write_failure(view: View, code: str) -> Json:
    """{code, message} of a task that ended without a video; `code` is the gateway's word for an ordinary failure."""
    error = view.snapshot.error
    if view.status is Status.FAILED:
        code = (error and error.gateway_code) or code
    else:
        code = view.status.value
    return {"code": code, "message": error.message if error else f"the task {_ended(view.status)}"}


def _ended(status: Status) -> str:
    return {
        Status.CANCELLED: "was cancelled",
        Status.EXPIRED: "did not finish in time",
    }.get(status, "failed")


def text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def link_or_none(value: Any) -> str | None:
    """A link that could be followed, absolute or of the gateway itself; gateways write other things there too."""
    text = text_or_none(value)
    if text is None or text.startswith("/"):
        return text
    try:
        read_target(text, "the link", longest=LONGEST_TOLD)
    except Problem:
        return None
    return text


def object_or_empty(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def seconds_of(at: int | None) -> int | None:
    """Unix seconds, as all gateways are assumed to count (ASSUME, gateways.md F8.9)."""
    return None if at is None else at // 1000
