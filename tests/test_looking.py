"""What a question about many tasks says of each of them."""

import pytest

from service.errors import Problem
from service.looking import answer_for
from service.model import Snapshot, Status

SHOWN = {"cgt-1": Snapshot(status=Status.RUNNING)}


def test_a_task_that_is_shown_is_answered() -> None:
    answer = answer_for("cgt-1", SHOWN, "ark")
    assert (answer.said, answer.alone) == (SHOWN["cgt-1"], False)


def test_a_task_that_is_not_shown_is_unanswered_and_asked_about_alone_next_time() -> None:
    answer = answer_for("cgt-2", SHOWN, "ark")
    assert (isinstance(answer.said, Problem), answer.alone) == (True, True)


@pytest.mark.parametrize(
    ("code", "alone"),
    [
        ("gateway_unreachable", False),
        ("rate_limited", False),
        ("too_many_pending", False),
        ("gateway_error", True),
        ("not_found", True),
        ("method_not_allowed", True),
        ("invalid_request", True),
    ],
)
def test_a_list_that_is_refused_is_not_relied_upon_and_a_busy_gateway_is_no_such_sign(code: str, alone: bool) -> None:
    answer = answer_for("cgt-1", Problem(code, "no"), "ark")
    assert (isinstance(answer.said, Problem), answer.alone) == (True, alone)
