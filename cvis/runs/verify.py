"""A finished run against itself: its stream derived again, its predictions scored again, all numbers compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cvis.errors import UserError
from cvis.evaluation import Digest, final_metrics
from cvis.runs.digests import made_again, metrics_at
from cvis.runs.open import OpenRun, open_run
from cvis.runs.protocol import differences, flat
from cvis.runs.record import parse_json, read_bytes
from cvis.scenario import Scenario

NOT_CHECKED = (
    "weights: that the stored models make these predictions",
    "training: that this configuration made the weights; run its command again with another --runs, and compare",
    "times, memory, numbers of parameters and what a learner observes: nothing is left to compare them with",
)
SHOWN = 5
"""Differences of one comparison that are told one by one."""


@dataclass
class Verdict:
    """What became of the check of one run.

    Attributes:
        agrees: what was compared and is the same.
        differences: where it is not, a line each: file, field, what stands there and what should.
        scored: its predictions were looked at; without its data set they cannot be.
        not_checked: a line for each part that could not be compared, with the reason.
    """

    path: Path
    agrees: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    scored: bool = False
    not_checked: list[str] = field(default_factory=list)

    @property
    def word(self) -> str:
        good = "verified" if self.scored else "agrees, but is not scored again"
        return "DIFFERS" if self.differences else good

    def compare(self, what: str, where: Path | str, stored: Mapping[str, Any], derived: Mapping[str, Any]) -> None:
        """Exactly, as all digits of a number are stored; null is the same as absent."""
        found = [
            f"{where}: {key}: {here!r:.80}: should be {there!r:.80}"
            for key, (here, there) in differences(stored, derived).items()
        ]
        self.differences += found[:SHOWN]
        if more := len(found[SHOWN:]):
            self.differences.append(f"{where}: and {more} more of {what}")
        if not found:
            self.agrees.append(what)


def verify(path: Path, data: Path | None = None) -> Verdict:
    """Check a finished run.

    Args:
        path: its folder, or the bundle that holds it alone.
        data: the folder of its data set, if it is no longer where the run found it.

    Raises:
        UserError: not the folder of a run.
    """
    verdict, run = Verdict(path), open_run(path)
    try:
        steps = run.result.steps
        _check_record(verdict, run)
    except UserError as error:  # damaged: what follows has nothing to stand on
        verdict.differences.append(str(error))
        return verdict
    try:
        scenario = run.scenario_now(data)
    except UserError as error:
        verdict.not_checked.append(f"stream and predictions: {error}")
    else:
        verdict.scored = True
        _check_stream(verdict, run, scenario)
        for index in range(len(steps)):
            _check_predictions(verdict, run, scenario, index)
    verdict.not_checked += NOT_CHECKED
    return verdict


def _check_record(verdict: Verdict, run: OpenRun) -> None:
    """What the files of the run say twice, and what its metrics are made of."""
    result, config = run.result, run.config
    said = {**config["protocol"], "preset": config["names"].get("preset")}
    said = {key: said.get(key) for key in ("freeze", "init", "preset")}
    said |= {key: config.get(key) for key in ("schedule", "sampling", "segmenter")}
    settings = _younger_left_out(flat(result.protocol), flat(said))
    verdict.compare("the protocol and the configuration in run.json", result.file, *settings)
    for index, step in enumerate(result.steps):
        own = run.folder.step(index).metrics
        text = read_bytes(own)
        if text is None:
            raise UserError(f"{own}: does not exist; copy it again from where the run was made")
        verdict.compare(f"step {index}: its metrics.json and the run's", own, parse_json(own, text), step)
    names = {"learner": result.learner, "segmenter": result.segmenter, "seed": result.seed}
    recorded = {
        "learner": config["names"].get("run"),
        "segmenter": config["names"].get("segmenter"),
        "seed": config["runtime"].get("seed"),
    }
    verdict.compare("the names of the row and the seed in run.json", result.file, names, recorded)
    finals = _younger_left_out(result.final, final_metrics(result.steps))
    verdict.compare("the final metrics, from those of the steps", result.file, *finals)


def _check_stream(verdict: Verdict, run: OpenRun, scenario: Scenario) -> None:
    sums = {"split_sha256": scenario.split_sha256, "scenario_hash": scenario.hash}
    recorded = {key: run.record.get(key) for key in sums}
    verdict.compare("the split and the stream in run.json, derived again", run.folder.record, recorded, sums)
    derived = {**scenario.protocol, **sums, "scenario": scenario.name, "groups": scenario.classes_by_step}
    stored = {**run.result.protocol, "scenario": run.result.scenario, "groups": run.result.groups}
    same = _younger_left_out(stored, derived)
    verdict.compare("the split, the stream and its classes, derived again", run.result.file, *same)


def _check_predictions(verdict: Verdict, run: OpenRun, scenario: Scenario, index: int) -> None:
    """Score the predictions of a step again."""
    try:
        digest = made_again(run, scenario, index)
    except UserError as error:
        verdict.differences.append(str(error))
        return
    numbers = _younger_left_out(run.result.steps[index], metrics_at(run, scenario, index, digest))
    where = f"{run.result.file}: steps[{index}]"
    verdict.compare(f"step {index}: its predictions, scored again", where, *numbers)
    if (path := run.folder.step(index).digest).is_file():  # runs older than the file have none
        try:
            same = Digest.load(path).equals(digest)
        except UserError as error:
            verdict.differences.append(str(error))
        else:
            (verdict.agrees if same else verdict.differences).append(
                f"step {index}: its digest, made again" if same else f"{path}: is not the digest of the predictions"
            )


def _younger_left_out(stored: Mapping[str, Any], derived: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both without the keys that a file older than them lacks."""
    keys = derived.keys() & stored.keys()
    return {key: stored[key] for key in keys}, {key: derived[key] for key in keys}
