"""The runs of a sweep: every row's configuration resolved, once for all its seeds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from cvis.engine.config import Config, Runtime
from cvis.engine.resolve import read_files, settle
from cvis.errors import UserError
from cvis.learners import build_learner, find_learner
from cvis.learners.settings import parameters_of
from cvis.runs.sweep_file import Sweep
from cvis.segmenters import build_segmenter
from cvis.validation import validate


@dataclass(frozen=True)
class Planned:
    """One run of a sweep."""

    row: str  # its name, under a preset with that one's: what the run is called
    config: Config
    marks: dict[str, bool]  # heading -> marked
    words: tuple[str, ...] = ()  # of the `cvis run` that makes it, behind these two

    @property
    def name(self) -> str:
        return f"{self.row}/seed{self.config.runtime.seed}"


def plan(
    sweep: Sweep, seeds: Iterable[int], settings: Sequence[str] = (), scenario: str | None = None, **choices: str | None
) -> list[Planned]:
    """Every run of a sweep, one seed after the other, so that a sweep cut short is a whole table of fewer seeds.

    Args:
        settings: as after ``--set``, for all rows; a row's own come later and win. One of a learner's parameters
            is for the rows whose learner has it.
        scenario: instead of the sweep's.
        choices: ``segmenter``, ``schedule`` and ``preset`` of :func:`cvis.engine.resolve.resolve`.

    Raises:
        UserError: a row's configuration is not possible, names the row; a seed or a mark that could have no effect.
    """
    given: dict[str, Any] = {key: value for key, value in choices.items() if value is not None}
    scenario = scenario or sweep.scenario
    _refuse_what_no_row_has(sweep, settings)
    _refuse_seeds(sweep, settings)
    of_files = cache(lambda learner: read_files(scenario, learner, **given)[0])  # once, however many rows
    rows = []
    for row in sweep.rows:
        learner, name = row.learner or sweep.learner, row.run_name(given.get("preset"))
        own = [*(text for text in settings if _has(learner, text)), *row.settings]
        try:
            config = settle(of_files(learner), own, name)
        except UserError as error:
            raise UserError(f"sweep {sweep.name}: row {row.name}: {error}") from error
        marks = {heading: bool(_value(config, key)) for heading, key in sweep.marks.items()}
        options = {"learner": learner, "name": name, **given}
        words = [scenario, *(w for key, value in options.items() for w in (f"--{key}", value))]
        rows.append(Planned(name, config, marks, (*words, *(w for text in own for w in ("--set", text)))))
    planned = [_seeded(row, seed) for seed in seeds for row in rows]
    for heading, key in sweep.marks.items():
        if all(_value(item.config, key) is None for item in planned):
            raise UserError(f"sweep {sweep.name}: marks: {heading}: {key!r}: no row has this key; correct it")
    return planned


def refuse_unbuildable(planned: Iterable[Planned]) -> None:
    """Build every kind of row once: what is wrong with the last one must not come out after hours of the others.

    Raises:
        UserError: a learner that cannot be built, say for want of a text encoder's weights; names the row.
    """
    for row, error in unbuildable(planned):
        raise UserError(f"row {row}: {error}") from error


def unbuildable(planned: Iterable[Planned]) -> Iterator[tuple[str, UserError]]:
    """Rows that cannot be built, and why; of those that are alike the first."""
    seen: list[tuple[Any, Any]] = []
    for item in planned:
        parts = item.config.learner, item.config.segmenter
        if parts in seen:
            continue
        seen.append(parts)
        try:
            build_learner(parts[0], build_segmenter(parts[1]))
        except UserError as error:
            yield item.row, error


def _seeded(planned: Planned, seed: int) -> Planned:
    config = planned.config
    runtime = validate(Runtime, {**config.runtime.model_dump(), "seed": seed}, "runtime")
    words = (*planned.words, "--seed", str(seed))
    return replace(planned, config=config.model_copy(update={"runtime": runtime}), words=words)


def _has(learner: str, setting: str) -> bool:
    """Whether a setting is not of a learner's parameters, or of one that this learner has."""
    part, _, rest = setting.partition("=")[0].partition(".")
    return part != "learner" or rest.split(".")[0] in parameters_of(find_learner(learner))


def _refuse_what_no_row_has(sweep: Sweep, settings: Iterable[str]) -> None:
    learners = sorted({row.learner or sweep.learner for row in sweep.rows})
    for setting in settings:
        if not any(_has(learner, setting) for learner in learners):
            raise UserError(f"--set {setting}: no such key of any learner of sweep {sweep.name}: {', '.join(learners)}")


def _refuse_seeds(sweep: Sweep, settings: Iterable[str]) -> None:
    """A seed among the settings would be overridden by the sweep's, or make every seed of a row the same run."""
    for text in (*settings, *(text for row in sweep.rows for text in row.settings)):
        if text.partition("=")[0] == "runtime.seed":
            raise UserError(f"sweep {sweep.name}: {text}: a sweep runs every row with the same seeds; use --seeds")


def _value(config: Config, key: str) -> Any:
    """The value at a dotted key; None also where there is none, as with a learner that does not have the part."""
    value: Any = config.model_dump()
    for name in key.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
