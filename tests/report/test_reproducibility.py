"""Which cells count as verified, what the document says of them, and how it is kept up to date."""

import hashlib
import json
import re
from statistics import mean, stdev

import pytest
from run_folders import write_run
from typer.testing import CliRunner

from cvis.cli import app
from cvis.errors import UserError
from cvis.learners.registry import available
from cvis.report import load_runs
from cvis.report.region import with_region
from cvis.report.reproducibility import reproducibility
from cvis.report.reproducibility_text import markdown
from cvis.runs.provenance import joined, portable, read_provenance
from cvis.scenario.spec import list_scenarios

ENVIRONMENT = {
    "cvis": "0.1.0",
    "python": "3.11.7",
    "platform": "Linux-6.1.0-9-amd64-x86_64-with-glibc2.36",
    "packages": {"torch": "2.11.0", "open_clip_torch": None},
    "device": "cpu",
    "gpu": None,
    "threads": 1,
    "git": {"commit": "0123456789abcdef0123", "modified": False},
}
LEARNERS = ("balconpas", "combo", "crisp", "eclipse", "finetune")
BEGIN, END = "<!-- generated: begin cells -->", "<!-- generated: end cells -->"


def record(folder, command="cvis run synthetic-20-4 --learner finetune --seeds 0,1,2", settings=None, **environment):
    content = {"config": {"learner": settings or {}}, "environment": {**ENVIRONMENT, **environment}}
    if command:
        content["command"] = command
    (folder / "run.json").write_text(json.dumps(content))


def three(root, learner="finetune", seeds=(0, 1, 2), **more):
    folders = [write_run(root, learner, seed, mAP=10.0 + seed**2, **more) for seed in seeds]
    for folder in folders:
        record(folder)
    return folders


def built(root):
    return reproducibility(load_runs([root]).runs, LEARNERS)


def status(report, learner="finetune", scenario="synthetic-20-4"):
    return report.cells[scenario, learner]


def test_the_cells_are_all_pairs_of_stream_and_learner(tmp_path):
    report = built(tmp_path)
    assert set(report.cells) == {(scenario, name) for scenario in list_scenarios() for name in LEARNERS}
    assert set(report.cells.values()) == {"not verified"}


def test_the_command_expects_all_learners_of_ours_and_none_of_a_plugin(tmp_path):
    three(tmp_path)
    cells = json.loads(call(tmp_path, "--json").stdout)["cells"]
    ours = {info.name for info in available() if info.package == "cvis"}
    assert {"finetune", "joint", "crisp"} <= ours
    assert [(cell["scenario"], cell["learner"]) for cell in cells] == sorted(
        (scenario, name) for scenario in list_scenarios() for name in ours
    )


def test_three_seeds_under_one_protocol_verify_a_cell(tmp_path):
    three(tmp_path)
    assert status(built(tmp_path)) == "verified"
    assert built(tmp_path).count("verified") == 1


def test_the_overview_calls_a_learner_what_its_rows_do(tmp_path):
    three(tmp_path, "combo", label="CoMBO (re-implementation from the paper)")
    titles = next(line for line in markdown(built(tmp_path)).splitlines() if line.startswith("| stream |"))
    names = [title.strip() for title in titles.strip("|").split("|")]
    expected = ["CoMBO (re-implementation from the paper)" if name == "combo" else name for name in LEARNERS]
    assert names == ["stream", *expected]


def test_fewer_seeds_do_so_partly(tmp_path):
    three(tmp_path, seeds=(0, 5))
    three(tmp_path, "eclipse", seeds=(1,))
    report = built(tmp_path)
    assert status(report) == "partly (2 seeds)"
    assert status(report, "eclipse") == "partly (1 seed)"
    assert status(report, "crisp") == "not verified"
    assert report.count("verified") == 0


def test_a_setting_that_older_runs_do_not_have_is_no_difference(tmp_path):
    for k, folder in enumerate(three(tmp_path)):
        record(folder, settings={"deltas": [0], **({"younger": True} if k else {})})
    assert status(built(tmp_path)) == "verified"


def test_seeds_under_different_protocols_do_not_add_up(tmp_path):
    three(tmp_path, seeds=(0, 1))
    three(tmp_path, seeds=(2,), protocol={"init": "coco"})
    report = built(tmp_path)
    assert status(report) == "partly (2 seeds)"
    assert "another protocol" in markdown(report)


def test_seeds_with_different_settings_of_the_learner_verify_nothing(tmp_path):
    for k, folder in enumerate(three(tmp_path)):
        record(folder, settings={"deltas": [0] if k else [0.5]})
    report = built(tmp_path)
    assert status(report) == "not verified: the learner's settings differ between seeds"
    assert report.count("verified") == 0


