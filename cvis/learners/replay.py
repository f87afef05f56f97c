"""Experience replay: a few annotated tracks of every old class are shown again."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from cvis.data.videoset import VideoSet
from cvis.learners.analytic import AnalyticSwitch
from cvis.learners.registry import LEARNERS
from cvis.learners.replay_memory import ReplayMemory
from cvis.scenario import Task
from cvis.segmenters import Segmenter
from cvis.types import Clip


@LEARNERS.register_module(name="replay")
class Replay(AnalyticSwitch):
    """Fine-tuning on each task and on a memory of k annotated tracks of every old class.

    The only learner, with ``balconpas`` if asked, that keeps old data: compare it with the others in that light. In a
    remembered video only the remembered tracks are labelled.

    Args:
        tracks_per_class: k.
        analytic: the settings of :class:`~cvis.learners.analytic.AnalyticSwitch`: scores times what the backbone's maps
            say of a track, by regression in closed form.
    """

    replays = True
    static_graph = True

    def __init__(
        self, segmenter: Segmenter, tracks_per_class: Annotated[int, Field(ge=0)] = 5, **analytic: Any
    ) -> None:
        super().__init__(segmenter, **analytic)
        self.memory = ReplayMemory(tracks_per_class)

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        self.memory.begin_task(task)

    def end_task(self, task: Task) -> None:
        super().end_task(task)
        self.memory.end_task(task)

    def train_data(self, task: Task) -> VideoSet:
        memory = self.memory.videos(before=task.index)
        return task.train if memory is None else task.train | memory

    def loss(self, clip: Clip) -> dict[str, Tensor]:
        return self.segmenter.losses(clip)
