"""Make the sandbox's result: a small, real MP4 that every player and browser plays, from the standard library alone.

The picture is a vertical run of colours that brightens block by block, in reading order, until the last frame.
H.264 constrained baseline (ITU-T H.264, cited below as "H.264") in an MP4 file (ISO/IEC 14496-12 and 14496-15).

It stays small at any size because only the leftmost macroblock of a row carries samples (I_PCM); the others repeat
the right edge of their left neighbour (I_16x16, horizontal prediction, no residual), and what stays is skipped.
No transform, no quantiser and no deblocking take part, so a decoder returns exactly the colours chosen here.
"""

import math
import re
import zlib
from dataclasses import dataclass
from hashlib import sha256
from struct import pack, unpack

# H.264 Table A-1: level_idc, MaxFS (macroblocks in a frame), MaxMBPS (macroblocks in a second).
_LEVELS = ((30, 1620, 40_500), (31, 3600, 108_000), (40, 8192, 245_760), (51, 36_864, 983_040))
_UNITY_MATRIX = pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)  # ISO/IEC 14496-12, 8.2.2

_Colour = tuple[int, int, int]  # Y 16..235, Cb and Cr 16..240, BT.709


def video(*, width: int = 64, height: int = 64, frames: int = 24, fps: int = 24, seed: int = 0) -> bytes:
    """Return an MP4 file of `frames` frames, `fps` of them a second; sizes in pixels, multiples of 16.

    The same arguments give the same bytes; `seed` chooses the colours. About 4 KB at 64x64, 47 KB at 1280x720.
    Raises ValueError for sizes and rates that no such video can have.
    """
    clip = _Clip(width=width, height=height, frames=frames, fps=fps, seed=seed)
    dark, bright = _row_samples(clip.colours(bright=False)), _row_samples(clip.colours(bright=True))
    samples = [_sample(clip, bright if index else dark, index) for index in range(frames)]
    # The index stands before the data, so that a player starts before the download ends, and names the data's place
    # in the file. Its length does not depend on that number, hence the first build, made only to be measured.
    file_type = _box(b"ftyp", b"isom", bytes(4), b"isom", b"avc1", b"mp42")
    data_at = len(file_type) + len(_movie(clip, samples, data_at=0)) + 8
    return file_type + _movie(clip, samples, data_at=data_at) + _box(b"mdat", *samples)


