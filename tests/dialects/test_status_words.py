"""gateways.md F0: the status words that are read, those that are written, and progress."""

import pytest

from service.dialects.answers import read_first_status, read_progress, read_status
from service.model import Status
from tests.dialects.given import SPOKEN, view

READ = {
    Status.QUEUED: "SUBMITTED NOT_START submitted pending created UNKNOWN unknown QUEUED queued in_queue queueing",
    Status.RUNNING: "IN_PROGRESS in_progress running processing generating",
    Status.SUCCEEDED: "SUCCESS succeeded succeed completed success finished",
    Status.FAILED: "FAILURE failed fail error",
    Status.CANCELLED: "cancelled canceled",
    Status.EXPIRED: "expired timeout timed_out",
}


@pytest.mark.parametrize(("status", "word"), [(status, word) for status in READ for word in READ[status].split()])
@pytest.mark.parametrize("spelled", [str, str.upper, str.title, " {} ".format])
def test_f0_a_known_word_is_read_without_case_and_blanks(status: Status, word: str, spelled: type[str]) -> None:
    """F0 SUBMITTED, F0 QUEUED, F0 IN_PROGRESS, F0 SUCCESS, F0 FAILURE, F0 cancelled, F0 expired: the words seen."""
    assert read_status(spelled(word)) == (status, spelled(word))


@pytest.mark.parametrize("word", ["In Progress", "in-progress", "IN PROGRESS"])
def test_f0_blanks_and_dashes_inside_a_word_do_not_matter(word: str) -> None:
    assert read_status(word)[0] is Status.RUNNING


@pytest.mark.parametrize("word", ["", "done", "deleted", "successful", None, 3, 2.5, True, [], {}])
def test_f0_anything_else_has_no_status(word: object) -> None:
    """F0: "anything else: keep previous status … never terminal"."""
    assert read_status(word)[0] is None


@pytest.mark.parametrize("word", ["", None])
def test_f0_no_word_right_after_create_means_queued(word: object) -> None:
    assert read_first_status(word)[0] is Status.QUEUED


def test_f0_an_unknown_word_right_after_create_stays_unknown() -> None:
    assert read_first_status("paused") == (None, "paused")


@pytest.mark.parametrize(
    ("surface", "word"),
    [("easyrouter-unified", "queued"), ("cubicspaces-unified", "queued"), ("videos-videos", "SUBMITTED")],
)
def test_f0_a_create_that_is_still_on_its_way_has_a_word_in_the_receipt(surface: str, word: str) -> None:
    """F0 emit submitted, at create."""
    each = next(one for one in SPOKEN if str(one) == surface)
    assert each.surface.write_receipt(view(each, Status.QUEUED, accepted=False))["status"] == word


def test_f0_easyrouter_writes_lower_case_at_create_and_capitals_at_get() -> None:
    each = next(one for one in SPOKEN if one.dialect.name == "easyrouter")
    task = view(each, Status.RUNNING)
    assert each.surface.write_receipt(task)["status"] == "in_progress"
    assert each.surface.write_task(task)["data"]["status"] == "IN_PROGRESS"


@pytest.mark.parametrize("name", ["easyrouter-unified", "videos-videos"])
@pytest.mark.parametrize("status", [Status.CANCELLED, Status.EXPIRED])
def test_f0_new_api_tells_cancelled_and_expired_apart_by_the_reason(name: str, status: Status) -> None:
    """F0: FAILURE + fail_reason."""
    each = next(one for one in SPOKEN if str(one) == name)
    body = each.surface.write_task(view(each, status))
    task = body.get("data", body)
    assert (task["status"], task["fail_reason"].partition(":")[0]) == ("FAILURE", status.value)


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("cubicspaces-official", (Status.CANCELLED, Status.EXPIRED)),
        ("cubicspaces-unified", (Status.CANCELLED, Status.EXPIRED)),
        ("seedance2-open", (Status.EXPIRED,)),
    ],
)
def test_f0_the_error_code_tells_cancelled_and_expired_apart(name: str, statuses: tuple[Status, ...]) -> None:
    """F0: failed, error.code cancelled or expired."""
    each = next(one for one in SPOKEN if str(one) == name)
    assert [each.surface.write_task(view(each, status))["error"]["code"] for status in statuses] == list(statuses)


@pytest.mark.parametrize(
    ("value", "progress"),
    [
        (0, 0),
        (50, 50),
        (50.9, 50),
        ("50", 50),
        ("50%", 50),
        (" 100% ", 100),
        (-5, 0),
        (1000, 100),
        ("999%", 100),
        (1e300, 100),
        (None, None),
        (True, None),
        ("", None),
        ("%", None),
        ("half", None),
        ("1e2", None),
        ("\u0665\u0660", None),
        ([50], None),
    ],
)
def test_f1_progress_is_read_from_a_number_or_a_percentage(value: object, progress: int | None) -> None:
    """F1 progress."""
    assert read_progress(value) == progress


@pytest.mark.parametrize(("status", "progress"), [(Status.QUEUED, 10), (Status.RUNNING, 50), (Status.FAILED, 100)])
def test_f0_progress_is_guessed_from_the_status_when_there_is_none(status: Status, progress: int) -> None:
    """F0: "Progress when the gateway gives none"."""
    each = next(one for one in SPOKEN if one.dialect.name == "easyrouter")
    assert each.surface.write_task(view(each, status))["data"]["progress"] == f"{progress}%"
