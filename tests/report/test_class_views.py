"""The class x step matrix and the forgetting of single classes, against numbers worked out by hand."""

from __future__ import annotations

import csv
import json
from math import isnan, nan

import numpy as np
import pytest
from stream_runs import AP, NAMES, write_stream

from cvis.errors import UserError
from cvis.report.class_tables import ClassTables, class_tables
from cvis.report.class_views import class_by_step, class_forgetting
from cvis.report.formats import FORMATS, render
from cvis.runs.find import load_runs
from cvis.runs.metrics_file import read_run


def run_of(folder):
    return read_run(folder / "metrics.json")


def edit(folder, change):
    file = folder / "metrics.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    return run_of(folder)


def test_classes_stand_in_learning_order_and_are_nan_before_they_are_learned(tmp_path):
    matrix = class_by_step(run_of(write_stream(tmp_path)))
    assert matrix.classes == (7, 3, 5, 9)
    assert matrix.names == ("ape", "cat", "dog & <b>", "yak")
    assert (matrix.learned_at, matrix.steps, matrix.n) == ((0, 0, 1, 2), (0, 1, 2), 1)
    expected = [[40, 30, 20], [10, 20, 10], [nan, 50, 60], [nan, nan, 30]]
    np.testing.assert_array_equal(matrix.values, expected)
    assert matrix.no_ground_truth == ()


def test_a_class_without_ground_truth_is_nan_and_listed(tmp_path):
    run = run_of(write_stream(tmp_path, ap={**AP, 3: (None, None, None), 5: (9.0, 9.0, None)}))
    matrix = class_by_step(run)
    assert matrix.no_ground_truth == (3, 5)
    np.testing.assert_array_equal(matrix.values[1:3], [[nan, nan, nan], [nan, 9, nan]])
    forgetting = {own.category_id: own.forgetting for own in class_forgetting(run)}
    assert forgetting[7] == 20
    assert isnan(forgetting[3])
    assert isnan(forgetting[5])  # undefined at one step: it takes part in nothing


def test_forgetting_is_best_of_the_steps_before_the_last_minus_last(tmp_path):
    by_id = {own.category_id: own for own in class_forgetting(run_of(write_stream(tmp_path)))}
    assert [(by_id[7].first, by_id[7].best, by_id[7].final, by_id[7].forgetting)] == [(40, 40, 20, 20)]
    assert (by_id[3].first, by_id[3].best, by_id[3].final, by_id[3].forgetting) == (10, 20, 10, 10)
    assert (by_id[5].best, by_id[5].forgetting) == (50, -10)  # later steps helped
    assert (by_id[9].first, by_id[9].final, by_id[9].learned_at) == (30, 30, 2)
    assert isnan(by_id[9].best)  # new in the last step: it cannot be forgotten
    assert isnan(by_id[9].forgetting)
    assert by_id[9].as_json()["forgetting"] is None


def test_over_seeds_every_number_is_the_mean(tmp_path):
    other = {**AP, 7: (20.0, 60.0, 20.0)}
    seeds = [run_of(write_stream(tmp_path, seed=s, ap=ap)) for s, ap in enumerate((AP, other))]
    matrix, (ape, *_) = class_by_step(seeds), class_forgetting(seeds)
    np.testing.assert_array_equal(matrix.values[0], [30, 45, 20])
    assert matrix.n == 2
    # the mean of 20 and 40: not the forgetting of the mean curve, which would be 25
    assert (ape.first, ape.best, ape.final, ape.forgetting) == (30, 50, 20, 30)


def test_seeds_of_different_streams_have_no_mean(tmp_path):
    one = run_of(write_stream(tmp_path / "a"))
    two = run_of(write_stream(tmp_path / "b", seed=1, groups=((7,), (3, 5), (9,))))
    with pytest.raises(UserError, match="other classes or steps"):
        class_by_step([one, two])


def test_joint_training_has_all_classes_at_its_one_step(tmp_path):
    run = run_of(write_stream(tmp_path, "joint", ap={c: (float(c),) for c in AP}))
    matrix = class_by_step(run)
    assert (matrix.classes, matrix.learned_at) == ((7, 3, 5, 9), (0, 0, 0, 0))
    np.testing.assert_array_equal(matrix.values, [[7], [3], [5], [9]])
    assert all(isnan(own.forgetting) for own in class_forgetting(run))


@pytest.mark.parametrize("damage", [[1], {"7": {"AP": "much"}}, {"7": 3}, {"cat": {"AP": 3.0}}])
def test_damaged_numbers_are_named(tmp_path, damage):
    run = edit(write_stream(tmp_path), lambda content: content["steps"][1].update(per_class=damage))
    with pytest.raises(UserError, match=r"metrics\.json: steps\[1\]\.per_class"):
        class_by_step(run)


def test_an_unknown_metric_names_the_known(tmp_path):
    with pytest.raises(UserError, match=r"--metric FR: .*choose one of AP, AP50"):
        class_by_step(run_of(write_stream(tmp_path)), "FR")


def test_the_tables_hold_the_same_numbers_in_every_format(tmp_path):
    for seed in (0, 1):
        write_stream(tmp_path, seed=seed, ap={**AP, 9: (None, None, None)})
    (table,) = class_tables(load_runs([tmp_path]).runs)
    headings, ape, _, dog, _ = table.table().lines
    assert headings == ["class", "new at", "step 0", "step 1", "step 2", "best", "forgetting"]
    assert ape == ["ape", "0", "40.00", "30.00", "20.00", "40.00", "20.00"]
    assert dog == ["dog & <b>", "1", "-", "50.00", "60.00", "50.00", "-10.00"]
    document = ClassTables([table])
    lines = list(csv.DictReader(render(document, "csv").splitlines()))
    assert len(lines) == 4 * 3
    dog = [line for line in lines if line["class"] == NAMES[5]]
    assert [(line["step"], line["value"], line["forgetting"]) for line in dog] == [
        ("0", "", "-10.0"),
        ("1", "50.0", "-10.0"),
        ("2", "60.0", "-10.0"),
    ]
    content = json.loads(render(document, "json"))["per_class"][0]
    assert content["classes"][2] == {"id": 5, "name": NAMES[5], "learned_at": 1, "values": [None, 50.0, 60.0]}
    assert content["no_ground_truth"] == [9]
    assert "dog &amp; &lt;b&gt; | 1 | - | 50.00" in render(document, "md")
    assert "ape             0   40.00   30.00   20.00  40.00       20.00" in render(document, "terminal")
    assert r"dog \& \textless{}b\textgreater{} & 1 & -- & 50.00 & 60.00 & 50.00 & $-$10.00 \\" in render(
        document, "latex"
    )
    assert '<th scope="row">ape</th><td class="num">0</td><td class="num">40.00</td>' in render(document, "html")


@pytest.mark.parametrize("format", [name for name in FORMATS if name not in ("csv", "json")])
def test_what_is_printed_says_how_to_read_it_and_which_classes_are_in_no_mean(tmp_path, format):
    write_stream(tmp_path, ap={**AP, 9: (None, None, None)})
    text = render(ClassTables(class_tables(load_runs([tmp_path]).runs)), format)
    assert text.count("Without ground truth in the test videos: yak.") == 1
    assert text.count("best minus last, in points of AP.") == 1
