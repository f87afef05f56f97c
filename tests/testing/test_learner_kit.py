"""Our own learners pass every check, and for each check there is a learner that it refuses."""

from __future__ import annotations

import copy

import dense_toy  # noqa: F401  # registers itself
import numpy as np
import pytest
import torch
from torch import nn

from cvis.errors import UserError
from cvis.learners import LEARNERS, find_learner
from cvis.learners.finetune import FineTune
from cvis.learners.replay import Replay
from cvis.learners.settings import Weight
from cvis.testing import Failed, check_learner
from cvis.testing.check import named, outcome, title
from cvis.testing.learner import CHECKS, learner_outcomes
from cvis.testing.trial import Trial

SETTINGS = {"balconpas": ["learner.tracks_per_class=2", "learner.min_overlap=0.0"]}
OURS = [
    "finetune",
    "joint",
    "replay",
    "pseudo",
    "mib",
    "comformer",
    "combo",
    "balconpas",
    "eclipse",
    "crisp",
    "anchor",
    "anchor_joint",
]


def ours() -> set[str]:
    return {name for name in LEARNERS.names() if find_learner(name).__module__.startswith("cvis.learners.")}


def test_the_list_below_is_all_of_ours():
    assert set(OURS) == ours()


@pytest.mark.parametrize("learner", OURS)
def test_our_own_pass(learner):
    check_learner(learner, settings=SETTINGS.get(learner, ()))


@pytest.mark.parametrize("learner", ["finetune", "joint", "replay", "pseudo"])
def test_learners_that_ask_for_little_pass_with_a_dense_model(learner):
    check_learner(learner, segmenter="dense_toy")


def test_locations_are_distilled_and_replayed():
    """Pseudo-labels, a memory and two models side by side, on a detector: what most can go wrong with one."""
    check_learner("balconpas", segmenter="crossvis_tiny", settings=SETTINGS["balconpas"])


class Vector(FineTune):
    def loss(self, clip):
        return {"loss_pixel": torch.stack([*super().loss(clip).values()] * 2)}


class ThreeAtMost(FineTune):
    def begin_task(self, task):
        super().begin_task(task)
        if len(task.new_classes) > 3:
            raise ValueError("too many values to unpack")


class Forgetful(FineTune):
    def begin_task(self, task):
        pass


class LeavesOut(FineTune):
    def param_groups(self):
        return [{"params": list(self.segmenter.backbone.parameters()), "backbone": True}]

    def begin_task(self, task):
        super().begin_task(task)
        self.segmenter.backbone_frozen = False
        self.segmenter.backbone.requires_grad_(True)


class Zero(FineTune):
    def loss(self, clip):
        return {name: 0 * value for name, value in super().loss(clip).items()}


class Foreign(FineTune):
    def __init__(self, segmenter):
        super().__init__(segmenter)
        self.hidden = [nn.Parameter(torch.zeros(3))]

    def param_groups(self):
        return [*super().param_groups(), {"params": self.hidden}]


class Drifting(FineTune):
    def loss(self, clip):
        with torch.no_grad():
            next(self.segmenter.backbone.parameters()).mul_(0.9)
        return super().loss(clip)


class Unseeded(FineTune):
    def loss(self, clip):
        noise = float(np.random.default_rng().uniform(1, 2))
        return {name: noise * value for name, value in super().loss(clip).items()}


class PlainAttribute(FineTune):
    def __init__(self, segmenter):
        super().__init__(segmenter)
        self.mean = 1.0

    def loss(self, clip):
        losses = super().loss(clip)
        self.mean = 0.9 * self.mean + 0.1 * losses["loss_pixel"].item()
        return {name: value / self.mean for name, value in losses.items()}


class Idle(FineTune):
    """Scales what it sees of objects, which a batch without them does not ask for."""

    def __init__(self, segmenter):
        super().__init__(segmenter)
        self.scale = nn.Parameter(torch.ones(()))

    def loss(self, clip):
        seen = any(len(target.category_ids) for target in clip.targets)
        return {name: self.scale * value if seen else value for name, value in super().loss(clip).items()}


