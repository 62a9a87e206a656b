"""Our client half and our server half of every message, against each other."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.model import Status
from service.wire import Json, fill, pick
from tests.dialects.given import (
    CALLBACK,
    LETTERS,
    RESULT,
    SAID_JSON,
    SPOKEN,
    WITH_CONTENT,
    Spoken,
    minimal,
    requests,
    view,
    wired,
)

EVERY_SURFACE = pytest.mark.parametrize("each", SPOKEN, ids=str)
EVERY_STATUS = pytest.mark.parametrize("status", list(Status))


def result_of(each: Spoken) -> str:
    """What a caller is told as the result: videos and openai show their own /content only (videos.txt "result_url",
    gateways.md section 3)."""
    return f"/v1/videos/{each.surface.id_prefix}abc/content" if each.dialect.result_needs_key else RESULT


@EVERY_SURFACE
@given(data=st.data())
def test_the_server_reads_the_request_that_the_client_wrote(each: Spoken, data: st.DataObject) -> None:
    request = data.draw(requests(each))
    read = each.surface.read_create(wired(each.surface.write_create(request, CALLBACK)))
    assert read == replace(request, webhook_url=CALLBACK)


@EVERY_SURFACE
@given(data=st.data())
def test_a_request_that_can_be_written_passes_the_check(each: Spoken, data: st.DataObject) -> None:
    each.surface.check(data.draw(requests(each)))


@EVERY_SURFACE
@given(name=LETTERS.map("x_{}".format), value=SAID_JSON)
def test_an_unknown_parameter_survives(each: Spoken, name: str, value: object) -> None:
    body = minimal(each) | {name: value}
    assert each.surface.write_create(each.surface.read_create(body), None) == body


@pytest.mark.parametrize("each", [each for each in SPOKEN if each.surface.callback_path[0] == "metadata"], ids=str)
@given(name=LETTERS.map("x_{}".format), value=SAID_JSON)
def test_an_unknown_parameter_inside_metadata_survives(each: Spoken, name: str, value: object) -> None:
    body = minimal(each) | {"metadata": {name: value}}
    assert each.surface.write_create(each.surface.read_create(body), None) == body


@pytest.mark.parametrize("at", ["item", "holder", "text"])
@pytest.mark.parametrize("each", WITH_CONTENT, ids=str)
def test_an_unknown_member_of_a_content_item_survives(each: Spoken, at: str) -> None:
    item: Json = {"type": "video_url", "video_url": {"url": "https://example.com/cat.mp4"}, "role": "reference_video"}
    if at == "text":
        item = {"type": "text", "text": "two cats"}
    (item["video_url"] if at == "holder" else item)["x_weight"] = 0.5
    body = minimal(each)
    if "content" in body:
        body["content"] = [*body["content"], item]
    else:
        body["metadata"] = {"content": [item]}
    assert each.surface.write_create(each.surface.read_create(body), None) == body


@EVERY_SURFACE
def test_null_means_absent(each: Spoken) -> None:
    """What the official SDKs send for every parameter that was not set (gateways.md section 2)."""
    names = (
        "duration seconds ratio resolution seed images image content_type callback_url webhookUrl mediaUrls metadata"
    )
    nulls = dict.fromkeys(names.split())
    assert each.surface.read_create(nulls | minimal(each)) == each.surface.read_create(minimal(each))


@EVERY_SURFACE
def test_the_body_that_was_read_stays_as_it_was(each: Spoken) -> None:
    body = minimal(each) | {"x_unknown": {"inner": None}}
    before = wired(body)
    each.surface.read_create(body)
    assert body == before


@EVERY_SURFACE
@given(data=st.data())
def test_the_request_that_was_written_stays_as_it_was(each: Spoken, data: st.DataObject) -> None:
    request = data.draw(requests(each))
    before = repr(request)
    fill(each.surface.write_create(request, CALLBACK), {"metadata": {"added": {"later": 1}}})
    assert repr(request) == before


@EVERY_SURFACE
def test_the_callback_of_the_caller_is_replaced_by_ours(each: Spoken) -> None:
    body = each.surface.write_create(
        replace(view(each, Status.QUEUED).request, webhook_url="https://caller/"), CALLBACK
    )
    assert pick(body, each.surface.callback_path) == CALLBACK
    assert b"caller" not in repr(body).encode()


@EVERY_SURFACE
@EVERY_STATUS
def test_the_client_reads_the_status_that_the_server_wrote(each: Spoken, status: Status) -> None:
    read = each.surface.read_task(wired(each.surface.write_task(view(each, status))))
    assert read.status is status


@EVERY_SURFACE
@EVERY_STATUS
def test_the_client_reads_the_id_that_the_server_wrote(each: Spoken, status: Status) -> None:
    task = view(each, status)
    assert each.surface.read_task(wired(each.surface.write_task(task))).gateway_task_id == task.id


@EVERY_SURFACE
def test_a_task_that_the_gateway_has_not_accepted_yet_is_queued_and_at_0(each: Spoken) -> None:
    read = each.surface.read_task(wired(each.surface.write_task(view(each, Status.QUEUED, accepted=False))))
    assert (read.status, read.progress or 0) == (Status.QUEUED, 0)


@EVERY_SURFACE
def test_the_client_reads_the_result_that_the_server_wrote(each: Spoken) -> None:
    read = each.surface.read_task(wired(each.surface.write_task(view(each, Status.SUCCEEDED))))
    assert read.video_url == result_of(each)


@EVERY_SURFACE
@EVERY_STATUS
def test_only_a_succeeded_task_has_a_result(each: Spoken, status: Status) -> None:
    task = view(each, status)
    task = replace(task, snapshot=replace(task.snapshot, video_url=RESULT))
    read = each.surface.read_task(wired(each.surface.write_task(task)))
    assert (read.video_url is not None) == (status is Status.SUCCEEDED)


@EVERY_SURFACE
@EVERY_STATUS
def test_only_a_failed_task_has_an_error(each: Spoken, status: Status) -> None:
    read = each.surface.read_task(wired(each.surface.write_task(view(each, status))))
    assert (read.error and read.error.message) == ("it went wrong" if status is Status.FAILED else None)


@EVERY_SURFACE
@EVERY_STATUS
def test_no_task_is_taken_for_an_error_answer(each: Spoken, status: Status) -> None:
    assert each.dialect.read_error(200, wired(each.surface.write_task(view(each, status)))) is None


@EVERY_SURFACE
@EVERY_STATUS
def test_no_receipt_is_taken_for_an_error_answer(each: Spoken, status: Status) -> None:
    assert each.dialect.read_error(200, wired(each.surface.write_receipt(view(each, status)))) is None


@EVERY_SURFACE
@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_the_client_reads_the_receipt_that_the_server_wrote(each: Spoken, status: Status) -> None:
    """Some have no status (worldrouter, ark), so a running task is queued there until somebody asks."""
    task = view(each, status)
    read = each.surface.read_receipt(wired(each.surface.write_receipt(task)))
    assert read.gateway_task_id == task.id
    assert read.status is (status if read.word else Status.QUEUED)


@EVERY_SURFACE
@EVERY_STATUS
def test_the_receiver_reads_the_callback_that_the_gateway_wrote(each: Spoken, status: Status) -> None:
    """F1 callback body/sign/retry: bodies are not shown, so both halves read them alike."""
    read = each.dialect.read_callback(wired(each.dialect.write_callback(view(each, status))))
    assert read.status is status
    assert (read.video_url is not None) == (status is Status.SUCCEEDED)


@pytest.mark.parametrize("each", [each for each in SPOKEN if each.surface.route("cancel")], ids=str)
def test_the_client_reads_the_cancel_answer_that_the_server_wrote(each: Spoken) -> None:
    assert each.surface.write_cancelled is not None
    assert each.surface.read_cancelled is not None
    task = view(each, Status.CANCELLED)
    read = each.surface.read_cancelled(wired(each.surface.write_cancelled(task)))
    assert (read.status, read.gateway_task_id) == (Status.CANCELLED, task.id)


@EVERY_SURFACE
def test_a_surface_can_cancel_exactly_when_it_has_a_route_for_it(each: Spoken) -> None:
    halves = {each.surface.write_cancelled is not None, each.surface.read_cancelled is not None}
    assert halves == {each.surface.route("cancel") is not None}


@EVERY_SURFACE
def test_a_surface_can_delete_exactly_when_it_has_a_route_for_it(each: Spoken) -> None:
    assert (each.surface.write_deleted is not None) == (each.surface.route("delete") is not None)
    assert each.surface.route("delete") or not each.surface.delete_cancels
