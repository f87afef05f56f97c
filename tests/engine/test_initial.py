"""Step 0 starts from what an earlier run left behind; a damaged file of a run says so in our own words."""

import shutil

import pytest
import torch

from cvis.engine import checkpoint
from cvis.engine.initial import init_identity, load_initial
from cvis.errors import UserError
from cvis.runs.open import open_run
from cvis.segmenters import build_segmenter


def test_a_run_or_one_of_its_steps_is_where_step_0_begins(finished):
    config = open_run(finished).config["segmenter"]
    for init, steps in ((finished, 3), (finished / "step2", 3), (finished / "step0", 1)):
        segmenter = build_segmenter(config)
        report = load_initial(segmenter, str(init))
        state = checkpoint.overlay([finished / f"step{t}" / "model.pth" for t in range(steps)])
        for name, value in segmenter.state_dict().items():
            assert torch.equal(value, state[f"segmenter.{name}"]), name
        assert report.source == str(init)
        assert any(key.startswith("class_heads") for key in report.unexpected)  # of that run's classes
        assert not {*report.matched} & {*report.unexpected}
    assert (
        init_identity(str(finished)) == init_identity(str(finished / "step2")) != init_identity(str(finished / "step0"))
    )
    assert len(init_identity(str(finished))) == 64
    assert init_identity("random") == "random"


def test_a_folder_without_a_model_is_refused(tmp_path, finished):
    (tmp_path / "step1").mkdir()
    for folder in (tmp_path, tmp_path / "step1"):
        with pytest.raises(UserError, match="holds no model of a run"):
            load_initial(build_segmenter(open_run(finished).config["segmenter"]), str(folder))


def test_a_damaged_checkpoint_is_not_unpickled_and_nobody_is_told_to(tmp_path, finished):
    shutil.copy(finished / "step0" / "model.pth", tmp_path / "model.pth")
    torch.save({"state": build_segmenter}, tmp_path / "code.pth")  # a function: more than tensors
    (tmp_path / "model.pth").write_bytes(b"no zip file")
    for name in ("model.pth", "code.pth"):
        with pytest.raises(UserError) as error:
            checkpoint.load(tmp_path / name, state=dict)
        assert "is not a readable checkpoint (it is damaged, or holds more than tensors" in str(error.value)
        assert "weights_only" not in str(error.value)
