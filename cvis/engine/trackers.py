"""Experiment trackers, through mmengine's visualizer backends; a tracker is imported only when chosen.

Each writes below the run's folder and leaves the machine only when asked to: W&B is offline unless ``WANDB_MODE``
says otherwise (``wandb sync`` sends it later), MLflow writes a database unless ``MLFLOW_TRACKING_URI`` names a server.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.visualization import (
    AimVisBackend,
    LocalVisBackend,
    MLflowVisBackend,
    TensorboardVisBackend,
    Visualizer,
    WandbVisBackend,
)
from mmengine.visualization.vis_backend import BaseVisBackend

from cvis.errors import UserError

PROJECT = "cvis"
"""What W&B calls a project and MLflow an experiment."""


class Wandb(WandbVisBackend):
    """mmengine's, closed as today's wandb wants it: ``wandb.join`` is gone."""

    def close(self) -> None:
        if hasattr(self, "_wandb"):
            self._wandb.finish()


class MLflow(MLflowVisBackend):
    """mmengine's, closed without copying the working folder into the tracker, which lies in that folder."""

    def close(self) -> None:
        if hasattr(self, "_mlflow"):
            self._mlflow.end_run()


class Aim(AimVisBackend):
    """mmengine's, in a repository of its own: Aim's default is one in the current folder, and it makes no other."""

    def __init__(self, save_dir: str, run: str) -> None:
        super().__init__(save_dir)
        self.run = run

    def _init_env(self) -> None:
        from aim import Repo

        Path(self._save_dir).mkdir(parents=True, exist_ok=True)
        self._init_kwargs = dict(experiment=self.run, repo=Repo.from_path(self._save_dir, init=True))
        super()._init_env()


def _wandb(folder: str, run: str) -> BaseVisBackend:
    mode = os.environ.get("WANDB_MODE", "offline")
    return Wandb(folder, init_kwargs=dict(dir=folder, project=PROJECT, name=run, mode=mode))


def _mlflow(folder: str, run: str) -> BaseVisBackend:
    """By default a database: of plain files, which are mmengine's default, MLflow 3.13 wants no more."""
    server = os.environ.get("MLFLOW_TRACKING_URI")
    artifacts = None if server else Path(folder, "artifacts").as_uri()
    uri = server or f"sqlite:///{folder}/mlflow.db"
    return MLflow(folder, exp_name=PROJECT, run_name=run, tracking_uri=uri, artifact_location=artifacts)


BACKENDS: dict[str, Callable[[str, str], BaseVisBackend]] = {
    "tensorboard": lambda folder, run: TensorboardVisBackend(folder),
    "wandb": _wandb,
    "mlflow": _mlflow,
    "aim": Aim,
    "local": lambda folder, run: LocalVisBackend(folder),
}
"""Name in ``runtime.loggers`` -> backend, from the folder that it writes to and the name of the run."""


def build_visualizer(loggers: Sequence[str], folder: Path) -> Visualizer:
    """A visualizer that writes scalars to the chosen trackers, below ``folder/logs``.

    Args:
        loggers: names of :data:`BACKENDS`.
        folder: of the run; its last four parts name the run: scenario, segmenter, learner and seed.

    Raises:
        UserError: a tracker is not installed.
    """
    for logger in loggers:
        if logger != "local" and find_spec(logger) is None:
            raise UserError(f"runtime.loggers: {logger!r} is not installed; pip install {logger}, or use --logger none")
    place, name = str((folder / "logs" / "vis_data").absolute()), "/".join(folder.absolute().parts[-4:])
    backends: list[Any] = [BACKENDS[logger](place, name) for logger in dict.fromkeys(loggers)]
    return Visualizer(f"{folder.name}-{uuid.uuid4().hex[:8]}", vis_backends=backends, save_dir=str(folder / "logs"))
