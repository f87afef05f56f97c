"""The weights that step 0 starts from: random, published, of a file, or what a step of an earlier run left behind."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from cvis.engine import checkpoint
from cvis.errors import UserError
from cvis.files import shipped
from cvis.runs.paths import STEP_NAME, RunFolder
from cvis.runs.protocol import BACKBONE, SHIPPED
from cvis.scenario import Scenario
from cvis.segmenters import InitReport, load_init
from cvis.segmenters.contract import Segmenter
from cvis.segmenters.init import load_state
from cvis.segmenters.weights import read_state_dict, state_of_segmenter


def load_initial(segmenter: Segmenter, init: str) -> InitReport:
    """Give a freshly built segmenter its initial weights.

    Args:
        init: as :func:`cvis.segmenters.load_init` takes it; or the folder of a run, which stands for its last step,
            or of a step, ``RUN/step0``; or ``shipped/KEY``, a step-0 model that comes with cvis. What belongs to that
            run's classes (class heads, what later steps added) is left out: this one has classes of its own. With
            ``backbone:`` before a path of these, the backbone alone, whatever the architecture around it.

    Raises:
        UserError: no such weights, or they are of another segmenter.
    """
    if init.startswith(BACKBONE):
        return _load_backbone(segmenter, init)
    files = model_files(_place(init))
    if not files:
        return replace(load_init(segmenter, _place(init)), source=init)
    state, first = (state_of_segmenter(checkpoint.overlay(part)) for part in (files, files[:1]))
    report = load_state(segmenter, {key: value for key, value in state.items() if key in first}, files[-1])
    added = tuple(key for key in state if key not in first)
    return InitReport(init, init_identity(init), report.matched, report.missing, (*report.unexpected, *added))


def _load_backbone(segmenter: Segmenter, init: str) -> InitReport:
    """What another model has learned to see; of levels that this backbone does not have, nothing is used."""
    place = _place(init)
    files = model_files(place)
    state = state_of_segmenter(checkpoint.overlay(files)) if files else read_state_dict(Path(place).expanduser())
    named, own = segmenter.renamed(state), segmenter.state_dict()
    usable = {key: value for key, value in named.items() if key.startswith("backbone.") and key in own}
    report = load_state(segmenter, usable, Path(place))
    unused = tuple(key for key in named if key not in usable)
    return InitReport(init, init_identity(place), report.matched, report.missing, unused)


def refuse_later_classes(init: str, stream: Scenario) -> None:
    """A model that comes with cvis has learned classes; step 0 of a stream of the same videos must have them.

    Raises:
        UserError: it has not.
    """
    if not (init.removeprefix(BACKBONE).startswith(SHIPPED) and stream.dataset.startswith("synthetic")):
        return
    recipe = Path(_place(init)).with_name("recipe.json")
    learned = json.loads(recipe.read_text())["classes"] if recipe.is_file() else ()
    if early := set(learned).difference(stream.classes_by_step[0]):
        what = f"has learned {len(early)} classes that step 0 of {stream.name} does not have"
        raise UserError(f"init: {init}: {what}; give --init random, or --init backbone:RUN/step0 of such a stream")


def _place(init: str) -> str:
    """The path that it stands for, if it stands for one.

    Raises:
        UserError: it names nothing, or no model that comes with cvis.
    """
    path = init.removeprefix(BACKBONE)
    if not path:
        raise UserError(
            f"init: {init}: of which model? Give {BACKBONE}FILE, {BACKBONE}RUN/step0 or {BACKBONE}{SHIPPED}KEY"
        )
    if not path.startswith(SHIPPED):
        return path
    folder, key = shipped("configs") / "step0", path.removeprefix(SHIPPED)
    keys = sorted(model.parent.name for model in folder.glob("*/model.pth"))
    if key not in keys:
        raise UserError(
            f"init: {init}: no such model comes with cvis; there is {' and '.join(SHIPPED + key for key in keys)}"
        )
    return str(folder / key / "model.pth")


def model_files(init: str) -> list[Path]:
    """The files of steps 0 to t, if ``init`` is the folder of a run or of its step t.

    Raises:
        UserError: a folder that is neither.
    """
    path = Path(init).expanduser()
    if not path.is_dir():
        return []
    is_step = STEP_NAME.fullmatch(path.resolve().name)
    run = RunFolder(path.resolve().parent if is_step else path)
    steps = [step for step in run.steps() if not is_step or step.index <= int(is_step[1])]
    files = [step.model for step in steps if step.model.is_file()]
    if not files or (len(files) < len(steps) and is_step):
        raise UserError(f"init: {path}: holds no model of a run; give the folder of a run, or of a finished step in it")
    return files


def init_identity(init: str) -> str:
    """Its name, or the checksum of its files."""
    place = _place(init)
    path = Path(place).expanduser()
    files = [path] if path.is_file() else model_files(place)
    if not files:
        return init
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return BACKBONE * init.startswith(BACKBONE) + digest.hexdigest()


def describe_init(report: InitReport) -> dict[str, Any]:
    """Where the weights came from, for ``run.json``: random ones are never to be taken for pre-trained ones."""
    counts = {"matched": len(report.matched), "missing": len(report.missing), "unexpected": len(report.unexpected)}
    return {"source": report.source, "sha256": report.sha256, **counts}
