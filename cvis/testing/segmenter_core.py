"""Checks of what every segmenter promises."""

from __future__ import annotations

import io
from dataclasses import replace

import torch

from cvis.segmenters import Segmenter
from cvis.segmenters.contract import ClassSlots
from cvis.testing.check import Failed, listed
from cvis.testing.plain import differing, same
from cvis.testing.specimen import Specimen
from cvis.types import NO_OBJECT, Targets, Tracks, Video

LONG = 40
"""Frames: more than a window of any model of ours."""


def losses(it: Specimen) -> None:
    """``losses`` returns finite scalar tensors by name, through which gradients flow."""
    it.total(it.build(), it.clip(), "a batch")


def gradients(it: Specimen) -> None:
    """Every trainable parameter takes part in the losses.

    One that never does is dead weight, or shows that a branch of the model is not trained.
    """
    model = it.build(steps=2)
    it.total(model, it.clip(classes=it.classes[0] + it.classes[1]), "a batch").backward()
    idle = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    if idle:
        remedy = "use it in losses, remove it, or set requires_grad_(False) in __init__"
        raise Failed(f"{listed(idle)}: trainable, and no loss depends on it; {remedy}")


def growing(it: Specimen) -> None:
    """``add_classes`` keeps what the model says of the classes before: their weights, and their logits of any query.

    It is called between two steps; what it changes is forgotten without having been trained away.
    """
    model = it.build().eval()
    state = model.state_dict().items()
    before = {name: value.detach().clone() for name, value in state if not name.startswith(model.of_step)}
    logits = _logits(it, model)
    it.grow(model, 1)
    wanted = [*it.classes[0], *it.classes[1]]
    if model.classes != wanted:
        raise Failed(f"classes: {model.classes} after {wanted} were added; let add_classes, not grow, keep the ids")
    after = model.state_dict()
    for name, value in before.items():
        kept = after.get(name)
        if kept is not None and kept.shape != value.shape and kept.dim() == value.dim():
            kept = kept[tuple(map(slice, value.shape))]  # one head for all classes has new rows behind the old ones
        if kept is None or not same(kept, value):
            remedy = "give new classes a head of their own, or copy the old rows in front of the new ones"
            raise Failed(f"{name!r}: other values after add_classes; {remedy}")
    if logits is not None:
        grown = _logits(it, model.eval())
        if grown is not None and not torch.equal(logits, grown[..., : logits.shape[-1]]):
            raise Failed("answers: other logits of old classes after add_classes; put new ones behind the old")


def freezing(it: Specimen) -> None:
    """After ``freeze_backbone`` nothing of the backbone changes in training, its running statistics neither."""
    model = it.build()
    it.call("freeze_backbone", model.freeze_backbone)
    parts = {"backbone": model.backbone} if "backbone" in model._modules else {}
    fixed = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    if not fixed or any(parameter.requires_grad for part in parts.values() for parameter in part.parameters()):
        remedy = "name the frozen part self.backbone, or override freeze_backbone"
        raise Failed(f"freeze_backbone: parameters of the backbone are still trainable; {remedy}")
    before = {name: value.clone() for part in parts.values() for name, value in part.state_dict().items()}
    weights = [parameter.clone() for parameter in fixed]
    _train(it, model)
    changed = differing(before, {n: v for part in parts.values() for n, v in part.state_dict().items()})
    if changed or not all(map(same, weights, fixed)):
        remedy = "keep it in eval mode in train(), as Segmenter.train does"
        raise Failed(f"{listed(changed) or 'a frozen parameter'}: changed in training after freeze_backbone; {remedy}")


def twice_the_same(it: Specimen) -> None:
    """The same video twice gives the same tracks to the last bit, also with another video in between."""
    model = it.build()
    first = it.predict(model)
    it.predict(model, _frames(it.video, 1))
    if it.predict(model) != first:
        remedy = "draw no random numbers in predict, and begin each video without memory of the one before"
        raise Failed(f"predict: other tracks for the same video; {remedy}")


