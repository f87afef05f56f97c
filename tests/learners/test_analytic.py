"""The analytic head: the closed form, what it stores, that no order of steps changes it, and what it does to scores."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from sklearn.linear_model import Ridge
from test_eclipse import STEPS, make_learner, make_task

from cvis.learners.analytic import head
from cvis.learners.analytic.head import AnalyticHead, Classifier
from cvis.learners.analytic.motion import MOTION
from cvis.learners.analytic.pooling import PARTS, SHAPE, STATISTICS, boxes_of, describe, lengths_of
from cvis.learners.analytic.ridge import ClassMoments
from cvis.types import Track, Video

COUNTS = (5, 9, 3, 7)
RIDGE = torch.full((6,), 0.1, dtype=torch.float64)


def samples() -> tuple[torch.Tensor, torch.Tensor]:
    """24 samples of 4 classes; one feature never changes, another is far from zero."""
    generator = torch.Generator().manual_seed(0)
    columns = torch.arange(4).repeat_interleave(torch.tensor(COUNTS))
    x = torch.randn(24, 6, generator=generator, dtype=torch.float64) + columns[:, None]
    x[:, 4] = 2.5
    x[:, 5] = 100 + x[:, 5]
    return x, columns


def moments_of(parts: list[list[int]], lengths: int = 6) -> ClassMoments:
    """Classes in steps, each of one or more classes; columns are in the order of arrival, as in a segmenter."""
    x, columns = samples()
    moments = ClassMoments(lengths)
    arrived: list[int] = []
    for step in parts:
        moments.grow(len(step))
        arrived += step
        counts = torch.zeros(len(arrived), dtype=torch.int64)
        for place, column in enumerate(arrived):
            counts[place] = COUNTS[column] if column in step else 0
        for column in step:
            of_class = x[columns == column]
            for some in of_class.split(4):  # video by video
                moments.add(some, torch.full((len(some),), arrived.index(column)), counts)
    return moments


def test_the_closed_form_is_sklearns_ridge():
    x, columns = samples()
    ridge = torch.tensor([0.07, 0.07, 0.07, 0.28, 0.07, 0.0175], dtype=torch.float64)
    weights, bias = moments_of([[0, 1, 2, 3]]).classifier(ridge)
    each = np.array([1 / (4 * COUNTS[c]) for c in columns])
    mean = (each[:, None] * x.numpy()).sum(0)
    scale = np.sqrt((each[:, None] * (x.numpy() - mean) ** 2).sum(0))
    scale[4] = 1
    z = (x.numpy() - mean) / scale / np.sqrt(ridge.numpy())  # a feature's own penalty is another scale of it
    plain = Ridge(alpha=1.0).fit(z, np.eye(4)[columns], sample_weight=each)
    expected = plain.predict(z)
    assert np.abs((x @ weights + bias).numpy() - expected).max() < 1e-9
    assert not weights[4].any()


@pytest.mark.parametrize("parts", [[[3], [1], [0], [2]], [[2, 0], [3, 1]], [[1, 2, 3], [0]]])
def test_any_order_and_any_partition_give_the_same_head(parts):
    x, _ = samples()
    weights, bias = moments_of([[0, 1, 2, 3]]).classifier(RIDGE)
    other, other_bias = moments_of(parts).classifier(RIDGE)
    back = [[c for step in parts for c in step].index(column) for column in range(4)]
    assert ((x @ other + other_bias)[:, back] - (x @ weights + bias)).abs().max() < 1e-10


def test_a_class_without_samples_is_answered_zero_and_changes_nothing():
    x, _ = samples()
    with_all = moments_of([[0, 1], [2, 3]])
    weights, bias = with_all.classifier(RIDGE)
    with_all.grow(1)
    more, more_bias = with_all.classifier(RIDGE)
    assert torch.equal(more[:, :4], weights)
    assert torch.equal(more_bias[:4], bias)
    assert not (x @ more + more_bias)[:, 4].any()
    nothing, no_bias = ClassMoments(6).classifier(RIDGE)
    assert nothing.shape == (6, 0)
    assert no_bias.shape == (0,)


def test_every_statistic_is_held_back_alike_whatever_its_length():
    ridge = AnalyticHead([4, 8], ["deviation", "shape"], ridge=0.1, temperature=1.0).ridge
    deviation, shape = ridge[:12].unique().item(), ridge[12:].unique().item()
    assert len(ridge) == 12 + 64
    assert deviation / 12 == pytest.approx(shape / 64)
    assert (deviation + shape) / 2 == pytest.approx(0.1)


def test_processes_add_up(monkeypatch):
    """Each adds its share to what all had; the sum is that of one process with all."""
    x, columns = samples()
    counts = torch.tensor(COUNTS)
    whole, one, two = ClassMoments(6), ClassMoments(6), ClassMoments(6)
    for moments in (whole, one, two):
        moments.grow(4)
        moments.add(x[:2], columns[:2], counts)  # of an earlier time
    before = ClassMoments(6)
    before.grow(4)
    before.load_state_dict(whole.state_dict())
    whole.add(x[2:], columns[2:], counts)
    one.add(x[2::2], columns[2::2], counts)
    two.add(x[3::2], columns[3::2], counts)
    added = [getattr(two, name) - buffer for name, buffer in before.named_buffers()]
    monkeypatch.setattr("cvis.learners.analytic.ridge.all_reduce", lambda mine: mine.add_(added.pop(0)))
    one.merge(before)
    for name, buffer in whole.named_buffers():
        assert torch.allclose(getattr(one, name).double(), buffer.double(), rtol=1e-14)


def test_descriptions_are_the_formula():
    generator = torch.Generator().manual_seed(1)
    maps = [torch.rand(2, 3, 4, 6, generator=generator) + 100, torch.rand(2, 5, 8, 12, generator=generator)]
    masks = torch.zeros(2, 2, 8, 12)
    masks[0, :, 2:6, 4:10] = torch.rand(2, 4, 6, generator=generator)
    masks[1, 1, 0:8, 0:12] = 1  # the second track is not in the first frame
    found = describe(maps, masks, ["mean", "deviation"]).double()
    for n, t in ((0, 0), (0, 1), (1, 1)):
        means, deviations = [], []
        for f, step in zip(maps, (2, 1), strict=True):
            m = masks[n, t].double().unfold(0, step, step).unfold(1, step, step).mean((-1, -2))
            for channel in f[t].double():
                mean = (m * channel).sum() / m.sum()
                means.append(mean)
                deviations.append(((m * (channel - mean) ** 2).sum() / m.sum()).sqrt())
        expected = torch.stack([*means, *deviations])
        assert (found[n, t] - expected).abs().max() < 1e-4
    assert not found[1, 0].any()


def test_parts_and_shape_of_what_can_be_said_by_hand():
    features = torch.stack([torch.full((16, 16), 3.0), torch.arange(16.0).expand(16, 16)])[None]
    mask = torch.zeros(1, 1, 16, 16)
    mask[0, 0, 4:12, 2:10] = 1
    mask[0, 0, 4:8, 2:6] = 0  # an L: the upper left quarter is missing
    assert boxes_of(mask).tolist() == [[[2, 4, 10, 12]]]
    found = describe([features], mask, ["parts", "shape"])[0, 0]
    parts, shape = found[: 2 * PARTS**2].view(2, PARTS, PARTS), found[2 * PARTS**2 :].view(SHAPE, SHAPE)
    assert parts[0, :2, :1].eq(0).all()  # outside; cells at the border see some of the mask
    assert parts[0, 2:, 1:].eq(3).all()
    assert torch.allclose(parts[1, 3], torch.tensor([2.5, 4.5, 6.5, 8.5]))  # centres of the cells' pixels
    assert shape[:3, :3].eq(0).all()
    assert shape[5:-1, 1:-1].eq(1).all()
    assert shape[-1, 1:-1].eq(0.875).all()  # of two samples in a pixel, one lies a quarter of a pixel from the border
    assert lengths_of([2], STATISTICS) == [2, 2, 2 * PARTS**2, SHAPE**2, MOTION]


def test_motion_is_the_line_nearest_to_centre_and_size():
    masks = torch.rand(2, 5, 6, 8, generator=torch.Generator().manual_seed(2))
    masks[0, 2] = 0  # not seen in the middle frame
    masks[1, 1:] = 0  # seen once: it has no motion
    found = describe([torch.zeros(5, 1, 6, 8)], masks, ["motion"])
    assert found.shape == (2, 5, MOTION)
    assert not found[1].any()
    seen = [0, 1, 3, 4]
    time = np.linspace(-0.5, 0.5, 5)[seen]
    rows, columns = np.mgrid[:6, :8] + 0.5
    signals = []
    for mask in masks[0, seen].double().numpy():
        area = mask.sum()
        signals.append(((mask * columns).sum() / area / 6, (mask * rows).sum() / area / 6, np.log(np.sqrt(area))))
    lines = [np.polyfit(time, signal, 1) for signal in zip(*signals, strict=True)]
    left = [signal - np.polyval(line, time) for signal, line in zip(zip(*signals, strict=True), lines, strict=True)]
    slopes = [line[0] for line in lines]
    expected = [*slopes, *np.abs(slopes), *(np.sqrt(np.mean(rest**2)) for rest in left)]
    assert np.allclose(found[0, 0], expected, atol=1e-5)
    assert (found[0] - found[0, :1])[seen].abs().max() == 0
    assert not found[0, 2].any()


def tracked_video(video: Video) -> list[Track]:
    """Two tracks of the first step's classes; the second is there in the last frame only."""
    mask = np.zeros((32, 48), np.uint8, order="F")
    mask[4:20, 6:30] = 1
    rle = coco_mask.encode(mask)
    return [
        Track(1, video.id, STEPS[0][0], (rle, rle, rle), (384.0,) * 3),
        Track(2, video.id, STEPS[0][1], (None, None, rle), (0.0, 0.0, 384.0)),
    ]


