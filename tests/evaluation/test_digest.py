"""A digest answers what VideoAP answers, in whichever parts and order it was made, on disk and off it."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from scored_sets import CLASSES, random_set, set_of, track_of, tracks_of, video_of

from cvis.errors import UserError
from cvis.evaluation import Digest, VideoAP, score

LEFT = np.zeros((8, 8), dtype=bool)
LEFT[:, :4] = True


def digest_of(ground_truth, predictions) -> Digest:
    metric = VideoAP(ground_truth)
    for tracks in predictions:
        metric.add(tracks)
    return metric.digest()


def same(one: Digest, other: Digest) -> bool:
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(Digest))


@pytest.fixture(scope="module")
def many():
    """Ten videos with ties within and across them, and more than 100 detections of a class in some."""
    sets = [random_set(seed) for seed in (1, 4, 5, 6, 13, 17)]
    videos, tracks, predictions = {}, [], {}
    for ground_truth, predicted in sets:
        for video in ground_truth.videos:
            if video.id not in videos:
                videos[video.id] = video
                tracks += ground_truth.tracks[video.id]
                predictions.update({t.video_id: t for t in predicted if t.video_id == video.id})
    assert len(videos) >= 10
    return set_of([videos[i] for i in sorted(videos)], tracks), list(predictions.values())


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_the_number_of_processes_does_not_matter(many, processes):
    ground_truth, predictions = many
    whole = digest_of(ground_truth, predictions)
    parts = [digest_of(ground_truth, predictions[rank::processes]) for rank in range(processes)]
    for order in (parts, parts[::-1]):
        assert same(Digest.merge(order), whole)
    result = score(ground_truth, predictions)
    np.testing.assert_array_equal(Digest.merge(parts).result().precision, result.precision)
    np.testing.assert_array_equal(Digest.merge(parts).result().recall, result.recall)
    assert Digest.merge(parts).missing_videos == whole.missing_videos == result.missing_videos


def test_the_order_of_the_videos_does_not_matter(many):
    ground_truth, predictions = many
    whole = digest_of(ground_truth, predictions)
    shuffled = [predictions[i] for i in np.random.default_rng(0).permutation(len(predictions))]
    assert same(digest_of(ground_truth, shuffled), whole)


def test_tracks_that_come_in_pieces_keep_their_order(many):
    ground_truth, predictions = many
    metric = VideoAP(ground_truth)
    for start in range(0, 130, 7):
        for tracks in predictions[::-1]:
            part = slice(start, start + 7)
            piece = (tracks.category_ids[part], tracks.scores[part], tracks.segmentations[part])
            if start == 0 or piece[0]:
                metric.extend(type(tracks)(tracks.video_id, *piece))
    assert same(metric.digest(), digest_of(ground_truth, predictions))


def test_a_digest_keeps_of_every_class_in_a_video_the_best_hundred():
    ground_truth = set_of([video_of(1, 1)], [track_of(1, 1, 3, [LEFT])])
    predicted = [(3, float(n % 120), [LEFT]) for n in range(300)] + [(7, 0.5, [LEFT])]
    digest = digest_of(ground_truth, [tracks_of(1, *predicted)])
    assert digest.category.tolist() == [3] * 100 + [7]
    assert digest.score[:100].tolist() == [float(n) for n in range(119, 69, -1) for _ in range(2)]
    assert len(digest.pair_iou) == 100


def test_what_is_saved_is_loaded(many, tmp_path):
    digest = digest_of(*many)
    digest.save(tmp_path / "one.digest")
    again = Digest.load(tmp_path / "one.digest")
    assert same(again, digest)
    assert again.sha256 == digest.sha256
    assert all(type(getattr(again, f.name)) is type(getattr(digest, f.name)) for f in fields(Digest))
    np.testing.assert_array_equal(again.result().precision, digest.result().precision)


def test_an_empty_digest_is_saved_too(tmp_path):
    digest = VideoAP(set_of([video_of(1, 1)], [])).digest()
    digest.save(tmp_path / "empty.npz")
    result = Digest.load(tmp_path / "empty.npz").result()
    assert result.missing_videos == (1,)
    assert set(result.summary().values()) == {None}


def test_digests_of_different_ground_truths_do_not_merge(many):
    digest = digest_of(many[0], [])
    for other, name in (
        (replace(digest, sha256="f00"), "sha256"),
        (replace(digest, classes=digest.classes[:-1]), "classes"),
        (replace(digest, gt_area=digest.gt_area + 1), "gt_area"),
    ):
        with pytest.raises(UserError, match=f"digests: {name}: differs"):
            Digest.merge([digest, other])
    with pytest.raises(UserError, match="digests: none"):
        Digest.merge([])


def test_a_video_in_two_digests_is_an_error():
    ground_truth = set_of([video_of(1, 1), video_of(2, 1)], [])
    one = digest_of(ground_truth, [tracks_of(1), tracks_of(2)])
    with pytest.raises(UserError, match="digests: video 2: in 2 of them"):
        Digest.merge([one, digest_of(ground_truth, [tracks_of(2)])])


def broken(arrays: dict, name: str, value) -> dict:
    return {**arrays, name: value}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: broken(a, "schema", np.array(99)), "schema: not that of this version"),
        (lambda a: {n: v for n, v in a.items() if n != "schema"}, "schema: not that of this version"),
        (lambda a: {n: v for n, v in a.items() if n != "score"}, "it lacks arrays"),
        (lambda a: broken(a, "score", a["score"][:-1]), "do not fit each other"),
        (lambda a: broken(a, "pair_track", a["pair_track"] + 1000), "do not fit each other"),
        (lambda a: broken(a, "pair_detection", a["pair_detection"] - 1000), "do not fit each other"),
        (lambda a: broken(a, "score", np.array([None, 1], dtype=object)), "not a digest, or damaged"),
    ],
)
def test_a_wrong_digest_is_named(many, tmp_path, change, message):
    path = tmp_path / "one.npz"
    digest_of(*many).save(path)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **change(arrays))
    with pytest.raises(UserError, match=message) as error:
        Digest.load(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_a_damaged_or_missing_file_or_a_bomb_is_named(many, tmp_path, monkeypatch):
    path = tmp_path / "one.npz"
    digest_of(*many).save(path)
    with monkeypatch.context() as patch:
        patch.setattr("cvis.evaluation.digest.LARGEST", 1000)
        with pytest.raises(UserError, match=r"one\.npz: .*it would unpack to \d+ bytes, more than 1000"):
            Digest.load(path)
    content = path.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    for damaged in (content[:-200], b"", b"neither zip nor array", flipped):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"one\.npz: not a digest, or damaged"):
            Digest.load(path)
    with pytest.raises(UserError, match=r"gone\.npz: cannot be read: No such file"):
        Digest.load(tmp_path / "gone.npz")


def test_classes_and_selections_must_exist(many):
    digest = digest_of(*many)
    for classes, message in (([99], "99: not among"), ([], "none: nothing to evaluate")):
        with pytest.raises(UserError, match=f"classes: {message}"):
            digest.result(classes)
    with pytest.raises(UserError, match="videos: some: no such selection; use all or with_gt"):
        digest.result(videos="some")


def test_videos_with_gt_hide_the_false_positives_elsewhere():
    ground_truth = set_of([video_of(1, 1), video_of(2, 1)], [track_of(1, 1, 3, [LEFT]), track_of(2, 2, 7, [LEFT])])
    digest = digest_of(ground_truth, [tracks_of(1, (3, 0.5, [LEFT])), tracks_of(2, (3, 0.9, [LEFT]))])
    assert digest.result([3]).summary()["mAP"] == pytest.approx(50)
    assert digest.result([3], videos="with_gt").summary()["mAP"] == pytest.approx(100)
    both = digest.result([3, 7], videos="with_gt")  # 7 is annotated in the second video
    assert both.summary([3])["mAP"] == pytest.approx(50)
    assert (both.num_videos, digest.result().num_videos, digest.result([3], videos="with_gt").num_videos) == (2, 2, 1)


def test_missing_videos_are_those_of_the_selection():
    ground_truth = set_of([video_of(1, 1), video_of(2, 1)], [track_of(1, 1, 3, [LEFT])])
    digest = digest_of(ground_truth, [])
    assert digest.result().missing_videos == (1, 2)
    assert digest.result(videos="with_gt").missing_videos == (1,)
    assert digest.result(CLASSES[1:], videos="with_gt").missing_videos == ()
