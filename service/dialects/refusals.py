"""Error answers of any gateway, read into a Problem: by the words in the body first, by the HTTP status otherwise."""

import re
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

# ASSUME the words of OpenAI and of the new-api source for what any gateway may say and none of the five lists. A full
# gateway must be told from a refusal, and a failed upstream may have made the task all the same.
USUAL_WORDS: Mapping[str, str] = {
    "insufficient_quota": "insufficient_credit",
    "insufficient_credits": "insufficient_credit",
    "insufficient_balance": "insufficient_credit",
    "rate_limit_exceeded": "rate_limited",
    "rate_limit_error": "rate_limited",
    "too_many_requests": "rate_limited",
    "invalid_api_key": "unauthorized",
    "upstream_error": "upstream_failed",
    "do_request_failed": "upstream_failed",
    "bad_response_status_code": "upstream_failed",
    "timeout": "upstream_failed",
}

# Behind HTTP 200 the status does not tell a fault from a refusal: these words in its code or type do, and a message
# that speaks of a timeout.
FAULTY_WORD = re.compile(r"time[d_ -]*out|upstream|internal|server[_ -]?error|unavailable|bad[_ -]?gateway|^5\d\d$")
FAULTY_MESSAGE = re.compile(r"time[d -]*out")


def read_refusal(status: int, body: Any, words: Mapping[str, str]) -> Problem | None:
    """A Problem from {error: {message, code}}, {error: "…"}, {code, message} or {detail}; None when it is no refusal.

    words: the gateway's own code words, and phrases of its messages, in small letters, and what they mean. What cannot
    be read (HTML of a proxy, an empty body) still has its HTTP status.
    """
    if status < 300 and not _refuses(object_or_empty(body)):
        return None
    error = pick(body, ("error",))
    source = error if isinstance(error, dict) else object_or_empty(body)
    message = next((text for name in ("message", "msg", "detail") if (text := text_or_none(source.get(name)))), None)
    message = message or text_or_none(error) or f"the gateway answered HTTP {status}"
    word = source.get("code") or source.get("type")
    gateway_code = str(word)[:200] if isinstance(word, str | int | float) else None
    kind = text_or_none(source.get("type")) or ""
    code = _code_of(status, gateway_code or "", kind.lower(), message.lower(), words)
    field = text_or_none(source.get("param"))  # as Ark and OpenAI name the input (gateways.md sections 2 and 3)
    return Problem(code, message[:2000], field and field[:200], gateway_code=gateway_code, gateway_status=status)


def word_of(problem: Problem, words: Mapping[str, str] | None = None) -> str:
    """The code word to write: the gateway's own for its refusals, ours for what only we can know. words: our code ->
    what the gateway says for it, where that is known."""
    ours = problem.code in ("outcome_unknown", "gateway_unreachable", "shutting_down", "internal")
    return problem.code if ours else problem.gateway_code or (words or {}).get(problem.code, problem.code)


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


def _code_of(status: int, word: str, kind: str, message: str, words: Mapping[str, str]) -> str:
    known = {**USUAL_WORDS, **words} if status < 500 else {}
    meant = known.get(word) or known.get(word.lower())
    meant = meant or next((code for phrase, code in known.items() if " " in phrase and phrase in message), None)
    if meant is not None:
        return meant
    if word in CODES and (status < 300 or CODES[word][0] == status):  # another Reelhook wrote it
        return word
    if status < 300 and not (word.isdecimal() and int(word) in PROBLEM_BY_STATUS):
        return _code_behind_success(word, kind, message)
    status = status if status >= 300 else int(word)  # {"error": {"code": 429}}: the status that it should have had
    if status in PROBLEM_BY_STATUS:
        return PROBLEM_BY_STATUS[status]
    return "invalid_request" if 400 <= status < 500 else "gateway_error"


def _code_behind_success(word: str, kind: str, message: str) -> str:
    """What an error behind HTTP 200 is whose word nobody lists.

    A refusal: videos.txt says that a failed call carries the error "instead of the receipt fields", so the gateway has
    read the create, says no, and holds no task that anybody could be charged for. That is all that promise 1 asks of a
    refusal, and nothing is sent again by it: the caller is told, and decides. To call it a doubt would leave every
    refused prompt waiting for days for a callback that never comes. But a gateway that puts its refusals behind 200 may
    put its faults there too, and a provider that timed out may have made the task: such words are a doubt.
    """
    faulty = FAULTY_WORD.search(word.lower()) or FAULTY_WORD.search(kind) or FAULTY_MESSAGE.search(message)
    return "upstream_failed" if faulty else "invalid_request"
