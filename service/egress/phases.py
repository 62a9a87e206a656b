"""How long each phase of a request took: a few instants, noted where they pass."""

import time
from collections.abc import Mapping
from contextvars import ContextVar


class Stopwatch:
    """The instants of one request (seconds of the monotonic clock); what did not happen stays None.

    resolving: its name was asked for. opening: the first address was tried. reached: one has taken the connection.
    ready: there is a connection, new or kept. sent: the system has taken the body, as a rule at once. heard: the first
    byte of the answer. secured: whether the new connection is secured by TLS. sending: whether there is a body.
    broken_by: what the connection ended with.
    """

    __slots__ = (
        "began",
        "broken_by",
        "heard",
        "opening",
        "reached",
        "ready",
        "resolving",
        "secured",
        "sending",
        "sent",
    )

    def __init__(self, *, sending: bool) -> None:
        self.began = time.perf_counter()
        self.sending = sending
        self.secured = False
        self.resolving: float | None = None
        self.opening: float | None = None
        self.reached: float | None = None
        self.ready: float | None = None
        self.sent: float | None = None
        self.heard: float | None = None
        self.broken_by: BaseException | None = None

    def phases(self) -> Mapping[str, float]:
        """ms by phase: dns, connect (tls included), tls, send, wait (for the first byte), read, total; absent where one
        did not happen. The phase in which the request broke off lasts until now."""
        over = time.perf_counter()
        spans: dict[str, float] = {}
        if self.resolving is not None:
            spans["dns"] = _ms(self.resolving, self.opening or over)
        if self.opening is not None:
            spans["connect"] = _ms(self.opening, self.ready or over)
            if self.secured and self.reached is not None:
                spans["tls"] = _ms(self.reached, self.ready or over)
        if self.ready is not None:
            spoken = self.sent or self.ready
            if self.sending:
                spans["send"] = _ms(self.ready, self.sent or over)
            if self.heard is not None:
                spans["wait"] = _ms(spoken, self.heard)
                spans["read"] = _ms(self.heard, over)
            elif self.sent is not None or not self.sending:
                spans["wait"] = _ms(spoken, over)
        spans["total"] = _ms(self.began, over)
        return spans


def _ms(start: float, end: float) -> float:
    return round(1000 * (end - start), 3)


watched: ContextVar[Stopwatch | None] = ContextVar("watched", default=None)
"""The stopwatch of the request that is being sent here: the library's own tracing costs far more than these notes."""
