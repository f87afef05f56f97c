"""Real annotations and real predictions of published models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from stock_coco import stock_coco, twelve

from cvis.data.ytvis import read_ytvis
from cvis.evaluation import read_results, score, score_files, write_results
from cvis.evaluation.overlap import mask_areas, track_ious
from cvis.types import Tracks

REALVIS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "realvis"
GOLDENS = ("car-shadow", "drift-straight", "motocross-jump")

pytestmark = [
    pytest.mark.skipif(not REALVIS.is_dir(), reason="the mini set of real videos is not beside the checkout"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # pycocotools
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CVIS_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def ground_truth():
    return read_ytvis(REALVIS / "instances.json", None, cache=False)


@pytest.mark.parametrize("model", ["stm", "osvos"])
def test_the_twelve_numbers_equal_the_oracle(ground_truth, model):
    file = REALVIS / "predictions" / f"results_{model}.json"
    predictions = list(read_results(file, ground_truth))
    stock = stock_coco(ground_truth, predictions)
    ours = score_files(REALVIS / "instances.json", file).summary()
    assert ours == twelve(stock)
    assert 10 < ours["mAP"] < 100


def test_perfect_predictions_score_100(ground_truth, tmp_path):
    own = [_perfect(video.id, ground_truth.tracks[video.id]) for video in ground_truth.videos]
    write_results(tmp_path / "perfect.json.gz", own)
    summary = score_files(REALVIS / "instances_uncompressed_rle.json", tmp_path / "perfect.json.gz").summary()
    assert summary["mAP"] == summary["AR10"] == pytest.approx(100)
    assert summary == score(ground_truth, own).summary()


def _perfect(video_id, tracks):
    ids, masks = tuple(t.category_id for t in tracks), tuple(t.segmentations for t in tracks)
    return Tracks(video_id, ids, (1.0,) * len(ids), masks)


@pytest.mark.parametrize("sequence", GOLDENS)
def test_published_iou_of_every_frame_is_reproduced(sequence):
    golden = json.loads((REALVIS / "goldens" / f"davis16_stm_{sequence}.json").read_text())
    assert golden["frames"]
    for frame in golden["frames"]:
        tracks = [[frame["pred"]]], [[frame["gt"]]]
        iou = track_ious(*tracks, *(mask_areas(t, 1) for t in tracks))[0, 0]
        if frame["published_J"] >= 0.5:  # lower ones may be left out
            assert iou == pytest.approx(frame["published_J"], abs=1e-12)
