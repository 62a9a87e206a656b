"""What can go wrong, told apart by what the caller does next.

Problem                     carries one code of CODES; the code decides the HTTP status and whether to try again
  invalid_request …         the caller changes the request
  insufficient_credit …     the caller changes the account
  too_many_pending …        the caller waits and tries again
  outcome_unknown           the caller must not try again blindly
SettingsError               the operator changes the settings; the program does not start

A Problem is a value as much as an exception: a gateway's refusal is read into one, stored on the task, and written out
again in the caller's dialect.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

# code -> (HTTP status of our own API, may the same request succeed later)
CODES: Mapping[str, tuple[int, bool]] = MappingProxyType(
    {
        "invalid_request": (400, False),
        "unsupported_model": (400, False),
        "unauthorized": (401, False),
        "insufficient_credit": (402, False),
        "forbidden": (403, False),
        "not_found": (404, False),
        "unknown_route": (404, False),
        "method_not_allowed": (405, False),
        "conflict": (409, False),
        "idempotency_conflict": (409, False),
        "not_cancellable": (409, False),
        "result_gone": (410, False),
        "too_large": (413, False),
        "unsupported_media_type": (415, False),
        "upstream_failed": (424, True),
        "rate_limited": (429, True),
        "too_many_pending": (429, True),
        "internal": (500, True),
        "gateway_error": (502, True),
        "gateway_unreachable": (503, True),
        "shutting_down": (503, True),
        "moderation_delayed": (504, True),
        "outcome_unknown": (504, False),
        # how a task ended, rather than how a request did
        "task_failed": (502, False),
        "cancelled": (409, False),
        "expired": (504, True),
    }
)


class SettingsError(Exception):
    """The settings cannot be used."""


@dataclass(eq=False)
class Problem(Exception):
    """One refusal or failure, in words that any dialect can carry.

    code: one of CODES. field: the offending input as the caller spelled it. gateway_code, gateway_status: what the
    gateway itself said, when it was the gateway that said it. retry_after_ms: how long to wait, when that is known.
    """

    code: str
    message: str
    field: str | None = None
    gateway_code: str | None = None
    gateway_status: int | None = None
    retry_after_ms: int | None = None

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"no such problem code: {self.code}")
        super().__init__(self.message)

    @property
    def status(self) -> int:
        return CODES[self.code][0]

    @property
    def retryable(self) -> bool:
        return CODES[self.code][1]

    def to_json(self) -> dict[str, Any]:
        """The stored form, without what is absent."""
        known = {
            "code": self.code,
            "message": self.message,
            "retryable": self.retryable,
            "field": self.field,
            "gateway_code": self.gateway_code,
            "gateway_status": self.gateway_status,
            "retry_after_ms": self.retry_after_ms,
        }
        return {name: value for name, value in known.items() if value is not None}


def invalid(field: str, message: str) -> Problem:
    """A 400 that names the field."""
    return Problem("invalid_request", f"{field}: {message}", field=field)
