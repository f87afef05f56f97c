"""What is said of a whole run while it is at work."""

import logging

import torch

from cvis.engine.progress import Work, progress
from cvis.engine.whole import Whole, header, whole
from cvis.runs.open import scenario_of


def test_what_follows_a_step_takes_as_long_as_what_was_measured():
    run = Whole(iterations=(100, 50, 50), test_videos=8)
    first = run.training(0, [])
    assert first == Work("step 0 (1 of 3) train", more=100, seconds=None)
    assert first.left(10.0, 0.5) == ", whole run more than 1:00"  # 10 + 100 x 0.5 s, and tests of unknown length
    later = run.training(1, [{"eval_s": 7.0}])
    assert later == Work("step 1 (2 of 3) train", more=50, seconds=14.0)  # the test of this step and of the next
    assert later.left(10.0, 0.5) == ", whole run 0:49"
    assert run.testing(2, 25.0, first=0) == Work("steps 0 to 2 test")
    assert run.testing(1, train_s=25.0, first=1) == Work("step 1 (2 of 3) test", more=8, seconds=25.0)
    assert Work("predict").left(10.0, 1.0) == ""


def test_plain_lines_have_both_times(monkeypatch):
    said = []
    monkeypatch.setattr(logging.getLogger("cvis"), "info", lambda text, *values: said.append(text % values))
    with progress(Work("step 1 (2 of 3) train", more=4, seconds=60.0), total=2, lines=2) as update:
        update("loss 1.0")
        update("loss 0.5")
    assert [message[:42] for message in said] == [
        "step 1 (2 of 3) train 1/2 loss 1.0 eta 0:0",
        "step 1 (2 of 3) train 2/2 loss 0.5 eta 0:0",
    ]
    assert all(message.endswith(", whole run 1:00") for message in said)


def test_the_header_says_what_on_what_and_where(stream, tmp_path):
    from tiny import settings

    config = settings(stream, tmp_path)
    scenario = scenario_of(config.model_dump())
    said = header(config, scenario, tmp_path / "folder", torch.device("cpu"), False)
    assert said.startswith("finetune with mask2former_tiny on tiny, seed 0: 3 steps, 4 classes\ndevice cpu, threads: ")
    assert said.endswith(f"; folder {tmp_path}/folder")
    assert whole(config, scenario, scenario).iterations == (6, 4, 4)
    assert whole(config, scenario, scenario.merged()).iterations == (14,)