def test_coverage_is_the_share_of_each_pixel(video):
    segmenter = make_learner(0).segmenter
    memory = segmenter.video_features(video)
    covered = segmenter.track_masks(video, tracked_video(video), memory)
    assert covered.shape == (2, 3, 8, 12)
    expected = torch.zeros(8, 12)
    expected[1:5, 2:7] = 1
    expected[1:5, 1] = expected[1:5, 7] = 0.5
    assert torch.equal(covered[0], expected.expand(3, 8, 12))
    assert not covered[1, :2].any()


def test_scores_are_multiplied_and_the_rest_is_eclipses(video):
    learner, plain = make_learner(3, analytic_head=True), make_learner(3)
    assert learner.label == "Eclipse with analytic head"
    tracks = tracked_video(video)
    train = SimpleNamespace(videos=[video], tracks={video.id: tracks}, all_tracks=tracks)
    task = make_task(0)
    learner.end_task(type(task)(0, task.new_classes, (), train, hidden=0))
    assert learner.analytic.moments.samples.tolist() == [3, 1, 0, 0, 0, 0]
    with torch.inference_mode():
        memory = learner.segmenter.video_features(video)
        (found,), (before,) = learner._read(memory, [learner.heads()]), plain._read(memory, [plain.heads()])
        outputs = plain.segmenter.decode_groups(memory)
        masks = [plain.segmenter.with_masks(memory, [each])[0].masks[0] for each in outputs]
        candidates = [learner.analytic.candidates(memory, torch.cat(masks))]
        named = learner.analytic.probabilities(candidates, learner.analytic.classifier)
    assert torch.allclose(named.sum(-1), torch.ones(len(named), dtype=named.dtype))
    answered = before.scores > -torch.inf
    assert torch.equal(found.scores > -torch.inf, answered)
    assert torch.allclose(found.scores[answered], (before.scores * named)[answered].float())
    assert torch.equal(found.mask_embeddings, before.mask_embeddings)