class NotStored(PlainAttribute):
    """The same, as a buffer that state_dict leaves out."""

    def __init__(self, segmenter):
        super(PlainAttribute, self).__init__(segmenter)
        self.register_buffer("mean", torch.ones(()), persistent=False)

    def loss(self, clip):
        losses = super(PlainAttribute, self).loss(clip)
        self.mean.lerp_(losses["loss_pixel"].detach(), 0.1)
        return {name: value / self.mean for name, value in losses.items()}


class NeedsItsEnd(FineTune):
    def begin_task(self, task):
        super().begin_task(task)
        self.last = None if task.is_base else self.done

    def end_task(self, task):
        self.done = task.index


class NeedsItsPast(FineTune):
    def loss(self, clip):
        assert self.done or not self.segmenter.classes[2:]
        return super().loss(clip)

    def end_task(self, task):
        self.done = True


class MadeInLoss(FineTune):
    def loss(self, clip):
        if not hasattr(self, "scale"):
            self.scale = nn.Parameter(torch.ones(()))
        return {name: self.scale * value for name, value in super().loss(clip).items()}


class Counting(FineTune):
    """Its buffers are as long as it has been trained before."""

    count = 1

    def begin_task(self, task):
        super().begin_task(task)
        self.register_buffer(f"seen{task.index}", torch.zeros(self.count))

    def loss(self, clip):
        self.count += 1
        return super().loss(clip)


class Peeking(FineTune):
    """Keeps all annotations of the scenario, and learns more the larger the masks of classes to come are."""

    everything = None

    @classmethod
    def stream(cls, scenario):
        cls.everything = scenario.train
        return scenario

    def begin_task(self, task):
        super().begin_task(task)
        later = [t for t in self.everything.all_tracks if t.category_id not in task.seen_classes]
        first = [hash(str(t.segmentations[0]["counts"])) % 1000 for t in later if t.segmentations[0]]
        self.register_buffer("peeked", torch.tensor(sum(first)))


class KeepsLabels(FineTune):
    """Shows the step before again, and says so to nobody."""

    def begin_task(self, task):
        super().begin_task(task)
        self.shown = task.train if task.is_base else task.train | self.shown

    def train_data(self, task):
        return self.shown


class Pretending(FineTune):
    replays = True


class Doubled(FineTune):
    def loss(self, clip):
        return {name: 2 * value for name, value in super().loss(clip).items()}


class Clairvoyant(FineTune):
    def predict(self, video):
        tracks = super().predict(video)
        ids = (8,) * len(tracks)
        return type(tracks)(tracks.video_id, ids, tracks.scores, tracks.segmentations)


class TooShort(FineTune):
    def predict(self, video):
        tracks = super().predict(video)
        return type(tracks)(
            tracks.video_id, tracks.category_ids, tracks.scores, tuple(masks[:1] for masks in tracks.segmentations)
        )


class OneForAll(FineTune):
    one_pass = True

    def heads(self):
        return None

    def predict_steps(self, video, heads):
        return [self.predict(video)] * len(heads)


class Hoarding(FineTune):
    def __init__(self, segmenter):
        super().__init__(segmenter)
        self.models = ()

    def end_task(self, task):
        self.models = (*self.models, copy.deepcopy(self.segmenter))


