"""WorldRouter: gateways.md F1 and F2, worldrouter.txt."""

from service.model import Status
from tests.dialects.contract import GatewayContract, Stated
from tests.dialects.given import BY_NAME, view

EACH = BY_NAME["worldrouter-official"]


class TestWorldRouter(GatewayContract):
    gateway = "worldrouter"
    base_url = "https://inference-api-pre-d80ca3.worldrouter.ai"
    models = "seedance-2.0 seedance-2.0-fast"
    calls_back = False
    at_each_change = False
    pause_ms = 1_000
    result_needs_key = False
    shows_messages = True
    surfaces = (
        Stated(
            name="official",
            routes=(
                "POST /api/v3/contents/generations/tasks",
                "GET /api/v3/contents/generations/tasks/{id}",
            ),
            ids="task-",
            words="queued queued running succeeded failed cancelled expired",
        ),
    )


def test_f2_a_failed_task_has_an_error_object() -> None:
    """F2 "Failure object ? ASSUME error{code,message}"."""
    assert EACH.surface.write_task(view(EACH, Status.FAILED))["error"] == {"code": "oops", "message": "it went wrong"}


def test_f2_the_receipt_has_the_id_and_a_request_id_only() -> None:
    assert EACH.surface.write_receipt(view(EACH, Status.QUEUED)).keys() == {"id", "requestId"}
