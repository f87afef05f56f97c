import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_folders import write_run
from typer.testing import CliRunner

from cvis.cli import app
from cvis.errors import UserError
from cvis.report import comparison, load_runs, per_step
from cvis.report.baseline import compared, paired_difference, unpaired, with_baseline
from cvis.report.rows import PairedDifference

VALUES = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=2, max_size=8)


def test_by_hand():
    # gains 1, 2, 6: mean 3, deviation sqrt(7); t of 97.5 % with 2 degrees of freedom is 4.302653
    found = paired_difference({0: 11.0, 1: 12.0, 2: 16.0}, {0: 10.0, 1: 10.0, 2: 10.0})
    half = 4.302653 * 7**0.5 / 3**0.5
    assert (found.mean, found.n) == (3.0, 3)
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half), abs=1e-5)


@given(pairs=VALUES, level=st.sampled_from([0.9, 0.95, 0.99]))
def test_the_interval_is_that_of_the_paired_t_test(pairs, level):
    from scipy.stats import ttest_rel

    ours, theirs = zip(*pairs, strict=True)
    found = paired_difference(dict(enumerate(ours)), dict(enumerate(theirs)), level)
    if len({a - b for a, b in pairs}) == 1:  # no variance: scipy has no interval, ours is a point
        assert found.low == pytest.approx(found.high, abs=1e-6)
        return
    expected = ttest_rel(ours, theirs).confidence_interval(level)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_only_seeds_of_both_are_compared():
    assert paired_difference({0: 5.0, 7: 99.0}, {0: 3.0, 8: -99.0}) == PairedDifference(2.0, None, None, 1)
    assert paired_difference({7: 99.0}, {8: 1.0}) == PairedDifference(None)


def runs_of(root, **values):
    for learner, by_seed in values.items():
        for seed, mAP in by_seed.items():
            write_run(root, learner, seed, mAP=mAP)


def differences(root, name, metrics=("mAP",)):
    (group,) = with_baseline(comparison(load_runs([root]).runs, metrics), name)
    return group


def test_rows_are_compared_with_the_baseline(tmp_path):
    runs_of(tmp_path, base={0: 10.0, 1: 20.0, 3: 0.0}, better={0: 12.0, 1: 26.0, 2: 90.0}, other={4: 5.0})
    (block,) = differences(tmp_path, "base").blocks
    better, other = compared(block)
    assert block.baseline.learner == "base"
    assert (better.gains["mAP"].mean, better.gains["mAP"].n, unpaired(better, block.baseline)) == (4.0, 2, [2, 3])
    assert (other.gains["mAP"].mean, other.gains["mAP"].n, unpaired(other, block.baseline)) == (None, 0, [0, 1, 3, 4])


def test_the_steps_of_a_stream_are_compared_too(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path, "base", seed, steps=(40.0, 10.0))
        write_run(tmp_path, "better", seed, steps=(40.0, 20.0 + 2 * seed))
    (group,) = with_baseline(per_step(load_runs([tmp_path]).runs, "mAP_seen"), "base")
    (row,) = compared(group.blocks[0])
    assert [row.gains[step].mean for step in group.columns] == [0.0, 11.0]


def test_a_value_that_one_seed_lacks_is_no_pair(tmp_path):
    for seed, FR in enumerate((5.0, None, 7.0)):
        write_run(tmp_path, "base", seed, FR=4.0)
        write_run(tmp_path, "better", seed, FR=FR)
    (row,) = compared(differences(tmp_path, "base", ("mAP", "FR")).blocks[0])
    assert (row.gains["mAP"].n, row.gains["FR"].n, row.gains["FR"].mean) == (3, 2, 2.0)


def test_rows_under_another_protocol_are_not_compared(tmp_path):
    runs_of(tmp_path, base={0: 10.0}, better={0: 12.0})
    write_run(tmp_path / "other", "better", 1, protocol={"init": "coco"})
    group = differences(tmp_path, "base")
    assert [block.baseline is None for block in group.blocks] == [False, True]
    assert group.notes == ("synthetic-20-4, mask2former_tiny: no run of the baseline base in block 2: no differences "
                           "there.",)  # fmt: skip


@pytest.mark.parametrize("name", ["b", "Base"])
def test_an_unknown_baseline_names_the_known(tmp_path, name):
    runs_of(tmp_path, base={0: 10.0}, better={0: 12.0})
    with pytest.raises(UserError, match=f"--baseline {name}: .*; (choose one of base, b|did you mean 'base')"):
        differences(tmp_path, name)


def test_of_two_rows_of_one_learner_one_must_be_chosen(tmp_path):
    for model in ("small", "tiny"):
        write_run(tmp_path / model, "crisp", text_encoder={"model": model, "pretrained": "random", "sha256": None})
    names = [f"crisp [random text encoder, {model}]" for model in ("small", "tiny")]
    with pytest.raises(UserError) as error:
        differences(tmp_path, "crisp")
    assert str(error.value) == f"--baseline crisp: 2 rows are called that; give one of {names[0]!r}, {names[1]!r}"
    assert differences(tmp_path, names[1]).blocks[0].baseline.name == names[1]


def test_the_printed_name_goes_before_the_learners(tmp_path):
    for kind in ("openai", "random"):
        write_run(tmp_path / kind, "crisp", text_encoder={"model": "tiny", "pretrained": kind, "sha256": None})
    assert differences(tmp_path, "crisp").blocks[0].baseline.text_encoder.pretrained == "openai"


def test_what_is_printed(tmp_path):
    runs_of(tmp_path, base={0: 10.0, 1: 10.0, 2: 10.0}, better={0: 11.0, 1: 12.0, 2: 16.0}, one={0: 9.0, 5: 1.0})
    command = ["compare", str(tmp_path), "--metric", "mAP", "--baseline", "base"]
    printed = CliRunner().invoke(app, command).stdout
    lines = [line.split() for line in printed.splitlines()]
    assert ["better", "3", "+3.00", "[-3.57,", "9.57]"] in lines
    assert ["one", "1", "-1.00"] in lines  # one pair, no interval
    assert "one: only one of the two has seed 1, 2, 5, which is in no difference to base." in printed
    content = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    better, one = content["groups"][0]["blocks"][0]["baseline"]["rows"]
    assert better["metrics"]["mAP"]["low"] == pytest.approx(-3.5724, abs=1e-4)
    assert one == {
        "name": "one",
        "unpaired": [1, 2, 5],
        "metrics": {"mAP": {"mean": -1.0, "low": None, "high": None, "n": 1}},
    }