WRONG = [
    (Vector, "losses", r"Vector\.loss: 'loss_pixel': is a tensor of shape \[2\], not a scalar; end it with \.mean"),
    (ThreeAtMost, "new classes", r"step 2, with 5 new classes: ThreeAtMost\.begin_task: .*: too many values to unpack"),
    (Forgetful, "new classes", r"Forgetful\.begin_task: the segmenter does not know classes \[1, 2\].*call super\(\)"),
    (LeavesOut, "gradients", r"'segmenter\.heads\.0\.bias'.*gets gradients and is in no group.*or freeze it"),
    (Zero, "gradients", r"no gradient reaches a parameter of param_groups.*freeze less"),
    (Foreign, "gradients", r"a tensor of shape \[3\]: is no parameter of the learner; make it an attribute"),
    (Idle, "gradients", r"loss: 'scale': has no part in the loss of a batch without objects, and static_graph is True"),
    (Drifting, "frozen parts", r"'segmenter\.backbone\.0\.weight': frozen, and other values"),
    (Unseeded, "same seed", r"two runs with the same seed; draw random numbers from torch"),
    (PlainAttribute, "resume", r"self\.mean: differs between an undisturbed and a resumed step 1; keep .* in a buffer"),
    (NotStored, "resume", r"self\.mean: differs between an undisturbed and a resumed step 1"),
    (
        NeedsItsEnd,
        "resume",
        r"as a resumed run calls it: NeedsItsEnd\.begin_task: .*: AttributeError: .*'done'; begin_task must",
    ),
    (NeedsItsPast, "resume", r"raises NeedsItsPast\.loss: .*: AttributeError: .*'done'; see docs/checks\.md"),
    (MadeInLoss, "state dict", r"MadeInLoss\.loss: 'scale': is a new parameter, which no optimiser trains.*begin_task"),
    (Counting, "state dict", r"'seen2': has the shape \[3\] when trained, \[1\] when rebuilt"),
    (Peeking, "other labels", r"'peeked' differ at the end of step 1 once other steps' annotations are wrong"),
    (KeepsLabels, "other labels", r"an annotation of an old class that step 1 must not see; set replays = True"),
    (Pretending, "replays", r"is True, and train_data shows no old class; set replays = False"),
    (Doubled, "own step0", r"own_step0 is False: the engine trains step 0 without it; set own_step0 = True"),
    (Clairvoyant, "seen classes", r"after step 0, video 1: category_ids \[8\]: not among \(1, 2\)"),
    (TooShort, "seen classes", r"segmentations: not one for each frame"),
    (OneForAll, "one pass", r"predict_steps: step 0: other answers than after the step; let heads\(\) return all"),
    (Hoarding, "memory", r"self\.models: has grown by \d+ numbers, where state_dict has grown by \d+; drop it"),
]


@pytest.mark.parametrize(("wrong", "name", "says"), WRONG, ids=[wrong.__name__ for wrong, *_ in WRONG])
def test_each_check_refuses_what_it_is_there_for(wrong, name, says, tmp_path):
    (check,) = (check for check in CHECKS if title(check) == name)
    with named(LEARNERS, wrong) as registered:
        trial = Trial(registered, "dense_toy", ["protocol.freeze=backbone"], tmp_path)
        found = outcome(check, trial)
    assert found.status == "failed"
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(found.says)
    assert "\n" not in found.says


def test_every_check_has_a_learner_that_it_refuses():
    assert {name for _, name, _ in WRONG} == {title(check) for check in CHECKS}


def test_failures_are_one_exception_with_a_line_for_each():
    with pytest.raises(Failed) as caught:
        check_learner(Doubled, segmenter="dense_toy")
    assert str(caught.value).startswith("own step0: loss: is ")
    assert "\n" not in str(caught.value)
    assert "Doubled" not in LEARNERS.names()


def test_a_learner_that_does_not_train_fails_once():
    """What cannot be said of it is not applicable, and no failure."""
    statuses = [each.status for each in learner_outcomes(ThreeAtMost, "dense_toy")]
    assert statuses.count("failed") == 1
    assert statuses.count("passed") == 1  # its losses
    statuses = [each.status for each in learner_outcomes(NeedsItsEnd, "dense_toy")]
    assert statuses.count("failed") == 1


class Heavy(FineTune):
    def __init__(self, segmenter, weight: Weight):
        super().__init__(segmenter)


def test_what_cannot_be_built_is_the_users_mistake_and_no_failed_check():
    for learner, segmenter, says in (
        ("nothing", "dense_toy", "'nothing' does not exist"),
        (dict, "dense_toy", "is not a subclass"),
        ("mib", "dense_toy", "needs class_slots"),
        (Heavy, "dense_toy", r"learner\.weight: has no default"),
    ):
        with pytest.raises(UserError, match=says):
            check_learner(learner, segmenter=segmenter)
    check_learner(Heavy, segmenter="dense_toy", settings=["learner.weight=2.0"])


def test_replay_keeps_its_promise_only_if_it_is_declared():
    class Silent(Replay):
        replays = False

    with pytest.raises(Failed, match=r"other labels: .*set replays = True"):
        check_learner(Silent, segmenter="dense_toy")
