"""The script of a sandbox task: words in square brackets in its prompt say what goes wrong.

    a cat on a roof [take 3s] [duplicate x2] [get 500 x3]

MARKERS is all there is; other words in brackets are prompt text.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from service.clock import MINUTE, SECOND

EVER = 10**9
_UNITS = {"ms": 1, "s": SECOND, "m": MINUTE}

# The arguments a marker can have, as they are shown -> as they are read.
_ARGUMENTS = {"xN": r"x(\d{1,4})", "TIME": r"(\d{1,6}(?:\.\d{1,3})?(?:ms|s|m))", "CODE": r"([\w.-]{1,100})"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """One thing that a prompt can ask for.

    argument: xN (a count), TIME (500ms, 3s, 1m), CODE (a word), or "" for none. default: the count, or the span in ms,
    where the argument is left out; None where it cannot be.
    """

    name: str
    meaning: str
    argument: str = ""
    default: int | None = 0

    @property
    def spelling(self) -> str:
        """As the table of markers shows it; a bracketed argument may be left out."""
        shown = self.argument if self.default is None else f"({self.argument})"
        return f"[{self.name} {shown}]" if self.argument else f"[{self.name}]"


# What a refused create says: HTTP status -> (our code, the gateway's own word, the message). The statuses are those of
# worldrouter.txt "Troubleshooting" and easyrouter.txt section 5, and the two that every server has.
REFUSALS: Mapping[int, tuple[str, str | None, str]] = {
    400: ("invalid_request", None, "the sandbox refuses this request"),
    401: ("unauthorized", None, "the sandbox does not take this key"),
    402: ("insufficient_credit", None, "the sandbox account has no credit left"),
    403: ("forbidden", None, "the sandbox key may not use this model"),
    424: ("upstream_failed", "upstream_failed", "the upstream provider of the sandbox failed or timed out"),
    429: ("rate_limited", None, "the sandbox takes no more requests now"),
    500: ("internal", "internal_server_error", "the sandbox broke down"),
    503: ("shutting_down", "service_unavailable", "the sandbox is down for maintenance"),
}

MARKERS = (
    *(
        Marker(
            name=str(status),
            argument="xN",
            default=EVER,
            meaning=f"The create is refused with {status} ({code}), always or the first N times.",
        )
        for status, (code, _, _) in REFUSALS.items()
    ),
    Marker(name="drop", meaning="The task is created, and the connection dropped without an answer."),
    Marker(name="stall", meaning="The task is created, and the create is never answered."),
    Marker(name="slow create", argument="TIME", default=3 * SECOND, meaning="The create is answered late."),
    Marker(name="take", argument="TIME", default=None, meaning="The task runs for this long."),
    Marker(name="fail", argument="CODE", meaning="The task fails, with this error code."),
    Marker(name="cancel", meaning="The gateway itself cancels the task."),
    Marker(name="expire", meaning="The task expires instead of ending."),
    Marker(name="hang", meaning="The task runs for ever."),
    Marker(name="odd status", meaning="While it runs the task has a status word that nobody knows."),
    Marker(
        name="no url yet",
        argument="TIME",
        default=2 * SECOND,
        meaning="The task is said to have succeeded this long before the result's URL is shown.",
    ),
    Marker(name="new links", meaning="Each query gives another link to the result, and only the newest one works."),
    Marker(name="lost", meaning="No callback is sent."),
    Marker(name="late", argument="TIME", default=3 * SECOND, meaning="The last callback is late."),
    Marker(name="duplicate", argument="xN", default=1, meaning="The last callback is sent once, or N times, more."),
    Marker(name="reorder", meaning="A running callback follows the last one."),
    Marker(
        name="forge",
        meaning="Before the end three callbacks claim a false success: with a tampered token, with a token of random "
        "letters, and under the path of another gateway.",
    ),
    Marker(
        name="lag",
        argument="TIME",
        default=2 * SECOND,
        meaning="A query still says running for this long after the callback said how the task ended.",
    ),
    Marker(name="get 500", argument="xN", default=1, meaning="The first query, or N queries, are answered with 500."),
    Marker(name="ends before delete", meaning="The task fails, untold, just before a request deletes it."),
    Marker(name="unlisted", meaning="No list of tasks shows the task; a query about it alone does."),
    Marker(name="rejected", meaning="In the URL of an image: it does not pass the moderation."),
    Marker(
        name="delayed",
        argument="xN",
        default=1,
        meaning="In the URL of an image: its moderation is not ready in time, once or N times.",
    ),
    Marker(name="html", meaning="One query is answered with 502 and a page of HTML."),
)
_BY_NAME = {marker.name: marker for marker in MARKERS}


@dataclass(frozen=True, slots=True)
class Script:
    """What is to happen to one task. numbers: marker -> its argument, a count or ms. code: that of [fail CODE]."""

    numbers: Mapping[str, int] = field(default_factory=dict)
    code: str | None = None

    def __contains__(self, name: str) -> bool:
        return name in self.numbers

    def number(self, name: str) -> int:
        """The argument of a marker; 0 where the script does not have it."""
        return self.numbers.get(name, 0)


def read_script(prompt: str) -> Script:
    """The script in a prompt."""
    numbers: dict[str, int] = {}
    code = None
    for words in re.findall(r"\[([^\[\]]{1,120})\]", prompt):
        for marker in MARKERS:
            match = _PATTERNS[marker.name].fullmatch(" ".join(words.split()))
            if match is None:
                continue
            given = match[1] if marker.argument else None
            numbers[marker.name] = _number(marker, given)
            if marker.argument == "CODE":
                code = given
    return Script(numbers, code)


def chance_script(rates: Mapping[str, float], chance: Callable[[], float]) -> Script:
    """The script of a prompt without markers: each marker of `rates` with its own probability."""
    return Script({name: _BY_NAME[name].default or 0 for name, rate in rates.items() if chance() < rate})


def check_rates(rates: Mapping[str, float]) -> None:
    """ValueError unless these are markers that need no argument, with probabilities."""
    for name, rate in rates.items():
        if name not in _BY_NAME or _BY_NAME[name].default is None:
            known = ", ".join(marker.name for marker in MARKERS if marker.default is not None)
            raise ValueError(f"there is no rate of {name!r}; known: {known}")
        if not 0 <= rate <= 1:
            raise ValueError(f"the rate of {name!r} must be from 0 to 1, not {rate}")


def marker_table() -> str:
    """All markers and what they mean, a line each, for people."""
    width = max(len(marker.spelling) for marker in MARKERS)
    return "\n".join(f"{marker.spelling:<{width}}  {_explained(marker)}" for marker in MARKERS)


def _explained(marker: Marker) -> str:
    if marker.argument != "TIME" or marker.default is None:
        return marker.meaning
    return f"{marker.meaning} By default {marker.default // SECOND}s."


def _pattern(marker: Marker) -> re.Pattern[str]:
    name = re.escape(marker.name)
    if not marker.argument:
        return re.compile(name, re.IGNORECASE)
    argument = f" {_ARGUMENTS[marker.argument]}"
    return re.compile(name + (argument if marker.default is None else f"(?:{argument})?"), re.IGNORECASE)


_PATTERNS = {marker.name: _pattern(marker) for marker in MARKERS}


def _number(marker: Marker, given: str | None) -> int:
    if given is None or marker.argument == "CODE":
        return marker.default or 0
    if marker.argument == "xN":
        return int(given)
    amount, unit = re.fullmatch(r"([\d.]+)([a-z]+)", given.lower()).groups()  # type: ignore[union-attr]
    return round(float(amount) * _UNITS[unit])
