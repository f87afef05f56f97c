"""Several processes of one run: joined before anything else happens, then training one model."""

from __future__ import annotations

import os

import torch
from mmengine.dist import init_dist, is_distributed
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from cvis.errors import UserError


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
    else:
        raise UserError("runtime.launcher: 'slurm': needs CUDA devices; use torchrun and --launcher pytorch on CPUs")


def distribute(model: nn.Module, device: torch.device) -> nn.Module:
    """The model with its gradients averaged over all processes; itself where there is one."""
    if not is_distributed():
        return model
    devices = [torch.cuda.current_device()] if device.type == "cuda" else None
    # A step trains some of the parameters, and each process keeps its own buffers.
    return DistributedDataParallel(model, devices, broadcast_buffers=False, find_unused_parameters=True)