@pytest.mark.parametrize("enough", [2, 3])
def test_of_a_long_video_some_frames_are_looked_at_and_the_motion_of_all(enough, video, monkeypatch):
    """Two frames of three, which show both tracks; what is said of them is what is said of them among all."""
    monkeypatch.setattr(head, "ENOUGH", enough)
    learner, looked, described = make_learner(1, analytic_head=True), [], []
    there, late = tracked_video(video)
    low = np.asfortranarray(np.roll(coco_mask.decode(there.segmentations[0]), 12, axis=0))
    tracks = [replace(there, segmentations=(*there.segmentations[:2], coco_mask.encode(low))), late]
    train = SimpleNamespace(videos=[video], tracks={video.id: tracks}, all_tracks=tracks)
    features, describe_ = learner.segmenter.video_features, learner.analytic.describe
    learner.segmenter.video_features = lambda part: looked.extend(part.frames) or features(part)
    learner.analytic.describe = lambda *of: described.append(describe_(*of)) or described[-1]
    task = make_task(0)
    learner.end_task(type(task)(0, task.new_classes, (), train, hidden=0))
    assert looked == [*video.frames[-enough:]]
    assert learner.analytic.moments.samples[:2].tolist() == [enough, 1]
    memory = features(video)
    whole = describe_(memory, learner.segmenter.track_masks(video, tracks, memory))
    assert whole[0, 0, -MOTION:].any()
    assert torch.allclose(described[0], whole[:, -enough:], atol=1e-5)


@pytest.mark.parametrize("foreign", [0.0, 0.9])
def test_a_query_without_a_mask_and_a_head_that_is_sure_leave_numbers(foreign, video):
    learner = make_learner(2, type="anchor", foreign=foreign)
    with torch.inference_mode():
        memory = learner.segmenter.video_features(video)
        outputs = learner.segmenter.decode_groups(memory)
        masks = [learner.segmenter.with_masks(memory, [each])[0].masks[0] for each in outputs]
        masks[0][0] = -1.0
        candidates = [learner.analytic.candidates(memory, one) for one in masks]
        heads = learner.heads()
        sure = Classifier(torch.zeros_like(heads.classifier.weights), heads.classifier.bias.clone())
        sure.bias[0] = 1e3
        (answer,) = learner._answer(outputs, candidates, heads._replace(classifier=sure))
    assert not answer.scores.isnan().any()


def test_a_mask_of_nothing_names_no_class(video):
    learner = make_learner(2, analytic_head=True)
    memory = learner.segmenter.video_features(video)
    nothing = learner.analytic.candidates(memory, torch.zeros(1, 3, 8, 12))
    named = learner.analytic.probabilities([nothing], learner.analytic.classifier)
    assert torch.equal(named, torch.full((1, 5), 0.2, dtype=torch.float64))


def test_memory_grows_by_a_vector_a_class(video):
    learner = make_learner(1, analytic_head=True)
    size = sum(buffer.numel() for buffer in learner.analytic.buffers())
    length = len(learner.analytic.moments.second)
    learner.begin_task(make_task(1))
    grown = sum(buffer.numel() for buffer in learner.analytic.buffers()) - size
    assert grown == len(STEPS[1]) * (2 * length + 2)  # of moments and weights, and a count and a bias
