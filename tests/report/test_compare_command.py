import json

import pytest
from run_folders import write_run
from typer.testing import CliRunner

from cvis.cli import app
from cvis.cli.output import Styled, parts, show_table


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
    show_table(["learner", "mAP"], [["a", Styled("3.00", "bold")], ["b", Styled("2.00", "underline")]])
    printed = capsys.readouterr().out
    assert "\x1b[1m3.00" in printed
    assert "\x1b[4m2.00" in printed
