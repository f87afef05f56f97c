import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from run_folders import write_run
from typer.testing import CliRunner

from cvis.cli import app
from cvis.cli.output import Cell, parts, show_table


def call(*arguments):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


def test_the_table_has_a_line_per_learner_and_the_bound_last(tmp_path):
    write_run(tmp_path, "finetune", 0, mAP=10.0, FR=7.0)
    write_run(tmp_path, "finetune", 1, mAP=14.0, FR=7.0)
    write_run(tmp_path, "joint", 0, mAP=44.0, FR=None, steps=(44.0,))
    result = call(tmp_path)
    assert result.exit_code == 0
    title, heading, finetune, joint = result.stdout.splitlines()[:4]
    assert title.split() == ["synthetic-20-4", "mask2former_tiny"]
    assert heading.split()[:5] == ["learner", "source", "init", "seeds", "mAP"]
    assert finetune.startswith("finetune")
    assert "12.00 ± 2.83" in finetune
    assert joint.startswith("joint (upper bound)")
    assert len(joint) <= len(heading) + 1  # columns are aligned
    assert "\x1b" not in result.stdout


def test_another_protocol_is_announced(tmp_path):
    write_run(tmp_path, "a")
    write_run(tmp_path, "b")
    write_run(tmp_path, "c", protocol={"split_sha256": "bb"})
    assert "not comparable with the table above: split_sha256 = 'bb', not 'aa'" in call(tmp_path).stdout


def test_left_out_runs_are_named_and_strict_makes_them_an_error(tmp_path):
    write_run(tmp_path, seed=0)
    broken = write_run(tmp_path, seed=1)
    (broken / "metrics.json").write_text("{")
    lax, strict = call(tmp_path), call(tmp_path, "--strict")
    assert (lax.exit_code, strict.exit_code) == (0, 2)
    assert f"left out: {broken / 'metrics.json'}" in lax.stderr
    assert strict.stderr.splitlines()[-1].startswith("cvis: 1 runs were left out")


def test_update_then_check_then_another_run(tmp_path):
    page, runs = tmp_path / "R.md", tmp_path / "runs"
    marks = "<!-- generated: begin results -->\n{}<!-- generated: end results -->"
    page.write_text("by hand " + marks.format(""))
    write_run(runs, seed=0)
    assert call(runs, "--update", page, "--check").exit_code == 2
    assert call(runs, "--update", page, "--metric", "mAP").exit_code == 0
    assert page.read_text() == "by hand " + marks.format(call(runs, "--format", "md", "--metric", "mAP").stdout)
    assert call(runs, "--update", page, "--metric", "mAP", "--check").exit_code == 0
    write_run(runs, seed=1)
    stale = call(runs, "--update", page, "--metric", "mAP", "--check")
    assert (stale.exit_code, stale.stderr.count("\n")) == (2, 1)
    assert f"{page}: generated tables: are out of date" in stale.stderr
    for options in (("--check",), ("--update", page, "--json")):
        assert call(runs, *options).exit_code == 2


def test_json(tmp_path):
    write_run(tmp_path, mAP=12.5)
    content = json.loads(call(tmp_path, "--json", "--metric", "mAP").stdout)
    assert content["groups"][0]["blocks"][0]["rows"][0]["metrics"] == {"mAP": {"mean": 12.5, "std": None, "n": 1}}
    assert content["left_out"] == []
    steps = json.loads(call(tmp_path, "--json", "--per-step", "--metric", "mAP_seen").stdout)
    assert list(steps["per_step"]) == ["mAP_seen"]


def test_per_step_prints_a_column_per_step(tmp_path):
    write_run(tmp_path, steps=(40.0, 30.0, 10.0))
    lines = call(tmp_path, "--per-step").stdout.splitlines()
    assert lines[0].split()[-1] == "mAP_all"
    assert lines[2].split() == ["finetune", "ours", "random", "1", "20.00", "15.00", "5.00"]


