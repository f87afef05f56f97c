"""Checks of the abilities of :mod:`cvis.segmenters.contract`: each does what its docstring promises."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor

from cvis.segmenters.background import class_probabilities
from cvis.segmenters.contract import AlignedQueries, ClassSlots, ClipTracks, QueryGroups, SharedFeatures
from cvis.segmenters.heads import ClassHeads
from cvis.segmenters.outputs import Answers, Memory, QueryOutput
from cvis.testing.check import Failed, NotApplicable
from cvis.testing.specimen import Specimen
from cvis.types import Clip

SURE = 1e3  # of a logit
RTOL, ATOL = 1e-3, 1e-4
"""What other batches may change: the order in which numbers are added up."""


@torch.no_grad()
def batch_invariance(it: Specimen) -> None:
    """What the model makes of a clip does not depend on the other clips of the batch, but for rounding.

    Asked of ``features`` and ``clip_tracks``; losses may be normalised over a batch, so the contract promises nothing.
    """
    if not issubclass(it.kind, (SharedFeatures, ClipTracks)):
        raise NotApplicable("the contract promises it of shared_features and clip_tracks, which it does not declare")
    model = it.build().eval()
    one, both = it.clip((0,)), it.clip((0, 1))
    alone: list[Tensor] = []
    among: list[Tensor] = []
    if isinstance(model, SharedFeatures):
        alone.append(model.features(one.frames, one.sizes).mask_features[0])
        among.append(model.features(both.frames, both.sizes).mask_features[0])
    if isinstance(model, ClipTracks):
        alone += model.clip_tracks(one)[0]
        among += model.clip_tracks(both)[0]
    if not all(a.shape == b.shape and torch.allclose(a, b, RTOL, ATOL) for a, b in zip(alone, among, strict=True)):
        remedy = "normalise each clip by itself, in eval mode at least"
        raise Failed(f"a clip alone and the same clip beside another have other features or tracks; {remedy}")


@torch.no_grad()
def clip_tracks(it: Specimen) -> None:
    """``ClipTracks``: for each clip N tracks, probabilities [N, K] of the classes and masks [N, T, H, W].

    Both in 0..1: pseudo-labels are made of them. What the model takes for background is no track: made sure of it by
    the no-object logit of ``ClassHeads``, where there is one, it answers with none that shows a pixel.
    """
    model, clip = it.build(as_a=ClipTracks).eval(), it.clip()
    answers = it.call("clip_tracks", model.clip_tracks, clip)
    if len(answers) != len(clip.targets):
        raise Failed(f"clip_tracks: {len(answers)} answers for {len(clip.targets)} clips; give each clip its own")
    time, _, height, width = clip.frames.shape[1:]
    for tracks in answers:
        found = len(tracks.probabilities)
        _shape("clip_tracks: probabilities", tracks.probabilities, (found, len(model.classes)))
        _shape("clip_tracks: masks", tracks.masks, (found, time, height, width))
        for name, value in zip(("probabilities", "masks"), tracks, strict=True):
            if value.numel() and not 0 <= float(value.min()) <= float(value.max()) <= 1:
                raise Failed(f"clip_tracks: {name}: not in 0..1; return probabilities, not logits")
    heads = getattr(model, "class_heads", None)
    if isinstance(heads, ClassHeads) and heads.background == "column":
        heads.no_object.register_forward_hook(lambda module, queries, logit: logit + SURE)
        tracks = [masks for _, masks in model.clip_tracks(clip)]
        if found := sum(int((masks >= 0.5).flatten(1).any(1).sum()) for masks in tracks):
            raise Failed(
                f"clip_tracks: {found} tracks where all is background; leave out what no class is likeliest for"
            )


def shared_features(it: Specimen) -> None:
    """``SharedFeatures``: ``losses`` with the maps of ``extract`` are the losses without them, and change no map.

    A model and its frozen copy read the same maps.
    """
    model, clip = it.build(as_a=SharedFeatures), it.clip()
    plain = it.total(model, clip, "a batch")
    model.train()
    maps = it.call("extract", model.extract, clip.frames, clip.sizes)
    before = [level.detach().clone() for level in maps.levels]
    shared = it.total(model, clip, "a batch with maps", maps=maps)
    if not torch.allclose(plain, shared, RTOL, ATOL):
        raise Failed(f"losses: {shared:.5g} with maps and {plain:.5g} without; let losses read maps where it gets them")
    if not all(map(torch.equal, before, maps.levels)):
        raise Failed("losses: changes the maps that it is given; the old model reads them too: work on a copy")


def class_slots(it: Specimen) -> None:
    """``ClassSlots``: one head for each step, logits of all classes (and no-object), and a criterion that takes others.

    ``classify`` and ``class_weight`` are how methods replace the classification loss. A step changes no slot, and a
    copy has the same ones: distillation compares slot i with slot i.
    """
    model, clip = it.build(steps=2, as_a=ClassSlots), it.clip()
    if len(model.class_heads.steps) != 2:
        raise Failed(f"class_heads: {len(model.class_heads.steps)} heads after two steps; add one in each grow")
    memory = model.features(clip.frames, clip.sizes)
    layers = it.call("answers", model.answers, memory)
    batch, slots = layers[-1].features.shape[:2]
    columns = len(model.classes) + (model.background == "column")
    if layers[-1].logits.shape[-1] != columns:
        raise Failed(f"logits: {layers[-1].logits.shape[-1]} columns, not {columns}; one per class, no-object last")
    _shape("answers: logits", layers[-1].logits, (batch, slots, columns))
    outputs = it.call("with_masks", model.with_masks, memory, layers)
    given = iter(outputs)

    def classify(logits: Tensor, targets: Tensor, weight: float) -> Tensor:
        _shape("criterion: columns", targets, tuple(logits.shape[:2]))
        next(given, None)
        return 0 * logits.sum()

    losses = it.call("criterion", model.criterion, outputs, clip.targets, classify, 1.0)
    if next(given, None) is not None or not losses:
        raise Failed("criterion: does not call classify for every prediction layer; let it replace the class loss")
    matched = it.call("matched_to", model.matched_to, outputs[-1], clip.targets, model.classes)
    _shape("matched_to", matched, (batch, slots))
    _same_slots(it, model.eval())


@torch.no_grad()
def aligned_queries(it: Specimen) -> None:
    """``AlignedQueries``: the same Q queries in every layer, of each clip or of each frame, and what a match costs.

    Methods compare queries layer by layer, and ask what each would cost.
    """
    model, clip = it.build(as_a=AlignedQueries).eval(), it.clip()
    layers = _layers(model, clip)
    batch, queries = len(layers[-1].queries), len(model.query_embeddings()[0])
    if batch not in (len(clip.targets), len(clip.targets) * clip.frames.shape[1]):
        raise Failed(f"decode_queries: a batch axis of {batch}; give a row for each clip, or for each frame of each")
    for layer in layers:
        _shape("decode_queries: logits", layer.logits, (batch, queries, layer.logits.shape[-1]))
        _shape("decode_queries: queries", layer.queries, (batch, queries, layer.queries.shape[-1]))
    answer = model.with_masks(model.features(clip.frames, clip.sizes), layers[-1:])[0]
    costs = it.call("matching_costs", model.matching_costs, answer, clip.targets)
    for cost, target in zip(costs, clip.targets, strict=True):
        _shape("matching_costs", cost, (queries, len(target.category_ids)))


@torch.no_grad()
def query_groups(it: Specimen) -> None:
    """``QueryGroups``: a new group changes no bit of another's answer, and all at once answer as each alone."""
    model, clip = it.build(as_a=QueryGroups).eval(), it.clip()
    memory = model.features(clip.frames, clip.sizes)
    before = model.decode_queries(memory)[-1]
    it.call("add_query_group", model.add_query_group, 2, 1)
    model.eval()
    if len(model.groups) != 2:
        raise Failed(f"groups: {len(model.groups)} after one was added; append it to self.groups")
    alone = [model.decode_queries(memory, index)[-1] for index in range(2)]
    if not _equal(before, alone[0]):
        raise Failed("add_query_group: changes the answer of group 0; groups must not see one another")
    if not all(map(_equal, it.call("decode_groups", model.decode_groups, memory), alone)):
        raise Failed("decode_groups: not to the last bit what decode_queries says of each group; decode them apart")
    _drawn(it, model)


