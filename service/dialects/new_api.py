"""What gateways of the new-api family share: the envelope, status words in capitals, and error bodies.

easyrouter.txt shows the envelope and the words; the error bodies are not documented: ASSUME those of the public new-api
source, {code, message, data: null} for tasks and {error: {message, type, code}} for keys (gateways.md F3 "Errors").
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from service.dialects.answers import (
    link_or_none,
    object_or_empty,
    read_failure,
    read_first_status,
    read_progress,
    read_status,
    text_or_none,
    write_failure,
)
from service.dialects.ark_task import read_ark_task
from service.dialects.refusals import read_refusal, word_of
from service.errors import Problem
from service.model import Snapshot, Status, View
from service.wire import Json, count_or_none, pick

# easyrouter.txt "Status Enum"; videos.txt "Task status". Cancelled and expired have no word of their own.
TASK_WORDS: Mapping[Status, str] = {
    Status.QUEUED: "QUEUED",
    Status.RUNNING: "IN_PROGRESS",
    Status.SUCCEEDED: "SUCCESS",
    Status.FAILED: "FAILURE",
    Status.CANCELLED: "FAILURE",
    Status.EXPIRED: "FAILURE",
}

# Code words and messages that say more than the HTTP status. task_not_exist comes with a 400 (gateways.md F3 "Quirks");
# the messages are those of easyrouter.txt 5.1 and 5.3, whose 402 is a 403 in the new-api source (gateways.md F3).
PROBLEM_BY_WORD: Mapping[str, str] = {
    "task_not_exist": "not_found",
    "insufficient_user_quota": "insufficient_credit",
    "model not allowed": "unsupported_model",
    "insufficient user quota": "insufficient_credit",
}
# The same to write, where our word is not theirs.
WORDS: Mapping[str, str] = {"insufficient_credit": "insufficient_user_quota"}


def task_word(view: View) -> str:
    return TASK_WORDS[view.status] if view.accepted else "SUBMITTED"


def read_receipt(body: Json) -> Snapshot:
    task = _unwrapped(body)
    status, word = read_first_status(task.get("status"))
    task_id = text_or_none(task.get("task_id")) or text_or_none(task.get("id"))
    return Snapshot(status=status, word=word, gateway_task_id=task_id, progress=read_progress(task.get("progress")))


def read_task(body: Json) -> Snapshot:
    """The envelope {code, message, data} or a bare task; the raw Ark task lies at `data` of the task, if anywhere."""
    task = _unwrapped(body)
    raw = object_or_empty(task.get("data")) or task
    seen, word = read_status(task.get("status"))
    reason = text_or_none(task.get("fail_reason"))
    message, code = reason or pick(raw, ("error", "message")), pick(raw, ("error", "code"))
    signs = (raw.get("status"), (reason or "").partition(":")[0])
    status, error = read_failure(seen, message, code, signs=signs)
    quota = count_or_none(task.get("quota"))
    inner = read_ark_task(raw)
    return replace(
        inner,
        status=status,
        word=word,
        gateway_task_id=text_or_none(task.get("task_id")) or text_or_none(task.get("id")),
        progress=read_progress(task.get("progress")),
        video_url=_read_url(task, raw) if status is Status.SUCCEEDED else None,
        error=error,
        usage=inner.usage | ({} if quota is None else {"quota": quota}),
    )


def read_callback(body: Json) -> Snapshot:
    """Where Ark itself calls back, `id` is Ark's (cgt-…), not one that this gateway can be asked about: only a
    `task_id` is taken for the task's (gateways.md F3 "Callback")."""
    return replace(read_task(body), gateway_task_id=text_or_none(_unwrapped(body).get("task_id")))


def write_reason(view: View) -> str:
    """What fail_reason says; cancelled and expired are told apart only here (gateways.md F0)."""
    message = str(write_failure(view, "")["message"])
    return message if view.status is Status.FAILED else f"{view.status}: {message}"


def read_error(status: int, body: Any) -> Problem | None:
    problem = read_refusal(status, body, PROBLEM_BY_WORD)
    if problem is not None and problem.code == "forbidden" and "quota" in problem.message.lower():
        return replace(problem, code="insufficient_credit")
    return problem


def task_error(problem: Problem) -> Json:
    return {"code": word_of(problem, WORDS), "message": problem.message, "data": None}


def error_object(problem: Problem) -> Json:
    return {"error": {"message": problem.message, "type": "new_api_error", "code": word_of(problem, WORDS)}}


def _unwrapped(body: Any) -> Json:
    body = object_or_empty(body)
    return object_or_empty(body.get("data")) if "code" in body else body


def _read_url(task: Json, raw: Json) -> str | None:
    """result_url may hold text when the task failed (gateways.md F3 "Quirks"), so this is for the succeeded."""
    places = ((task, ("result_url",)), (task, ("metadata", "url")), (raw, ("content", "video_url")))
    return next((url for body, path in places if (url := link_or_none(pick(body, path)))), None)
