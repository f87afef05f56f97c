"""What a GPU asks of a run: which one, whose loading processes, which precision, whose generators."""

from __future__ import annotations

import logging
import os

import pytest
import torch
from compared_runs import assert_same_run
from tiny import settings
from torch import Tensor
from torch.utils.data._utils.pin_memory import pin_memory

from cvis.engine import train
from cvis.engine.environment import count_workers, restore_rng_state, rng_state, select_device, use_amp
from cvis.engine.run import run
from cvis.errors import UserError
from cvis.learners import build_learner
from cvis.scenario import load_scenario
from cvis.segmenters import build_segmenter
from cvis.types import Clip, Targets

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def four_gpus(monkeypatch):
    """A node with four GPUs that compute bf16, and eight CPUs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old GPU")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE", "SLURM_LOCALID"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(("launcher", "index"), [("none", 0), ("pytorch", 1), ("slurm", 2)])
def test_only_the_launcher_in_use_says_which_gpu(four_gpus, launcher, index):
    """A shell inside an allocation of SLURM has its variables too, and may be anybody's second process."""
    four_gpus.setenv("LOCAL_RANK", "1")
    four_gpus.setenv("SLURM_LOCALID", "2")
    assert select_device("auto", launcher) == select_device("cuda", launcher) == torch.device("cuda", index)
    assert select_device("cpu", launcher) == CPU


def test_more_processes_than_gpus_are_refused_in_one_line(four_gpus):
    four_gpus.setenv("SLURM_LOCALID", "4")
    with pytest.raises(UserError, match=r"^runtime\.device: 'cuda': process 4 of this node finds no GPU .* the 4 that"):
        select_device("cuda", "slurm")


def test_bf16_is_for_gpus_that_have_it(four_gpus, caplog):
    modes = ("auto", "bf16", "off")
    assert [use_amp(amp, GPU) for amp in modes] == [True, True, False]
    assert [use_amp(amp, CPU) for amp in modes] == [False, True, False]
    four_gpus.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    with caplog.at_level(logging.WARNING):
        assert [use_amp(amp, GPU) for amp in ("auto", "off")] == [False, False]
    assert [record.message for record in caplog.records] == [
        "Old GPU computes no bf16: everything is computed in fp32, which is slower and takes more memory"
    ]
    with pytest.raises(UserError, match=r"^runtime\.amp: 'bf16': Old GPU computes no bf16; use --set runtime\.amp=off"):
        use_amp("bf16", GPU)


def test_a_gpu_gets_the_cpus_of_its_process(four_gpus):
    assert count_workers(None, CPU, "none") == 0
    assert count_workers(None, GPU, "none") == 8
    assert count_workers(0, GPU, "none") == 0
    assert count_workers(5, CPU, "none") == 5
    four_gpus.setenv("LOCAL_WORLD_SIZE", "3")
    assert count_workers(None, GPU, "none") == 8  # not torchrun's process, though in a shell that it made
    assert count_workers(None, GPU, "pytorch") == 2
    four_gpus.setenv("LOCAL_WORLD_SIZE", "16")
    assert count_workers(None, GPU, "pytorch") == 1
    four_gpus.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    assert count_workers(None, GPU, "slurm") == 8


def test_the_loader_of_a_gpu_has_workers_and_pins_its_batches(four_gpus, stream, tmp_path, monkeypatch):
    config = settings(stream, tmp_path)
    learner = build_learner(config.learner, build_segmenter(config.segmenter))
    task = load_scenario(str(stream))[0]
    asked = []

    def make_loader(clips, sampler, workers, pin_memory):
        asked.append((workers, pin_memory))
        return []

    monkeypatch.setattr(train, "make_loader", make_loader)
    for device in (CPU, GPU):
        list(train.training_clips(learner, task, config, device, iterations=1))
    assert asked == [(0, False), (8, True)]


def test_torch_pins_and_moves_every_tensor_of_a_batch(monkeypatch):
    """The loader knows tensors, and what has the method; of another value it would pin nothing and say nothing."""
    pinned, moved = [], []
    monkeypatch.setattr(Tensor, "pin_memory", lambda self: pinned.append(self) or self + 1)
    targets = Targets(torch.tensor([3]), torch.zeros(1, 2, 4, 4, dtype=torch.bool))
    clip = Clip(torch.zeros(1, 2, 3, 4, 4), torch.tensor([[4, 4]]), (targets,), ("v",))
    there = pin_memory(clip)
    assert isinstance(there, Clip)
    assert (there.frames.sum(), there.sizes.tolist(), there.names) == (96, [[5, 5]], ("v",))
    assert len(pinned) == 4
    monkeypatch.setattr(Tensor, "to", lambda self, device, **how: moved.append((device, how)) or self)
    clip.to(GPU, non_blocking=True)
    assert moved == [(GPU, {"non_blocking": True})] * 4


def test_the_number_of_workers_changes_no_result(stream, finished, tmp_path):
    assert_same_run(finished, run(settings(stream, tmp_path, "finetune", "runtime.workers=2")))


def test_of_several_gpus_the_generator_of_the_one_in_use_is_kept(monkeypatch):
    """A run begun on the fourth GPU of one machine goes on on the only one of another."""
    generators = {device: torch.full((16,), device.index, dtype=torch.uint8) for device in map(_gpu, range(4))}
    monkeypatch.setattr(torch.cuda, "get_rng_state", generators.__getitem__)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: generators.__setitem__(device, state))
    for several in ("get_rng_state_all", "set_rng_state_all"):
        monkeypatch.delattr(torch.cuda, several)
    state = rng_state(_gpu(3))
    restore_rng_state(state, _gpu(0))
    assert [int(generators[_gpu(k)][0]) for k in range(4)] == [3, 1, 2, 3]


def _gpu(index: int) -> torch.device:
    return torch.device("cuda", index)
