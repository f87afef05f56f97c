"""A sweep from its file to its table."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny import settings
from typer.testing import CliRunner

from cvis.cli import app
from cvis.engine.sweep import plan
from cvis.errors import UserError
from cvis.files import shipped
from cvis.runs.folder import run_folder
from cvis.runs.sweep_file import read_sweep

PARTS = ("ARSP", "ISC", "PI", "IC")
SWITCHES = ("arsp", "isc", "pca_init", "ic")
TABLE_7 = {  # in the order printed; which of rows 2 and 3 is which is not certain
    "eclipse": (),
    "crisp-pi": ("PI",),
    "crisp-arsp": ("ARSP",),
    "crisp-ic": ("IC",),
    "crisp-arsp-isc-ic": ("ARSP", "ISC", "IC"),
    "crisp-pi-ic": ("PI", "IC"),
    "crisp-arsp-pi-ic": ("ARSP", "PI", "IC"),
    "crisp": PARTS,
}


@pytest.fixture
def engine(monkeypatch):
    """Runs that take no time: mAP is 10 per part of the method, plus the seed; ``fails`` names rows that break."""
    state = SimpleNamespace(ran=[], fails=set())

    def run(config, command):
        name, seed = config.names.run, config.runtime.seed
        state.ran.append((name, seed))
        if name in state.fails:
            raise UserError(f"{name}: broken")
        return write_metrics(config, mAP=10.0 * sum(config.learner.get(key, False) for key in SWITCHES) + seed)

    monkeypatch.setitem(sys.modules, "cvis.engine.run", SimpleNamespace(run=run))
    return state


def write_metrics(config, mAP):
    folder = Path(config.runtime.runs) / config.names.run / f"seed{config.runtime.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "schema": 1,
        "scenario": "synthetic-20-4",
        "learner": config.names.run,
        "segmenter": "mask2former_tiny",
        "seed": config.runtime.seed,
        "protocol": {"schedule": config.schedule.model_dump()},
        "classes": {"1": "cat", "2": "dog"},
        "groups": [[1], [2]],
        "steps": [{"new_classes": [1], "mAP_all": 20.0}, {"new_classes": [2], "mAP_all": mAP}],
        "final": {"mAP": mAP, "AP50": 1.0, "AP75": 2.0, "AR1": 3.0, "AR10": 4.0, "FR": None},
    }
    (folder / "metrics.json").write_text(json.dumps(content))
    return folder


def call(*words, runs):
    return CliRunner().invoke(app, ["sweep", *words, "--runs", str(runs)])


def test_the_shipped_table_is_table_7():
    planned = plan(read_sweep("crisp_table7"), [0], scenario="synthetic-20-4")
    marked = {item.row: tuple(part for part, on in item.marks.items() if on) for item in planned}
    assert list(marked.items()) == list(TABLE_7.items())
    for item in planned[1:]:
        switches = {key: item.config.learner[key] for key in SWITCHES}
        assert tuple(part for part, on in zip(PARTS, switches.values(), strict=True) if on) == TABLE_7[item.row]


def test_anchor_is_taken_apart_one_part_at_a_time():
    off = {
        item.row: {part for part, on in item.marks.items() if not on} for item in plan(read_sweep("anchor_parts"), [0])
    }
    parts = ("fine", "own", "foreign", "masks", "outlines")
    assert [off[f"anchor-without-{part}"] for part in parts] == [{part} for part in parts]
    assert off["anchor"] == off["anchor-with-duplicates"] == off["anchor-without-cells"] == off["anchor-without-motion"]
    assert off["anchor"] == set()
    assert off["eclipse"] == {"head", *parts}


def test_the_codebooks_controls_are_made_at_two_and_at_eight_prompts():
    rows = [item.config.learner for item in plan(read_sweep("crisp_codebook"), [0])]
    codebooks = ["names", "permuted", "random", "none"]
    assert [row.get("codebook", "names") for row in rows] == 2 * codebooks
    assert [row["num_prompts"] for row in rows] == [2] * 4 + [8] * 4


@pytest.mark.parametrize("file", sorted(path.stem for path in (shipped("configs") / "sweeps").glob("*.toml")))
def test_every_shipped_sweep_resolves_on_its_own_stream(file):
    planned = plan(read_sweep(file), [0, 1], ["learner.num_prompts=5"], preset="crisp_paper")
    assert {item.config.runtime.seed for item in planned} == {0, 1}
    own = {"crisp_codebook": (5, 8)}.get(file, (5, None))  # a row's settings win
    assert all(item.config.learner.get("num_prompts") in own for item in planned)
    assert planned[0].config.names.run.endswith("-crisp_paper")
    folders = read_sweep(file).folders("runs", "stream", "mask2former_tiny", "crisp_paper", [0, 1])
    assert folders == {item.name: run_folder(item.config.model_dump(), "stream") for item in planned}
    assert list(folders) == [item.name for item in planned]


def test_rows_that_two_shipped_sweeps_share_are_the_same_run():
    configs: dict = {}
    for file in ("crisp_table7", "crisp_parts", "crisp_codebook"):
        for item in plan(read_sweep(file), [0], scenario="synthetic-20-4"):
            assert configs.setdefault(item.row, item.config) == item.config


def test_the_table_has_check_marks_and_mean_and_deviation_in_the_order_of_the_file(engine, tmp_path):
    result = call("crisp_table7", "--scenario", "synthetic-20-4", "--seeds", "0,1", runs=tmp_path)
    assert result.exit_code == 0, result.stderr
    assert engine.ran == [(name, seed) for seed in (0, 1) for name in TABLE_7]
    title, heading, *rows = result.stdout.splitlines()
    assert title == "synthetic-20-4  mask2former_tiny"
    assert heading.split() == ["row", *PARTS, "seeds", "mAP", "AP50", "AP75", "AR1", "AR10", "FR"]
    assert [row.split()[0] for row in rows] == list(TABLE_7)
    for row, parts in zip(rows, TABLE_7.values(), strict=True):
        places = {part: heading.index(part) for part in PARTS}
        assert tuple(part for part, place in places.items() if row[place] == "✓") == parts
    assert "40.50 ± 0.71" in rows[-1]
    assert rows[-1].split()[-1] == "-"


def test_per_step(engine, tmp_path):
    result = call("crisp_table7", "--scenario", "synthetic-20-4", "--per-step", runs=tmp_path)
    title, heading, *rows = result.stdout.splitlines()
    assert title.endswith("mAP_all")
    assert heading.split()[-4:] == ["step", "0", "step", "1"]
    assert rows[0].split() == ["eclipse", "1", "20.00", "0.00"]


def test_json_is_unrounded_and_marks_are_booleans(engine, tmp_path):
    result = call("crisp_parts", "--seeds", "0,1", "--json", runs=tmp_path)
    content = json.loads(result.stdout)
    assert (content["schema"], content["scenario"]) == (1, "synthetic-20-4")
    last = content["rows"][-1]
    assert (last["name"], last["marks"], last["seeds"]) == ("crisp", dict.fromkeys(PARTS, True), [0, 1])
    assert last["metrics"]["mAP"] == {"mean": 40.5, "std": 0.5**0.5, "n": 2}
    assert content["rows"][0]["marks"] == dict.fromkeys(PARTS, False)


def test_a_row_that_fails_later_does_not_stop_the_others(engine, tmp_path):
    engine.fails = {"crisp-arsp"}
    result = call("crisp_table7", "--scenario", "synthetic-20-4", runs=tmp_path)
    assert result.exit_code == 2
    assert [row.split()[0] for row in result.stdout.splitlines()[2:]] == [n for n in TABLE_7 if n != "crisp-arsp"]
    last = result.stderr.splitlines()[-1]
    assert last.endswith("1 of 8 runs failed, the first: row crisp-arsp, seed 0: crisp-arsp: broken")


def test_what_stops_the_first_run_stops_the_sweep(engine, tmp_path):
    engine.fails = {"eclipse"}
    result = call("crisp_table7", "--scenario", "synthetic-20-4", runs=tmp_path)
    assert (result.exit_code, result.stdout, len(engine.ran)) == (2, "", 1)
    assert result.stderr.splitlines()[-1].endswith("eclipse: broken")


def test_rows_under_another_protocol_are_named(engine, tmp_path):
    file = tmp_path / "lr.toml"
    rows = '[[rows]]\nname="low"\nsettings=["schedule.incremental.lr=1e-5"]\n[[rows]]\nname="b"\n[[rows]]\nname="c"\n'
    file.write_text(f'scenario="synthetic-20-4"\nlearner="eclipse"\n{rows}')
    result = call(str(file), runs=tmp_path)
    assert result.exit_code == 0, result.stderr
    assert "low: another protocol: schedule.incremental.lr = 1e-05, not 0.0005" in result.stdout
    assert [line.split()[0] for line in result.stdout.splitlines()[2:5]] == ["low", "b", "c"]


def test_dry_run_lists_what_is_done_and_runs_nothing(engine, tmp_path):
    done = tmp_path / "synthetic-20-4" / "mask2former_tiny" / "crisp" / "seed0"
    done.mkdir(parents=True)
    (done / "metrics.json").write_text("{}")
    result = call("crisp_table7", "--scenario", "synthetic-20-4", "--dry-run", "--json", runs=tmp_path)
    assert engine.ran == []
    listed = json.loads(result.stdout)
    assert [(item["row"], item["done"]) for item in listed] == [(name, name == "crisp") for name in TABLE_7]
    assert listed[-1]["folder"] == str(done)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["crisp_table8"], "sweep: 'crisp_table8' does not exist; did you mean 'crisp_table7'?"),
        (
            ["crisp_table7", "--set", "learner.asrp=true"],
            "--set learner.asrp=true: no such key of any learner of sweep",
        ),
        (["crisp_table7", "--set", "schedule.x=1"], "sweep crisp_table7: row eclipse: schedule.x: 1: no such key"),
        (["crisp_table7", "--scenario", "synthetic-20-4", "--seeds", "1,1"], "names a seed twice"),
        (["crisp_parts", "--set", "runtime.seed=3"], "runtime.seed=3: a sweep runs every row with the same seeds; use"),
        (
            ["crisp_parts", "--set", "learner.num_prompts=0"],
            "row eclipse: learner.num_prompts: 0: not possible",
        ),
        (
            ["crisp_parts", "--set", "learner.text_encoder.pretrained=none.pt"],  # of the third row
            "row crisp-isc-pi-ic: learner.text_encoder.pretrained: 'none.pt': neither a file nor a tag",
        ),
        (["crisp_parts", "--set", "runtime.runs=x"], "runtime.runs: 'x': the runs of a table lie together; use --runs"),
        (["crisp_table7", "--preset", "x"], "preset: 'x' does not exist; choose one of comformer_paper, crisp_code, "),
    ],
)
def test_mistakes_are_one_line_and_start_nothing(engine, tmp_path, words, says):
    result = call(*words, runs=tmp_path)
    assert (result.exit_code, engine.ran) == (2, [])
    assert len(result.stderr.splitlines()) == 1
    assert says in result.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rows = [", "is not a TOML file"),
        ('[[rows]]\nname="a"', "scenario: "),
        ('scenario="s"\nrows=[]', "rows: []: "),
        ('scenario="s"\n[[rows]]\nname="a"', "rows: a: learner: is missing; give it here or above all rows"),
        ('scenario="s"\n[[rows]]\nname="a"\nlearnr="x"', "rows.0.learnr: 'x': no such key; did you mean 'learner'?"),
        ('scenario="s"\nlearner="l"\n[[rows]]\nname="a"\n[[rows]]\nname="a"', "rows: name: 'a': stands twice"),
    ],
)
def test_what_does_not_fit_in_a_file_is_named_with_the_file(tmp_path, text, says):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        read_sweep(str(file))
    assert str(caught.value).startswith(f"{file}: {says}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[marks]\nX="learner.arrsp"\n[[rows]]\nname="a"', "marks: X: 'learner.arrsp': no row has this key"),
        ('[[rows]]\nname="a"\nsettings=["runtime.seed=1"]', "runtime.seed=1: a sweep runs every row with the same"),
    ],
)
def test_a_mark_or_a_seed_without_effect_is_refused(tmp_path, text, says):
    file = tmp_path / "mine.toml"
    file.write_text(f'scenario="synthetic-20-4"\nlearner="crisp"\n{text}')
    with pytest.raises(UserError, match=f"sweep mine: {says}"):
        plan(read_sweep(str(file)), [0, 1])


def test_a_finished_row_is_shown_though_it_could_not_be_made_again(engine, tmp_path):
    """Its text encoder's weights may have gone since."""
    rows = tmp_path / "synthetic-20-4" / "mask2former_tiny"
    for name in ("crisp-isc-pi-ic", "crisp-arsp-pi-ic", "crisp-arsp-isc-ic", "crisp-arsp-isc-pi", "crisp"):
        (rows / name / "seed0").mkdir(parents=True)
        (rows / name / "seed0" / "metrics.json").write_text("{}")
    result = call("crisp_parts", "--set", "learner.text_encoder.pretrained=none.pt", runs=tmp_path)
    assert result.exit_code == 0, result.stderr
    assert len(engine.ran) == 7