@pytest.mark.parametrize("made", [True, False])
def test_a_folder_without_runs_is_the_users_mistake(tmp_path, made):
    result = call(tmp_path if made else tmp_path / "nowhere")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_a_narrow_terminal_breaks_between_columns_and_never_in_a_number(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    numbers = [f"{n}.25" for n in range(10, 22)]
    show_table(["class", *(f"metric {n}" for n in range(12))], [["all classes", *numbers], ["dog", *numbers]])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [word for words in lines if words[:1] == ["dog"] for word in words[1:]] == numbers
    assert [word for words in lines if words[:2] == ["all", "classes"] for word in words[2:]] == numbers
    assert sum(words[:1] == ["dog"] for words in lines) == 4


@pytest.mark.parametrize(
    ("widths", "left", "room", "tables"),
    [
        ([5, 5, 5], 1, 80, [[0, 1, 2]]),
        ([11, 5, 5], 1, 29, [[0, 1, 2]]),
        ([11, 5, 5], 1, 28, [[0, 1], [0, 2]]),
        ([90, 5, 50], 1, 20, [[0, 1], [0, 2]]),  # too narrow for anything: still every column once
        ([9, 9], 2, 5, [[0, 1]]),
    ],
)
def test_columns_fill_the_room(widths, left, room, tables):
    assert parts(widths, left, room) == tables


def test_a_terminal_shows_the_best_bold_and_the_second_underlined(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    show_table(["learner", "mAP"], [["a", Cell("3.00", rank=1)], ["b", Cell("2.00", rank=2)]])
    printed = capsys.readouterr().out
    assert "\x1b[1m3.00" in printed
    assert "\x1b[4m2.00" in printed


def test_a_cell_claimed_twice_is_named_and_set_apart(tmp_path):
    first = write_run(tmp_path / "a", mAP=10.0)
    other = write_run(tmp_path / "b", mAP=20.0, protocol={"init": "coco"})
    lax, strict = call(tmp_path), call(tmp_path, "--strict")
    said = f"set apart: {other / 'metrics.json'}: claims the same cell (synthetic-20-4, mask2former_tiny, finetune, "
    assert f"{said}seed 0) as {first} under another protocol: init = 'coco', not 'random'" in lax.stderr
    assert (lax.exit_code, strict.exit_code) == (0, 2)
    assert strict.stderr.splitlines()[-1].startswith("cvis: 1 runs were set apart")
    assert "15.00" not in lax.stdout  # never averaged
    assert [item["reason"][:6] for item in json.loads(call(tmp_path, "--json").stdout)["set_apart"]] == ["claims"]


def test_the_name_of_out_says_the_format(tmp_path):
    write_run(tmp_path / "runs", mAP=12.5)
    starts = {
        "a.md": "### ",
        "a.tex": "% needs",
        "a.csv": "scenario,",
        "a.json": "{",
        "a.html": "<section",
        "a": "synthetic",
    }
    for name, start in starts.items():
        result = call(tmp_path / "runs", "--out", tmp_path / "new" / name)
        assert (result.exit_code, result.stdout) == (0, "")
        text = (tmp_path / "new" / name).read_text()
        assert text.startswith(start)
        assert "12.5" in text
    call(tmp_path / "runs", "--out", tmp_path / "a.md", "--format", "csv")
    assert (tmp_path / "a.md").read_text().startswith("scenario,")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--out", "."], "--out .: is a folder; give the name of a file"),
        (["--format", "xls"], "--format xls: no such format; choose one of csv, "),
        (["--format", "md", "--json"], "--format md: --json asks for another one"),
        (["--baseline", "nix"], "--baseline nix: no row is called that; choose one of finetune"),
    ],
)
def test_options_that_cannot_be(tmp_path, options, says):
    write_run(tmp_path)
    result = call(tmp_path, *options)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"cvis: {says}")
    assert len(result.stderr.splitlines()) == 1


def test_a_file_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path):
    write_run(tmp_path / "runs")
    (tmp_path / "file").write_text("")
    result = call(tmp_path / "runs", "--out", tmp_path / "file" / "a.md")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_neither_runs_nor_published_rows():
    result = call()
    assert result.exit_code == 2
    assert "RUNS: is missing; give the folder that `cvis run --runs` wrote to" in result.stderr


def test_rows_are_called_by_their_label(tmp_path):
    write_run(tmp_path, "combo", label="CoMBO (re-implementation from the paper)")
    write_run(tmp_path, "finetune")
    assert (
        call(tmp_path, "--metric", "mAP")
        .stdout.splitlines()[2]
        .startswith("CoMBO (re-implementation from the paper)  ours ")
    )


def test_a_number_that_not_all_seeds_have_says_how_many_do(tmp_path):
    write_run(tmp_path, seed=0, FR=4.0)
    write_run(tmp_path, seed=1, FR=None)
    assert "4.00 (n=1)" in call(tmp_path, "--metric", "FR").stdout


