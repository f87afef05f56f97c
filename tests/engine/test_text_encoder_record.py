"""What a learner says of its text encoder reaches run.json, metrics.json and the log, and holds across a resume."""

import json
import logging

import pytest
from tiny import settings

from cvis.engine.run import run
from cvis.errors import UserError

PLUGIN = """
from cvis.learners.finetune import FineTune

class Spoken(FineTune):
    def describe(self):
        return {"text_encoder": {"model": "tiny", "pretrained": "random", "sha256": %s}}
"""


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "spoken.py"
    path.write_text(PLUGIN % None)
    return path


def test_a_random_text_encoder_is_recorded_and_logged(stream, plugin, tmp_path, caplog):
    config = settings(stream, tmp_path, f"{plugin}:Spoken", "schedule.base.iterations=1", name="spoken")
    with caplog.at_level(logging.INFO, logger="cvis"):
        folder = run(config)
        run(config)
    said = [record.getMessage() for record in caplog.records if "[random text encoder]" in record.getMessage()]
    start, *steps, end, again = said
    assert start == "text encoder: tiny, random weights [random text encoder]"
    assert [line.split(":")[0] for line in steps] == [f"step {i} [random text encoder]" for i in range(len(steps))]
    assert end.startswith("done [random text encoder]: mAP")
    assert again.endswith("is complete already [random text encoder]")
    expected = {"model": "tiny", "pretrained": "random", "sha256": None}
    for name in ("run.json", "metrics.json", *(f"step{i}/metrics.json" for i in range(len(steps)))):
        assert json.loads((folder / name).read_text())["text_encoder"] == expected
    assert "text_encoder" not in json.loads((folder / "metrics.json").read_text())["protocol"]

    (folder / "step2" / "metrics.json").unlink()  # as if it had been interrupted, and the weight file changed
    (folder / "metrics.json").unlink()
    plugin.write_text(PLUGIN % "'other'")
    with pytest.raises(UserError, match=r"run\.json: text_encoder: this run was begun with .*put those weights back"):
        run(config)


def test_a_learner_without_one_records_none(finished):
    for name in ("run.json", "metrics.json", "step0/metrics.json"):
        assert json.loads((finished / name).read_text())["text_encoder"] is None
