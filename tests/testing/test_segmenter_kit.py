"""Our own segmenters pass every check, and for each check there is a model that it refuses."""

from __future__ import annotations

from dataclasses import replace

import dense_toy
import pytest
import slot_toys  # noqa: F401  # registers itself
import torch
from tiny import SMALL_MODEL
from torch import nn

from cvis.segmenters import SEGMENTERS
from cvis.segmenters.mask2former import Mask2Former
from cvis.segmenters.outputs import ProposedTracks
from cvis.testing import Failed, check_segmenter
from cvis.testing.check import named, outcome, title
from cvis.testing.segmenter import CHECKS
from cvis.testing.specimen import Specimen

OURS = "mask2former_tiny", "ctvis_tiny", "vistr_tiny", "crossvis_tiny", "st_pyramid_tiny"


@pytest.mark.parametrize("segmenter", [*OURS, "dense_toy", "column_toy", "sigmoid_toy"])
def test_our_own_pass(segmenter):
    check_segmenter(segmenter)


class Dense(dense_toy.DenseToy):
    """Right, and a class of its own."""


class Query(Mask2Former):
    def __init__(self):
        super().__init__(**{key: value for key, value in SMALL_MODEL.items() if key != "type"})


class Floats(Dense):
    def losses(self, clip, maps=None):
        return {name: value.item() for name, value in super().losses(clip).items()}


class DeadWeight(Dense):
    def __init__(self):
        super().__init__()
        self.spare = nn.Linear(3, 3)


class NewHead(Dense):
    def grow(self, num_classes):
        self.heads = nn.ModuleList([nn.Conv2d(self.width, len(self.classes) + num_classes, 1)])


class CountsTwice(Dense):
    def grow(self, num_classes):
        super().grow(num_classes)
        self.classes.append(0)


