"""EWC keeps the contract of a learner, and its penalty is the paper's."""

import pytest
import torch
from cvis_ewc import EWC
from torch import nn

from cvis.data.synthetic import make_synthetic
from cvis.data.ytvis import read_ytvis
from cvis.scenario import Task
from cvis.segmenters import Segmenter
from cvis.testing import check_learner
from cvis.types import Tracks


class Line(Segmenter):
    """The loss of a clip is w times the number of its video, so its gradient is that number."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(3.0))

    def losses(self, clip, maps=None):
        return {"loss_line": self.w * int(clip.names[0].partition("[")[0])}

    def grow(self, num_classes):
        self.register_parameter(f"of_step_{len(self.classes)}", nn.Parameter(torch.ones(num_classes)))

    def predict(self, video):
        return Tracks(video.id, (), (), ())


def test_the_penalty_is_half_the_fisher_times_the_squared_distance(tmp_path):
    make_synthetic(tmp_path / "data", train_videos=5, test_videos=2)
    videos = read_ytvis(tmp_path / "data" / "train.json", tmp_path / "data" / "train" / "JPEGImages")
    steps = [Task(0, (1,), (), videos, hidden=0), Task(1, (2,), (1,), videos.select([2, 3]), hidden=0)]
    assert [video.name for video in videos.videos] == ["0001", "0002", "0003", "0004", "0005"]

    learner = EWC(Line(), weight=8)
    penalties = []
    for step, moved in zip(steps, (7.0, 2.0), strict=True):
        learner.begin_task(step)
        learner.end_task(step)
        with torch.no_grad():
            learner.segmenter.w.fill_(moved)
            learner.segmenter.of_step_0.fill_(9)  # the loss does not depend on it, so it is free
        clip = type("Clip", (), {"names": ["1"]})
        penalties.append(learner.loss(clip)["loss_ewc"].item())
    first = (1 + 4 + 9 + 16 + 25) / 5  # the mean of the squared gradients
    second = (4 + 9) / 2
    assert penalties == pytest.approx([8 / 2 * first * (7 - 3) ** 2, 8 / 2 * (first + second) * (2 - 7) ** 2])


def test_it_keeps_the_contract():
    check_learner(EWC)