def test_a_variant_is_listed_and_verifies_itself_only(tmp_path):
    three(tmp_path, "crisp-isc-pi-ic")
    report = built(tmp_path)
    assert status(report, "crisp") == "not verified"
    assert "| crisp-isc-pi-ic | **verified** | 3 |" in markdown(report)


def test_a_row_says_numbers_command_runs_code_and_environment(tmp_path):
    folders = three(tmp_path)
    text = markdown(built(tmp_path))
    values = [10.0, 11.0, 14.0]
    row = next(line for line in text.splitlines() if line.startswith("| finetune | **verified**"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[2] == "3"
    assert cells[3] == f"{mean(values):.2f} ± {stdev(values):.2f}"
    assert cells[4] == "2.50 ± 0.00"  # mAP_base of the last step
    assert cells[-1] == "-"  # forgetting: not in these files
    (item,) = (line for line in text.splitlines() if line.startswith("- **finetune**"))
    assert item.count("`cvis run synthetic-20-4 --learner finetune --seeds 0,1,2`") == 1
    for seed, folder in enumerate(folders):
        digest = hashlib.sha256((folder / "metrics.json").read_bytes()).hexdigest()[:12]
        assert f"`{digest}` (seed {seed})" in item
    assert "code 01234567; environment 1" in item
    assert "1. Python 3.11.7, torch 2.11.0, Linux x86\\_64, cpu, 1 thread" in text
    assert "Not verified, no finished run: balconpas" in text


def test_two_environments_and_uncommitted_code_are_told_apart(tmp_path):
    first, second, _ = three(tmp_path)
    record(first, python="3.10.1", git=None)
    record(second, git={"commit": "f" * 40, "modified": True})
    text = markdown(built(tmp_path))
    assert "1. Python 3.10.1" in text
    assert "2. Python 3.11.7" in text
    assert "code release 0.1.0, ffffffff with uncommitted changes, 01234567; environment 1, 2" in text


def test_a_run_that_does_not_say_its_command_is_asked_of_its_configuration(tmp_path):
    one, two, three_ = three(tmp_path)
    record(one, command="")
    record(three_, command="")
    asked = []

    def rebuild(content, seeds):
        asked.append(seeds)
        return "cvis run again"

    text = markdown(reproducibility(load_runs([tmp_path]).runs, LEARNERS, rebuild))
    assert asked == [[0, 2]]
    assert "`cvis run synthetic-20-4 --learner finetune --seeds 0,1,2`, `cvis run again`; runs" in text
    assert "command not recorded" not in text
    for folder in (one, two, three_):
        (folder / "run.json").unlink()
    text = markdown(built(tmp_path))
    assert "- **finetune**: command not recorded" in text
    assert "code not recorded; environment 1" in text


def test_published_rows_stand_apart_with_their_note(tmp_path):
    three(tmp_path, scenario="ytvis2019-20-4")
    text = markdown(built(tmp_path))
    section = text.partition("### ytvis2019-20-4")[2].partition("\n### ")[0]
    ours, _, paper = section.partition("_CRISP, arXiv 2508.10432, Tables I-VI_")
    assert "| finetune | **verified** |" in ours
    assert "paper" not in ours
    assert "| CRISP | paper | - | 28.10 |" in paper
    assert "measured on another, unpublished split" in paper


def test_nothing_from_a_file_is_markup(tmp_path):
    (folder, *_) = three(tmp_path, label=f"<b>x</b> | {END}")
    record(folder, command=f"cvis run 'a`b' {END}")
    text = markdown(built(tmp_path))
    assert END not in text
    assert "<b>" not in text
    assert "&lt;b&gt;x&lt;/b&gt; \\|" in text
    assert "`` cvis run 'a`b'" in text


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("cvis run a --learner b --data=/x/y --workers 4 --seed 1", "cvis run a --learner b --seed 1"),
        ("cvis run a --set runtime.runs=/x --set=runtime.workers=3 --set learner.k=1", "cvis run a --set learner.k=1"),
        (
            "cvis run a --set learner.text=/home/me/w.pt --init ~/w.pth",
            "cvis run a --set learner.text=w.pt --init w.pth",
        ),
        ("cvis run a --learner /home/me/mine.py:Mine", "cvis run a --learner mine.py:Mine"),
        ("cvis run a --set 'learner.deltas=[0, 1]'", "cvis run a --set 'learner.deltas=[0, 1]'"),
        ("cvis run a --runs", "cvis run a"),
        ("cvis run 'a", "cvis run 'a"),
    ],
)
def test_a_command_is_shown_without_the_machine_it_ran_on(typed, shown):
    assert portable(typed) == shown


