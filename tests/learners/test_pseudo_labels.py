"""Pseudo-labels: the rule, pixel by pixel, and that they are never drawn over ground truth, each other or padding."""

from dataclasses import replace

import plain_distillation as plain
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from two_models import losses_of, make_clip, make_learner

from cvis.learners.distill import OldView, pseudo_tracks, with_pseudo_labels
from cvis.learners.distill.pseudo_labels import PseudoTracks
from cvis.segmenters.mask2former import Mask2Former
from cvis.segmenters.outputs import Memory, Output
from cvis.types import NO_OBJECT, Clip, Targets

SHAPE = (2, 3, 4)  # frames, height, width


def blobs(generator, queries):
    """Mask probabilities that are mostly sure, as those of a trained model, and sometimes not."""
    return (torch.randn(queries, *SHAPE, generator=generator, dtype=torch.float64) * 3).sigmoid()


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    queries=st.integers(0, 5),
    min_score=st.sampled_from([0.0, 0.4]),
    min_overlap=st.sampled_from([0.0, 0.3, 0.5, 0.8]),
    area=st.sampled_from(["assigned", "kept"]),
)
def test_the_rule_pixel_by_pixel(seed, queries, min_score, min_overlap, area):
    generator = torch.Generator().manual_seed(seed)
    probabilities = (2 * torch.randn(queries, 4, generator=generator, dtype=torch.float64)).softmax(-1)
    masks, annotated = blobs(generator, queries), torch.rand(SHAPE, generator=generator) < 0.3
    proposing = (probabilities.argmax(-1) < 3).nonzero().squeeze(1)  # the last of the four is no-object
    probabilities, masks = probabilities[proposing], masks[proposing]
    found = pseudo_tracks(probabilities[:, :3], masks, annotated, min_score, min_overlap, area)
    rows = probabilities.tolist()
    best = [max(row) for row in rows]
    columns = [row.index(top) for row, top in zip(rows, best, strict=True)]
    expected = plain.pseudo_tracks(best, columns, masks.tolist(), annotated.tolist(), 3, min_score, min_overlap, area)
    assert found.rows.tolist() == list(expected)
    assert found.columns.tolist() == [columns[query] for query in expected]
    pixels = [{tuple(p) for p in mask.nonzero().tolist()} for mask in found.masks]
    assert pixels == list(expected.values())
    assert found.masks.shape == (len(expected), *SHAPE)
    assert found.masks.sum(0).max() <= 1 if len(expected) else True
    assert not (found.masks & annotated).any()


def test_one_argmax_a_pixel_and_frame_but_areas_of_the_whole_track():
    """A query that loses one frame keeps the other, and is weighed by both together."""
    probabilities = torch.tensor([[0.9], [0.6]])
    masks = torch.zeros(2, 2, 2, 6)
    masks[0, 0] = 0.9
    masks[1] = 0.9
    nothing = torch.zeros(2, 2, 6, dtype=torch.bool)
    found = pseudo_tracks(probabilities, masks, nothing, min_overlap=0.49)
    assert found.rows.tolist() == [0, 1]
    assert found.masks[:, :, 0, 0].tolist() == [[True, False], [False, True]]
    assert pseudo_tracks(probabilities, masks, nothing, min_overlap=0.5).rows.tolist() == [0]


def test_assigned_area_counts_pixels_below_one_half_and_kept_area_does_not():
    probabilities = torch.tensor([[0.9], [0.5]])
    masks = torch.zeros(2, 1, 1, 8)
    masks[0, ..., :4] = 0.6  # its whole mask, of which ground truth takes two
    masks[0, ..., 4:] = 0.4  # too little to be of the mask, enough to be assigned
    annotated = torch.zeros(1, 1, 8, dtype=torch.bool)
    annotated[..., :2] = True
    for area, kept in (("assigned", 1), ("kept", 0)):
        assert len(pseudo_tracks(probabilities, masks, annotated, 0.0, 0.5, area).rows) == kept


def view(logits, masks, classes=(7, 3, 12), size=(32, 48), soft=False) -> OldView:
    """What a teacher would say that says this."""

    class Says(Mask2Former):
        soft_masks = soft

        def __init__(self):
            torch.nn.Module.__init__(self)  # it has no parts
            self.classes = list(classes)

        def with_masks(self, memory, layers):
            return [Output(logits, *[torch.zeros(0)] * 3, masks)]

    memory = Memory((), torch.zeros(0), size)
    return OldView(Says(), memory, (Output(logits, *[torch.zeros(0)] * 3, masks),))


def labelled(clip: Clip, old: OldView, **how) -> Clip:
    """With what the old model proposes."""
    return with_pseudo_labels(clip, old.proposals(clip), old.classes, **how)


def random_view(seed=0, queries=5, batch=2, soft=False) -> OldView:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(batch, queries, 4, generator=generator)
    coarse = 4 * torch.randn(batch, queries, 2, 4, 6, generator=generator)
    masks = torch.nn.functional.interpolate(coarse.flatten(0, 1), (8, 12), mode="bilinear").unflatten(0, (batch, -1))
    return view(logits, masks, soft=soft)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("area", ["assigned", "kept"])
