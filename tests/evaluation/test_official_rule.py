"""The benchmark's statement of the official way computes the same video AP, and its generator valid data."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as rle
from scored_sets import random_set

from cvis.data.ytvis import read_ytvis
from cvis.evaluation import score, score_files

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name in {"official_rule", "evaluator_data", "evaluator_speed"}:
            del sys.modules[name]


def _content(ground_truth) -> dict:
    """A ground truth as the parsed annotation file that it could come from."""
    videos = [{"id": v.id, "height": v.height, "width": v.width} for v in ground_truth.videos]
    annotations = [
        {
            "id": track.id,
            "video_id": track.video_id,
            "category_id": track.category_id,
            "iscrowd": int(track.iscrowd),
            "areas": [area or None for area in track.areas],
            "segmentations": [mask and {"size": mask["size"], "counts": _runs(mask)} for mask in track.segmentations],
        }
        for annotated in ground_truth.tracks.values()
        for track in annotated
    ]
    return {"videos": videos, "categories": [{"id": c.id} for c in ground_truth.categories], "annotations": annotations}


def _runs(mask) -> list[int]:
    pixels = rle.decode(mask).ravel(order="F")
    changes = np.flatnonzero(np.diff(pixels)) + 1
    runs = np.diff(np.concatenate([[0], changes, [pixels.size]])).tolist()
    return [0, *runs] if pixels[0] else runs


def _entries(predictions) -> list[dict]:
    return [
        {"video_id": tracks.video_id, "category_id": c, "score": s, "segmentations": list(masks)}
        for tracks in predictions
        for c, s, masks in zip(tracks.category_ids, tracks.scores, tracks.segmentations, strict=True)
    ]


@pytest.mark.parametrize("seed", range(30))
def test_it_equals_the_evaluator(benchmarks, seed):
    from official_rule import OfficialRule, summary

    ground_truth, predictions = random_set(seed, crowds=seed % 2 == 1)
    result = score(ground_truth, predictions)
    rule = OfficialRule(_content(ground_truth))
    precision, recall = rule.evaluate(rule.load(_entries(predictions)))
    np.testing.assert_array_equal(precision, result.precision)
    np.testing.assert_array_equal(recall, result.recall)
    assert summary(precision, recall) == list(result.summary().values())
    some = list(result.classes)[1:3]
    assert summary(*rule.evaluate(rule.load(_entries(predictions)), some)) == list(result.summary(some).values())


def test_generated_data_are_valid_and_alike_on_both_sides(benchmarks, tmp_path):
    from evaluator_data import write
    from evaluator_speed import official_steps, official_whole, our_steps

    annotations, results = write(tmp_path, videos=3, predictions=6, seed=1)
    ground_truth = read_ytvis(annotations, None)
    assert len(ground_truth) == 3
    summary = score_files(annotations, results).summary()
    assert 0 < summary["mAP"] < 100
    assert official_whole(annotations, results)["numbers"] == list(summary.values())
    assert official_steps(annotations, results)["numbers"] == our_steps(annotations, results)["numbers"]
    sizes = {len(entry["segmentations"]) for entry in json.loads(results.read_bytes())}
    assert sizes <= {len(video) for video in ground_truth.videos}


def test_generated_masks_fill_the_frame_and_are_compressed_as_coco_does(benchmarks):
    import evaluator_data as data

    blob = data._object(np.random.default_rng(3), length=12)
    runs = data._runs(blob)
    for lengths, text in zip(runs, data.compressed(runs), strict=True):
        assert lengths.sum() == data.PIXELS
        assert lengths[1:].min() > 0
        uncompressed = {"size": [data.HEIGHT, data.WIDTH], "counts": lengths.tolist()}
        assert rle.frPyObjects(uncompressed, data.HEIGHT, data.WIDTH)["counts"].decode() == text