def test_commands_that_differ_in_the_seed_alone_are_one():
    typed = ["cvis run a --seed 2 --set x=1", "cvis run a --seed=0 --set x=1", "cvis run a --seed 0 --set x=2"]
    assert joined(typed) == ("cvis run a --seeds 2,0 --set x=1", "cvis run a --seed 0 --set x=2")
    assert joined(["cvis run a --seeds 0,1", "cvis run a --seeds 0,1", "cvis run a"]) == (
        "cvis run a --seeds 0,1",
        "cvis run a",
    )


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_damaged_record_is_named(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(UserError, match=r"run\.json: .*copy it again"):
        read_provenance(tmp_path)


def test_a_region_is_replaced_and_all_else_stays(tmp_path):
    file = tmp_path / "R.md"
    file.write_bytes(f"prose\r\n{BEGIN}\r\nold\r\n{END} more\r\n".encode())
    old, new = with_region(file, "cells", "a\nb\n")
    assert old == file.read_bytes().decode()
    assert new == f"prose\r\n{BEGIN}\r\na\r\nb\r\n{END} more\r\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"prose", "begin cells -->: stands there 0 times"),
        (f"{BEGIN}\n".encode(), "end cells -->: stands there 0 times"),
        (f"{BEGIN}\n{BEGIN}\n{END}".encode(), "begin cells -->: stands there 2 times"),
        (f"{END}\n{BEGIN}\n".encode(), "end cells -->: stands before its beginning"),
        (b"\xff", "codec can't decode"),
    ],
)
def test_a_file_without_the_markers_is_refused(tmp_path, content, message):
    file = tmp_path / "R.md"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(message)):
        with_region(file, "cells", "a\n")


def call(*arguments):
    return CliRunner().invoke(app, ["reproducibility", *map(str, arguments)])


def test_update_then_check_then_a_new_run(tmp_path):
    runs, file = tmp_path / "runs", tmp_path / "R.md"
    three(runs, seeds=(0, 1))
    file.write_text(f"# By hand\n\n{BEGIN}\n{END}\n\nmore by hand\n")
    stale = call(runs, "--update", file, "--check")
    assert stale.exit_code == 2
    assert stale.stderr == f"cvis: {file}: generated tables: are out of date; run the same command without --check\n"
    assert "finetune" not in file.read_text()
    assert call(runs, "--update", file).exit_code == 0
    first = file.read_text()
    assert first.startswith(f"# By hand\n\n{BEGIN}\n<!-- made by")
    assert first.endswith(f"\n{END}\n\nmore by hand\n")
    assert call(runs, "--update", file).exit_code == 0
    assert file.read_text() == first
    assert call(runs, "--update", file, "--check").exit_code == 0
    three(runs, seeds=(2,))
    assert call(runs, "--update", file, "--check").exit_code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["R.md", "runs"]


def test_out_stdout_and_json(tmp_path):
    runs, file = tmp_path / "runs", tmp_path / "tables.md"
    three(runs)
    shown = call(runs)
    assert call(runs, "--out", file).stdout == ""
    assert file.read_text() == f"# Verified cells\n\n{shown.stdout}"
    assert call(runs, "--out", file, "--check").exit_code == 0
    content = json.loads(call(runs, "--json").stdout)
    assert {"scenario": "synthetic-20-4", "learner": "finetune", "status": "verified"} in content["cells"]
    (row,) = content["rows"]
    assert row["metrics"]["mAP"]["mean"] == mean([10.0, 11.0, 14.0])
    assert list(row["runs"]) == ["0", "1", "2"]


def test_what_makes_no_sense_is_one_line(tmp_path):
    three(tmp_path)
    for options, message in (
        (("--out", "a", "--update", "b"), "cvis: --out and --update: both given"),
        (("--check",), "cvis: --check: of what?"),
    ):
        result = call(tmp_path, *options)
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert result.stderr.startswith(message)


def test_an_unfinished_run_is_named_and_with_strict_an_error(tmp_path):
    (folder, *_) = three(tmp_path)
    (folder / "metrics.json").unlink()
    result = call(tmp_path)
    assert result.exit_code == 0
    assert f"left out: {folder}: is unfinished" in result.stderr
    assert "partly (2 seeds)" in result.stdout
    assert call(tmp_path, "--strict").exit_code == 2
