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


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("invalid_request", 400),
        ("insufficient_credit", 402),
        ("forbidden", 403),
        ("not_found", 404),
        ("too_many_pending", 429),
        ("outcome_unknown", 504),
    ],
)
def test_f6_seedance2_answers_with_real_statuses(code: str, status: int) -> None:
    """F6 "Errors … HTTP statuses ?": ASSUME the usual ones."""
    written, body = DIALECTS["seedance2"].write_error(Problem(code, "no"))
    assert (written, body) == (status, {"success": False, "error": {"code": code, "message": "no"}})


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
    ("status", "word", "code"),
    [
        (400, "unsupported_model", "unsupported_model"),
        (400, "invalid_request", "invalid_request"),
        (401, "unauthorized", "unauthorized"),
        (402, "seedance_balance_too_low", "insufficient_credit"),
        (403, "media_resource_access_denied", "forbidden"),
        (424, "InternalServiceError", "upstream_failed"),
        (429, "seedance_too_many_pending_tasks", "too_many_pending"),
    ],
)
def test_f2_worldrouters_documented_statuses_and_words_are_read(status: int, word: str, code: str) -> None:
    """F2 "Errors"; worldrouter.txt "Troubleshooting"."""
    body = {"error": {"code": word, "message": "no", "type": "x"}, "requestId": "req-1", "upstream_status": 500}
    problem = DIALECTS["worldrouter"].read_error(status, body)
    assert problem is not None
    assert (problem.code, problem.gateway_code, problem.gateway_status) == (code, word, status)


def test_f2_a_424_does_not_give_worldrouters_own_status_for_the_providers() -> None:
    """F2 "Errors": upstream_status."""
    _, body = DIALECTS["worldrouter"].write_error(Problem("upstream_failed", "slow", gateway_status=424))
    assert body["upstream_status"] == 502


@pytest.mark.parametrize(
    ("code", "status", "body"),
    [
        ("invalid_request", 400, {"code": "invalid_request", "message": "no", "data": None}),
        ("unsupported_model", 400, {"code": "unsupported_model", "message": "no", "data": None}),
        ("unauthorized", 401, {"error": {"message": "no", "type": "new_api_error", "code": "unauthorized"}}),
        (
            "insufficient_credit",
            402,
            {"error": {"message": "no", "type": "new_api_error", "code": "insufficient_user_quota"}},
        ),
        ("forbidden", 403, {"error": {"message": "no", "type": "new_api_error", "code": "forbidden"}}),
    ],
)
def test_f3_easyrouter_answers_with_its_documented_statuses(code: str, status: int, body: Any) -> None:
    """F3 "Errors"; easyrouter.txt section 5; {code,message,data} for tasks, {error} for keys."""
    assert DIALECTS["easyrouter"].write_error(Problem(code, "no")) == (status, body)


@pytest.mark.parametrize("code", ["insufficient_credit", "too_many_pending", "unauthorized", "upstream_failed"])
def test_f4_cubicspaces_answers_with_the_usual_statuses(code: str) -> None:
    """F4 "Errors … nothing said": ASSUME the usual statuses with {error: {message, type, code}}."""
    status, body = DIALECTS["cubicspaces"].write_error(Problem(code, "no"))
    assert (status, body["error"].keys()) == (CODES[code][0], {"message", "type", "code"})


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, {"error": {"message": "no such model", "type": "new_api_error", "code": ""}}, "invalid_request"),
        (401, {"error": {"message": "invalid token", "type": "new_api_error", "code": ""}}, "unauthorized"),
        (403, {"error": {"message": "user quota is not enough", "type": "new_api_error"}}, "insufficient_credit"),
        (429, {"error": {"message": "slow down", "type": "new_api_error"}}, "rate_limited"),
        (400, {"code": "task_not_exist", "message": "task_not_exist", "data": None}, "not_found"),
        (504, "<html>", "gateway_error"),
    ],
    ids=str,
)
def test_f4_errors_of_cubicspaces_are_read_in_the_shapes_of_its_family(status: int, body: Any, code: str) -> None:
    """F4 "Errors … nothing said"."""
    problem = DIALECTS["cubicspaces"].read_error(status, body)
    assert problem is not None
    assert problem.code == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"message": "prompt is required", "type": "invalid_request_error", "code": "bad_prompt"}, "invalid_request"),
        ({"message": "no", "type": "sensitive_words_detected", "code": None}, "invalid_request"),
        ({"message": "no", "type": "rate_limit_error", "code": None}, "rate_limited"),
        ({"message": "no", "type": "x", "code": 429}, "rate_limited"),
        ({"message": "no", "type": "x", "code": 402}, "insufficient_credit"),
        ({"message": "no", "type": "x", "code": 500}, "upstream_failed"),
        ({"message": "no", "type": "upstream_error", "code": "provider_said_no"}, "upstream_failed"),
        ({"message": "no", "type": "server_error", "code": "E17"}, "upstream_failed"),
        ({"message": "no", "type": "x", "code": "gateway_timeout"}, "upstream_failed"),
        ({"message": "The provider timed out", "type": "x", "code": "E17"}, "upstream_failed"),
        ({"message": "Service is unavailable in your region", "type": "x", "code": "region"}, "invalid_request"),
        ("a bare string", "invalid_request"),
    ],
    ids=str,
)
def test_f5_an_unlisted_word_behind_http_200_is_a_refusal_and_a_fault_is_a_doubt(error: Any, code: str) -> None:
    """F5 "Errors": HTTP 200 {"error":{"message","type","code"}} instead of the receipt."""
    problem = DIALECTS["videos"].read_error(200, {"error": error})
    assert problem is not None
    assert problem.code == code


@pytest.mark.parametrize("error", [None, "", {}])
def test_f5_an_empty_error_is_none(error: Any) -> None:
    """F5 "Errors": test `error` first, then id."""
    assert DIALECTS["videos"].read_error(200, {"error": error, "id": "task_1"}) is None


def test_f5_an_error_beside_an_id_does_not_hide_that_there_is_a_task() -> None:
    """F5 "Errors": "instead of the receipt fields"; what has an id may be paid for."""
    assert DIALECTS["videos"].read_error(200, {"error": {"message": "no"}, "id": "task_1"}) is None


@pytest.mark.parametrize(
    ("status", "code", "meant"),
    [
        (200, "unauthorized", "unauthorized"),
        (401, "unauthorized", "unauthorized"),
        (402, "insufficient_credits", "insufficient_credit"),
        (200, "insufficient_credits", "insufficient_credit"),
        (429, "slow_down", "rate_limited"),
        (200, "rate_limited", "rate_limited"),
        (200, "provider_error", "upstream_failed"),
        (400, "provider_error", "upstream_failed"),
        (404, "task_gone", "not_found"),
        (409, "already_finished", "conflict"),
        (500, "unauthorized", "gateway_error"),
    ],
)
def test_f6_seedance2_errors_are_told_apart(status: int, code: str, meant: str) -> None:
    """F6 "Errors": {success:false,error}; HTTP statuses ? decide by HTTP >= 400 or success === false."""
    problem = DIALECTS["seedance2"].read_error(status, {"success": False, "error": {"code": code, "message": "no"}})
    assert problem is not None
    assert problem.code == meant


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
