"""Run folders with an AP for every class after every step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from run_folders import write_run

GROUPS = ((7, 3), (5,), (9,))
NAMES = {3: "cat", 5: "dog & <b>", 7: "ape", 9: "yak"}
AP = {  # after each of three steps; what a class has before its own step must never be shown
    7: (40.0, 30.0, 20.0),
    3: (10.0, 20.0, 10.0),
    5: (99.0, 50.0, 60.0),
    9: (99.0, 99.0, 30.0),
}


def write_stream(
    root: Path,
    learner: str = "finetune",
    seed: int = 0,
    ap: dict[int, Sequence[float | None]] | None = None,
    groups: Sequence[Sequence[int]] = GROUPS,
    step_fields: dict[str, Sequence[Any]] | None = None,
    final: dict[str, Any] | None = None,
    **extra: Any,
) -> Path:
    """One finished run over ``groups``; ``step_fields`` hold a value per step. Returns its folder."""
    ap = ap or AP
    length = len(next(iter(ap.values())))
    folder = write_run(root, learner, seed, steps=(0.0,) * length, **extra)
    content = json.loads((folder / "metrics.json").read_text())
    content["classes"] = {str(c): NAMES.get(c, f"class {c}") for c in ap}
    content["groups"] = [list(group) for group in groups]
    joint = length == 1 and len(groups) > 1
    for t, step in enumerate(content["steps"]):
        step["new_classes"] = [c for group in groups for c in group] if joint else list(groups[t])
        step["per_class"] = {str(c): {"AP": values[t], "AR1": values[t]} for c, values in ap.items()}
        step.update({name: values[t] for name, values in (step_fields or {}).items()})
    content["final"].update(final or {})
    (folder / "metrics.json").write_text(json.dumps(content))
    return folder
