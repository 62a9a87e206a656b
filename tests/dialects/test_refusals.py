"""Errors of every gateway: as they are documented, and back to back through both halves."""

from typing import Any

import pytest

from service.dialects import DIALECTS
from service.dialects.shape import Dialect
from service.errors import CODES, Problem
from tests.dialects.given import wired

EVERY_DIALECT = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))

# "The task, asset group, or asset belongs to another owner context": 403, also for an id that nobody has.
INDISTINGUISHABLE = {("worldrouter", "not_found"): "forbidden"}


@EVERY_DIALECT
@pytest.mark.parametrize("code", CODES)
def test_our_client_reads_the_code_that_our_server_wrote(dialect: Dialect, code: str) -> None:
    status, body = dialect.write_error(Problem(code, "it cannot be done"))
    problem = dialect.read_error(status, wired(body))
    assert problem is not None
    assert problem.code == INDISTINGUISHABLE.get((dialect.name, code), code)


@EVERY_DIALECT
def test_the_word_of_the_gateway_does_not_hide_that_the_outcome_is_unknown(dialect: Dialect) -> None:
    problem = Problem("outcome_unknown", "it may have been created", gateway_code="InternalServiceError")
    read = dialect.read_error(*dialect.write_error(problem))
    assert read is not None
    assert read.code == "outcome_unknown"


@EVERY_DIALECT
@pytest.mark.parametrize("code", CODES)
def test_our_client_reads_the_message_that_our_server_wrote(dialect: Dialect, code: str) -> None:
    problem = dialect.read_error(*dialect.write_error(Problem(code, "it cannot be done")))
    assert problem is not None
    assert problem.message == "it cannot be done"


@EVERY_DIALECT
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (302, "gateway_error"),
        (400, "invalid_request"),
        (401, "unauthorized"),
        (402, "insufficient_credit"),
        (403, "forbidden"),
        (404, "not_found"),
        (408, "gateway_error"),
        (409, "conflict"),
        (418, "invalid_request"),
        (424, "upstream_failed"),
        (429, "rate_limited"),
        (500, "gateway_error"),
        (502, "gateway_error"),
        (504, "gateway_error"),
    ],
)
@pytest.mark.parametrize("body", [None, "", "<html>", [], {}, {"error": None}, {"detail": "no"}], ids=str)
def test_an_error_without_words_has_its_http_status(dialect: Dialect, status: int, code: str, body: Any) -> None:
    problem = dialect.read_error(status, body)
    assert problem is not None
    assert (problem.code, problem.gateway_status) == (code, status)


@EVERY_DIALECT
def test_an_error_that_is_a_bare_string_is_its_message(dialect: Dialect) -> None:
    problem = dialect.read_error(400, {"error": "the prompt is too long"})
    assert problem is not None
    assert problem.message == "the prompt is too long"


@EVERY_DIALECT
def test_a_code_of_ours_is_not_believed_against_the_http_status(dialect: Dialect) -> None:
    problem = dialect.read_error(500, {"error": {"code": "invalid_request", "message": "no"}})
    assert problem is not None
    assert problem.code == "gateway_error"


@EVERY_DIALECT
def test_the_word_of_the_gateway_is_kept(dialect: Dialect) -> None:
    problem = dialect.read_error(400, {"error": {"code": "InputTextSensitiveContentDetected", "message": "no"}})
    assert problem is not None
    assert problem.gateway_code == "InputTextSensitiveContentDetected"


@pytest.mark.parametrize(
    ("code", "status", "word"),
    [
        ("unsupported_model", 400, "unsupported_model"),
        ("invalid_request", 400, "invalid_request"),
        ("insufficient_credit", 402, "seedance_balance_too_low"),
        ("forbidden", 403, "media_resource_access_denied"),
        ("not_found", 403, "media_resource_access_denied"),
        ("too_many_pending", 429, "seedance_too_many_pending_tasks"),
        ("unauthorized", 401, "unauthorized"),
    ],
)
def test_f2_worldrouter_answers_with_its_documented_statuses_and_words(code: str, status: int, word: str) -> None:
    """F2 "Errors"; worldrouter.txt "Troubleshooting"."""
    written, body = DIALECTS["worldrouter"].write_error(Problem(code, "no"))
    assert (written, body["error"]["code"], body["error"]["message"]) == (status, word, "no")
    assert {"code", "message", "type"} == body["error"].keys()
    assert "requestId" in body


