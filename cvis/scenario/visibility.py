"""Which videos belong to a step, and which of their annotations its learner may see.

One rule holds whatever the options: *no annotation of a class outside C_t reaches the loss of step t*.
The options choose the videos D_t of step t (an instance counts for the whole video):

``overlap``
    Every video with an instance of C_t; it may come back in other steps, and may show classes of the
    future, unlabelled. This is what CRISP's released code runs, and MiB's "overlapped" setting
    (Cermelli et al., "Modeling the Background", CVPR 2020).
``disjoint``
    Every video with an instance of C_t and none of a class still to come. A video so belongs to exactly
    one step: that of its newest class. MiB's "disjoint" setting, also PLOP's (Douillard et al., CVPR 2021).
``sequential``
    The videos of ``disjoint``. In its source (Michieli & Zanuttigh, ICCV Workshops 2019; Continuum's
    ``mode="sequential"``) it differs from ``disjoint`` only in that old classes stay labelled. The rule
    above withholds those labels here, so a learner sees the same as under ``disjoint``; both names are
    kept because both are asked for, and a result says which was used.

``other_class_policy`` says what becomes of an instance of D_t whose class is outside C_t:

``drop``
    It is absent, as the CRISP paper, CoMFormer and ECLIPSE have it.
``empty_target``
    It becomes a target of category ``NO_OBJECT``: an all-zero mask in every frame where it was present,
    None elsewhere. This is what CRISP's released code does.

Classes that are in the file but not in the stream count as "outside C_t" in every step, never as future.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from pycocotools import mask as coco_mask

from cvis.data.videoset import VideoSet
from cvis.types import NO_OBJECT, RLE, Track

Visibility = Literal["overlap", "disjoint", "sequential"]
OtherClassPolicy = Literal["drop", "empty_target"]


@dataclass(frozen=True)
class Task:
    """Step ``index`` of a stream. Class ids are the data set's own, in learning order.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import cvis
    >>> from cvis.testing.stream import make_stream
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     task = cvis.load_scenario(make_stream(Path(folder), steps=(2, 1, 1)))[1]
    >>> isinstance(task, cvis.Task), task.new_classes, task.old_classes, task.seen_classes
    (True, (3,), (1, 2), (1, 2, 3))
    >>> len(task.train), {track.category_id for track in task.train.all_tracks}, task.hidden
    (6, {3}, 6)

    Attributes:
        new_classes: C_t.
        old_classes: C_1:t-1, learned in earlier steps; empty at the base step.
        train: D_t, as the learner may see it: tracks of ``new_classes`` only (and, under
            ``other_class_policy="empty_target"``, zero-mask tracks of category ``NO_OBJECT``).
        hidden: instances that stand in the pixels of D_t but whose annotation is withheld.
        images: still images to make further clips of, by the same rules; None: none has an instance of C_t.
    """

    index: int
    new_classes: tuple[int, ...]
    old_classes: tuple[int, ...]
    train: VideoSet
    hidden: int
    images: VideoSet | None = None

    @property
    def seen_classes(self) -> tuple[int, ...]:
        """C_1:t, in learning order."""
        return self.old_classes + self.new_classes

    @property
    def is_base(self) -> bool:
        return self.index == 0


def make_tasks(
    videos: VideoSet,
    classes_by_step: Sequence[tuple[int, ...]],
    visibility: Visibility = "overlap",
    policy: OtherClassPolicy = "drop",
) -> tuple[Task, ...]:
    """The steps of a stream; ``classes_by_step[t]`` is C_t, in learning order."""
    learning_order = [c for classes in classes_by_step for c in classes]
    tasks: list[Task] = []
    old: tuple[int, ...] = ()
    for index, new in enumerate(classes_by_step):
        future = learning_order[len(old) + len(new) :] if visibility != "overlap" else ()
        part = videos.select(_videos_with(videos, new, without=future))
        seen = {v.id: _visible(part.tracks[v.id], new, policy) for v in part.videos}
        train = part.with_tracks(seen, f"{policy} {new}")
        hidden = part.num_tracks - part.num_tracks_of(new)
        tasks.append(Task(index, tuple(new), old, train, hidden))
        old += tuple(new)
    return tuple(tasks)


def _videos_with(videos: VideoSet, classes: Collection[int], without: Collection[int]) -> list[int]:
    wanted, unwanted = frozenset(classes), frozenset(without)
    present = ((video.id, videos.classes_of(video.id)) for video in videos.videos)
    return [i for i, here in present if here & wanted and not here & unwanted]


def _visible(tracks: Sequence[Track], new: Collection[int], policy: OtherClassPolicy) -> tuple[Track, ...]:
    if policy == "drop":
        return tuple(track for track in tracks if track.category_id in new)
    return tuple(track if track.category_id in new else _emptied(track) for track in tracks)


def _emptied(track: Track) -> Track:
    segmentations = tuple(s and _zero_mask(*s["size"]) for s in track.segmentations)
    areas = (0.0,) * len(track.areas)
    return replace(track, category_id=NO_OBJECT, segmentations=segmentations, areas=areas)


@lru_cache(maxsize=256)
def _zero_mask(height: int, width: int) -> RLE:
    return coco_mask.encode(np.zeros((height, width), np.uint8, order="F"))