class NewInFront(Query):
    def decode_queries(self, memory, group=0, residual=None, *, refine=None):
        layers = super().decode_queries(memory, group, residual, refine=refine)
        return [replace(layer, logits=layer.logits.roll(len(self.classes) // 3, -1)) for layer in layers]


class Restless(Dense):
    """Its backbone has running statistics, and goes on counting."""

    def __init__(self):
        super().__init__()
        self.backbone.append(nn.BatchNorm2d(self.width))

    def train(self, mode=True):
        return nn.Module.train(self, mode)


class Unfrozen(Dense):
    def freeze_backbone(self):
        self.backbone_frozen = True


class Noisy(Dense):
    def predict(self, video):
        tracks = super().predict(video)
        return replace(tracks, scores=tuple(score * float(torch.rand(())) for score in tracks.scores))


class OverTheBatch(Dense):
    def pixels(self, frames):
        logits = super().pixels(frames)
        return logits - logits.mean()


class MeanOverObjects(Dense):
    def losses(self, clip, maps=None):
        objects = sum(len(target.category_ids) for target in clip.targets)
        return {name: value / torch.tensor(float(objects)) * objects for name, value in super().losses(clip).items()}


class AnyClass(Dense):
    def losses(self, clip, maps=None):
        targets = tuple(replace(t, category_ids=t.category_ids.clamp(max=self.classes[-1])) for t in clip.targets)
        return super().losses(replace(clip, targets=targets))


class Window(Dense):
    def predict(self, video):
        return super().predict(replace(video, frames=video.frames[:32]))


class Columns(Dense):
    def predict(self, video):
        tracks = super().predict(video)
        return replace(tracks, category_ids=tuple(range(len(tracks))))


class Breaks(Dense):
    def predict(self, video):
        return super().predict(video) if len(video) > 1 else video.frames[1]


class Remembers(Dense):
    shift = 0.0

    def losses(self, clip, maps=None):
        self.shift += 1.0
        return super().losses(clip)

    def pixels(self, frames):
        return super().pixels(frames) + self.shift


class Logits(Dense):
    def clip_tracks(self, clip, maps=None):
        return [ProposedTracks(tracks.probabilities, tracks.masks - 1) for tracks in super().clip_tracks(clip)]


class OneForAll(Dense):
    def clip_tracks(self, clip, maps=None):
        return super().clip_tracks(clip)[:1]


class ReadsMapsTwice(Query):
    def losses(self, clip, maps=None):
        return {name: value * (1 if maps is None else 2) for name, value in super().losses(clip, maps).items()}


class WritesMaps(Query):
    def encode(self, maps):
        memory = super().encode(maps)
        for level in maps.levels:
            level.data.add_(1)
        return memory


class OwnLoss(Query):
    def criterion(self, outputs, targets, classify=None, class_weight=None):
        return super().criterion(outputs, targets)


class OneHead(Query):
    def grow(self, num_classes, init="default", head=None):
        for _ in range(num_classes):
            super().grow(1)


class NewQueries(Query):
    def grow(self, num_classes, init="default", head=None):
        super().grow(num_classes)
        self.groups[0].queries = nn.Parameter(torch.randn_like(self.groups[0].queries))


class Transposed(Query):
    def matching_costs(self, output, targets):
        return [costs.T for costs in super().matching_costs(output, targets)]


class Jealous(Query):
    def add_query_group(self, num_queries, step, own_mask_head=True, fine_masks=False):
        self.groups[0].queries.data += 0.1
        return super().add_query_group(num_queries, step, own_mask_head, fine_masks)


class Rounded(Query):
    def decode_groups(self, memory):
        return [replace(answer, logits=answer.logits.half().float()) for answer in super().decode_groups(memory)]


class DrawsItself(Query):
    def predict_each(self, video, read):
        self.draw = None
        return super().predict_each(video, read)


class DrawsOnOthers(Query):
    def predict_each(self, video, read):
        if (draw := self.draw) is not None:
            self.draw = lambda masks, frames, size, groups: draw(masks, 255 - frames, size, groups)
        return super().predict_each(video, read)


class DrawsElse(Query):
    def predict_each(self, video, read):
        if (draw := self.draw) is not None:
            self.draw = lambda masks, frames, size, groups: draw(masks + 2, frames, size, groups)
        return super().predict_each(video, read)


class DrawsAsTheFirst(Query):
    def predict_each(self, video, read):
        if (draw := self.draw) is not None:
            self.draw = lambda masks, frames, size, groups: draw(masks, frames, size, 0 * groups)
        return super().predict_each(video, read)


WRONG = [
    (Floats, "losses", r"Floats\.losses: 'loss_pixel': is the float 0\.\d+, not a scalar tensor; .*without \.item\(\)"),
    (DeadWeight, "gradients", r"'spare\.weight', 'spare\.bias': trainable, and no loss depends on it"),
    (NewHead, "growing", r"'heads\.0\.weight': other values after add_classes; give new classes a head"),
    (CountsTwice, "growing", r"classes: \[1, 2, 0, 3\] after|classes: \[0, 1, 2, 0, 3\] after"),
    (NewInFront, "growing", r"other logits of old classes after add_classes"),
    (Restless, "freezing", r"'2\.running_mean'.*changed in training after freeze_backbone; keep it in eval mode"),
    (Unfrozen, "freezing", r"parameters of the backbone are still trainable"),
    (Noisy, "twice the same", r"other tracks for the same video"),
    (OverTheBatch, "batch invariance", r"a clip alone and the same clip beside another"),
    (MeanOverObjects, "empty targets", r"losses of clips without objects: loss_pixel: not finite; .*mean over nothing"),
    (AnyClass, "unknown classes", r"takes targets of classes \[4.*where only \[1, 2\] were added"),
    (Window, "video lengths", r"video of 40 frames: segmentations: not one for each frame"),
    (Columns, "video lengths", r"category_ids \[0\]: never added; answer with ids of self\.classes, not columns"),
    (
        Breaks,
        "video lengths",
        r"predict: raises Breaks\.predict: .*test_segmenter_kit\.py:\d+: IndexError: tuple index",
    ),
    (Remembers, "save and load", r"other tracks after saving and loading"),
    (Logits, "clip tracks", r"masks: not in 0\.\.1; return probabilities"),
    (OneForAll, "clip tracks", r"1 answers for 2 clips"),
    (ReadsMapsTwice, "shared features", r"with maps and .* without"),
    (WritesMaps, "shared features", r"changes the maps that it is given"),
    (OwnLoss, "class slots", r"does not call classify for every prediction layer"),
    (OneHead, "class slots", r"3 heads after two steps"),
    (NewQueries, "class slots", r"other features after add_classes"),
    (Transposed, "aligned queries", r"matching_costs: has the shape \[\d+, 6\], not \[6, \d+\]"),
    (Jealous, "query groups", r"changes the answer of group 0"),
    (Rounded, "query groups", r"not to the last bit what decode_queries says"),
    (DrawsItself, "query groups", r"does not ask draw"),
    (DrawsOnOthers, "query groups", r"gives draw other frames"),
    (DrawsElse, "query groups", r"another answer where draw resizes"),
    (DrawsAsTheFirst, "query groups", r"gives draw masks of group 0 or 1 as of another"),
]


@pytest.mark.parametrize(("wrong", "name", "says"), WRONG, ids=[wrong.__name__ for wrong, *_ in WRONG])
def test_each_check_refuses_what_it_is_there_for(wrong, name, says, tmp_path):
    (check,) = (check for check in CHECKS if title(check) == name)
    with named(SEGMENTERS, wrong) as registered:
        found = outcome(check, Specimen(registered, (), tmp_path))
    assert found.status == "failed"
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(found.says)
    assert "\n" not in found.says


def test_every_check_has_a_model_that_it_refuses():
    assert {name for _, name, _ in WRONG} == {title(check) for check in CHECKS}


def test_the_models_that_are_made_wrong_are_right_otherwise():
    check_segmenter(Query)
    with pytest.raises(Failed, match=r"^gradients: 'spare\.weight', 'spare\.bias': [^\n]*$"):
        check_segmenter(DeadWeight)