def last_frame_png(*, width: int = 64, height: int = 64, frames: int = 24, fps: int = 24, seed: int = 0) -> bytes:
    """Return the last frame of `video` with the same arguments, as an 8-bit RGB PNG file (W3C PNG, 5 and 11)."""
    clip = _Clip(width=width, height=height, frames=frames, fps=fps, seed=seed)
    filter_none = b"\0"
    lines = b"".join((filter_none + _rgb(colour) * width) * 2 for colour in clip.colours(bright=frames > 1))
    header = pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [b"IHDR" + header, b"IDAT" + zlib.compress(lines), b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(pack(">I", len(c) - 4) + c + pack(">I", zlib.crc32(c)) for c in chunks)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clip:
    """What both files are made from; impossible values are refused here."""

    width: int
    height: int
    frames: int
    fps: int
    seed: int

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 16 or self.width % 16 or self.height % 16:
            raise ValueError(f"width and height must be positive multiples of 16, not {self.width}x{self.height}")
        if self.frames < 1 or self.fps < 1:
            raise ValueError(f"frames and fps must be at least 1, not {self.frames} and {self.fps}")
        if not self.level:
            raise ValueError(f"{self.width}x{self.height} at {self.fps} fps is more than H.264 level 5.1 allows")

    @property
    def columns(self) -> int:
        return self.width // 16

    @property
    def macroblocks(self) -> int:
        return self.width * self.height // 256

    @property
    def level(self) -> int:
        """The lowest level_idc that allows size, rate and sides up to sqrt(8 * MaxFS) (H.264 A.3.1), or 0."""
        count, longest = self.macroblocks, max(self.width, self.height) // 16
        fits = (n for n, size, rate in _LEVELS if count <= size and count * self.fps <= rate and longest**2 <= 8 * size)
        return next(fits, 0)

    def bright_in(self, index: int) -> int:
        """How many macroblocks, in reading order, are bright in frame `index`: none in the first, all in the last."""
        return self.macroblocks * index // max(1, self.frames - 1)

    def colours(self, *, bright: bool) -> list[_Colour]:
        """One colour for each two lines, top to bottom, since in 4:2:0 two lines share their chroma."""
        digest = sha256(str(self.seed).encode()).digest()
        top, bottom = (math.tau * part / 2**32 for part in unpack(">II", digest[:8]))
        shade, saturation = (150, 45) if bright else (75, 22)  # every hue of these lies inside RGB
        luma, last = shade - digest[8] % 16, self.height // 2 - 1
        hues = (top + (bottom - top) * pair / last for pair in range(last + 1))
        return [(luma, 128 + round(saturation * math.cos(h)), 128 + round(saturation * math.sin(h))) for h in hues]


def _rgb(colour: _Colour) -> bytes:
    """BT.709 (ITU-T H.273, MatrixCoefficients 1): red weighs 0.2126 and blue 0.0722 in luma."""
    luma, cb, cr = (colour[0] - 16) / 219, (colour[1] - 128) / 224, (colour[2] - 128) / 224
    red, blue = luma + 1.5748 * cr, luma + 1.8556 * cb
    green = (luma - 0.2126 * red - 0.0722 * blue) / 0.7152
    return bytes(round(255 * part) for part in (red, green, blue))


def _row_samples(colours: list[_Colour]) -> list[bytes]:
    """For each row of macroblocks the 384 samples of one macroblock: 16x16 of Y, then 8x8 of Cb, 8x8 of Cr."""
    rows = (colours[top : top + 8] for top in range(0, len(colours), 8))
    planes = ((0, 32), (1, 8), (2, 8))  # two lines of 16 samples for each colour, one line of 8
    return [b"".join(bytes([c[plane]]) * count for plane, count in planes for c in row) for row in rows]


class _Bits:
    """Writes a NAL unit with the descriptors of H.264 7.2: u(n), ue(v), and se(v), whose zero is that of ue(v)."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._pending = ""

    def u(self, width: int, *values: int) -> None:
        self._pending += "".join(f"{value:0{width}b}" for value in values)

    def ue(self, *values: int) -> None:
        for value in values:  # Exp-Golomb codes, H.264 9.1
            code = f"{value + 1:b}"
            self._pending += code.zfill(2 * len(code) - 1)

    def aligned(self, whole: bytes) -> None:
        """Fill the byte begun with zero bits, then append whole bytes."""
        self._pending += "0" * (-len(self._pending) % 8)
        self._bytes += int("0" + self._pending, 2).to_bytes(len(self._pending) // 8, "big") + whole
        self._pending = ""

    def nal_unit(self, header: int) -> bytes:
        """Close with the stop bit and wrap (H.264 7.3.1). A decoder would take 00 00 0x inside for a start code."""
        self.u(1, 1)
        self.aligned(b"")
        return bytes([header]) + re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", self._bytes)


def _sequence_parameters(clip: _Clip) -> bytes:
    """H.264 7.3.2.1.1, with the colour description of E.1.1, because players guess differently without one."""
    bits = _Bits()
    bits.u(8, 66, 0b1100_0000, clip.level)  # baseline; constraint sets 0 and 1 make it constrained baseline
    bits.ue(0, 4, 2, 1)  # id, frame_num of 8 bits, output in decoding order, one reference frame
    bits.u(1, 0)  # no gaps in frame_num
    bits.ue(clip.columns - 1, clip.height // 16 - 1)
    bits.u(1, 1, 1, 0, 1)  # frames only, direct_8x8_inference, no cropping, VUI
    bits.u(1, 0, 0, 1)  # no aspect ratio, no overscan, a video signal type
    bits.u(5, 0b101_0_1)  # unspecified format, limited range, colour description
    bits.u(8, 1, 1, 1)  # BT.709 primaries, transfer, matrix
    bits.u(1, 0, 0, 0, 0, 0, 0)  # no chroma location, timing, two HRDs, pic_struct, bitstream restriction
    return bits.nal_unit(0x67)


def _picture_parameters() -> bytes:
    """H.264 7.3.2.2."""
    bits = _Bits()
    bits.ue(0, 0)  # id, id of the sequence parameters
    bits.u(1, 0, 0)  # CAVLC, no field order
    bits.ue(0, 0, 0)  # one slice group, one reference in each list
    bits.u(1, 0, 0, 0)  # no weighted prediction
    bits.ue(0, 0, 0)  # quantisers at their defaults
    bits.u(1, 1, 0, 0)  # slices control deblocking, intra may predict from inter, no redundant pictures
    return bits.nal_unit(0x68)


def _sample(clip: _Clip, rows: list[bytes], index: int) -> bytes:
    """Frame `index` as one slice (H.264 7.3.3, 7.3.4): the first paints everything, the others what turns bright."""
    key = index == 0
    start, stop = (0, clip.macroblocks) if key else (clip.bright_in(index - 1), clip.bright_in(index))
    bits = _Bits()
    bits.ue(0, 7 if key else 5, 0)  # first macroblock, slice type I or P, picture parameters
    bits.u(8, index % 256)  # frame_num
    bits.u(3, 0b100 if key else 0)  # idr_pic_id 0 as ue(v), plain marking; or plain reference count, order, marking
    bits.ue(0, 1)  # slice_qp_delta, deblocking off
    skipped = start
    for macroblock in range(start, stop):
        if not key:
            bits.ue(skipped)  # mb_skip_run
            skipped = 0
        row, column = divmod(macroblock, clip.columns)
        samples = None if column else rows[row]
        _macroblock(bits, samples, first_type=0 if key else 5, beside_samples=column == 1 and macroblock > start)
    if rest := skipped + clip.macroblocks - stop:
        bits.ue(rest)
    nal_unit = bits.nal_unit(0x65 if key else 0x41)
    return pack(">I", len(nal_unit)) + nal_unit  # ISO/IEC 14496-15, 5.3: in files lengths replace start codes


def _macroblock(bits: _Bits, samples: bytes | None, *, first_type: int, beside_samples: bool) -> None:
    """H.264 7.3.5, with samples or like its left neighbour. A P slice numbers these types from 5 (Table 7-13)."""
    if samples:
        bits.ue(first_type + 25)  # I_PCM
        bits.aligned(samples)
        return
    bits.ue(first_type + 2, 1, 0)  # I_16x16_1_0_0, chroma horizontal too, mb_qp_delta
    # "No coefficients", in a code that depends on the neighbours (9.2.1, Table 9-5): I_PCM counts as 16, the others
    # as 0, so nC is 8 or more to the right of I_PCM and 0 elsewhere.
    bits.u(*((6, 0b000011) if beside_samples else (1, 1)))


def _box(kind: bytes, *parts: bytes) -> bytes:
    return pack(">I", 8 + sum(map(len, parts))) + kind + b"".join(parts)  # ISO/IEC 14496-12, 4.2


def _movie(clip: _Clip, samples: list[bytes], *, data_at: int) -> bytes:
    """The index (ISO/IEC 14496-12, 8): one track whose clock ticks once a frame. A first 0 is version, flags."""
    clock = pack(">5I", 0, 0, 0, clip.fps, clip.frames)  # no dates, or the bytes would change daily
    data_is_here = _box(b"dinf", _box(b"dref", pack(">II", 0, 1), _box(b"url ", pack(">I", 1))))
    table = _box(
        b"stbl",
        _box(b"stsd", pack(">II", 0, 1), _sample_entry(clip)),
        _box(b"stts", pack(">4I", 0, 1, clip.frames, 1)),  # every frame lasts one tick
        _box(b"stss", pack(">3I", 0, 1, 1)),  # only the first is a key frame
        _box(b"stsc", pack(">5I", 0, 1, 1, clip.frames, 1)),  # one chunk holds all
        _box(b"stsz", pack(f">{3 + clip.frames}I", 0, 0, clip.frames, *map(len, samples))),
        _box(b"stco", pack(">3I", 0, 1, data_at)),
    )
    media = _box(
        b"mdia",
        _box(b"mdhd", clock, pack(">HH", 0x55C4, 0)),  # language "und"
        _box(b"hdlr", bytes(8), b"vide", bytes(12), b"video\0"),
        _box(b"minf", _box(b"vmhd", pack(">I8x", 1)), data_is_here, table),
    )
    place = pack(">6I16x", 3, 0, 0, 1, 0, clip.frames) + _UNITY_MATRIX  # enabled and in the movie, track 1
    track = _box(b"trak", _box(b"tkhd", place, pack(">II", clip.width << 16, clip.height << 16)), media)
    rate_and_volume, next_track = pack(">IH10x", 1 << 16, 1 << 8), pack(">24xI", 2)
    return _box(b"moov", _box(b"mvhd", clock, rate_and_volume, _UNITY_MATRIX, next_track), track)


def _sample_entry(clip: _Clip) -> bytes:
    """ISO/IEC 14496-12, 12.1.3, with the decoder configuration of ISO/IEC 14496-15, 5.3.3."""
    sequence, picture = _sequence_parameters(clip), _picture_parameters()
    profile_and_level = sequence[1:4]
    counted = b"\xe1" + pack(">H", len(sequence)) + sequence + b"\x01" + pack(">H", len(picture)) + picture
    return _box(
        b"avc1",
        pack(">6xH16xHH", 1, clip.width, clip.height),
        pack(">II4xH32xHh", 72 << 16, 72 << 16, 1, 24, -1),  # 72 dpi, one frame in a sample, depth 24
        _box(b"avcC", b"\x01", profile_and_level, b"\xff", counted),  # version 1, lengths of four bytes
        _box(b"colr", b"nclx", pack(">HHHB", 1, 1, 1, 0)),  # BT.709, limited range, as in the sequence parameters
    )