def _drawn(it: Specimen, model: QueryGroups) -> None:
    """What a learner gives it brings masks to the size of the very frames that the model reads, and is told which group
    each is of."""
    asked: list[Tensor] = []
    found: list[int] = []

    def draw(masks: Tensor, frames: Tensor, size: tuple[int, int], groups: Tensor) -> Tensor:
        asked.append(frames)
        _shape("predict: groups given to draw", groups, (len(masks),))
        found.extend(groups.tolist())
        return F.interpolate(masks, size, mode="bilinear")[..., : frames.shape[-2], : frames.shape[-1]]

    video = it.video
    frames, inside = it.call("annotated", model.annotated, video, [])
    _shape("annotated: masks", inside, (0, len(video), *frames.shape[-2:]))
    plain = model.predict(video)
    model.draw = draw
    drawn = it.call("predict", model.predict, video)
    if not asked:
        raise Failed("predict: does not ask draw how masks come to the size of the frames; see AlignedQueries")
    if not all((one == frames).flatten(1).all(1).any() for each in asked for one in each):
        raise Failed("predict: gives draw other frames than those of annotated; give it the ones that were read")
    if drawn != plain:
        raise Failed("predict: another answer where draw resizes as the model itself would; give it logits")
    of_base, found[:] = set(found), []
    model.predict(video, lambda memory: [_answer_of(model, memory, 1)])
    if of_base | {0} != {0} or set(found) | {1} != {1}:
        raise Failed("predict: gives draw masks of group 0 or 1 as of another; give it group_of of the Answers")


def _answer_of(model: QueryGroups, memory: Memory, group: int) -> Answers:
    answer = model.decode_queries(memory, group)[-1]
    scores = class_probabilities(answer.logits[0])
    return Answers(scores, answer.mask_embeddings[0], answer.queries[0], (0,) * group + (len(scores),))


@torch.no_grad()
def _same_slots(it: Specimen, model: ClassSlots) -> None:
    """In a copy, and after the last step."""

    def features(of: ClassSlots) -> Tensor:
        return of.answers(of.features(clip.frames, clip.sizes))[-1].features

    clip = it.clip()
    before = features(model)
    if not torch.equal(features(copy.deepcopy(model)), before):
        raise Failed("answers: other features from a copy.deepcopy of the model; keep all state in the module")
    it.grow(model, 2)
    if not torch.equal(features(model.eval()), before):
        raise Failed("answers: other features after add_classes; no step may add, drop or change queries or slots")


def _layers(model: AlignedQueries, clip: Clip) -> list[QueryOutput]:
    return model.decode_queries(model.features(clip.frames, clip.sizes))


def _equal(one: QueryOutput, other: QueryOutput) -> bool:
    return torch.equal(one.logits, other.logits) and torch.equal(one.queries, other.queries)


def _shape(what: str, value: Tensor, wanted: tuple[int, ...]) -> None:
    if tuple(value.shape) != wanted:
        raise Failed(f"{what}: has the shape {list(value.shape)}, not {list(wanted)}; see cvis.segmenters.contract")