def test_f2_worldrouter_keeps_the_upstream_error_and_status_in_a_424() -> None:
    """F2 "Errors": 424."""
    problem = Problem("upstream_failed", "slow", gateway_code="InternalServiceError", gateway_status=500)
    status, body = DIALECTS["worldrouter"].write_error(problem)
    assert (status, body["error"]["code"], body["upstream_status"]) == (424, "InternalServiceError", 500)


def test_f2_a_424_is_transient() -> None:
    """F2 "Errors": 424, "retry after a short wait"."""
    problem = DIALECTS["worldrouter"].read_error(424, {"error": {"message": "timed out"}, "upstream_status": 504})
    assert problem is not None
    assert (problem.code, problem.retryable) == ("upstream_failed", True)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, {"code": "invalid", "message": "model not allowed", "data": None}, "unsupported_model"),
        (400, {"code": "invalid", "message": "prompt is required", "data": None}, "invalid_request"),
        (401, {"error": {"message": "invalid token", "type": "new_api_error", "code": ""}}, "unauthorized"),
        (402, {"error": {"message": "insufficient user quota", "type": "new_api_error"}}, "insufficient_credit"),
        (403, {"error": {"message": "insufficient user quota", "type": "new_api_error"}}, "insufficient_credit"),
        (403, {"error": {"message": "user quota is not enough", "type": "new_api_error"}}, "insufficient_credit"),
        (403, {"error": {"message": "no access to model", "type": "new_api_error"}}, "forbidden"),
        (400, {"code": "task_not_exist", "message": "task_not_exist", "data": None}, "not_found"),
        (200, {"code": "task_not_exist", "message": "task_not_exist", "data": None}, "not_found"),
        (200, {"code": "fail_to_fetch_task", "message": '{"detail":"Not Found"}', "data": None}, "invalid_request"),
    ],
    ids=str,
)
def test_f3_easyrouter_errors_are_told_apart(status: int, body: Any, code: str) -> None:
    """F3 "Errors"; easyrouter.txt section 5, and the 403 of the new-api source."""
    problem = DIALECTS["easyrouter"].read_error(status, body)
    assert problem is not None
    assert problem.code == code


def test_f3_easyrouter_answers_400_for_an_unknown_id() -> None:
    """F3 "Quirks"."""
    assert DIALECTS["easyrouter"].write_error(Problem("not_found", "no such task")) == (
        400,
        {"code": "task_not_exist", "message": "no such task", "data": None},
    )


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("invalid_request", 200),
        ("unsupported_model", 200),
        ("insufficient_credit", 200),
        ("forbidden", 200),
        ("not_found", 200),
        ("upstream_failed", 200),
        ("rate_limited", 200),
        ("unauthorized", 401),
        ("too_large", 413),
        ("internal", 500),
        ("gateway_unreachable", 503),
        ("outcome_unknown", 504),
    ],
)
def test_f5_videos_answers_200_to_business_failures_only(code: str, status: int) -> None:
    """F5 "Errors"; videos.txt "Both success and business failures return HTTP 200"."""
    written, body = DIALECTS["videos"].write_error(Problem(code, "no"))
    assert (written, body["error"].keys()) == (status, {"message", "type", "code"})


def test_f5_an_error_object_under_http_200_is_a_refusal() -> None:
    """F5 "Errors": test `error` first, then the id."""
    body = {"error": {"message": "no such size", "type": "invalid_request_error", "code": "bad_size"}}
    problem = DIALECTS["videos"].read_error(200, body)
    assert problem is not None
    assert (problem.code, problem.gateway_code) == ("invalid_request", "bad_size")


def test_f6_seedance2_answers_in_its_envelope() -> None:
    """F6 "Errors"."""
    assert DIALECTS["seedance2"].write_error(Problem("unauthorized", "Invalid API key")) == (
        401,
        {"success": False, "error": {"code": "unauthorized", "message": "Invalid API key"}},
    )


