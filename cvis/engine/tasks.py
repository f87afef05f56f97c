"""Where a step begins and where it ends, and what a learner must have kept to: what resume rests on."""

from __future__ import annotations

import zlib
from typing import Any

import torch
from mmengine.dist import all_gather_object, get_world_size
from torch import Tensor, nn

from cvis.engine.config import Config
from cvis.engine.environment import derive_seed, seed_everything
from cvis.errors import UserError
from cvis.learners import Learner
from cvis.scenario import Task


def begin_task(learner: Learner, task: Task, config: Config, device: torch.device) -> None:
    """The learner's ``begin_task``, from a seed of its own, with a backbone that is frozen already.

    Raises:
        UserError: the segmenter does not know the step's classes afterwards.
    """
    seed_everything(derive_seed(config.runtime.seed, "begin", task.index))
    learner.eval()  # whatever ran before: a resumed run must find the mode of an uninterrupted one
    if not task.is_base and config.protocol.freeze == "backbone":
        learner.segmenter.freeze_backbone()
    learner.begin_task(task)
    learner.to(device)
    missing = [category for category in task.new_classes if category not in learner.segmenter.classes]
    if missing:
        what = f"step {task.index}: {type(learner).__name__}.begin_task: the segmenter does not know classes {missing}"
        remedy = "call super().begin_task(task) in it, or self.segmenter.add_classes(task.new_classes)"
        raise UserError(f"{what} afterwards; {remedy}")
    check_alike(learner, f"step {task.index}: {type(learner).__name__}.begin_task")


def end_task(learner: Learner, task: Task, config: Config) -> None:
    """The learner's ``end_task``, from a seed of its own.

    Raises:
        StateError: it makes state that ``begin_task`` does not make, which a resumed run would not have.
    """
    seed_everything(derive_seed(config.runtime.seed, "end", task.index))
    learner.eval()
    before = entries(learner)
    learner.end_task(task)
    check_entries(learner, before, "end_task")
    check_alike(learner, f"step {task.index}: {type(learner).__name__}.end_task")


def check_alike(learner: nn.Module, where: str) -> None:
    """That all processes have the same parameters and buffers, to the last bit: what is stored is the first one's.

    Raises:
        StateError: names the first that differs.
    """
    if get_world_size() == 1:
        return
    of_all = all_gather_object({name: _checksum(value) for name, value in learner.state_dict().items()})
    for name in {name: None for sums in of_all for name in sums}:
        differing = [rank for rank, sums in enumerate(of_all) if sums.get(name) != of_all[0].get(name)]
        if differing:
            what = f"{where}: {name!r}: is another in process {differing[0]} than in process 0"
            remedy = "make it from seed and data that all have, or share it (all_reduce; of BatchNorm: SyncBatchNorm)"
            raise StateError(f"{what}; {remedy}")


class StateError(UserError):
    """State that a resumed run, or another process, would not have."""


Entries = dict[str, tuple[Any, tuple[int, ...] | None]]


def entries(learner: nn.Module) -> Entries:
    """Of everything in the state: the parameter itself (a buffer may be replaced), and its shape."""
    state = learner.state_dict(keep_vars=True)
    return {name: (v if isinstance(v, nn.Parameter) else None, _shape(v)) for name, v in state.items()}


def check_entries(learner: nn.Module, before: Entries, method: str) -> None:
    """That ``method`` has changed values only: what it makes, no optimiser trains and no resumed run rebuilds.

    Raises:
        StateError: names the first entry that is new, has another shape, or is another parameter than before.
    """
    for name, (parameter, shape) in entries(learner).items():
        says = f"{type(learner).__name__}.{method}: {name!r}"
        if name not in before:
            kind = "buffer" if parameter is None else "parameter, which no optimiser trains"
            remedy = "make it in __init__ or begin_task, of a shape that depends on the task alone"
            raise StateError(f"{says}: is a new {kind}, and a resumed run would not have it; {remedy}")
        known, old = before[name]
        if shape != old:
            remedy = "shapes may depend on the tasks seen, not on their data; give it its full size in begin_task"
            raise StateError(f"{says}: has the shape {_text(shape)}, not {_text(old)} as begin_task left it; {remedy}")
        if parameter is not known:
            remedy = "change its values in place: with torch.no_grad(): parameter.copy_(values)"
            raise StateError(
                f"{says}: is another parameter than the one in training, which has no effect now; {remedy}"
            )


def _shape(value: Any) -> tuple[int, ...] | None:
    """None: no tensor, or one that waits for its first batch (nn.LazyLinear)."""
    known = isinstance(value, Tensor) and not isinstance(value, (nn.UninitializedParameter, nn.UninitializedBuffer))
    return tuple(value.shape) if known else None


def _checksum(value: Any) -> int | None:
    """Of the bits of a tensor that has some; of all else there is none."""
    if _shape(value) is None:
        return None
    return zlib.crc32(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())


def _text(shape: tuple[int, ...] | None) -> str:
    return "open" if shape is None else str(list(shape))
