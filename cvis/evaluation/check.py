"""What a predicted track must satisfy; the official evaluator silently accepts all of these mistakes.

It truncates tracks of the wrong length (a detection of one frame then has IoU 1), drops frames of the wrong
size from the IoU, forgets unknown classes and sorts NaN last. Each is a :class:`UserError` here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np

from cvis.data.rle import RLEError, read_segmentation
from cvis.data.videoset import VideoSet
from cvis.errors import UserError, short
from cvis.types import RLE, Tracks, Video

_TEXT = {bytes, str}


def chosen_classes(asked: Collection[int] | None, known: Collection[int], where: str) -> tuple[int, ...]:
    """The classes asked for, ascending and each once; all known ones for None.

    Args:
        where: ends "not .." in the message: what ``known`` is.

    Raises:
        UserError: one is not known.

    >>> chosen_classes([7, 3, 7], {3, 5, 7}, "in the ground truth")
    (3, 7)
    """
    chosen = tuple(sorted(set(known if asked is None else asked)))
    if unknown := [c for c in chosen if c not in known]:
        names = ", ".join(map(str, sorted(known)))
        raise UserError(f"classes: {unknown[0]}: not {where}; use some of {names}")
    return chosen


def check_tracks(tracks: Tracks, ground_truth: VideoSet, where: Callable[[int], str]) -> Video:
    """Check predicted tracks of a video, except for what their run lengths say; gives the video.

    Args:
        where: begins the message about a track, given its index.

    Raises:
        UserError: an unknown video, or a malformed track (:func:`check_label`, :func:`check_masks`).
    """
    video = check_video(tracks.video_id, ground_truth)
    if not len(tracks.scores) == len(tracks.category_ids) == len(tracks.segmentations):
        lengths = f"{len(tracks.category_ids)}, {len(tracks.scores)}, {len(tracks.segmentations)}"
        raise UserError(
            f"video {video.id}: category_ids, scores, segmentations: of lengths {lengths}; give one of each per track"
        )
    fit = _all_fit(video, tracks.segmentations)
    fields = zip(tracks.category_ids, tracks.scores, tracks.segmentations, strict=True)
    for n, (category_id, score, masks) in enumerate(fields):
        check_label(where(n), category_id, score, ground_truth.category_ids)
        if not fit:
            check_masks(where(n), video, masks)
    return video


def check_video(video_id: int, ground_truth: VideoSet, added: Collection[int] = ()) -> Video:
    """The video with this id.

    Args:
        added: videos whose predictions came before.

    Raises:
        UserError: the ground truth does not have it, or it is among ``added``.
    """
    video = ground_truth.by_id.get(video_id)
    if video is None:
        raise UserError(f"video {video_id}: video_id: not in the ground truth; use its video ids")
    if video.id in added:
        raise UserError(f"video {video.id}: video_id: added twice; add all tracks of a video at once")
    return video


def check_label(where: str, category_id: int, score: float, known_categories: Collection[int]) -> None:
    """Check what a predicted track says beside its masks.

    Raises:
        UserError: unknown category, or a score that is not a finite number.
    """
    if category_id not in known_categories:
        known = ", ".join(map(str, sorted(known_categories)))
        raise UserError(f"{where}: category_id: {category_id}: not in the ground truth; use one of {known}")
    if not math.isfinite(score):
        raise UserError(f"{where}: score: {score}: not finite; give every track a finite score")


def check_masks(where: str, video: Video, segmentations: Sequence[RLE | None]) -> None:
    """Check that there is one mask (or None) per frame, each of the video's size.

    Raises:
        UserError: it is not so.
    """
    if _all_fit(video, [segmentations]):
        return
    if len(segmentations) != len(video):
        raise UserError(
            f"{where}: segmentations: {len(segmentations)} entries, but video {video.id} has {len(video)} "
            "frames; give one mask or null per frame"
        )
    for frame, mask in enumerate(segmentations):
        if mask is not None:
            _check_mask(f"{where}: segmentations[{frame}]", video, mask)


def _all_fit(video: Video, tracks: Sequence[Sequence[RLE | None]]) -> bool:
    """Whether :func:`check_masks` accepts every track, at once; this cannot say what is wrong."""
    masks = [m for track in tracks for m in track if m is not None]
    try:
        return (
            [m["size"] for m in masks].count([video.height, video.width]) == len(masks)
            and set(map(type, [m["counts"] for m in masks])) <= _TEXT
            and all(len(track) == len(video) for track in tracks)
        )
    except (KeyError, TypeError, ValueError):  # ValueError: a size is an array of NumPy
        return False


def _check_mask(where: str, video: Video, mask: object) -> None:
    if not isinstance(mask, dict) or type(mask.get("counts")) not in _TEXT or "size" not in mask:
        raise UserError(
            f'{where}: {mask!r:.60}: not a compressed mask; give {{"size", "counts"}} of pycocotools, or None'
        )
    given, size = mask["size"], [video.height, video.width]
    if not isinstance(given, Iterable) or list(given) != size:
        raise UserError(
            f"{where}.size: {given}: video {video.id} is {size} (height, width); encode masks at the video's size"
        )


def check_runs(where: str, video: Video, segmentations: Sequence[RLE | None]) -> None:
    """Check that the runs of every mask fill the frame; pycocotools makes some mask, or a crash, of any text.

    This is the slow way, which can say what is wrong. The evaluation decodes all masks anyway and comes here
    only when some do not fit.

    Raises:
        UserError: they do not.
    """
    for frame, mask in enumerate(segmentations):
        try:
            if mask is not None:
                read_segmentation({**mask, "size": list(mask["size"])}, video.height, video.width)
        except RLEError as error:
            value = error.value.decode("latin-1") if isinstance(error.value, bytes) else error.value
            raise UserError(
                f"{where}: segmentations[{frame}]{error.part}: {short(value)}: {error.what}; "
                "damaged, or of another frame size: encode the mask again"
            ) from None


def check_bitmaps(video: Video, num_tracks: int, masks: np.ndarray) -> None:
    """Check predicted masks given as bitmaps.

    Raises:
        UserError: they are not bool or uint8 [N, T, H, W] of the video.
    """
    if masks.dtype not in (np.bool_, np.uint8):
        raise UserError(f"video {video.id}: masks: of type {masks.dtype}: neither bool nor uint8; threshold them first")
    shape = (num_tracks, len(video), video.height, video.width)
    if masks.shape != shape:
        raise UserError(
            f"video {video.id}: masks: of shape {masks.shape}: give {shape}, tracks x frames x height x width"
        )
