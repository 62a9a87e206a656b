"""Width and height of an image from its first bytes, in the eight formats that the gateways take.

Nothing is decoded: each format says its size in a header. PNG (W3C PNG 11.2.2), GIF (89a, 18), BMP (BITMAPINFOHEADER),
WebP (RFC 9649), JPEG (ITU-T T.81, B.2.2), TIFF (6.0, section 2), HEIC and HEIF (ISO/IEC 23008-12, 6.5.3 `ispe`).
"""

from dataclasses import dataclass
from struct import error as StructError
from struct import unpack_from

_JPEG_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_HEIF_HOLDERS = {b"meta": 4, b"iprp": 0, b"ipco": 0}  # box -> bytes before its children
_BOXES_MOST = 2_000


@dataclass(frozen=True, slots=True)
class Size:
    """In pixels."""

    width: int
    height: int


def image_size(head: bytes) -> Size | None:
    """The size, or None when these bytes do not (yet) tell it: more of the file may, or it is no such image."""
    for magic, read in _READERS:
        if head.startswith(magic):
            try:
                width, height = read(head)
            except (StructError, IndexError, ValueError):
                return None
            return Size(width, height) if width > 0 and height > 0 else None
    if head[4:8] == b"ftyp":
        return _heif(head)
    return None


def _png(head: bytes) -> tuple[int, int]:
    return unpack_from(">II", head, 16)


def _gif(head: bytes) -> tuple[int, int]:
    return unpack_from("<HH", head, 6)


def _bmp(head: bytes) -> tuple[int, int]:
    if unpack_from("<I", head, 14)[0] == 12:  # OS/2
        return unpack_from("<HH", head, 18)
    width, height = unpack_from("<ii", head, 18)
    return width, abs(height)  # top down when negative


def _webp(head: bytes) -> tuple[int, int]:
    kind = head[12:16]
    if head[8:12] != b"WEBP" or len(head) < 30:
        raise ValueError("no WebP, or too little of it")
    if kind == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if kind == b"VP8L":
        bits = unpack_from("<I", head, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("no WebP")


def _jpeg(head: bytes) -> tuple[int, int]:
    at = 2
    while True:
        while head[at] != 0xFF:
            at += 1
        while head[at] == 0xFF:  # fill bytes
            at += 1
        marker = head[at]
        at += 1
        if marker in _JPEG_FRAMES:
            height, width = unpack_from(">HH", head, at + 3)
            return width, height
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # these have no length
            continue
        at += max(2, unpack_from(">H", head, at)[0])


def _tiff(head: bytes) -> tuple[int, int]:
    order = "<" if head[:2] == b"II" else ">"
    at = unpack_from(order + "I", head, 4)[0]
    found = {}
    for index in range(unpack_from(order + "H", head, at)[0]):
        entry = at + 2 + 12 * index
        tag, kind = unpack_from(order + "HH", head, entry)
        if tag in (256, 257):
            found[tag] = unpack_from(order + ("H" if kind == 3 else "I"), head, entry + 8)[0]
    if len(found) < 2:
        raise ValueError("no size in the first directory")
    return found[256], found[257]


def _heif(head: bytes) -> Size | None:
    """The largest `ispe`: the others are the tiles and thumbnails of the same picture."""
    sizes = []
    ranges = [(0, len(head))]
    for _ in range(_BOXES_MOST):
        if not ranges:
            break
        at, end = ranges.pop()
        if at + 8 > end:
            continue
        length, kind = unpack_from(">I4s", head, at)
        start = at + 8
        if length == 1 and at + 16 <= end:
            length, start = unpack_from(">Q", head, at + 8)[0], at + 16
        stop = end if length == 0 else min(end, at + length)
        if stop <= at + 7:
            continue
        ranges.append((stop, end))
        if kind in _HEIF_HOLDERS and at + length > end:
            return None  # the largest may be still to come
        if kind in _HEIF_HOLDERS:
            ranges.append((start + _HEIF_HOLDERS[kind], stop))
        elif kind == b"ispe" and start + 12 <= end:
            sizes.append(Size(*unpack_from(">II", head, start + 4)))
    found = max(sizes, key=lambda size: size.width * size.height, default=None)
    return found if found is not None and found.width and found.height else None


_READERS = (
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"GIF8", _gif),
    (b"BM", _bmp),
    (b"RIFF", _webp),
    (b"\xff\xd8\xff", _jpeg),
    (b"II*\x00", _tiff),
    (b"MM\x00*", _tiff),
)
