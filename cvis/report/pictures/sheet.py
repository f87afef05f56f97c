"""A contact sheet of a data set: annotated frames of many videos, to be looked through at a glance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from cvis.atomic import atomic_path
from cvis.data.videoset import VideoSet
from cvis.report.pictures.overlay import DARK, text_size
from cvis.report.pictures.panels import Panels, contact_sheet, titled, truth_panel

ACROSS = 4
MOST = 24
TILE = (320, 400)  # pixels at most, height and width


def write_sheet(videos: VideoSet, path: Path) -> Path:
    """One frame of each of up to 24 videos, spread evenly over the set, with its masks and classes; a JPEG, atomic.

    Of a video it is a frame in which most tracks are seen.

    Args:
        videos: annotated, frames as paths.

    Returns:
        ``path``.

    Raises:
        UserError: a frame is missing or damaged, or the file system refuses the write.
    """
    shown = [video.id for video in videos.videos if videos.tracks[video.id]] or [v.id for v in videos.videos]
    count = min(len(shown), MOST)
    tiles = [_tile(videos, shown[n * len(shown) // count]) for n in range(count)]
    with atomic_path(path) as temporary:
        Image.fromarray(contact_sheet(tiles, ACROSS)).save(temporary, format="JPEG", quality=88)
    return path


def _tile(videos: VideoSet, video_id: int) -> np.ndarray:
    tracks = videos.tracks[video_id]
    seen = [sum(track.segmentations[t] is not None for track in tracks) for t in range(len(videos.by_id[video_id]))]
    best = [t for t, count in enumerate(seen) if count == max(seen)]
    t = best[len(best) // 2]
    one = videos.slice_frames({video_id: (t, t + 1)})
    names = {category.id: category.name for category in videos.categories}
    video = one.videos[0]
    scale = min(TILE[0] / video.height, TILE[1] / video.width)
    size = (max(1, round(video.height * scale)), max(1, round(video.width * scale)))
    (picture,) = Panels(video, (truth_panel(one.tracks[video_id], names, video_id),)).at(0, size)
    left = (TILE[1] - size[1]) // 2
    tile = np.full((size[0], TILE[1], 3), DARK, np.uint8)
    tile[:, left : left + size[1]] = picture
    return titled(f"{video.name}, frame {t + 1} of {len(seen)}", tile, text_size(*TILE))
