"""The replay memory: some annotated tracks of every old class. A checkpoint holds their ids, never their pixels."""

from __future__ import annotations

import operator
from functools import reduce

import torch
from torch import Tensor, nn

from cvis.data.videoset import VideoSet
from cvis.scenario import Task

NONE = -1


class ReplayMemory(nn.Module):
    """``tracks_per_class`` tracks of each class, drawn at the end of the step that brought it.

    Call :meth:`begin_task` and :meth:`end_task` from the learner's. Ids are buffers, one per step, so that a resumed
    run remembers the same tracks; their videos are read from the data set again.

    Args:
        tracks_per_class: k; a class with fewer tracks gives all of them.
    """

    def __init__(self, tracks_per_class: int) -> None:
        super().__init__()
        self.tracks_per_class = tracks_per_class
        self._tasks: list[Task] = []

    def begin_task(self, task: Task) -> None:
        """Make room for the ids of a step."""
        self._tasks = [*self._tasks[: task.index], task]
        size = (len(task.new_classes), self.tracks_per_class)
        self.register_buffer(f"step{task.index}", torch.full(size, NONE, dtype=torch.int64))

    def end_task(self, task: Task) -> None:
        """Draw the tracks of a step's classes, with torch's own generator (which the engine has seeded)."""
        room = self.track_ids(task.index)
        tracks = [t for t in task.train.all_tracks if not t.iscrowd and any(t.segmentations)]
        for row, category in zip(room, task.new_classes, strict=True):
            ids = torch.tensor(sorted(t.id for t in tracks if t.category_id == category), dtype=torch.int64)
            chosen = ids[torch.randperm(len(ids))[: self.tracks_per_class]]
            row[: len(chosen)] = chosen.to(row.device)

    def track_ids(self, step: int) -> Tensor:
        """[classes of the step, k] int64; -1: the class has fewer tracks."""
        return self.get_buffer(f"step{step}")

    def videos(self, before: int) -> VideoSet | None:
        """The remembered tracks of all steps before ``before``, and nothing else of their videos; None: none."""
        parts = [part for task in self._tasks[:before] if (part := self._part(task))]
        return reduce(operator.or_, parts) if parts else None

    def _part(self, task: Task) -> VideoSet | None:
        ids = set(self.track_ids(task.index).flatten().tolist()) - {NONE}
        kept = {
            video: tuple(track for track in tracks if track.id in ids) for video, tracks in task.train.tracks.items()
        }
        videos = [video for video, tracks in kept.items() if tracks]
        return task.train.select(videos).with_tracks(kept, "remembered") if videos else None
