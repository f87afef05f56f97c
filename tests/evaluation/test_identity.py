"""HOTA and IDF1: examples worked out by hand, and a slow statement of the formulas for random sets."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scored_sets import CLASSES, random_set, set_of, track_of, tracks_of, video_of

from cvis.errors import UserError
from cvis.evaluation.identity import Identity
from cvis.evaluation.tracking import ALPHAS, count

CAT, DOG, EMU, FOX = CLASSES
NAMES = ["HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA", "IDF1", "IDP", "IDR"]


def box(left: int, width: int = 4) -> np.ndarray:
    mask = np.zeros((8, 8), dtype=bool)
    mask[:, left : left + width] = True
    return mask


LEFT, RIGHT = box(0), box(4)


def evaluate(num_frames, annotated, predicted, **options):
    """One video; ``annotated`` and ``found`` are lists of masks per frame, of class CAT."""
    tracks = [track_of(i, 1, CAT, masks) for i, masks in enumerate(annotated)]
    metric = Identity(set_of([video_of(1, num_frames)], tracks), **options)
    metric.add(tracks_of(1, *((CAT, 0.9, masks) for masks in predicted)))
    return metric.result().summary()


def percent(**values):
    return {name: pytest.approx(100 * value) for name, value in values.items()}


def subset(numbers, names):
    return {name: numbers[name] for name in names}


def test_perfect_tracks():
    numbers = evaluate(4, [[LEFT] * 4, [RIGHT] * 4], [[RIGHT] * 4, [LEFT] * 4])
    assert list(numbers) == NAMES
    assert numbers == percent(**dict.fromkeys(NAMES, 1.0))


def test_the_identities_switch_at_half():
    """Two objects, 4 frames each; two predictions that exchange their objects after frame 2.

    All 8 detections are TP at every threshold: DetA = 1. Each TP joins tracks of 4 and 4 frames that share
    TPA = 2: 2 / (2 + 2 + 2) = 1/3 = AssA, AssRe = AssPr = 2/4, HOTA = sqrt(1/3). IDF1: each object keeps one of
    its halves, IDTP = 4 of 8.
    """
    numbers = evaluate(4, [[LEFT] * 4, [RIGHT] * 4], [[LEFT] * 2 + [RIGHT] * 2, [RIGHT] * 2 + [LEFT] * 2])
    assert numbers == percent(
        HOTA=math.sqrt(1 / 3), DetA=1, AssA=1 / 3, DetRe=1, DetPr=1, AssRe=0.5, AssPr=0.5, LocA=1, IDF1=0.5, IDP=0.5,
        IDR=0.5,
    )  # fmt: skip


def test_one_extra_track():
    """One object of 4 frames, found; a second prediction of 2 frames elsewhere: TP 4, FN 0, FP 2, DetA = 4/6.

    Association is perfect, HOTA = sqrt(4/6); IDTP 4, IDFP 2: IDF1 = 8 / (8 + 2).
    """
    numbers = evaluate(4, [[LEFT] * 4], [[LEFT] * 4, [RIGHT, RIGHT, None, None]])
    assert numbers == percent(
        HOTA=math.sqrt(4 / 6), DetA=4 / 6, AssA=1, DetRe=1, DetPr=4 / 6, AssRe=1, AssPr=1, LocA=1, IDF1=0.8, IDP=4 / 6,
        IDR=1,
    )  # fmt: skip


def test_a_missed_track():
    """Two objects of 4 frames, one found: TP 4, FN 4, DetA = 1/2, HOTA = sqrt(1/2); IDF1 = 8 / (8 + 4)."""
    numbers = evaluate(4, [[LEFT] * 4, [RIGHT] * 4], [[LEFT] * 4])
    assert numbers == percent(
        HOTA=math.sqrt(0.5), DetA=0.5, AssA=1, DetRe=0.5, DetPr=1, AssRe=1, AssPr=1, LocA=1, IDF1=2 / 3, IDP=1, IDR=0.5,
    )  # fmt: skip


def test_a_split_track():
    """One object of 4 frames, found as a track of 3 frames and another of 1.

    All TP. Three TPs share 3 of the object's 4 frames: 3 / (3 + 1 + 0); one shares 1: 1 / (1 + 3 + 0).
    AssA = (3 * 3/4 + 1 * 1/4) / 4 = 10/16, AssRe the same, AssPr = 1. IDF1: the longer part stays, IDTP 3.
    """
    numbers = evaluate(4, [[LEFT] * 4], [[LEFT, LEFT, LEFT, None], [None, None, None, LEFT]])
    assert numbers == percent(
        HOTA=math.sqrt(10 / 16), DetA=1, AssA=10 / 16, DetRe=1, DetPr=1, AssRe=10 / 16, AssPr=1, LocA=1, IDF1=0.75,
        IDP=0.75, IDR=0.75,
    )  # fmt: skip


def test_masks_that_are_half_right():
    """IoU 1/2 in every frame: all TP at the 10 thresholds up to .50, and nothing at the 9 above.

    HOTA, DetA and AssA are 10/19, the mean over thresholds; LocA is .5 wherever it exists; IDF1 takes IoU >= .5.
    """
    numbers = evaluate(3, [[box(0, 8)] * 3], [[LEFT] * 3])
    assert numbers == percent(
        **dict.fromkeys(["HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr"], 10 / 19),
        LocA=0.5, IDF1=1, IDP=1, IDR=1,
    )  # fmt: skip


def test_iou_on_a_threshold_counts_at_it():
    """IoU 6/40 = .15 is exactly the third threshold; sums of .05 would give 0.15000000000000002."""
    frame = np.ones((1, 1), dtype=bool)
    for k in range(1, 20):
        for unit in (2, 7, 1234):
            similarity = np.full((1, 1, 1), (k * unit) / (20 * unit))
            assert count(similarity, frame, frame).tp.sum() == k
    assert ALPHAS[0] == 0.05
    assert ALPHAS[-1] == 0.95


def test_matching_prefers_the_track_that_fits_the_whole_video():
    """In frame 3 the stray overlaps better, but the long prediction fits the object over the video.

    Frames 1, 2: only the long one, IoU 1; frame 3: long .75, stray 1. The stray is the FP.
    """
    similarity = np.array([[[1, 1, 0.75]], [[0, 0, 1.0]]])
    predicted, annotated = np.array([[1, 1, 1], [0, 0, 1]], dtype=bool), np.ones((1, 3), dtype=bool)
    counts = count(similarity, predicted, annotated)
    low = ALPHAS <= 0.75
    assert (counts.tp[low] == 3).all()
    assert (counts.ass_a[low] == 3).all()  # 3 TPs, each 3/3: the stray takes none
    assert (counts.tp[~low] == 2).all()
    assert counts.loc[0] == pytest.approx(2.75)


def test_ids_are_assigned_over_the_whole_video():
    """Object a: 3 frames with p, 2 with q; object b: 2 frames with p, 0 with q: p-b and q-a give 4, p-a only 3."""
    similarity = np.zeros((2, 2, 5))
    similarity[0, 0, :3] = similarity[1, 0, 3:] = similarity[0, 1, 3:] = 0.5
    predicted = np.array([[1, 1, 1, 1, 1], [0, 0, 0, 1, 1]], dtype=bool)
    counts = count(similarity, predicted, np.ones((2, 5), dtype=bool))
    assert (counts.idtp, counts.num_gt, counts.num_predicted) == (4, 10, 7)


def test_tracks_below_the_score_take_no_part():
    ground_truth = set_of([video_of(1, 2)], [track_of(0, 1, CAT, [LEFT] * 2)])
    found = tracks_of(1, (CAT, 0.5, [LEFT] * 2), (CAT, 0.4999, [RIGHT] * 2), (CAT, 0.3, [RIGHT] * 2))
    numbers = {}
    for min_score in (0.5, 0.4, 0.0):
        metric = Identity(ground_truth, min_score=min_score)
        metric.add(found)
        assert metric.result().min_score == min_score
        numbers[min_score] = metric.result().summary()["DetPr"]
    assert numbers == {0.5: pytest.approx(100), 0.4: pytest.approx(50), 0.0: pytest.approx(100 / 3)}
    assert Identity(ground_truth).min_score == 0.5


def test_classes_are_averaged_and_those_without_ground_truth_left_out():
    """CAT is found, DOG missed, EMU only predicted, FOX nowhere; in a second video CAT is predicted wrongly."""
    tracks = [track_of(0, 1, CAT, [LEFT] * 2), track_of(1, 1, DOG, [RIGHT] * 2)]
    metric = Identity(set_of([video_of(1, 2), video_of(2, 2)], tracks))
    metric.add(tracks_of(1, (CAT, 0.9, [LEFT] * 2), (EMU, 0.9, [LEFT] * 2)))
    assert metric.result().per_class()[CAT] == percent(**dict.fromkeys(NAMES, 1.0))
    metric.add(tracks_of(2, (CAT, 0.9, [LEFT] * 2)))
    result = metric.result()
    each = result.per_class()
    assert each[EMU] == each[FOX] == dict.fromkeys(NAMES)
    assert subset(each[CAT], ["HOTA", "DetA", "AssA", "IDF1"]) == percent(
        HOTA=math.sqrt(0.5), DetA=0.5, AssA=1, IDF1=2 / 3
    )
    assert each[DOG] == {**percent(**dict.fromkeys(NAMES, 0.0)), "LocA": None}
    assert result.summary()["DetA"] == pytest.approx(25)
    assert result.summary()["LocA"] == pytest.approx(100)  # DOG has none
    assert result.summary([CAT]) == each[CAT]
    assert result.summary([FOX]) == dict.fromkeys(NAMES)
    assert result.pooled()["DetA"] == pytest.approx(100 * 2 / 6)  # TP 2, FN 2, FP 2
    assert metric.result(videos="with_gt").summary([CAT])["DetA"] == pytest.approx(100)  # without the second video


def test_crowds_take_no_part():
    tracks = [track_of(0, 1, CAT, [LEFT]), track_of(1, 1, CAT, [RIGHT], iscrowd=True)]
    metric = Identity(set_of([video_of(1, 1)], tracks))
    metric.add(tracks_of(1, (CAT, 0.9, [LEFT])))
    assert metric.result().summary()["DetRe"] == pytest.approx(100)


def test_absent_and_empty_masks_are_alike():
    empty = np.zeros((8, 8), dtype=bool)
    with_none = evaluate(3, [[LEFT, None, LEFT]], [[LEFT, None, RIGHT]])
    assert with_none == evaluate(3, [[LEFT, empty, LEFT]], [[LEFT, empty, RIGHT]])
    assert with_none["DetA"] == pytest.approx(100 / 3)


def test_mistakes_are_errors():
    ground_truth = set_of([video_of(1, 2)], [])
    metric = Identity(ground_truth)
    with pytest.raises(UserError, match="video 9: video_id: not in the ground truth"):
        metric.add(tracks_of(9))
    with pytest.raises(UserError, match="1 entries, but video 1 has 2 frames"):
        metric.add(tracks_of(1, (CAT, 0.9, [LEFT])))
    metric.add(tracks_of(1))
    with pytest.raises(UserError, match="added twice"):
        metric.add(tracks_of(1))
    with pytest.raises(UserError, match="classes: 99: not in the ground truth"):
        Identity(ground_truth, classes=[99])
    with pytest.raises(UserError, match="classes: 99: not among the evaluated"):
        metric.result().summary([99])
    with pytest.raises(UserError, match="videos: some: no such selection"):
        metric.result(videos="some")


# The formulas once more, with loops over every detection and every matching.


def plain_hota(S, alpha):
    """TP, sum of A(c), of its recall and precision parts, and of S, from S[d][g][t] (None: one is absent)."""
    D, G, T = len(S.predicted), len(S.annotated), S.num_frames
    aligned = {}
    for d, g in itertools.product(range(D), range(G)):
        common = 0.0
        for t in range(T):
            s = S.at(d, g, t)
            rivals = sum(S.at(x, g, t) for x in range(D)) + sum(S.at(d, x, t) for x in range(G)) - s
            common += s / rivals if s else 0.0
        union = sum(S.predicted[d]) + sum(S.annotated[g]) - common
        aligned[d, g] = common / union if union else 0.0
    pairs = [c for t in range(T) for c in best_matching(D, G, lambda d, g, t=t: aligned[d, g] * S.at(d, g, t), t)]
    hits = [(d, g, t) for d, g, t in pairs if S.at(d, g, t) >= alpha]
    terms = []
    for d, g, t in hits:
        tpa = sum((x, y) == (d, g) for x, y, _ in hits)
        fna, fpa = sum(S.annotated[g]) - tpa, sum(S.predicted[d]) - tpa
        terms.append((tpa / (tpa + fna + fpa), tpa / (tpa + fna), tpa / (tpa + fpa), S.at(d, g, t)))
    return len(hits), *(sum(column) for column in (zip(*terms, strict=True) if terms else [()] * 4))


def best_matching(D, G, weight, t):
    """Of all one-to-one matchings the heaviest, by trying every one."""
    small, large, flip = (range(D), range(G), False) if D <= G else (range(G), range(D), True)
    best, found = -1.0, []
    for chosen in itertools.permutations(large, len(small)):
        pairs = [(b, a) if flip else (a, b) for a, b in zip(small, chosen, strict=True)]
        total = sum(weight(*pair) for pair in pairs)
        if total > best:
            best, found = total, pairs
    return [(d, g, t) for d, g in found]


class Plain:
    """Similarities of one class of one video, from decoded masks."""

    def __init__(self, num_frames, predicted, annotated):
        self.num_frames = num_frames
        self.masks, self.gt_masks = predicted, annotated
        self.predicted = [[bool(m is not None and m.any()) for m in masks] for masks in predicted]
        self.annotated = [[bool(m is not None and m.any()) for m in masks] for masks in annotated]

    def at(self, d, g, t):
        if not (self.predicted[d][t] and self.annotated[g][t]):
            return 0.0
        a, b = self.masks[d][t], self.gt_masks[g][t]
        return int((a & b).sum()) / int((a | b).sum())

    def ids(self):
        D, G = len(self.predicted), len(self.annotated)
        common = lambda d, g: sum(self.at(d, g, t) >= 0.5 for t in range(self.num_frames))  # noqa: E731
        return sum(common(d, g) for d, g, _ in best_matching(D, G, common, 0))


def decode(masks):
    from pycocotools import mask as rle

    return [None if m is None else rle.decode(m).astype(bool) for m in masks]


def plain_of(ground_truth, predictions, category_id, min_score):
    by_video = {p.video_id: p for p in predictions}
    for video in ground_truth.videos:
        tracks = by_video.get(video.id, tracks_of(video.id))
        fields = zip(tracks.category_ids, tracks.scores, tracks.segmentations, strict=True)
        masks = [decode(m) for c, s, m in fields if c == category_id and s >= min_score]
        annotated = [decode(t.segmentations) for t in ground_truth.tracks[video.id] if t.category_id == category_id]
        yield Plain(len(video), masks, annotated)


@pytest.mark.parametrize("seed", range(12))
def test_random_sets_agree_with_the_plain_statement(seed):
    ground_truth, predictions = random_set(seed)
    predictions = [p for p in predictions if len(p) < 20]  # every matching is tried
    metric = Identity(ground_truth, min_score=0.3)
    for tracks in predictions:
        metric.add(tracks)
    result = metric.result()
    for category_id in CLASSES:
        videos = list(plain_of(ground_truth, predictions, category_id, 0.3))
        counts = result.counts[category_id]
        assert counts.num_gt == sum(map(sum, (g for v in videos for g in v.annotated)))
        assert counts.num_predicted == sum(map(sum, (d for v in videos for d in v.predicted)))
        assert counts.idtp == sum(video.ids() for video in videos)
        for a in (0, 7, 9, 15):
            expected = np.sum([plain_hota(video, ALPHAS[a]) for video in videos], axis=0)
            ours = [getattr(counts, name)[a] for name in ("tp", "ass_a", "ass_re", "ass_pr", "loc")]
            assert ours == pytest.approx(list(expected))


def test_numbers_lie_between_0_and_100_and_hota_between_its_parts():
    for seed in range(20, 30):
        ground_truth, predictions = random_set(seed)
        metric = Identity(ground_truth, min_score=0.0)
        for tracks in predictions:
            metric.add(tracks)
        for counts in metric.result().counts.values():
            numbers = counts.scores()
            assert all(value is None or 0 <= value <= 100 + 1e-9 for value in numbers.values())
            if numbers["HOTA"] is not None:
                assert numbers["DetA"] <= min(numbers["DetRe"], numbers["DetPr"]) + 1e-9
                assert numbers["HOTA"] <= (numbers["DetA"] + numbers["AssA"]) / 2 + 1e-9
