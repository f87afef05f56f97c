"""``cvis doctor``: is everything here that a run needs?"""

from __future__ import annotations

import fcntl
import importlib
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from cvis.cli.output import Cell, emit_json, examples, show_table

EXAMPLES = examples("cvis doctor", "cvis doctor --online", "cvis doctor --json")

REQUIRED = {  # import name -> name on PyPI
    "torch": "torch",
    "torchvision": "torchvision",
    "mmengine": "onedl-mmengine",
    "mmcv": "onedl-mmcv",
    "mmdet": "onedl-mmdetection",
    "open_clip": "open_clip_torch",
    "pycocotools": "pycocotools",
    "numpy": "numpy",
    "cv2": "opencv-python-headless",
}
CLIP_REPOSITORY = "timm/vit_base_patch32_clip_224.openai"
CLIP_URL = f"https://huggingface.co/{CLIP_REPOSITORY}/resolve/main/open_clip_model.safetensors"
SHUT_OUT = 3
SECOND_LOCK = f"""
import fcntl, sys
try:
    fcntl.flock(open(sys.argv[1], "r+b"), fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit({SHUT_OUT})
"""
NEEDED_GB = 1.0  # of free disk: a synthetic run with its checkpoints and the shared step-0 model


def doctor(
    online: Annotated[
        bool, typer.Option("--online", help="Also ask the server for the CLIP weights (nothing is downloaded).")
    ] = False,
    runs: Annotated[
        Path, typer.Option(help="Folder where runs will be written: its free disk and its locks are examined.")
    ] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Report versions, device, mmcv's operators, CLIP weights, data sets, free disk and whether file locks work.

    Exit code 1 if something that every run needs is missing.
    """
    content = examine(online, runs)
    if as_json:
        emit_json(content)
    else:
        _show(content)
    if content["missing"]:
        raise typer.Exit(1)


def examine(online: bool = False, runs: Path = Path("runs")) -> dict[str, Any]:
    """Everything the doctor knows, as JSON's own types; ``missing`` lists what stops a run, with its remedy."""
    from cvis import __version__
    from cvis.files import cache_dir
    from cvis.runs.mounts import locks_note

    versions = {name: _version(package) for name, package in REQUIRED.items()}
    absent = [name for name, version in versions.items() if not version]
    missing = [f"{name}: is not installed; run: pip install {REQUIRED[name]}" for name in absent]
    missing += [reason for name in ("cv2", "torch") if versions[name] and (reason := _import_error(name))]
    here = _existing(runs)
    free_gb = round(shutil.disk_usage(here).free / 1e9, 2)
    if free_gb < NEEDED_GB:
        missing.append(f"{here}: {free_gb:.2f} GB free; a run needs {NEEDED_GB:g} GB, free space")
    return {
        "versions": {"cvis": __version__, "python": platform.python_version(), **versions},
        "device": _try(_device),
        "mmcv_ops": _try(_mmcv_ops),
        "attention": _try(_attention),
        "clip": _try(lambda: _clip(online)),
        "data": _try(_data),
        "cache": str(cache_dir()),
        "disk": {"path": str(here), "free_gb": free_gb},
        "locks": {"path": str(here), "problem": locks_problem(here), "note": locks_note(here)},
        "missing": missing,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _import_error(name: str) -> str | None:
    """Why an installed package does not import; a missing system library shows only then."""
    try:
        importlib.import_module(name)
    except Exception as error:  # whatever it is, it is what the user must read
        remedy = f"run: pip install --force-reinstall --no-deps {REQUIRED[name]}"
        return f"{name}: does not import: {type(error).__name__}: {error}; {remedy}"
    return None


def _try(examine_part: Callable[[], Any]) -> Any:
    """The doctor outlives what it examines: a part that fails is reported as its error."""
    try:
        return examine_part()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def _device() -> dict[str, Any]:
    import torch

    from cvis.engine.environment import available_cpus

    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return {
        "cuda": [{"name": gpu.name, "memory_gb": round(gpu.total_memory / 2**30, 1)} for gpu in gpus],
        "cpus": available_cpus(),
        "threads": torch.get_num_threads(),
    }


def _mmcv_ops() -> dict[str, Any]:
    from cvis.segmenters.openmmlab import has_real_ops

    return {"compiled": has_real_ops()}


def _attention() -> dict[str, Any]:
    """Whether deformable attention has fused kernels, and on a GPU whether they pass their trial."""
    import torch

    from cvis.segmenters.mask2former.deformable import deformable_attention_torch
    from cvis.segmenters.mask2former.fused import problem

    there = torch.cuda.is_available()
    sizes = dict(heads=8, channels=32, levels=3, points=4)  # of R50's pixel decoder
    why_not = problem(torch.device("cuda"), **sizes, plain=deformable_attention_torch) if there else "no CUDA device"
    return {"deformops": _version("deformops"), "not_used": why_not}


def _clip(online: bool) -> dict[str, Any]:
    """Whether the text encoder's weights are on this machine, or can be had."""
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE) / f"models--{CLIP_REPOSITORY.replace('/', '--')}" / "snapshots"
    files = [*folder.glob("*/open_clip_*")]  # where the text tower looks; OpenAI's own .pt file is a program, not read
    weights: dict[str, Any] = {"cached": str(files[0]) if files else None}
    if online:
        weights["online"] = _reachable(CLIP_URL)
    return weights


def _reachable(url: str) -> bool | str:
    from urllib.request import Request, urlopen

    try:
        with urlopen(Request(url, method="HEAD"), timeout=10):
            return True
    except OSError as error:
        return str(error)


def _data() -> dict[str, Any]:
    """The train annotations of each data set that must be fetched; None if they are not here."""
    from cvis.data.datasets import DATASETS, OFFERED, locate_part

    known = {**DATASETS, **OFFERED.values()}
    fetched = [name for name, dataset in known.items() if not (dataset.own_files or dataset.make)]
    files = {name: locate_part(name, None, "train") for name in fetched}
    here = {name: str(part[0]) if part else None for name, part in files.items()}
    broken = [origin.name for origin in OFFERED.broken() if origin.name not in known]
    return {**here, **{name: {"error": f"does not load: {OFFERED.reason(name)}"} for name in broken}}


def _existing(runs: Path) -> Path:
    """The folder, or the nearest one above it that there is."""
    path = runs.absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def locks_problem(folder: Path) -> str | None:
    """Why two processes could write one run below ``folder``; None: a lock keeps the second one out.

    The second one is a process of its own: over NFS a lock does not shut out the process that has it.
    """
    remedy = "write to a local disk (--runs), or mount it with locks (NFS: without nolock or local_lock)"
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".cvis-lock-") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            second = subprocess.run([sys.executable, "-c", SECOND_LOCK, file.name], capture_output=True, timeout=30)
    except OSError as error:
        return f"do not work at {folder} ({error.strerror}): {remedy}"
    if second.returncode != SHUT_OUT:
        return f"at {folder} do not keep a second process out: {remedy}"
    return None


