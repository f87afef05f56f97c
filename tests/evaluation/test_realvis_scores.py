"""Real annotations and real predictions of published models."""

from __future__ import annotations

import pytest
from realvis import REALVIS, needs_realvis
from stock_coco import stock_coco, twelve

from cvis.data.ytvis import read_ytvis
from cvis.evaluation import read_results, score, score_files, write_results
from cvis.types import Tracks

pytestmark = [
    needs_realvis,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # pycocotools
]


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
    perfect = [_perfect(video.id, ground_truth.tracks[video.id]) for video in ground_truth.videos]
    write_results(tmp_path / "perfect.json.gz", perfect)
    summary = score_files(REALVIS / "instances_uncompressed_rle.json", tmp_path / "perfect.json.gz").summary()
    assert summary["mAP"] == summary["AR10"] == pytest.approx(100)
    assert summary == score(ground_truth, perfect).summary()


def _perfect(video_id, tracks):
    ids, masks = tuple(t.category_id for t in tracks), tuple(t.segmentations for t in tracks)
    return Tracks(video_id, ids, (1.0,) * len(ids), masks)
