"""Experiment trackers, through mmengine's visualizer backends; a tracker is imported only when chosen."""

from __future__ import annotations

import uuid
from importlib.util import find_spec
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


MODULES = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow", "aim": "aim"}


def build_visualizer(loggers: list[str], folder: Path) -> Visualizer:
    """A visualizer that writes scalars to the chosen trackers, below ``folder/logs``.

    Raises:
        UserError: a tracker that does not exist or is not installed.
    """
    unknown = [name for name in loggers if name not in BACKENDS]
    if unknown:
        raise UserError(f"runtime.loggers: {unknown[0]!r} does not exist; choose of {', '.join(BACKENDS)}")
    backends = [dict(type=BACKENDS[name]) for name in loggers]
    for logger in loggers:
        if find_spec(MODULES.get(logger, "mmengine")) is None:
            raise UserError(f"runtime.loggers: {logger!r} is not installed; pip install {MODULES[logger]}")
    name = f"{folder.name}-{uuid.uuid4().hex[:8]}"
    return Visualizer(name=name, vis_backends=backends or None, save_dir=str(folder / "logs"))