def _show(content: dict[str, Any]) -> None:
    rows: list[list[str | Cell]] = [
        [name, version or Cell("missing", style="red")] for name, version in content["versions"].items()
    ]
    rows.append(["device", content["device"].get("error") or _device_text(content["device"])])
    ops, clip = content["mmcv_ops"], content["clip"]
    compiled = "yes" if ops.get("compiled") else "no (not needed: cvis has its own)"
    rows.append(["mmcv's compiled operators", ops.get("error") or compiled])
    attention = content["attention"]
    fused = f"deformops {attention.get('deformops')}" if attention.get("not_used", "") is None else ""
    rows.append(["deformable attention", attention.get("error") or fused or f"torch ({attention['not_used']})"])
    rows.append(["CLIP weights", clip.get("error") or _clip_text(clip)])
    for name, place in content["data"].items():
        found = place["error"] if isinstance(place, dict) else place
        rows.append([name, found or f"not found; set CVIS_DATA to the folder that holds {name}"])
    rows.append(["cache", content["cache"]])
    rows.append(["free disk", f"{content['disk']['free_gb']:.1f} GB at {content['disk']['path']}"])
    locks = content["locks"]
    rows.append(["file locks", locks["problem"] or "keep a second process out"])
    if locks["note"]:
        rows.append(["", locks["note"]])
    show_table(["part", "found"], rows, left=2)
    for reason in content["missing"]:
        typer.echo(f"missing: {reason}")


def _device_text(device: dict[str, Any]) -> str:
    gpus = ", ".join(f"{gpu['name']} ({gpu['memory_gb']} GB)" for gpu in device["cuda"])
    return f"{gpus or 'no CUDA device'}, {device['cpus']} CPUs"


def _clip_text(clip: dict[str, Any]) -> str:
    here = clip["cached"] or "not on this machine; fetched when a learner first needs them"
    if "online" not in clip:
        return here
    return f"{here}; server: {'answers' if clip['online'] is True else clip['online']}"
