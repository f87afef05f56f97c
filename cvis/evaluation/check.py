"""What a predicted track must satisfy; the official evaluator silently accepts all of these mistakes.

It truncates tracks of the wrong length (a detection of one frame then has IoU 1), drops frames of the wrong
size from the IoU, forgets unknown classes and sorts NaN last. Each is a :class:`UserError` here.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from cvis.data.videoset import VideoSet
from cvis.errors import UserError
from cvis.types import RLE, Tracks, Video


def check_tracks(
    tracks: Tracks, ground_truth: VideoSet, known_categories: Collection[int], added: Collection[int]
) -> Video:
    """Check all predicted tracks of a video; gives the video.

    Args:
        added: videos whose predictions came before.

    Raises:
        UserError: an unknown or repeated video, or a malformed track (:func:`check_track`).
    """
    video = ground_truth.by_id.get(tracks.video_id)
    if video is None:
        raise UserError(f"video {tracks.video_id}: video_id: not in the ground truth; use its video ids")
    if video.id in added:
        raise UserError(f"video {video.id}: video_id: added twice; add all tracks of a video at once")
    if not len(tracks.scores) == len(tracks.category_ids) == len(tracks.segmentations):
        lengths = f"{len(tracks.category_ids)}, {len(tracks.scores)}, {len(tracks.segmentations)}"
        raise UserError(
            f"video {video.id}: category_ids, scores, segmentations: of lengths {lengths}; give one of each per track"
        )
    fields = zip(tracks.category_ids, tracks.scores, tracks.segmentations, strict=True)
    for n, (category_id, score, masks) in enumerate(fields):
        check_track(f"video {video.id}: track {n}", video, category_id, score, masks, known_categories)
    return video


def check_track(
    where: str,
    video: Video,
    category_id: int,
    score: float,
    segmentations: Sequence[RLE | None],
    known_categories: Collection[int],
) -> None:
    """Check one predicted track against its video.

    Args:
        where: begins the message: the file and entry, or the video and track.

    Raises:
        UserError: unknown category, a score that is not a finite number, not one mask per frame, or a mask
            whose size is not the video's.
    """
    if category_id not in known_categories:
        known = ", ".join(map(str, sorted(known_categories)))
        raise UserError(f"{where}: category_id: {category_id}: not in the ground truth; use one of {known}")
    if not math.isfinite(score):
        raise UserError(f"{where}: score: {score}: not finite; give every track a finite score")
    check_masks(where, video, segmentations)


def check_masks(where: str, video: Video, segmentations: Sequence[RLE | None]) -> None:
    """Check that there is one mask (or None) per frame, each of the video's size.

    Raises:
        UserError: it is not so.
    """
    if len(segmentations) != len(video):
        raise UserError(
            f"{where}: segmentations: {len(segmentations)} entries, but video {video.id} has {len(video)} "
            "frames; give one mask or null per frame"
        )
    size = [video.height, video.width]
    for frame, mask in enumerate(segmentations):
        if mask is not None and list(mask["size"]) != size:
            raise UserError(
                f"{where}: segmentations[{frame}].size: {list(mask['size'])}: video {video.id} is {size} "
                "(height, width); encode masks at the video's size"
            )
