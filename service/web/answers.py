"""Answers: JSON out, and every Problem in the dialect of the route that it happened on."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from service.dialects import DIALECTS
from service.errors import Problem
from service.wire import Json, dumps

# What the official SDKs try again, whatever it means (gateways.md sections 2 and 3), where it is ours to say no.
TRIED_AGAIN = (409, 504)

log = logging.getLogger("reelhook.web")

WriteError = Callable[[Problem], tuple[int, Json]]

_CODES_BY_STATUS = {404: "unknown_route", 405: "method_not_allowed", 413: "too_large", 400: "invalid_request"}


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(dumps(value), status, dict(headers or {}), "application/json")


def problem_answer(problem: Problem, write_error: WriteError) -> Response:
    """A Problem as its HTTP answer."""
    status, body = write_error(problem)
    return json_answer(body, status, problem_headers(problem))


def problem_headers(problem: Problem) -> dict[str, str]:
    """What a Problem says in headers. x-should-retry is obeyed by the official SDKs of this field."""
    headers = {}
    if problem.retry_after_ms is not None:
        headers["retry-after"] = str(max(1, -(-problem.retry_after_ms // 1000)))
    if not problem.retryable and problem.status in TRIED_AGAIN:
        headers["x-should-retry"] = "false"
    if problem.code == "unauthorized":
        headers["www-authenticate"] = "Bearer"
    return headers


def write_native_error(problem: Problem) -> tuple[int, Json]:
    """Our own shape: {error: {code, message, retryable, field?, gateway_code?, gateway_status?}}."""
    return problem.status, {"error": problem.to_json()}


def error_writer(
    request: Request, dialects: Mapping[str, str], otherwise: WriteError = write_native_error
) -> WriteError:
    """Whose words to use: the dialect of the first path segment, where that is a gateway's mount."""
    first = request.url.path.lstrip("/").partition("/")[0]
    return DIALECTS[dialects[first]].write_error if first in dialects else otherwise


def exception_answers(dialects: Mapping[str, str], otherwise: WriteError = write_native_error) -> dict[Any, Any]:
    """Starlette's exception table. dialects: gateway name -> dialect name. otherwise: for all other paths."""

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        answer = problem_answer(error, error_writer(request, dialects, otherwise))
        if getattr(request.state, "is_download", False) and answer.status_code < 300:
            # ASSUME a real status here even in `videos`: whoever saves a file would save its error as a video
            answer.status_code = error.status
        return answer

    async def on_http_exception(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = _CODES_BY_STATUS.get(error.status_code, "invalid_request" if error.status_code < 500 else "internal")
        answer = problem_answer(
            Problem(code, f"{request.method} {request.url.path}: {error.detail}"),
            error_writer(request, dialects, otherwise),
        )
        answer.headers.update(error.headers or {})
        return answer

    async def on_any(request: Request, error: Exception) -> Response:
        where = request.url.path.split("/")[1]  # no more of it: a callback's path is its capability
        log.error("web.failed method=%s under=/%s", request.method, where, exc_info=error)
        problem = Problem("internal", "Reelhook failed at this request; it may be sent again")
        return problem_answer(problem, error_writer(request, dialects, otherwise))

    return {Problem: on_problem, HTTPException: on_http_exception, Exception: on_any}