def test_a_sweep_on_real_runs_is_what_compare_shows(stream, tmp_path):
    file = tmp_path / "two.toml"
    rows = '[[rows]]\nname="plain"\nlearner="finetune"\n[[rows]]\nname="parts"\nsettings=["learner.isc=false"]\n'
    file.write_text(f'scenario="{stream}"\nlearner="crisp"\n[marks]\nISC="learner.isc"\n{rows}')
    small = settings(stream, tmp_path).model_dump()
    keys = ("sampling.short_sides", "schedule.batch_size", "runtime.loggers", "segmenter.num_queries")
    keys += ("schedule.base.iterations", "schedule.incremental.iterations")
    values = {key: small[key.split(".")[0]][key.split(".")[1]] for key in keys[:4]}
    values |= {"schedule.base.iterations": 2, "schedule.incremental.iterations": 1, "learner.num_prompts": 3}
    words = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
    results = [call(str(file), "--device", "cpu", *words, runs=tmp_path / "runs") for _ in range(2)]
    assert results[0].exit_code == 0, results[0].stderr
    assert "is complete already" in results[1].stderr
    assert results[0].stdout == results[1].stdout
    table = CliRunner().invoke(app, ["compare", str(tmp_path / "runs"), "--metric", "mAP", "--json"])
    names = {row["learner"] for row in json.loads(table.stdout)["groups"][0]["blocks"][0]["rows"]}
    assert names == {"plain", "parts"}
