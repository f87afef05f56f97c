"""Folders as ``cvis run`` leaves them, made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PROTOCOL = {
    "split": "test-file",
    "split_sha256": "aa",
    "visibility": "overlap",
    "init": "random",
    "schedule": {"scale": 1.0, "base": {"iterations": 10}},
}


def write_run(
    root: Path,
    learner: str = "finetune",
    seed: int = 0,
    mAP: float | None = 10.0,
    FR: float | None = 5.0,
    steps: tuple[float, ...] = (40.0, 30.0, 10.0),
    scenario: str = "synthetic-20-4",
    segmenter: str = "mask2former_tiny",
    protocol: dict[str, Any] | None = None,
    groups: Any = None,
    **extra: Any,
) -> Path:
    """One finished run; ``steps`` are its mAP_seen, and each step learns one class. Returns the run's folder."""
    folder = root / scenario / segmenter / learner / f"seed{seed}"
    folder.mkdir(parents=True)
    groups = [[i] for i in range(len(steps))] if groups is None else groups
    step_metrics = [
        {"step": i, "new_classes": [i], "mAP_seen": v, "mAP_all": v / 2, "mAP_base": v / 4} for i, v in enumerate(steps)
    ]
    for step in step_metrics:
        place = folder / f"step{step['step']}"
        place.mkdir()
        (place / "metrics.json").write_text(json.dumps({"schema": 1, **step}))
    content = {
        "schema": 1,
        "scenario": scenario,
        "learner": learner,
        "segmenter": segmenter,
        "seed": seed,
        "protocol": {**PROTOCOL, **(protocol or {})},
        "classes": {str(i): f"class {i}" for i in range(len(steps))},
        "groups": groups,
        "upper_bound": learner == "joint",
        "steps": step_metrics,
        "final": {"mAP": mAP, "AP50": 2.0, "AP75": 1.0, "AR1": 3.0, "AR10": 4.0, "FR": FR, "bwt": None},
        **extra,
    }
    (folder / "run.json").write_text("{}")
    (folder / "metrics.json").write_text(json.dumps(content))
    return folder


def write_row(root: Path, learner: str, **fields: Any) -> None:
    """Two seeds of a learner with the same numbers: a row that may be ranked."""
    for seed in (0, 1):
        write_run(root, learner, seed, **fields)
