"""The official Ark API: gateways.md section 2."""

import pytest

from service.dialects import DIALECTS
from service.model import Status
from tests.dialects.contract import GatewayContract, Stated
from tests.dialects.given import BY_NAME, view

EACH = BY_NAME["ark-official"]


class TestArk(GatewayContract):
    gateway = "ark"
    base_url = "https://ark.cn-beijing.volces.com"
    models = (
        "doubao-seedance-2-0-260128 "
        "doubao-seedance-2-0-fast-260128 "
        "doubao-seedance-2-0-mini-260615 "
        "doubao-seedance-2-5-260628 "
        "dreamina-seedance-2-0-260128"
    )
    calls_back = True
    at_each_change = True
    pause_ms = 1_000
    result_needs_key = False
    shows_messages = True
    surfaces = (
        Stated(
            name="official",
            routes=(
                "POST /api/v3/contents/generations/tasks",
                "GET /api/v3/contents/generations/tasks/{id}",
                "GET /api/v3/contents/generations/tasks",
                "DELETE /api/v3/contents/generations/tasks/{id}",
            ),
            ids="cgt-",
            words="queued queued running succeeded failed cancelled expired",
        ),
    )


def test_ark_answers_a_create_with_the_id_and_the_identifier_of_the_caller() -> None:
    """Section 2 "create": "(+ safety_identifier echo) nothing else; no status"."""
    request = EACH.surface.read_create(
        {"model": "ep-1", "content": [{"type": "text", "text": "a cat"}], "safety_identifier": "me"}
    )
    write = EACH.surface.write_receipt
    assert write(view(EACH, Status.QUEUED, request=request)) == {"id": "cgt-abc", "safety_identifier": "me"}
    assert write(view(EACH, Status.QUEUED)) == {"id": "cgt-abc"}


@pytest.mark.parametrize("status", list(Status))
def test_ark_has_an_error_object_or_null(status: Status) -> None:
    """Section 2 "task object": "error (null or {code,message})"."""
    error = EACH.surface.write_task(view(EACH, status))["error"]
    assert error == ({"code": "oops", "message": "it went wrong"} if status is Status.FAILED else None)


def test_ark_shows_a_duration_or_frames_and_not_both() -> None:
    """Section 2 "task object": "duration XOR frames"."""
    body = {"model": "ep-1", "content": [{"type": "text", "text": "a cat"}], "frames": 121, "duration": 5}
    task = EACH.surface.write_task(view(EACH, Status.RUNNING, request=EACH.surface.read_create(body)))
    assert (task["frames"], "duration" in task) == (121, False)


def test_ark_shows_the_tier_and_the_expiry_that_a_task_has_by_default() -> None:
    task = EACH.surface.write_task(view(EACH, Status.QUEUED))
    assert (task["service_tier"], task["execution_expires_after"]) == ("default", 172_800)


def test_ark_calls_back_about_every_status_but_cancelled() -> None:
    """Section 2 "callback_url contract": "`cancelled` is NOT listed"."""
    assert set(Status) - set(DIALECTS["ark"].called_back) == {Status.CANCELLED}


def test_ark_takes_models_and_endpoints_that_it_does_not_list() -> None:
    """Section 2 "model": "model id or ep-…"."""
    assert [name for name, dialect in DIALECTS.items() if dialect.open_models] == ["ark"]
