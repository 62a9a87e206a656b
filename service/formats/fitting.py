"""Text made to fit a receiver's limits: what is too long ends in "…", and no escape is cut in two."""

import re
from collections.abc import Callable, Iterable, Mapping

PLAIN: Mapping[int, str] = {}
ELLIPSIS = "…"
ZERO_WIDTH = "\u200b"  # a space that nobody sees: `@` followed by it mentions nobody
_JOINER = "\u200d"


def utf16(text: str) -> int:
    """Length in UTF-16 units, as Telegram counts; never less than the characters that others count."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def utf8(text: str) -> int:
    """Length in bytes of UTF-8."""
    return len(text.encode("utf-8", "surrogatepass"))


def fit(text: str, most: int, *, escape: Mapping[int, str] = PLAIN, measure: Callable[[str], int] = utf16) -> str:
    """The text, escaped character by character, at most `most` units long as it is sent. It is rendered while others
    wait for the database, so no more of it is looked at than can be shown; `escape` leaves nothing out."""
    whole = text[: most + 1].translate(escape)
    if measure(whole) <= most:
        return whole
    room = most - measure(ELLIPSIS)
    kept = 0
    for letter in text:
        room -= measure(letter.translate(escape))
        if room < 0:
            break
        kept += 1
    # What joins to what was cut off joins nothing.
    return text[:kept].rstrip().rstrip(_JOINER).translate(escape) + ELLIPSIS


def join(pieces: Iterable[str], separator: str, most: int, *, measure: Callable[[str], int] = utf16) -> str:
    """As many of the pieces as fit, in their order and whole: one that is too long is left out."""
    joined = ""
    for piece in pieces:
        longer = f"{joined}{separator}{piece}" if joined else piece
        if piece and measure(longer) <= most:
            joined = longer
    return joined


def backslashed(letters: str) -> dict[int, str]:
    """An escape for `fit` that puts a backslash before each of these."""
    return {ord(letter): f"\\{letter}" for letter in letters}


_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def one_line(text: str, most: int) -> str:
    """Fit for a subject or a title: no line breaks, no control characters, and none that turn the direction of text."""
    return fit(_UNSEEN.sub("", " ".join(text.split())), most)