def test_what_is_slow_to_load_is_not_loaded():
    heavy = "{'torch', 'mmengine', 'matplotlib', 'scipy', 'numpy', 'yaml', 'pydantic', 'rich'}"
    code = f"import sys, cvis.report, cvis.cli.compare, cvis.report.formats; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_two_hundred_runs_take_less_than_two_seconds(tmp_path):
    """As a process of its own, imports included. It takes 0.4 s; processor time, as others may be at work here."""
    folder = write_run(tmp_path)
    per_class = {str(c): {"AP": 1.5, "AP50": 2.5, "AP75": 1.25, "AR1": 3.5, "AR10": 4.5} for c in range(40)}
    content = json.loads((folder / "metrics.json").read_text())
    content.update(groups=[[i] for i in range(11)], classes={str(i): f"class {i}" for i in range(11)})
    content["steps"] = [{"step": i, "new_classes": [i], "mAP_all": i / 3, "per_class": per_class} for i in range(11)]
    text = json.dumps(content, indent=1)
    for learner in range(40):
        for seed in range(5):
            place = tmp_path / "many" / f"learner{learner}" / f"seed{seed}"
            place.mkdir(parents=True)
            own = text.replace('"finetune"', f'"learner{learner}"').replace('"seed": 0', f'"seed": {seed}')
            (place / "metrics.json").write_text(own)
    begun = processor_time()
    command = [Path(sys.executable).parent / "cvis", "compare", tmp_path / "many"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert processor_time() - begun < 2
    assert sum(line.startswith("learner") for line in printed.splitlines()) == 1 + 40


def processor_time():
    """Of the processes that were waited for, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("command", ["compare", "steps", "reproducibility"])
def test_without_a_finished_run_a_good_table_stays(tmp_path, command):
    table = tmp_path / "table.md"
    table.write_text("good")
    (write_run(tmp_path / "runs") / "metrics.json").write_text("{")
    result = CliRunner().invoke(app, [command, str(tmp_path / "runs"), "--out", str(table)])
    assert result.exit_code == 2
    assert table.read_text() == "good"
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"cvis: {tmp_path / 'runs'}: no finished run found, the first left out: ")


def test_a_device_is_not_replaced_by_a_table(tmp_path):
    write_run(tmp_path / "runs")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    result = call(tmp_path / "runs", "--out", str(pipe))
    assert result.exit_code == 2
    assert "is a device, not a file" in result.stderr
    assert pipe.is_fifo()


def test_predict_refuses_a_folder_before_it_works(tmp_path):
    out = tmp_path / "results.json"
    out.mkdir()
    result = CliRunner().invoke(app, ["predict", str(tmp_path), str(tmp_path), "--out", str(out)])
    assert result.exit_code == 2
    assert result.stderr == f"cvis: --out {out}: is a folder; give the name of a file\n"


def test_piped_tables_are_as_wide_as_columns_says(tmp_path):
    write_run(tmp_path, "combo", label="CoMBO (re-implementation from the paper)")
    write_run(tmp_path, "other", protocol={"init": "coco", "split_sha256": "b" * 40})
    wide = CliRunner().invoke(app, ["compare", str(tmp_path)])
    narrow = CliRunner().invoke(app, ["compare", str(tmp_path)], env={"COLUMNS": "60"})
    assert max(map(len, wide.stdout.splitlines())) > 100
    assert max(map(len, narrow.stdout.splitlines())) <= 60
    assert {"10.00", "5.00", "2.00"} <= {*narrow.stdout.split()}  # nothing is lost


def test_a_run_without_its_record_is_remarked_on(tmp_path):
    (write_run(tmp_path, "a") / "run.json").unlink()
    (write_run(tmp_path, "b") / "run.json").unlink()
    for file in ("b/seed0/metrics.json",):
        next(tmp_path.glob(f"*/*/{file}")).unlink()
    result = call(tmp_path)
    assert result.exit_code == 0
    assert "a" in [line.split()[0] for line in result.stdout.splitlines() if line]
    first, second = sorted(result.stderr.splitlines())
    assert first.startswith("left out: ")
    assert first.endswith("b/seed0: 3 steps of a run without its run.json; copy the whole folder")
    assert "a/seed0: has no run.json: its numbers count" in second


def test_what_was_probably_meant_is_said(tmp_path):
    write_run(tmp_path / "runs", "crisp")
    runs = str(tmp_path / "runs")
    for words, says in (
        (["compare", f"{tmp_path}/rnus"], f"did you mean '{runs}'?"),
        (["compare", runs, "--metric", "mpa"], "did you mean 'mAP'?"),
        (["compare", runs, "--format", "latx"], "did you mean 'latex'?"),
        (["compare", runs, "--baseline", "crips"], "did you mean 'crisp'?"),
        (["steps", runs, "--per-class", "--metric", "Ap"], "did you mean 'AP'?"),
        (["plot", runs, "--kind", "curvs"], "did you mean 'curves'?"),
        (["visualize", f"{runs}/synthetic-20-4/mask2former_tiny/crips/seed0", "--list"], "/crisp/seed0'?"),
        (["score", "--ann", f"{runs}/x.json", "--pred", "y", "--min-score", "7"], "--min-score: 7: is no score"),
        (["sweep", "crisp_tabel7"], "did you mean 'crisp_table7'?"),
    ):
        result = CliRunner().invoke(app, words)
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.output
        assert says in result.stderr
