"""The sandbox's video: its boxes read with the standard library, its pictures decoded by FFmpeg as the witness."""

import json
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from struct import unpack, unpack_from

import pytest

from service.sandbox_video import _Bits, last_frame_png, video

SIZES = [(16, 16), (16, 64), (64, 16), (64, 64), (848, 480), (720, 1280)]
_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}

needs_ffmpeg = pytest.mark.skipif(
    not (shutil.which("ffprobe") and shutil.which("ffmpeg")), reason="ffprobe and ffmpeg are not installed"
)


def test_the_index_stands_before_the_data() -> None:
    assert [kind for kind, _, _ in _boxes(video())] == [b"ftyp", b"moov", b"mdat"]


def test_the_boxes_fill_the_file_and_one_another_exactly() -> None:
    assert set(_tree(video())) >= {b"mvhd", b"tkhd", b"mdhd", b"hdlr", b"vmhd", b"dinf", b"stsd", b"stts", b"stss"}


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_sample_sizes_add_up_to_the_data(width: int, height: int) -> None:
    made = video(width=width, height=height)
    assert sum(_sample_sizes(made)) == len(_tree(made)[b"mdat"])


def test_the_chunk_offset_points_at_the_first_byte_of_the_data() -> None:
    made = video()
    (offset,) = unpack_from(">I", _tree(made)[b"stco"], 8)
    assert made[offset:] == _tree(made)[b"mdat"]


@pytest.mark.parametrize("frames", [1, 2, 24, 300])
def test_there_are_as_many_samples_as_frames(frames: int) -> None:
    assert len(_sample_sizes(video(frames=frames))) == frames


def test_the_duration_is_frames_over_fps() -> None:
    fps, duration = unpack_from(">II", _tree(video(frames=90, fps=30))[b"mvhd"], 12)
    assert duration / fps == 3.0


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_track_has_the_size_asked_for(width: int, height: int) -> None:
    header = _tree(video(width=width, height=height))[b"tkhd"]
    assert unpack(">II", header[-8:]) == (width << 16, height << 16)


def test_every_sample_is_one_nal_unit_after_its_length() -> None:
    assert all(unpack_from(">I", sample) == (len(sample) - 4,) for sample in _samples(video()))


def test_only_the_first_sample_is_a_key_frame() -> None:
    assert [sample[4] & 0x1F for sample in _samples(video(frames=4))] == [5, 1, 1, 1]


def test_no_start_code_appears_inside_a_nal_unit() -> None:
    bits = _Bits()
    bits.aligned(bytes([0, 0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4]))
    assert bits.nal_unit(0x65).hex(" ") == "65 00 00 03 00 00 03 00 01 00 00 03 02 00 00 03 03 00 00 04 80"


def test_the_same_arguments_give_the_same_bytes() -> None:
    assert video(seed=7) == video(seed=7)


def test_a_thousand_seeds_give_a_thousand_videos() -> None:
    assert len({video(seed=seed, frames=2) for seed in range(1000)}) == 1000


def test_no_two_neighbouring_samples_are_equal() -> None:
    assert all(one != other for one, other in pairwise(_samples(video(frames=17))))


def test_the_default_video_is_a_few_kilobytes() -> None:
    assert len(video()) < 8_000


@pytest.mark.parametrize(("width", "height"), [(0, 64), (64, 8), (-16, 64), (60, 64), (64, 65)])
def test_a_size_that_is_no_multiple_of_16_is_refused(width: int, height: int) -> None:
    with pytest.raises(ValueError, match="positive multiples of 16"):
        video(width=width, height=height)


@pytest.mark.parametrize(("width", "height", "fps"), [(16_000, 16, 24), (8192, 8192, 1), (1280, 720, 1000)])
def test_a_size_or_rate_beyond_the_standard_is_refused(width: int, height: int, fps: int) -> None:
    with pytest.raises(ValueError, match="level 5"):
        video(width=width, height=height, fps=fps)


@pytest.mark.parametrize(("frames", "fps"), [(0, 24), (24, 0), (-1, 24)])
def test_a_video_without_frames_or_time_is_refused(frames: int, fps: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        video(frames=frames, fps=fps)


def test_the_picture_of_the_last_frame_is_refused_for_the_same_reasons() -> None:
    with pytest.raises(ValueError, match="positive multiples of 16"):
        last_frame_png(width=60)


def test_the_picture_of_the_last_frame_has_the_size_of_the_video() -> None:
    assert unpack_from(">II", last_frame_png(width=96, height=32), 16) == (96, 32)


def test_the_picture_of_the_last_frame_differs_by_seed() -> None:
    assert last_frame_png(seed=1) != last_frame_png(seed=2)


@needs_ffmpeg
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_ffprobe_decodes_every_frame_without_complaint(width: int, height: int, tmp_path: Path) -> None:
    file = tmp_path / "made.mp4"
    file.write_bytes(video(width=width, height=height, frames=30, fps=15))
    entries = "stream=codec_name,width,height,nb_read_frames,duration"
    options = ["-v", "warning", "-count_frames", "-show_entries", entries, "-of", "json"]
    done = subprocess.run(["ffprobe", *options, str(file)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert json.loads(done.stdout)["streams"] == [
        {"codec_name": "h264", "width": width, "height": height, "nb_read_frames": "30", "duration": "2.000000"}
    ]


@needs_ffmpeg
@pytest.mark.parametrize("frames", [1, 2, 300])
def test_the_picture_of_the_last_frame_has_the_colours_of_the_last_frame(frames: int, tmp_path: Path) -> None:
    file = tmp_path / "made.mp4"
    file.write_bytes(video(frames=frames, seed=3))
    last = f"select=eq(n\\,{frames - 1}),scale=sws_flags=accurate_rnd+full_chroma_int"
    options = ["-v", "warning", "-i", str(file), "-vf", last, "-pix_fmt", "rgb24", "-f", "rawvideo", "-"]
    decoded = subprocess.run(["ffmpeg", *options], capture_output=True, check=True).stdout
    lines = zlib.decompress(_png_data(last_frame_png(frames=frames, seed=3)))
    drawn = b"".join(lines[start + 1 : start + 193] for start in range(0, len(lines), 193))
    assert max(abs(one - other) for one, other in zip(decoded, drawn, strict=True)) <= 4


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of contents of each box in `data`, which must end where the last box ends."""
    at = 0
    while at < len(data):
        size, kind = unpack_from(">I4s", data, at)
        assert 8 <= size <= len(data) - at
        yield kind, at + 8, at + size
        at += size


def _tree(data: bytes) -> dict[bytes, bytes]:
    """The contents of every box by kind; no kind occurs twice in these files."""
    found: dict[bytes, bytes] = {}
    for kind, start, end in _boxes(data):
        inner = _tree(data[start:end]) if kind in _CONTAINERS else {kind: data[start:end]}
        assert not found.keys() & inner.keys()
        found |= inner
    return found


def _sample_sizes(data: bytes) -> tuple[int, ...]:
    table = _tree(data)[b"stsz"]
    (count,) = unpack_from(">I", table, 8)
    return unpack(f">{count}I", table[12:])


def _samples(data: bytes) -> list[bytes]:
    contents, at = _tree(data)[b"mdat"], 0
    samples = []
    for size in _sample_sizes(data):
        samples.append(contents[at : at + size])
        at += size
    return samples


def _png_data(data: bytes) -> bytes:
    """The contents of IDAT, the second chunk; IHDR before it is 25 bytes long, the signature 8."""
    length, kind = unpack_from(">I4s", data, 33)
    assert kind == b"IDAT"
    return data[41 : 41 + length]