def test_a_batch_with_pseudo_labels(area, soft):
    """Annotated tracks come first and unchanged; then those of the old model, at the clip's size and in its classes."""
    added = 0
    for seed in range(8):
        old = random_view(seed, soft=soft)
        clip = make_clip(size=(20, 30), seed=seed)  # the second clip is padded
        again = labelled(clip, old, min_overlap=0.1, area=area)
        assert (again.frames is clip.frames, again.names) == (True, clip.names)
        for index, (before, after) in enumerate(zip(clip.targets, again.targets, strict=True)):
            n = len(before.category_ids)
            assert torch.equal(after.category_ids[:n], before.category_ids)
            assert torch.equal(after.masks[:n], before.masks)
            assert after.masks.dtype == torch.bool
            assert after.category_ids.dtype == torch.int64
            height, width = clip.sizes[index].tolist()
            taken = before.masks.any(0)
            taken[:, height:], taken[:, :, width:] = True, True
            large = torch.nn.functional.interpolate(old.answer.masks[index], (32, 48), mode="bilinear")
            large = large.softmax(0) if soft else large.sigmoid()
            rows = old.answer.logits[index].softmax(-1)
            best = rows.max(-1)
            expected = plain.pseudo_tracks(
                best.values.tolist(), best.indices.tolist(), large.tolist(), taken.tolist(), 3, 0.0, 0.1, area
            )
            ids = [old.classes[int(best.indices[query])] for query in expected]
            assert after.category_ids[n:].tolist() == ids
            for mask, pixels in zip(after.masks[n:], expected.values(), strict=True):
                assert {tuple(p) for p in mask.nonzero().tolist()} == pixels
            added += len(expected)
    assert added > 8


def test_they_overlap_neither_ground_truth_nor_each_other_nor_padding():
    for seed in range(20):
        old, clip = random_view(seed), make_clip(size=(20, 30))
        again = labelled(clip, old, min_overlap=0.0)
        for before, after, (height, width) in zip(clip.targets, again.targets, clip.sizes.tolist(), strict=True):
            added = after.masks[len(before.masks) :]
            assert added.any() == bool(len(added))
            assert added.sum(0).max() <= 1 if len(added) else True
            assert not (added & before.masks.any(0)).any()
            assert not added[:, :, height:].any()
            assert not added[..., width:].any()


def test_a_sure_old_model_labels_what_it_sees():
    logits = torch.full((2, 1, 4), -9.0)
    logits[..., 1] = 9.0
    masks = torch.full((2, 1, 2, 8, 12), -9.0)
    masks[..., :4, :] = 9.0
    again = labelled(make_clip(()), view(logits, masks))
    for target in again.targets:
        assert target.category_ids.tolist() == [3]
        assert target.masks[0, :, :15].all()
        assert not target.masks[0, :, 17:].any()


def test_an_old_model_that_sees_nothing_adds_nothing():
    logits = torch.full((2, 3, 4), -9.0)
    logits[..., -1] = 9.0
    clip = make_clip()
    again = labelled(clip, view(logits, torch.full((2, 3, 2, 8, 12), 9.0)))
    for before, after in zip(clip.targets, again.targets, strict=True):
        assert torch.equal(before.category_ids, after.category_ids)
        assert torch.equal(before.masks, after.masks)


def test_a_target_without_a_mask_leaves_room():
    """``other_class_policy=empty_target``: a withheld instance has no pixels, so the old model may label it."""
    logits = torch.full((2, 1, 4), -9.0)
    logits[..., 0] = 9.0
    empty = Targets(torch.tensor([NO_OBJECT]), torch.zeros(1, 2, 32, 48, dtype=torch.bool))
    clip = replace(make_clip(), targets=(empty, empty))
    again = labelled(clip, view(logits, torch.full((2, 1, 2, 8, 12), 9.0)))
    assert again.targets[0].category_ids.tolist() == [NO_OBJECT, 7]
    assert again.targets[0].masks[1].all()


def test_frames_padded_to_the_networks_size_are_cut_back():
    logits = torch.full((1, 1, 4), -9.0)
    logits[..., 0] = 9.0
    own = Targets(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 2, 30, 44, dtype=torch.bool))
    clip = Clip(torch.zeros(1, 2, 3, 30, 44, dtype=torch.uint8), torch.tensor([[30, 44]]), (own,), ("a",))
    again = labelled(clip, view(logits, torch.full((1, 1, 2, 8, 12), 9.0)))
    assert again.targets[0].masks.shape == (1, 2, 30, 44)
    assert again.targets[0].masks.all()


def test_no_track_is_an_empty_answer_of_the_right_shape():
    found = pseudo_tracks(torch.zeros(0, 3), torch.zeros(0, *SHAPE), torch.zeros(SHAPE, dtype=torch.bool))
    assert isinstance(found, PseudoTracks)
    assert found.masks.shape == (0, *SHAPE)
    assert found.masks.dtype == torch.bool


@pytest.mark.parametrize("name", ["comformer", "comformer-soft", "combo", "balconpas", "pseudo"])
@pytest.mark.parametrize("steps", [1, 2])
def test_methods_hand_pseudo_labels_to_the_criterion_after_step_0_only(name, steps, monkeypatch):
    learner = make_learner(name, steps, min_overlap=0.0)
    seen = []
    original = learner.segmenter.criterion

    def spy(outputs, targets, *arguments, **named):
        seen.extend(targets)
        return original(outputs, targets, *arguments, **named)

    monkeypatch.setattr(learner.segmenter, "criterion", spy)
    if steps == 2:
        with torch.no_grad():
            learner.teacher.segmenter.class_heads.no_object.bias -= 9
            learner.teacher.segmenter.group(0).mask_head[-1].weight *= 50  # sure masks, whose softmax is, too
    clip = make_clip((7, 12) if steps == 1 else (40, 41))
    losses_of(learner, clip)
    added = [t.category_ids[len(c.category_ids) :].tolist() for t, c in zip(seen, clip.targets, strict=True)]
    if steps == 1:
        assert added == [[], []]
    else:
        assert {category for ids in added for category in ids} <= {7, 3, 12}
        assert any(added)
