"""WorldRouter: gateways.md F1 and F2, worldrouter.txt."""

from pathlib import Path

import pytest

from service.model import Status
from tests.dialects.contract import GatewayContract, Stated
from tests.dialects.given import BY_NAME, minimal, view
from tests.hub import hub

CREATE = "/api/v3/contents/generations/tasks"
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
    """F2 Create answer."""
    assert EACH.surface.write_receipt(view(EACH, Status.QUEUED)).keys() == {"id", "requestId"}


@pytest.mark.parametrize("model", ["seedance-2.0-asset", "seedance-1.5-pro", "Seedance-2.0"])
async def test_f2_any_other_model_is_refused(tmp_path: Path, model: str) -> None:
    """F2 model: "exactly seedance-2.0 or seedance-2.0-fast; else 400 unsupported_model"."""
    async with hub(tmp_path, "worldrouter", worker=False) as it:
        answer = await it.post(f"/worldrouter{CREATE}", minimal(EACH) | {"model": model})
        assert (answer.status_code, answer.json()["error"]["code"], it.made()) == (400, "unsupported_model", 0)


@pytest.mark.parametrize("path", ["/v1/videos/task-1/content", "/v1/videos", f"/v1{CREATE}"])
async def test_f2_nothing_but_assets_is_under_v1(tmp_path: Path, path: str) -> None:
    """F2 Quirks: "paths start /api/v3, not under /v1", no /content."""
    async with hub(tmp_path, "worldrouter", worker=False) as it:
        answer = await it.http.get(f"/worldrouter{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_route")
