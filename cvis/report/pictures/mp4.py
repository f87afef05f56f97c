"""Frames as an H.264 video that every browser plays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from cvis.atomic import atomic_path
from cvis.errors import UserError

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import OutputContainer
    from av.video.stream import VideoStream

CODEC = "libx264"
FPS = 6.0
"""As the annotated frames of YouTube-VIS: every fifth of a video with 30 a second."""
CRF = 23
_REC709, _LIMITED = 1, 1  # as ISO/IEC 23091-2 and libav number them


def write_mp4(frames: Iterable[np.ndarray], path: Path | str, fps: float = FPS, crf: int = CRF) -> None:
    """Write uint8 RGB frames ``[H, W, 3]`` as H.264 in mp4: yuv420p, the index first, so that it plays while loading.

    Odd sides are padded by one row or column. Equal frames give equal files, as far as PyAV's version is equal.

    Args:
        crf: x264's constant rate factor: 18 is hardly told from the frames, and 6 more halve the file.

    Raises:
        UserError: PyAV or its encoder is missing, ``fps`` is not positive, or the file system refuses the write.
        ValueError: there is no frame, or they differ in size.
    """
    path = Path(path)
    if not 0 < fps <= 240:
        raise UserError(f"--fps {fps:g}: not a frame rate; use a number above 0 and up to 240")
    check_codec(path)
    import av

    # + faststart: a second pass moves the index to the front; bitexact: no version, no date
    options = {"movflags": "faststart", "fflags": "+bitexact"}
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4", options=options) as container:
        _encode(iter(frames), container, fps, crf)


def check_codec(path: Path) -> None:
    """Say before the work that no video can be written.

    Raises:
        UserError: PyAV or its H.264 encoder is missing.
    """
    try:
        import av
    except ImportError as error:
        raise UserError(f"{path}: PyAV cannot be imported ({error}); pip install av, or write a .png") from error
    if CODEC not in av.codecs_available:
        raise UserError(
            f"{path}: {CODEC}: this build of PyAV {av.__version__} has no such encoder; "
            "install PyAV's own wheel (pip install --force-reinstall av), or write a .png"
        )


def _encode(frames: Iterator[np.ndarray], container: OutputContainer, fps: float, crf: int) -> None:
    first = next(frames, None)
    if first is None:
        raise ValueError("a video needs at least one frame")
    rate = Fraction(fps).limit_denominator(1001)
    options = {"crf": str(crf), "preset": "medium"}
    stream = cast("VideoStream", container.add_stream(CODEC, rate=rate, options=options))
    height, width = first.shape[:2]
    stream.height, stream.width, stream.pix_fmt = height + height % 2, width + width % 2, "yuv420p"
    codec = stream.codec_context
    codec.thread_count = 1  # the number of threads changes the bits
    codec.color_range, codec.colorspace = _LIMITED, _REC709  # untagged, players guess by the size
    codec.color_primaries, codec.color_trc = _REC709, _REC709
    for n, frame in enumerate(chain([first], frames)):
        if frame.shape != first.shape:
            raise ValueError(f"frame {n}: of shape {frame.shape}, the first of {first.shape}")
        container.mux(stream.encode(_as_yuv(frame, n)))
    container.mux(stream.encode())


def _as_yuv(frame: np.ndarray, number: int) -> VideoFrame:
    """An RGB frame as the encoder takes it, with even sides."""
    import av

    odd = [(0, side % 2) for side in frame.shape[:2]]
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.pad(frame, (*odd, (0, 0)), mode="edge")), "rgb24")
    picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
    picture.pts = number
    return picture
