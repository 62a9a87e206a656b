"""The size of an image from its first bytes: files of 640 × 480, written by Pillow 12, cut off where the size ends."""

from base64 import b64decode
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.image_size import Size, image_size

HEADS = {
    "png": "iVBORw0KGgoAAAANSUhEUgAAAoAAAAHg",
    "gif": "R0lGODdhgALgAQ==",
    "bmp": "Qk02EA4AAAAAADYAAAAoAAAAgAIAAOABAAA=",
    "jpeg": (
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAx"
        "NDQ0Hyc5PTgyPC4zNDL/2wBDAQkJCQwLDBgNDRgyIRwhMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIy"
        "MjIyMjIyMjL/wAARCAHgAoA="
    ),
    "progressive jpeg": (
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAx"
        "NDQ0Hyc5PTgyPC4zNDL/2wBDAQkJCQwLDBgNDRgyIRwhMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIy"
        "MjIyMjIyMjL/wgARCAHgAoA="
    ),
    "lossy webp": "UklGRm4CAABXRUJQVlA4IGICAAAQRACdASqAAuAB",
    "lossless webp": "UklGRjAAAABXRUJQVlA4TCQAAAAvf8J3AAdQjyIX",
    "extended webp": "UklGRpICAABXRUJQVlA4WAoAAAAIAAAAfwIA3wEA",
    "heic": (
        "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAVdtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAA"
        "ACJpbG9jAAAAAERAAAEAAQAAAAABewABAAAAAAAAAPkAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRt"
        "AAAAAAABAAAA12lwcnAAAAC4aXBjbwAAAHlodmNDAQNwAAAAkAAAAAAAWvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMA"
        "AAMAWroCQGEAAQAsQgEBA3AAAAMAkAAAAwAAAwBaoAUCAeFlupJKa5uAhoMCAAADADIAAAMAAhBiAAEAB0QBwXKwYkAAAAATY29s"
        "cm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAACgAAAAeAAAAAQcGl4aQAAAAADCAgIAAAAF2lwbWEAAAAAAAAAAQABBIECAwQ="
    ),
}


def tiff(order: str, kind: int) -> bytes:
    """A first directory with nothing but the size; kind 3 is SHORT, 4 is LONG."""
    number = (lambda value: pack(order + "HH", value, 0)) if kind == 3 else (lambda value: pack(order + "I", value))
    entries = b"".join(pack(order + "HHI", tag, kind, 1) + number(value) for tag, value in ((256, 640), (257, 480)))
    return (b"II*\0" if order == "<" else b"MM\0*") + pack(order + "IH", 8, 2) + entries


FILES = {name: b64decode(text) for name, text in HEADS.items()}
FILES |= {f"tiff {order} {kind}": tiff(order, kind) for order in "<>" for kind in (3, 4)}
EVERY_FORMAT = pytest.mark.parametrize("name", FILES)


@EVERY_FORMAT
def test_the_size_stands_in_the_first_bytes(name: str) -> None:
    assert image_size(FILES[name]) == Size(640, 480)


@EVERY_FORMAT
def test_a_few_bytes_less_say_nothing(name: str) -> None:
    assert image_size(FILES[name][:-3]) is None


@EVERY_FORMAT
def test_what_follows_changes_nothing(name: str) -> None:
    assert image_size(FILES[name] + bytes(100)) == Size(640, 480)


def test_a_bitmap_from_top_to_bottom_has_a_height_too() -> None:
    head = FILES["bmp"]
    assert image_size(head[:22] + pack("<i", -480)) == Size(640, 480)


def test_a_jpeg_with_a_thumbnail_has_the_size_of_the_picture() -> None:
    head = FILES["jpeg"]
    segment = b"\xff\xe1" + pack(">H", 2 + len(head)) + head  # an APP1 with a whole header of another picture in it
    assert image_size(head[:2] + segment + head[2:-4] + pack(">HH", 600, 800)) == Size(800, 600)


@pytest.mark.parametrize("head", [b"", b"<html>", b"\x89PNG\r\n\x1a\n" + bytes(40), b"GIF89a" + bytes(4)])
def test_what_is_no_picture_has_no_size(head: bytes) -> None:
    assert image_size(head) is None


@given(st.sampled_from(sorted(FILES)), st.integers(0, 40), st.binary(max_size=200))
def test_a_broken_file_raises_nothing(name: str, kept: int, rest: bytes) -> None:
    image_size(FILES[name][:kept] + rest)
