"""The machine under a run: device, random seeds, memory, and what must be recorded of them."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from cvis import __version__
from cvis.errors import UserError

PACKAGES = ("torch", "torchvision", "onedl-mmengine", "onedl-mmcv", "onedl-mmdetection", "open_clip_torch",
            "pycocotools", "numpy", "scikit-learn", "deformops")  # fmt: skip
LOCAL_RANK = {"pytorch": "LOCAL_RANK", "slurm": "SLURM_LOCALID"}
"""Where a launcher says which of a node's processes this is; of a launcher that is not in use, it says nothing."""
MOST_WORKERS = 8
OPEN_FILES = 4096
"""Loading processes hand each tensor over as an open file; the usual limit of 1024 is soon reached."""

logger = logging.getLogger("cvis")


def select_device(name: str, launcher: str = "none") -> torch.device:
    """``auto`` is CUDA where there is one; each process that ``launcher`` started on a node has a GPU of its own.

    Raises:
        UserError: CUDA was asked for and there is none, or not one for each process.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("runtime.device: 'cuda': no CUDA device is visible to torch; use --device cpu")
    if name == "cpu":
        return torch.device(name)
    index, visible = int(os.environ.get(LOCAL_RANK.get(launcher, ""), "0")), torch.cuda.device_count()
    if index >= visible:
        what = f"process {index} of this node finds no GPU of its own among the {visible} that it sees"
        raise UserError(f"runtime.device: 'cuda': {what}; start one process per GPU, each of which sees all of them")
    return torch.device("cuda", index)


def use_amp(amp: str, device: torch.device) -> bool:
    """Whether to compute in bf16, from ``runtime.amp``: on a GPU that has it, unless switched off.

    No loss is scaled: bf16 has the range of fp32.

    Raises:
        UserError: bf16 was asked for, and the GPU has none.
    """
    if amp == "off" or (amp == "auto" and device.type != "cuda"):
        return False
    if device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False):
        return True
    lacking = f"{torch.cuda.get_device_name(device)} computes no bf16"
    if amp == "bf16":
        raise UserError(f"runtime.amp: 'bf16': {lacking}; use --set runtime.amp=off, or --device cpu")
    logger.warning("%s: everything is computed in fp32, which is slower and takes more memory", lacking)
    return False


def count_workers(asked: int | None, device: torch.device, launcher: str) -> int:
    """Data-loading processes of this process, from ``runtime.workers``.

    None: one for each CPU that this process has to itself, at most eight, to keep a GPU busy; none where the CPU
    trains. torchrun's processes share the CPUs of their node; srun gives each its own.
    """
    if asked is not None:
        return asked
    if device.type == "cpu":
        return 0
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if launcher == "pytorch" else 1
    return max(1, min(MOST_WORKERS, available_cpus() // processes))


def available_cpus() -> int:
    """CPUs that this process may use; where the system does not tell, all of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def derive_seed(*parts: object) -> int:
    """A 63-bit seed that depends on every part: independent streams for steps, data and models."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch: called once before each phase of a step, so that phases are replayable."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextmanager
def determinism(wanted: bool) -> Iterator[None]:
    """Within, torch takes algorithms that give the same bits again, where it has them, and warns where it has not.

    On a CPU, with one number of threads, it has them for everything, and takes them anyway. cuBLAS reads its variable
    when it is first used, so this comes before any work on a GPU.
    """
    if not wanted:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.benchmark = benchmark


def settle_process() -> None:
    """Make this process fit for training: no threads of OpenCV beside torch's, and open files enough for workers."""
    cv2.setNumThreads(0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def rng_state(device: torch.device) -> dict[str, Any]:
    """The state of every global generator and, of GPUs, of the one in use; loads with ``weights_only``."""
    kind, keys, position, has_gauss, cached = np.random.get_state()
    version, internal, gauss = random.getstate()
    state = {
        "python": [version, list(internal), gauss],
        "numpy": [kind, torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_rng_state(state: dict[str, Any], device: torch.device) -> None:
    """Undo :func:`rng_state`, on whichever GPU is in use now."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)


def peak_memory_mb(device: torch.device) -> float:
    """Peak memory in MB: of the GPU's allocator since the step began on CUDA, else of this process since its start."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def describe_environment(device: torch.device) -> dict[str, Any]:
    """Versions, hardware and git state: what a reader needs to judge a difference between two runs."""
    return {
        "cvis": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "device": str(device.type),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "threads": torch.get_num_threads(),
        "git": _git_state(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git_state() -> dict[str, Any] | None:
    """Commit of the checkout the package runs from, and whether it was modified; None for an installed wheel."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        modified = bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "modified": modified}


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
