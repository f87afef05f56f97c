"""Numbers that rest on random text features say so wherever they are shown, and mix with no others."""

import json

import pytest
from run_folders import write_run
from typer.testing import CliRunner

from cvis.cli import app
from cvis.errors import UserError
from cvis.report import comparison, load_runs
from cvis.report.result_tables import ResultTables
from cvis.runs.metrics_file import read_run

TINY = {"model": "tiny", "pretrained": "random", "sha256": None}
RANDOM_B32 = {"model": "ViT-B-32-quickgelu", "pretrained": "random", "sha256": None}
OPENAI = {"model": "ViT-B-32-quickgelu", "pretrained": "openai", "sha256": "ab" * 32}
COPY = {**OPENAI, "pretrained": "/weights/clip.pt"}


def rows(*roots):
    (group,) = comparison(load_runs(roots).runs)
    (block,) = group.blocks  # whatever the encoder, the protocol is the same: they may be compared
    return block.rows


def show(*arguments):
    result = CliRunner().invoke(app, ["compare", *map(str, arguments)])
    assert result.exit_code == 0
    return result.stdout


def test_a_random_encoder_is_in_the_rows_name_and_explained_below(tmp_path):
    write_run(tmp_path, "crisp", text_encoder=TINY)
    write_run(tmp_path, "eclipse", text_encoder=None)
    for printed in (show(tmp_path), show(tmp_path, "--per-step")):
        names = [line.split("  ")[0].strip() for line in printed.splitlines()]
        assert "crisp [random text encoder]" in names
        assert "eclipse" in names
        assert printed.count("class names went through a text model with random weights") == 1


def test_nothing_is_said_of_encoders_where_none_is_random(tmp_path):
    write_run(tmp_path, "crisp", text_encoder=OPENAI)
    write_run(tmp_path, "finetune")
    printed = show(tmp_path)
    assert "encoder" not in printed
    assert [row.name for row in rows(tmp_path)] == ["crisp", "finetune"]


def test_json_carries_the_encoder(tmp_path):
    write_run(tmp_path, "crisp", text_encoder=TINY)
    write_run(tmp_path, "finetune")
    (group,) = ResultTables(comparison(load_runs([tmp_path]).runs)).content()["groups"]
    assert [row["text_encoder"] for row in group["blocks"][0]["rows"]] == [TINY, None]
    assert json.loads(show(tmp_path, "--json"))["groups"] == [group]


def test_one_learner_with_several_encoders_makes_several_rows(tmp_path):
    encoders = {"a": None, "b": TINY, "c": RANDOM_B32, "d": OPENAI}
    for i, (folder, encoder) in enumerate(encoders.items()):
        write_run(tmp_path / folder, "crisp", mAP=10.0 * i, text_encoder=encoder)
    found = {row.name: row.cells["mAP"].mean for row in rows(tmp_path)}
    assert found == {
        "crisp [no text encoder]": 0.0,
        "crisp [random text encoder, tiny]": 10.0,
        "crisp [random text encoder, ViT-B-32-quickgelu]": 20.0,
        "crisp [openai, ViT-B-32-quickgelu, abababab]": 30.0,
    }


def test_one_weight_file_under_two_paths_is_one_encoder(tmp_path):
    write_run(tmp_path, "crisp", seed=0, mAP=10.0, text_encoder=OPENAI)
    write_run(tmp_path, "crisp", seed=1, mAP=20.0, text_encoder=COPY)
    (row,) = rows(tmp_path)
    assert (row.name, row.seeds, row.cells["mAP"].mean) == ("crisp", (0, 1), 15.0)


def test_runs_that_differ_in_the_encoder_only_are_no_copies_of_each_other(tmp_path):
    write_run(tmp_path / "a", "crisp", text_encoder=TINY)
    write_run(tmp_path / "b", "crisp", text_encoder=OPENAI)
    write_run(tmp_path / "c", "crisp", text_encoder=TINY)
    store = load_runs([tmp_path])
    assert [run.text_encoder.is_random for run in store.runs] == [True, False]
    assert [item.path.parts[-6] for item in store.left_out] == ["c"]


@pytest.mark.parametrize("wrong", ["random", {"model": "tiny"}, {**TINY, "sha256": 3}])
def test_a_damaged_record_is_refused(tmp_path, wrong):
    folder = write_run(tmp_path, "crisp", text_encoder=wrong)
    with pytest.raises(UserError, match=r"metrics\.json: text_encoder: .* is not what schema 1 has there"):
        read_run(folder / "metrics.json")
