"""Panels as a file: the suffix says whether as a video, H.264 that every browser plays, or as one picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import Image

from cvis.atomic import atomic_path
from cvis.errors import UserError
from cvis.report.pictures.panels import Panels

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import OutputContainer
    from av.video.stream import VideoStream

VIDEO = ".mp4"
PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
CODEC = "libx264"
FPS = 6.0
"""As the annotated frames of YouTube-VIS: every fifth of a video with 30 a second."""
CRF = 23
_REC709, _LIMITED = 1, 1  # as ISO/IEC 23091-2 and libav number them


def check_format(path: Path, option: str = "--out") -> None:
    """Refuse a file that cannot be written, before the work is done.

    Raises:
        UserError: its name ends in none of the formats, or videos cannot be encoded here.
    """
    suffix = path.suffix.lower()
    if suffix == VIDEO:
        _check_codec(path)
    elif suffix not in PICTURES:
        kinds = ", ".join([VIDEO, *PICTURES])
        raise UserError(f"{option} {path}: {suffix!r}: neither a video nor a picture; end the name in one of {kinds}")


def write_panels(panels: Panels, path: Path, fps: float = FPS) -> None:
    """A video of all frames (.mp4), or one picture with some of them (.png, .jpg); atomic, equal panels, equal files.

    Raises:
        UserError: as :func:`check_format` and :func:`write_mp4`; a frame is missing or damaged; or the file system
            refuses the write.
    """
    check_format(path)
    kind = PICTURES.get(path.suffix.lower())
    if kind is None:
        write_mp4(panels, path, fps)
        return
    options = {"quality": 92, "subsampling": 0} if kind == "JPEG" else {}
    with atomic_path(path) as temporary:
        Image.fromarray(panels.still()).save(temporary, format=kind, **options)


def write_mp4(frames: Iterable[np.ndarray], path: Path, fps: float = FPS, crf: int = CRF) -> None:
    """Write uint8 RGB frames ``[H, W, 3]`` as H.264 in mp4: yuv420p, the index first, so that it plays while loading.

    Odd sides are padded by one row or column. Equal frames give equal files, as far as PyAV's version is equal.

    Args:
        crf: x264's constant rate factor: 18 is hardly told from the frames, and 6 more halve the file.

    Raises:
        UserError: PyAV or its encoder is missing, ``fps`` is not positive, or the file system refuses the write.
        ValueError: there is no frame, or they differ in size.
    """
    if not 0 < fps <= 240:
        raise UserError(f"--fps {fps:g}: not a frame rate; use a number above 0 and up to 240")
    _check_codec(path)
    import av

    # + faststart: a second pass moves the index to the front; bitexact: no version, no date
    options = {"movflags": "faststart", "fflags": "+bitexact"}
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4", options=options) as container:
        _encode(iter(frames), container, fps, crf)


def _check_codec(path: Path) -> None:
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
