"""Hand-made tracks: bars of whole columns in a frame of 4 x 60 pixels, so that an IoU is a count of columns."""

from __future__ import annotations

import numpy as np
from scored_sets import set_of, track_of, tracks_of, video_of

FRAMES = 10


def bar(start, stop):
    mask = np.zeros((4, 60), dtype=bool)
    mask[:, start:stop] = True
    return mask


def steady(start, stop, frames=range(FRAMES)):
    """The same bar in some frames, absent in the others."""
    return [bar(start, stop) if t in frames else None for t in range(FRAMES)]


def moving(*parts):
    """Bars by frames: ``(frames, start, stop)`` each."""
    masks = [None] * FRAMES
    for frames, start, stop in parts:
        for t in frames:
            masks[t] = bar(start, stop)
    return masks


def annotated(*tracks, videos=(1,), crowd=()):
    """Ground truth from (category id, masks[, video id])."""
    annotations = [
        track_of(n, *(rest or (videos[0],)), category_id, masks, n in crowd)
        for n, (category_id, masks, *rest) in enumerate(tracks)
    ]
    return set_of([video_of(v, FRAMES, 4, 60) for v in videos], annotations)


def detected(*predicted, video=1):
    """Predictions from (category id, score, masks)."""
    return tracks_of(video, *predicted)
