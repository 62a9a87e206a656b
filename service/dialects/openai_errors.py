"""OpenAI's errors: {error: {message, type, param, code}} with a real HTTP status (gateways.md section 3, "Errors")."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from service.dialects.answers import text_or_none
from service.dialects.refusals import read_refusal, word_of
from service.errors import Problem
from service.wire import Json, pick

# our code -> (type, code). ASSUME the words of OpenAI's public API, of which gateways.md shows the shape only; for what
# is not here the type follows from the status, and the code is the gateway's own or ours.
WORDS: Mapping[str, tuple[str, str]] = {
    "unauthorized": ("invalid_request_error", "invalid_api_key"),
    "unsupported_model": ("invalid_request_error", "model_not_found"),
    "insufficient_credit": ("insufficient_quota", "insufficient_quota"),
    "rate_limited": ("rate_limit_error", "rate_limit_exceeded"),
}
PROBLEM_BY_WORD: Mapping[str, str] = {word: ours for ours, (_, word) in WORDS.items()}


def write_error(problem: Problem) -> tuple[int, Json]:
    usual = "invalid_request_error" if problem.status < 500 else "server_error"
    kind, code = WORDS.get(problem.code, (usual, word_of(problem)))
    error = {"message": problem.message, "type": kind, "param": problem.field, "code": code}
    return problem.status, {"error": error}


def read_error(status: int, body: Any) -> Problem | None:
    problem = read_refusal(status, body, PROBLEM_BY_WORD)
    return problem and replace(problem, field=text_or_none(pick(body, ("error", "param"))))
