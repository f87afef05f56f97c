"""Two real processes that share each batch learn what one process with all of it learns."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from two_processes import LEARNERS, losses_and_gradients

SCRIPT = Path(__file__).with_name("two_processes.py")


@pytest.fixture(scope="module")
def of_one():
    return losses_and_gradients()


@pytest.fixture(scope="module")
def of_two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT)]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(folder)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=600)[0].decode() for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)
    return [torch.load(folder / f"{rank}.pth") for rank in range(2)]


@pytest.mark.parametrize("name", LEARNERS)
def test_losses_and_gradients_are_those_of_one_process(of_one, of_two, name):
    """Also where a process sees no object, and in another padding; all draw the same numbers afterwards."""
    for key, (loss, gradients, drawn) in of_one.items():
        if not key.startswith(f"{name},"):
            continue
        largest = max(value.abs().max() for value in gradients.values())
        for process in of_two:
            other, theirs, also_drawn = process[key]
            assert other.item() == pytest.approx(loss.item(), rel=1e-7), key  # some terms are in single precision
            for parameter, value in gradients.items():
                assert (theirs[parameter] - value).abs().max() <= 1e-9 * largest, f"{key}: {parameter}"
            assert also_drawn == drawn, key


def test_what_would_part_the_processes_is_refused_by_name(of_two):
    for process in of_two:
        mean, idle = process["refused"]
        assert mean.startswith("training: 'segmenter.seen.running_mean': is another in process 1 than in process 0; ")
        assert idle.startswith(
            "step 1: 'idle' has no part in the loss of these clips, though FineTune and Mask2Former "
        )