def test_f6_success_false_is_a_refusal_whatever_the_http_status() -> None:
    """F6 "Errors": by HTTP >= 400 or success === false."""
    body = {"success": False, "error": {"code": "unauthorized", "message": "Invalid API key"}}
    problem = DIALECTS["seedance2"].read_error(200, body)
    assert problem is not None
    assert (problem.code, problem.message) == ("unauthorized", "Invalid API key")


def test_f6_a_task_that_cannot_be_cancelled_any_more_is_a_409() -> None:
    """F6 "Cancel": on terminal, ASSUME 409."""
    status, body = DIALECTS["seedance2"].write_error(Problem("not_cancellable", "it has succeeded"))
    assert (status, body["success"]) == (409, False)


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("rate_limit_exceeded", "rate_limited"),
        ("insufficient_quota", "insufficient_credit"),
        ("upstream_error", "upstream_failed"),
    ],
)
def test_the_usual_words_of_the_field_are_known_behind_http_200(word, code):
    problem = DIALECTS["videos"].read_error(200, {"error": {"message": "no", "type": "x", "code": word}})
    assert problem is not None
    assert problem.code == code


@pytest.mark.parametrize(
    ("problem", "status", "word"),
    [
        (Problem("invalid_request", "content is required", field="content"), 400, "MissingParameter"),
        (Problem("invalid_request", "ratio: no", field="ratio"), 400, "InvalidParameter"),
        (Problem("unauthorized", "no"), 401, "AuthenticationError"),
        (Problem("insufficient_credit", "no"), 403, "AccountOverdueError"),
        (Problem("forbidden", "no"), 403, "AccessDenied"),
        (Problem("unsupported_model", "no", field="model"), 404, "InvalidEndpointOrModel.NotFound"),
        (Problem("not_cancellable", "it runs"), 409, "InvalidAction.RunningTaskDeletion"),
        (Problem("too_many_pending", "no"), 429, "QuotaExceeded"),
        (Problem("invalid_request", "no", gateway_code="SensitiveContentDetected"), 400, "SensitiveContentDetected"),
    ],
    ids=lambda value: value.code if isinstance(value, Problem) else str(value),
)
def test_ark_answers_with_its_documented_statuses_and_words(problem: Problem, status: int, word: str) -> None:
    """gateways.md section 2 "error body": {code, message, param, type}."""
    written, body = DIALECTS["ark"].write_error(problem)
    assert (written, body["error"]["code"], body["error"]["param"]) == (status, word, problem.field or "")
    assert body["error"].keys() == {"code", "message", "param", "type"}


@pytest.mark.parametrize(
    ("status", "word", "code"),
    [
        (400, "MissingParameter", "invalid_request"),
        (400, "InvalidParameter.TaskTypeConstraint", "invalid_request"),
        (400, "InputImageSensitiveContentDetected.PrivacyInformation", "invalid_request"),
        (401, "AuthenticationError", "unauthorized"),
        (403, "AccountOverdueError", "insufficient_credit"),
        (403, "AccessDenied", "forbidden"),
        (403, "ModelNotOpen", "forbidden"),
        (404, "InvalidEndpointOrModel.NotFound", "unsupported_model"),
        (404, "InvalidEndpoint.NotFound", "unsupported_model"),
        (409, "InvalidAction.RunningTaskDeletion", "not_cancellable"),
        (429, "RateLimitExceeded.EndpointRPMExceeded", "rate_limited"),
        (429, "ModelAccountRpmRateLimitExceeded", "rate_limited"),
        (429, "QuotaExceeded", "too_many_pending"),
        (429, "ServerOverloaded", "rate_limited"),
        (500, "InternalServiceError", "gateway_error"),
    ],
)
def test_the_codes_of_ark_are_told_apart(status: int, word: str, code: str) -> None:
    """gateways.md section 2 "error body", "Codes seen"."""
    body = {"error": {"code": word, "message": "no. Request id: 021", "param": "", "type": "x"}}
    problem = DIALECTS["ark"].read_error(status, body)
    assert problem is not None
    assert (problem.code, problem.gateway_code) == (code, word)
