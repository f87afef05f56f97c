"""Where the forgotten AP went: the fate of every annotated track that was found when its class was new.

A track is *found* at a step if a detection of its class takes it at a track IoU of 0.5 in the class's ranking,
by the official rule, among the 100 best per class and video. Of the tracks found at the step that introduced
their class, each has at a later step the first fate that applies:

1. **still**: it is found.
2. **newer**, **older**: a detection of another class has IoU >= 0.5 with it. The surest one names the class:
   newer if this class came after the track's own, else older (earlier, or with it).
3. **poor**: a detection of its class has IoU >= 0.1 with it.
4. **gone**: none of these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from cvis.data.videoset import VideoSet
from cvis.evaluation.error_kinds import BACKGROUND, FOREGROUND, Overlaps, compare
from cvis.types import Tracks

NOBODY = -1  # no detection of another class lies on the track


@dataclass(frozen=True)
class Sightings:
    """What the predictions of one step make of G annotated tracks (no crowds), by ascending video id."""

    classes: np.ndarray  # [G], data-set ids
    found: np.ndarray  # [G] bool
    taken_for: np.ndarray  # [G], class of the surest detection of another class with IoU >= 0.5; -1: none
    own_iou: np.ndarray  # [G], highest IoU with a detection of its class


@dataclass(frozen=True)
class Fate:
    """What became of the tracks of one class, or of several."""

    num_gt: int
    found: int  # when the class was new; the sum of all below
    still: int
    newer: dict[int, int] = field(default_factory=dict)  # class -> tracks that it has now, most first
    older: dict[int, int] = field(default_factory=dict)
    poor: int = 0
    gone: int = 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def sight(ground_truth: VideoSet, tracks: Iterable[Tracks]) -> Sightings:
    """Look for every annotated track in one step's predictions; one video's masks at a time.

    Args:
        tracks: at most one value per video, in any order; videos without any count as empty.

    Raises:
        UserError: an unknown video, or a malformed track; names the video, track and field.
    """
    seen = {predicted.video_id: _sight(compare(ground_truth, predicted)) for predicted in tracks}
    for video in ground_truth.videos:
        if video.id not in seen:
            seen[video.id] = _sight(compare(ground_truth, Tracks(video.id, (), (), ())))
    columns = zip(*(seen[video_id] for video_id in sorted(seen)), strict=True)
    return Sightings(*(np.concatenate(column) for column in columns))


def fates(classes_by_step: Sequence[Sequence[int]], introduced: Sequence[Sightings], now: Sightings) -> dict[int, Fate]:
    """The fate of every old class, in learning order.

    Args:
        classes_by_step: category ids, of every step of the stream.
        introduced: sightings after step 0, 1, .., one for every step before ``now``'s.
        now: sightings after the step to compare with.
    """
    step_of = {c: step for step, classes in enumerate(classes_by_step) for c in classes}
    old = [c for classes in classes_by_step[: len(introduced)] for c in classes]
    return {c: _fate(c, introduced[step_of[c]], now, step_of) for c in old}


def together(parts: Iterable[Fate]) -> Fate:
    """The fate of several classes as one: sums."""
    parts = list(parts)
    return Fate(
        num_gt=sum(fate.num_gt for fate in parts),
        found=sum(fate.found for fate in parts),
        still=sum(fate.still for fate in parts),
        newer=_most_first(sum((Counter(fate.newer) for fate in parts), Counter())),
        older=_most_first(sum((Counter(fate.older) for fate in parts), Counter())),
        poor=sum(fate.poor for fate in parts),
        gone=sum(fate.gone for fate in parts),
    )


def _sight(overlaps: Overlaps) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    same_class = overlaps.classes[:, None] == overlaps.gt_classes  # [D, G]
    taken_for = np.full(len(overlaps.gt_classes), NOBODY)
    strangers = ~same_class & (overlaps.ious >= FOREGROUND)
    for g in np.flatnonzero(strangers.any(axis=0)):
        surest = np.where(strangers[:, g], overlaps.scores, -np.inf).argmax()
        taken_for[g] = overlaps.classes[surest]
    best = np.where(same_class, overlaps.ious, 0.0).max(axis=0, initial=0.0)
    real = ~overlaps.gt_crowd
    return overlaps.gt_classes[real], overlaps.found[real], taken_for[real], best[real]


def _fate(category_id: int, then: Sightings, now: Sightings, step_of: Mapping[int, int]) -> Fate:
    of_class = then.classes == category_id
    found = of_class & then.found
    lost = found & ~now.found
    stranger = now.taken_for != NOBODY
    takers = Counter(now.taken_for[lost & stranger].tolist())
    newer = {c: n for c, n in takers.items() if step_of.get(c, NOBODY) > step_of[category_id]}
    poor = lost & ~stranger & (now.own_iou >= BACKGROUND)
    return Fate(
        num_gt=int(np.count_nonzero(of_class)),
        found=int(np.count_nonzero(found)),
        still=int(np.count_nonzero(found & now.found)),
        newer=_most_first(newer),
        older=_most_first({c: n for c, n in takers.items() if c not in newer}),
        poor=int(np.count_nonzero(poor)),
        gone=int(np.count_nonzero(lost & ~stranger & ~poor)),
    )


def _most_first(counts: Mapping[int, int]) -> dict[int, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
