"""A learner whose model is on a GPU leaves no tensor on the CPU; found out without a GPU.

All tensors are on the CPU. Those that a program takes for a GPU's are known by their storage, say "cuda" when asked for
their device, and may meet no others in a call, but numbers and where values are copied: CUDA's rule, or stricter.
"""

from __future__ import annotations

import pytest
import torch
from tiny import settings
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from cvis.engine.train import training_clips
from cvis.learners import LEARNERS, build_learner
from cvis.scenario import load_scenario
from cvis.segmenters import build_segmenter

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
CROSSING = (Tensor.copy_, Tensor.data.__set__, torch._C._nn._parse_to, torch._has_compatible_shallow_copy_type)
"""What copies values from device to device, or is needed to move a module."""


class PretendedGPU(TorchFunctionMode):
    """While it is in force, tensors can be on ``cuda``, and mixing devices raises."""

    def __init__(self) -> None:
        super().__init__()
        self.storages: dict[int, StorageWeakRef] = {}  # a weak reference keeps the number from being used again

    def has(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage()._cdata in self.storages

    def put(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        self.storages[storage._cdata] = StorageWeakRef(storage)
        return tensor

    def __torch_function__(self, function, types, args=(), kwargs=None):
        leaves = tree_leaves((args, kwargs or {}))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        model = tensors[1:] if function == Tensor.to else []  # a tensor that says where to go
        tensors = tensors[: len(tensors) - len(model)]
        on_gpu = any(map(self.has, tensors))
        if function == Tensor.device.__get__:
            return GPU if on_gpu else CPU
        if function in CROSSING:
            return function(*args, **(kwargs or {}))
        on_cpu = function == Tensor.numpy or any(tensor.dim() and not self.has(tensor) for tensor in tensors)
        if on_gpu and on_cpu:
            raise RuntimeError(f"{getattr(function, '__name__', function)}: tensors on {CPU} and on {GPU}")
        asked = [leaf for leaf in leaves if isinstance(leaf, torch.device)] + [CPU] * (function == Tensor.cpu)
        asked += [GPU if self.has(tensor) else CPU for tensor in model]
        args, kwargs = tree_map(lambda leaf: CPU if isinstance(leaf, torch.device) else leaf, (args, kwargs or {}))
        result = function(*args, **kwargs)
        to_gpu = asked[0] == GPU if asked else on_gpu
        if asked and tensors and to_gpu != on_gpu and self.has(result) == on_gpu:
            result = result.clone()  # moved in name only: the result is the tensor itself
        for tensor in tree_leaves(result) if to_gpu else ():
            if isinstance(tensor, Tensor):
                self.put(tensor)
        return result


def test_the_pretended_gpu_is_like_one():
    with PretendedGPU():
        here, there = torch.ones(3), torch.ones(3, device=GPU)
        part = there[:2].exp().mean()
        assert here.device == torch.zeros_like(here).device == there.cpu().device == here.to(GPU).to(CPU).device == CPU
        assert there.device == here.to(GPU).device == part.device == there.new_tensor([1]).device == GPU
        assert (there.sum() * torch.tensor(2)).device == GPU  # a number of the CPU is welcome
        model = torch.nn.Linear(3, 2).to(GPU)
        model(there).sum().backward()
        assert model.weight.device == model.weight.grad.device == GPU
        here.copy_(there)
        for forbidden in (
            lambda: here + there,
            lambda: torch.cat([here, there]),
            lambda: here * part,
            lambda: there[torch.tensor([0])],
            lambda: model(here),
            lambda: torch.where(there > 0, here, there),
            lambda: there.numpy(),
        ):
            with pytest.raises(RuntimeError, match="tensors on cpu and on cuda:0"):
                forbidden()


FORMS = [
    *[(name,) for name in LEARNERS.names()],
    ("mib", "protocol.freeze=none"),
    ("comformer", "learner.soft_masks=true"),
    ("balconpas", "learner.tracks_per_class=2"),
    ("eclipse", "learner.classification=sigmoid_focal"),
]


@pytest.mark.parametrize("form", FORMS, ids=" ".join)
def test_every_learner_keeps_to_its_device(stream, tmp_path, form):
    """Steps 0 and 1 as the engine takes them: begin, loss and gradient, end, prediction, on the device of the model."""
    learner_name, *overrides = form
    if learner_name in ("eclipse", "crisp", "anchor", "anchor_joint"):
        overrides.append("learner.num_prompts=2")
    config = settings(stream, tmp_path, learner_name, *overrides)
    scenario = load_scenario(str(stream))
    segmenter = build_segmenter(config.segmenter)
    with PretendedGPU():
        learner = build_learner(config.learner, segmenter).to(GPU)
        for task in learner.stream(scenario)[:2]:
            learner.eval()
            if not task.is_base and config.protocol.freeze == "backbone":
                segmenter.freeze_backbone()
            learner.begin_task(task)
            learner.to(GPU)
            learner.train()
            clip = next(training_clips(learner, task, config, CPU, iterations=1))
            losses = learner(clip.to(GPU))
            assert all(loss.device == GPU and loss.isfinite() for loss in losses.values())
            torch.stack(list(losses.values())).sum().backward()
            learner.eval()
            learner.end_task(task)
            with torch.inference_mode():
                learner.predict(scenario.test.videos[0])
        assert all(value.device == GPU for value in learner.state_dict().values() if value.dim())
