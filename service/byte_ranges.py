"""Byte ranges as HTTP asks for them and answers them. RFC 9110, section 14."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

_ASKED = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_GIVEN = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)")
_UNSATISFIED = re.compile(r"bytes \*/(\d{1,15})")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The first and the last byte that are asked for, both inclusive. first None: the last `last` bytes; last None: to
    the end."""

    first: int | None
    last: int | None

    def __str__(self) -> str:
        return f"bytes={_spelled(self.first)}-{_spelled(self.last)}"

    def within(self, length: int) -> tuple[int, int] | None:
        """(start, stop) of a file of this length; None where nothing of it is meant."""
        if self.first is None:
            return (max(0, length - self.last), length) if self.last else None
        stop = length if self.last is None else min(length, self.last + 1)
        return (self.first, stop) if self.first < length else None


class OutOfRange(Exception):
    """Nothing lies in the range that was asked for. total: the whole length, where that is known."""

    def __init__(self, total: int | None) -> None:
        super().__init__("the range cannot be satisfied")
        self.total = total


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Bytes [start, stop) of a file of `total` bytes. stop, total None: to the end, which is known when it is there.
    partial: a range was asked for, and this is it. chunks: the bytes, to be read once."""

    start: int
    stop: int | None
    total: int | None
    partial: bool
    media_type: str
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Given:
    """What a Content-Range says: [start, stop) of `total` bytes; total None where it is not known."""

    start: int
    stop: int
    total: int | None


def part_of(asked: ByteRange | None, total: int) -> tuple[int, int]:
    """(start, stop) of what is asked for of `total` bytes; OutOfRange when that is nothing."""
    window = asked.within(total) if asked else (0, total)
    if window is None:
        raise OutOfRange(total)
    return window


def read_range(header: str | None) -> ByteRange | None:
    """A Range header; None where there is none, or none that is answered with less than the whole: what is not valid
    counts as absent (14.2), and several ranges at once may be answered with the whole."""
    match = _ASKED.fullmatch((header or "").replace(" ", ""))
    if match is None or match[1] == match[2] == "":
        return None
    first, last = (int(number) if number else None for number in match.groups())
    return None if first is not None and last is not None and last < first else ByteRange(first, last)


def read_content_range(header: str | None) -> Given | None:
    """The Content-Range of a 206; None where it says nothing that can be."""
    match = _GIVEN.fullmatch(header or "")
    if match is None:
        return None
    start, last = int(match[1]), int(match[2])
    total = None if match[3] == "*" else int(match[3])
    return Given(start, last + 1, total) if start <= last and (total is None or last < total) else None


def read_unsatisfied(header: str | None) -> int | None:
    """The length that the Content-Range of a 416 tells; None where it does not."""
    match = _UNSATISFIED.fullmatch(header or "")
    return int(match[1]) if match else None


def _spelled(number: int | None) -> str:
    return "" if number is None else str(number)
