"""``cvis predict-test``: the test of a step again, whole or in shards."""

import json

import pytest
from typer.testing import CliRunner

from cvis.cli.app import app

CLI = CliRunner()


def predict_test(*arguments):
    return CLI.invoke(app, ["predict-test", *map(str, arguments), "--device", "cpu"])


def test_shards_merge_into_what_one_process_makes(finished, tmp_path):
    """To the byte; a shard that is missing is named."""
    out = ("--step", 1, "--out", tmp_path)
    for shard in ("3/3", "1/3"):
        assert predict_test(finished, *out, "--shard", shard).exit_code == 0
    early = predict_test(finished, *out, "--merge")
    assert (early.exit_code, early.stderr) == (
        2,
        f"cvis: {tmp_path}: missing: 2/3; predict them first, with --shard 2/3\n",
    )
    assert predict_test(finished, *out, "--shard", "2/3").exit_code == 0
    merged = predict_test(finished, *out, "--merge", "--json")
    assert merged.exit_code == 0, merged.output
    for name in ("predictions.json.gz", "digest.npz"):
        assert (tmp_path / name).read_bytes() == (finished / "step1" / name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digest.npz", "predictions.json.gz"]
    found = json.loads(merged.stdout)
    assert found.pop("predictions") == str(tmp_path / "predictions.json.gz")
    stored = json.loads((finished / "step1" / "metrics.json").read_text())
    assert found == {key: stored[key] for key in found}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--shard", "4/3"), "--shard 4/3: is not K/N with K from 1 to N"),
        (("--shard", "1/3", "--merge"), "--merge: not together with --shard"),
        (("--merge",), "test-step2: no shard; give all --shard 1/n to n/n of one n"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(finished, arguments, says):
    result = predict_test(finished, *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
