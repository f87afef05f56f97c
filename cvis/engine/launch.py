"""Several processes of one run: joined before anything else happens, then training one model."""

from __future__ import annotations

import atexit
import os

import torch
from mmengine.dist import all_reduce, init_dist, is_distributed
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from cvis.data.clips import padded
from cvis.engine.tasks import check_alike
from cvis.errors import UserError
from cvis.learners import Learner
from cvis.types import Clip


def join_processes(launcher: str, device: torch.device) -> None:
    """Make this process one of the group that ``launcher`` (none, pytorch, slurm) started.

    Raises:
        UserError: the launcher did not start this process, or cannot without CUDA.
    """
    if launcher == "none" or is_distributed():
        return
    if launcher == "pytorch" and "RANK" not in os.environ:
        raise UserError("runtime.launcher: 'pytorch': not started by torchrun; use torchrun --no-python cvis run ...")
    if launcher == "slurm" and "SLURM_PROCID" not in os.environ:
        raise UserError("runtime.launcher: 'slurm': not started by srun; use srun cvis run ...")
    if device.type == "cuda":
        init_dist(launcher, backend="nccl")
    elif launcher == "pytorch":  # mmengine would look for a GPU
        torch.distributed.init_process_group("gloo")
        atexit.register(_leave)
    else:
        raise UserError("runtime.launcher: 'slurm': needs CUDA devices; use torchrun and --launcher pytorch on CPUs")


def _leave() -> None:
    """The threads of a group must not outlive the interpreter."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def distribute(learner: Learner, device: torch.device) -> nn.Module:
    """The learner with its gradients averaged over all processes; itself where there is one."""
    if not is_distributed():
        return learner
    devices = [torch.cuda.current_device()] if device.type == "cuda" else None
    # Buffers are the same in all processes: cvis.engine.tasks.check_alike
    return DistributedDataParallel(
        learner, devices, broadcast_buffers=False, find_unused_parameters=not has_static_graph(learner)
    )


def has_static_graph(learner: Learner) -> bool:
    """Whether both the method and its model say so."""
    return learner.static_graph and learner.segmenter.static_graph


def check_processes(learner: Learner, where: str, first: bool) -> None:
    """What several processes rest on, after the backward pass.

    Args:
        first: compare their states too, in which this pass may have left what it saw of the clips of one process.

    Raises:
        UserError: names a parameter that the graph did not reach in this process though it was said to be static, so
            that the others wait for its gradient; or a buffer that is another in another process.
    """
    if not is_distributed():
        return
    if has_static_graph(learner):
        missing = next((name for name, p in learner.named_parameters() if p.requires_grad and p.grad is None), None)
        if missing is not None:
            kinds = f"{type(learner).__name__} and {type(learner.segmenter).__name__}"
            what = f"{where}: {missing!r} has no part in the loss of these clips, though {kinds} say static_graph"
            raise UserError(f"{what}; set static_graph = False in the class that brings it")
    if first:
        check_alike(learner, f"{where}: training")


def as_one_batch(clip: Clip) -> Clip:
    """This process's clips, padded as if one process had all clips of the batch.

    It costs no time: all processes wait for the one with the largest frames.
    """
    if not is_distributed():
        return clip
    size = torch.tensor(clip.frames.shape[-2:])
    all_reduce(size, "max")
    return padded(clip, *size.tolist())
