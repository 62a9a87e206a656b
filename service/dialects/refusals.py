"""Error answers of any gateway, read into a Problem: by the words in the body first, by the HTTP status otherwise."""

from collections.abc import Mapping
from typing import Any

from service.dialects.answers import object_or_empty, text_or_none
from service.errors import CODES, Problem
from service.wire import Json, pick

# HTTP status of a refusal -> our code. easyrouter.txt section 5 and worldrouter.txt "Troubleshooting" state 400 to 403,
# 424 and 429; the others have their usual meaning. 408 says that a request was lost on its way, not what became of it.
PROBLEM_BY_STATUS: Mapping[int, str] = {
    400: "invalid_request",
    401: "unauthorized",
    402: "insufficient_credit",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "gateway_error",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    424: "upstream_failed",
    429: "rate_limited",
}


def read_refusal(status: int, body: Any, words: Mapping[str, str]) -> Problem | None:
    """A Problem from {error: {message, code}}, {error: "…"}, {code, message} or {detail}; None when it is no refusal.

    words: the gateway's own code words and messages, and what they mean. What cannot be read (HTML of a proxy, an
    empty body) still has its HTTP status.
    """
    if status < 300 and not _refuses(object_or_empty(body)):
        return None
    error = pick(body, ("error",))
    source = error if isinstance(error, dict) else object_or_empty(body)
    message = next((text for name in ("message", "msg", "detail") if (text := text_or_none(source.get(name)))), None)
    message = message or text_or_none(error) or f"the gateway answered HTTP {status}"
    word = source.get("code") or source.get("type")
    gateway_code = str(word)[:200] if isinstance(word, str | int | float) else None
    code = _code_of(status, (gateway_code or "", message.strip().lower()), words)
    return Problem(code, message[:2000], gateway_code=gateway_code, gateway_status=status)


def word_of(problem: Problem) -> str:
    """The code word to write: the gateway's own for its refusals, ours for what only we can know."""
    ours = problem.code in ("outcome_unknown", "gateway_unreachable", "shutting_down", "internal")
    return problem.code if ours else problem.gateway_code or problem.code


def _refuses(body: Json) -> bool:
    """Whether an answer with a status of success is a refusal: success is false (seedance2), the code is another than
    "success" (easyrouter.txt 2.2), or an error stands "instead of the receipt" (videos.txt). A failed task has an error
    too, but it has an id."""
    success, code = body.get("success"), body.get("code")
    if isinstance(success, bool):
        return not success
    if isinstance(code, str) and code.lower() not in ("success", "ok", "200", "0"):
        return True
    return bool(body.get("error")) and not text_or_none(body.get("id")) and not text_or_none(body.get("task_id"))


def _code_of(status: int, said: tuple[str, ...], words: Mapping[str, str]) -> str:
    for word in said:
        if word in words and status < 500:
            return words[word]
        if word in CODES and (status < 300 or CODES[word][0] == status):  # another Reelhook wrote it
            return word
    if status < 300:  # refused in so many words, whatever they mean
        return "invalid_request"
    if status in PROBLEM_BY_STATUS:
        return PROBLEM_BY_STATUS[status]
    return "invalid_request" if 400 <= status < 500 else "gateway_error"
