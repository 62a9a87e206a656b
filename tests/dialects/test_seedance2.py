"""seedance2.ink: gateways.md F1 and F6, seedance2.txt."""

import pytest

from service.dialects import DIALECTS
from service.model import Status
from service.wire import Json
from tests.dialects.contract import GatewayContract, Stated
from tests.dialects.given import BY_NAME, RESULT, view

EACH = BY_NAME["seedance2-open"]


class TestSeedance2(GatewayContract):
    gateway = "seedance2"
    base_url = "https://www.seedance2.ink"
    models = "seedance-2.0 seedance-2.0-fast seedance-1.5-pro"
    calls_back = True
    at_each_change = False
    pause_ms = 1_000
    result_needs_key = False
    shows_messages = True
    surfaces = (
        Stated(
            name="open",
            routes=(
                "POST /api/open/v1/video/generations",
                "GET /api/open/v1/video/generations/{id}",
                "POST /api/open/v1/video/generations/{id}/cancel",
                "GET /api/open/v1/models",
            ),
            ids="req_",
            words="queued queued processing succeeded failed cancelled failed",
        ),
    )


@pytest.mark.parametrize("status", list(Status))
def test_f6_a_failed_task_is_a_successful_query(status: Status) -> None:
    """F6: "A FAILED task still has success:true"."""
    assert EACH.surface.write_task(view(EACH, status))["success"] is True


def test_f6_resolution_and_metadata_are_not_echoed() -> None:
    """F6: "resolution/metadata not echoed"."""
    request = EACH.surface.read_create(
        {"model": "seedance-2.0", "prompt": "a cat", "resolution": "720p", "metadata": {"secret": "of the caller"}}
    )
    for write in (EACH.surface.write_receipt, EACH.surface.write_task, EACH.dialect.write_callback):
        body = write(view(EACH, Status.SUCCEEDED, request=request))
        assert not {"resolution", "metadata"} & body.keys()


@pytest.mark.parametrize("envelope", [None, "event", "type"])
def test_f6_a_webhook_is_read_with_and_without_an_envelope(envelope: str | None) -> None:
    """F6 "Webhook body ?": accept {event|type, data:{…}} too."""
    task: Json = {"success": True, "requestId": "req_1", "status": "succeeded", "output": {"url": RESULT}}
    body = {envelope: "video.completed", "data": task} if envelope else task
    snapshot = DIALECTS["seedance2"].read_callback(body)
    assert (snapshot.gateway_task_id, snapshot.status, snapshot.video_url) == ("req_1", Status.SUCCEEDED, RESULT)
