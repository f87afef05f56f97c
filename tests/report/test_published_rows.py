"""Published numbers: the shipped file is what was printed, and its rows never stand among ours."""

import sys
from pathlib import Path

import pytest
import yaml
from run_folders import write_run
from typer.testing import CliRunner

from cvis.cli import app
from cvis.errors import UserError
from cvis.files import shipped
from cvis.report import comparison, load_runs, per_step
from cvis.report.published import load_published, with_published

if sys.version_info >= (3, 11):
    pass
else:
    pass

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "published_crisp.yaml"
STREAM = "ytvis2019-20-4"
GOOD = {
    "schema": 1,
    "source": "A paper",
    "segmenter": "s",
    "init": "coco",
    "tables": [
        {
            "scenario": "x",
            "title": "Table 1",
            "rows": [{"method": "M", "learner": "m", "final": {"mAP": 1}, "steps": {"APs": [1, 2.5]}}],
        }
    ],
}


def show(*arguments):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


@pytest.mark.skipif(not SHARED.is_file(), reason="the transcript of the paper's tables is not beside the repository")
def test_the_shipped_numbers_are_those_of_the_transcript():
    transcript = yaml.safe_load(SHARED.read_text())
    tables = load_published()
    main = {
        table.scenario: {row.method: row for row in table.rows} for table in tables if "ablation" not in table.title
    }
    assert main.keys() == {name.replace("_", "-") for name in transcript["final"]}
    for stream, methods in transcript["final"].items():
        ours = main[stream.replace("_", "-")]
        assert {label: row.final for label, row in ours.items()} == methods
        for label, steps in transcript["per_step_APs_APm_APl"][stream].items():
            columns = (ours[label].steps[name] for name in ("APs", "APm", "APl"))
            assert [list(step) for step in zip(*columns, strict=True)] == steps
    (ablation,) = [table for table in tables if "ablation" in table.title]
    for row, printed in zip(ablation.rows, transcript["ablation_20-4"], strict=True):
        assert row.steps == {"mAP_all": printed["steps"]}
        assert row.final == {name: printed[name] for name in row.final}
        assert len(row.final) == 6


def test_the_streams_and_segmenters_are_ours():
    for table in load_published():
        assert (shipped("scenarios") / f"{table.scenario}.toml").is_file()
        assert (shipped("configs") / "segmenters" / f"{table.segmenter}.py").is_file()


def groups_of(root, segmenter="mask2former_r50", **values):
    for learner, mAP in values.items():
        write_run(root, learner, mAP=mAP, scenario=STREAM, segmenter=segmenter, steps=(9.0,) * 6)
    return comparison(load_runs([root]).runs)


def test_published_rows_have_blocks_of_their_own_and_touch_no_rank(tmp_path):
    before = groups_of(tmp_path, finetune=1.0, crisp=99.0)
    (group,) = with_published(before, load_published())
    ours, *published = group.blocks
    assert ours == before[0].blocks[0]
    assert [block.source for block in published] == ["paper", "paper"]
    assert {row.source for row in ours.rows} == {"ours"}
    assert {row.source for block in published for row in block.rows} == {"paper"}
    assert any("unpublished split" in note for note in published[0].notes)
    assert "a single seed" in published[0].notes
    best = {row.label: row.cells["mAP"].rank for row in published[0].rows}
    assert best == {"FT": 0, "MiB": 0, "CoMFormer": 0, "ECLIPSE": 2, "CoMBO": 0, "CRISP": 1}
    assert published[0].rows[0].cells["mAP_base"].mean is None


def test_rows_of_another_segmenter_have_a_group_of_their_own(tmp_path):
    groups = with_published(groups_of(tmp_path, "mask2former_tiny", finetune=1.0), load_published())
    assert [(group.segmenter, len(group.blocks)) for group in groups] == [
        ("mask2former_r50", 2),
        ("mask2former_tiny", 1),
    ]
    assert groups[0].columns == ("mAP", "AP50", "AP75", "AR1", "AR10", "FR")


def test_steps(tmp_path):
    groups_of(tmp_path, finetune=1.0)
    runs = load_runs([tmp_path]).runs
    (group,) = with_published(per_step(runs, "APs"), load_published(), metric="APs")
    assert [row.cells["step 5"].mean for row in group.blocks[1].rows] == [4.03, 3.4, 8.32, 12.76, 6.44, 15.74]
    (group,) = with_published(per_step(runs, "AR1"), load_published(), metric="AR1")
    assert len(group.blocks) == 1
    assert group.notes == (f"{STREAM}: AR1 was not published per step.",)


def test_nothing_published_is_shown_unasked(tmp_path):
    groups_of(tmp_path, finetune=1.0)
    assert "paper" not in show(tmp_path).stdout
    assert "CoMFormer" in show(tmp_path, "--with-published").stdout


def test_a_stream_without_published_numbers_says_so(tmp_path):
    write_run(tmp_path)
    result = show(tmp_path, "--with-published")
    assert result.exit_code == 0
    assert "synthetic-20-4: no published numbers are known." in result.stdout


def test_published_rows_alone():
    result = show("--published", STREAM, "--metric", "mAP")
    assert result.exit_code == 0
    assert ["CRISP", "paper", "coco", "1", "28.10"] in [line.split() for line in result.stdout.splitlines()]
    assert show("--published", STREAM, "--per-step", "--metric", "AR1", "--json").exit_code == 0


def test_published_rows_of_a_stream_that_has_none():
    result = show("--published", "nix")
    assert result.exit_code == 2
    assert result.stderr.startswith("cvis: --published nix: has no published numbers; choose one of ytvis2019-20-2, ")


def change(content, path, value):
    *above, last = path
    for key in above:
        content = content[key]
    content[last] = value


ROW = ("tables", 0, "rows", 0)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("schema",), 2, "schema: 2: "),
        (("nots",), "x", "nots: 'x': no such key; did you mean 'notes'"),
        ((*ROW, "final", "mAP"), 9391, "tables.0.rows.0.final.mAP: 9391: .* less than or equal to 100"),
        ((*ROW, "final", "mAPP"), 1, "final.mAPP: 'mAPP': .*mAP_base"),
        ((*ROW, "steps", "APs"), [1, None], "steps.APs.1: None: "),
    ],
)
def test_a_damaged_file_is_named_in_one_line(tmp_path, path, value, says):
    content = yaml.safe_load(yaml.safe_dump(GOOD))
    change(content, path, value)
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=says) as error:
        load_published(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'a.yaml'}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["a: [", "- 1", "", "\t"])
def test_a_file_that_is_no_table(tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError, match=r"a\.yaml: (is not YAML|top level: )"):
        load_published(tmp_path)


def test_no_file_at_all(tmp_path):
    with pytest.raises(UserError, match=r"has no \.yaml file"):
        load_published(tmp_path)