def empty_targets(it: Specimen) -> None:
    """Clips without objects, with objects missing in a frame, and with NO_OBJECT targets give finite losses.

    All three happen: annotations of other steps are withheld, and ``other_class_policy=empty_target`` says so.
    """
    clip = it.clip(classes=())
    it.total(it.build(), clip, "clips without objects").backward()
    shown = it.clip()
    absent = [target.masks.clone() for target in shown.targets]
    for masks in absent:
        masks[:, -1] = False
    targets = tuple(replace(t, masks=m) for t, m in zip(shown.targets, absent, strict=True))
    it.total(it.build(), replace(shown, targets=targets), "objects missing in a frame").backward()
    nothing = torch.zeros((1, *clip.targets[0].masks.shape[1:]), dtype=torch.bool)
    targets = tuple(Targets(torch.tensor([NO_OBJECT]), nothing) for _ in clip.targets)
    it.total(it.build(), replace(clip, targets=targets), "NO_OBJECT targets").backward()


def unknown_classes(it: Specimen) -> None:
    """A target of a class that was not added is refused.

    Taken for another class, or for a column of that number, it would be learned without a word.
    """
    clip = it.clip(videos=(2, 3), classes=it.classes[2])
    model = it.build()
    try:
        model.losses(clip)
    except Exception:  # contract.py asks for UserError, in whatever words
        return
    ids = sorted({i for target in clip.targets for i in target.category_ids.tolist()})
    remedy = "map ids by self.classes.index(id), which refuses them"
    raise Failed(f"losses: takes targets of classes {ids}, where only {model.classes} were added; {remedy}")


def video_lengths(it: Specimen) -> None:
    """A video of one frame and one of forty give tracks with a mask or None for each frame, of classes added."""
    model = it.build()
    for length in (1, len(it.video), LONG):
        tracks = it.predict(model, _frames(it.video, length))
        where = f"predict: video of {length} frames"
        if not isinstance(tracks, Tracks) or tracks.video_id != it.video.id:
            raise Failed(f"{where}: no Tracks of this video's id; return cvis.types.Tracks(video.id, ...)")
        if any(len(masks) != length for masks in tracks.segmentations):
            raise Failed(f"{where}: segmentations: not one for each frame; put None where the object is absent")
        if not len(tracks.category_ids) == len(tracks.scores) == len(tracks.segmentations):
            raise Failed(f"{where}: not as many category_ids, scores and segmentations; give each track all three")
        if unknown := sorted({*tracks.category_ids} - {*model.classes}):
            raise Failed(f"{where}: category_ids {unknown}: never added; answer with ids of self.classes, not columns")


def save_and_load(it: Specimen) -> None:
    """A model built anew, grown by the same calls and loaded strictly from disk gives the same tracks."""
    model = it.build(steps=2)
    _train(it, model, classes=it.classes[0] + it.classes[1])
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    again = it.build(steps=2)
    it.call("load_state_dict", again.load_state_dict, torch.load(file, weights_only=True), strict=True)
    if it.predict(again) != it.predict(model):
        raise Failed("predict: other tracks after saving and loading; keep all that is learned in state_dict")


def _train(it: Specimen, model: Segmenter, classes: tuple[int, ...] | None = None) -> None:
    """An iteration, with all that is trainable."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    it.total(model, it.clip(classes=classes), "a batch").backward()
    optimizer.step()


def _frames(video: Video, length: int) -> Video:
    """The video with that many frames, the same ones over and over."""
    return replace(video, frames=tuple(video.frames[t % len(video)] for t in range(length)))


@torch.no_grad()
def _logits(it: Specimen, model: Segmenter) -> torch.Tensor | None:
    """Of all classes and slots without no-object, for a batch; None: the model has no slots."""
    if not isinstance(model, ClassSlots):
        return None
    clip = it.clip()
    return model.answers(model.features(clip.frames, clip.sizes))[-1].logits[..., : len(model.classes)]
