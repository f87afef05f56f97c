"""A learner in the middle of a step, with the model of the step before at its side; so small that each test builds one.

Step 0 has classes 7, 3 and 12, step 1 has 40 and 41, step 2 has 50.
"""

import itertools
from dataclasses import replace

import torch
from tiny import SMALL_MODEL

from cvis.data.videoset import VideoSet
from cvis.learners.registry import build_learner
from cvis.scenario import Task
from cvis.segmenters import build_segmenter
from cvis.types import Category, Clip, Targets

STEPS = ((7, 3, 12), (40, 41), (50,))
DISTILLERS = {
    "mib": {},
    "mib-all": dict(type="mib", mask_kd_weight=2.0, unbiased_ce=False, unbiased_kd=False, imprint=False),
    "comformer": {},
    "comformer-soft": dict(type="comformer", soft_masks=True, focal=True, adaptive=False),
    "combo": dict(rank=4),
    "combo-plain": dict(type="combo", rank=0, hdhl=False, pseudo_labels=False, importance="confidence"),
    "balconpas": {},
    "balconpas-memory": dict(type="balconpas", tracks_per_class=2),
    "pseudo": {},
}
EMPTY = VideoSet(tuple(Category(c, f"class {c}") for step in STEPS for c in step), (), {}, "")


def make_task(index: int, train: VideoSet = EMPTY) -> Task:
    return Task(index, STEPS[index], tuple(itertools.chain(*STEPS[:index])), train, hidden=0)


def make_segmenter(**keys):
    torch.manual_seed(0)
    return build_segmenter({**SMALL_MODEL, **keys})


def begin(learner, index: int, freeze: bool = True) -> None:
    """As the engine does: the backbone is frozen first, and what begins begins in eval mode."""
    torch.manual_seed(100 + index)
    learner.eval()
    if index and freeze:
        learner.segmenter.freeze_backbone()
    learner.begin_task(make_task(index))
    learner.train()


def make_learner(name: str, steps: int = 2, freeze: bool = True, segmenter=None, **keys):
    """A learner in its step ``steps - 1``, every parameter drawn at random in the steps before.

    ``name`` is one of :data:`DISTILLERS` or any learner's.
    """
    segmenter = segmenter or make_segmenter()
    learner = build_learner({"type": name, **DISTILLERS.get(name, {}), **keys}, segmenter)
    for index in range(steps):
        begin(learner, index, freeze)
        if index < steps - 1:
            disturb(learner, index)
            learner.eval().end_task(make_task(index))
    return learner.train()


def disturb(learner, seed: int = 0, size: float = 0.05) -> None:
    """Stands for training: every parameter that learns moves a little."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in learner.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(size * noise.to(parameter.dtype))


def make_clip(classes=(40, 41), seed: int = 0, size=(32, 48)) -> Clip:
    """Two clips of two 32 x 48 frames, one track of each class in the first, none in the second."""
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randint(0, 256, (2, 2, 3, 32, 48), dtype=torch.uint8, generator=generator)
    masks = torch.zeros(len(classes), 2, 32, 48, dtype=torch.bool)
    for index in range(len(classes)):
        masks[index, :, 2 + 9 * index : 10 + 9 * index, 5:20] = True
    own = Targets(torch.tensor(classes, dtype=torch.int64), masks)
    none = Targets(own.category_ids[:0], own.masks[:0])
    return Clip(frames, torch.tensor([[32, 48], size]), (own, none), ("a", "b"))


def look(learner, clip: Clip):
    """The student's layers and the teacher's view of a batch, as a distiller's ``loss`` makes them."""
    maps = learner.segmenter.extract(clip.frames, clip.sizes)
    return learner.new_view(maps), learner.old_view(clip, maps, learner.teacher)


def losses_of(learner, clip: Clip, seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)  # of the points at which masks are compared
    return learner.loss(clip)


def permuted(old, order):
    """The teacher's view with its queries in another order."""
    layers = tuple(
        replace(layer, **{key: value[:, order] for key, value in vars(layer).items()}) for layer in old.layers
    )
    return replace(old, layers=layers)
