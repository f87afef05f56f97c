"""A video of any length as windows that overlap, and what was found in them as tracks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from cvis.errors import UserError
from cvis.segmenters.mask2former.inference import Inference as Reader
from cvis.segmenters.outputs import Memory
from cvis.segmenters.stitching import Found, windows
from cvis.types import RLE, Track, Tracks, Video


@dataclass(frozen=True)
class Windowed:
    """How a model of clips reads a video, and writes its tracks.

    Args:
        short_side: frames are resized so that their short side has this many pixels,
        max_side: unless the long side would be longer than this.
        overlap: frames that two windows share; None: a quarter of a window, at least one.
        min_iou: see :class:`~cvis.segmenters.stitching.Stitcher`.
        top_k: tracks kept per video, by score.
    """

    short_side: int = 300
    max_side: int = 540
    overlap: int | None = None
    min_iou: float = 0.1
    top_k: int = 10

    def __post_init__(self) -> None:
        for name in ("short_side", "max_side", "top_k"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise UserError(f"segmenter.test.{name}: {value!r}: must be a whole number of at least 1")

    def windows(self, video: Video, size: int, overlap: int | None) -> Iterator[tuple[int, Tensor]]:
        """First frame of each window, and its frames resized: uint8 RGB [t, 3, h, w].

        Args:
            overlap: None: as in :meth:`shared`.
        """
        for start, end in windows(len(video), size, self.shared(size) if overlap is None else overlap):
            part = replace(video, frames=video.frames[start:end])
            yield start, next(self._reader(size).frames(part))

    def shared(self, size: int) -> int:
        """Frames that two windows of ``size`` frames share."""
        overlap = min(max(1, size // 4), size - 1) if self.overlap is None else self.overlap
        if not 0 <= overlap < size:
            raise UserError(f"segmenter.test.overlap: {overlap}: must be at least 0 and less than the {size} of a clip")
        return overlap

    def tracks(self, video: Video, found: Sequence[Found], classes: Sequence[int]) -> Tracks:
        """The best of what was found, without those that no frame shows."""
        shown = [track for track in found if any(mask is not None for mask in track.masks)]
        best = sorted(shown, key=lambda track: -track.score)[: self.top_k]
        return Tracks(
            video.id,
            tuple(classes[track.column] for track in best),
            tuple(track.score for track in best),
            tuple(_whole(track, len(video)) for track in best),
        )

    def coverage(self, video: Video, tracks: Sequence[Track], memory: Memory) -> Tensor:
        """See :meth:`cvis.segmenters.mask2former.inference.Inference.coverage`."""
        return self._reader(1).coverage(video, tracks, memory)

    def _reader(self, window: int) -> Reader:
        return Reader(self.short_side, self.max_side, window)


def _whole(track: Found, length: int) -> tuple[RLE | None, ...]:
    """A mask or None for each frame of the video."""
    behind = length - track.start - len(track.masks)
    return (*[None] * track.start, *track.masks, *[None] * behind)
