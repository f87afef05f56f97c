"""Experiment trackers, through mmengine's visualizer backends; a tracker is imported only when chosen."""

from __future__ import annotations

import uuid
from pathlib import Path

from mmengine.visualization import Visualizer

from cvis.errors import UserError

BACKENDS = {
    "local": "LocalVisBackend",
    "tensorboard": "TensorboardVisBackend",
    "wandb": "WandbVisBackend",
    "mlflow": "MLflowVisBackend",
    "aim": "AimVisBackend",
}


def build_visualizer(loggers: list[str], folder: Path) -> Visualizer:
    """A visualizer that writes scalars to the chosen trackers, below ``folder/logs``.

    Raises:
        UserError: a tracker that does not exist or is not installed.
    """
    unknown = [name for name in loggers if name not in BACKENDS]
    if unknown:
        raise UserError(f"runtime.loggers: {unknown[0]!r} does not exist; choose of {', '.join(BACKENDS)}")
    backends = [dict(type=BACKENDS[name]) for name in loggers]
    name = f"{folder.name}-{uuid.uuid4().hex[:8]}"
    try:
        return Visualizer(name=name, vis_backends=backends or None, save_dir=str(folder / "logs"))
    except ImportError as error:
        raise UserError(f"runtime.loggers: {loggers}: {error}; install the tracker or leave it out") from error
