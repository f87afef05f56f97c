"""Intervals over test videos of a table's rows: from stored digests and without them, against the table's numbers."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from cvis.cli import app
from cvis.evaluation import write_results
from cvis.report import comparison, load_runs
from cvis.report.over_videos import run_values, with_videos
from cvis.runs.open import open_run
from cvis.types import Tracks

METRICS = ("mAP", "mAP_base", "mAP_new", "AR1", "FR", "forgetting", "intransigence")


def perfect(folder, steps) -> None:
    """The annotated tracks as the predictions of some steps; every second video finds none."""
    test = open_run(folder).scenario().test
    found = []
    for n, video in enumerate(test.videos):
        tracks = test.tracks[video.id] if n % 2 else ()
        categories, masks = [t.category_id for t in tracks], [t.segmentations for t in tracks]
        found.append(Tracks(video.id, tuple(categories), (1.0,) * len(tracks), tuple(masks)))
    for step in steps:
        write_results(folder / f"step{step}" / "predictions.json.gz", found)
        (folder / f"step{step}" / "digest.npz").unlink()


@pytest.fixture(scope="module")
def runs(finished, tmp_path_factory):
    """The finished run, and one that is better in every video in which anything is annotated."""
    root = tmp_path_factory.mktemp("drawn")
    folder = shutil.copytree(finished, root / "runs" / finished.relative_to(finished.parents[3]))
    better = shutil.copytree(folder, folder.parents[1] / "better" / "seed0")
    metrics = better / "metrics.json"
    metrics.write_text(json.dumps({**json.loads(metrics.read_text()), "learner": "better", "label": "better"}))
    perfect(better, (0, 1, 2))
    return root / "runs"


def drawn(runs, baseline=""):
    from cvis.report.baseline import with_baseline

    store = load_runs([runs])
    groups = comparison(store.runs, METRICS)
    (group,) = with_videos(with_baseline(groups, baseline) if baseline else groups, store.runs, draws=50)
    (block,) = group.blocks
    return {row.learner: row for row in block.rows}


def test_the_estimates_are_the_tables_numbers(runs):
    rows = drawn(runs)
    own = rows.pop("better")
    (row,) = rows.values()
    for name in METRICS[:-1]:
        assert row.over_videos.intervals[name].estimate == pytest.approx(row.cells[name].mean, abs=1e-9)
    assert "intransigence" not in row.over_videos.intervals  # measured against another run
    estimate = own.over_videos.intervals["mAP"]
    assert 0 < estimate.low <= estimate.estimate <= estimate.high < 100
    assert own.over_videos.intervals["forgetting"].estimate == pytest.approx(0, abs=1e-9)


def test_differences_are_paired_and_places_follow_the_first_metric(runs):
    rows = drawn(runs, baseline="better")
    worse = next(row for name, row in rows.items() if name != "better")
    gain = worse.over_videos.gains["mAP"]
    alone = worse.over_videos.intervals["mAP"].estimate - rows["better"].over_videos.intervals["mAP"].estimate
    assert gain.estimate == pytest.approx(alone)
    assert gain.high < 0
    assert not rows["better"].over_videos.gains
    assert (rows["better"].over_videos.place, worse.over_videos.place) == ((1, 1), (2, 2))


def test_stored_digests_give_what_the_predictions_give(runs, tmp_path):
    (run, *_) = (r for r in load_runs([runs]).runs if r.learner != "better")
    stored = run_values(run, METRICS, draws=20)
    copied = shutil.copytree(run.path, tmp_path / "copy")
    for digest in copied.rglob("digest.npz"):
        digest.unlink()
    (again,) = load_runs([copied]).runs
    for name, values in run_values(again, METRICS, draws=20).items():
        np.testing.assert_array_equal(values, stored[name])


def test_the_command(runs):
    words = ["compare", str(runs), "--bootstrap", "--metric", "mAP"]
    result = CliRunner().invoke(app, [*words, "--baseline", "better"])
    assert result.exit_code == 0, result.stderr
    assert "differences to better over test videos, 95% interval" in result.stdout
    result = CliRunner().invoke(app, [*words, "--json"])
    rows = json.loads(result.stdout)["groups"][0]["blocks"][0]["rows"]
    better = next(row for row in rows if row["learner"] == "better")["over_videos"]
    assert better["place"] == [1, 1]
    assert better["metrics"]["mAP"]["low"] < better["metrics"]["mAP"]["estimate"] < better["metrics"]["mAP"]["high"]
    result = CliRunner().invoke(app, [*words, "--per-step"])
    assert result.exit_code == 2
