"""A run on disk is opened: its configuration, its results, and the stream that it ran on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cvis.errors import UserError, did_you_mean_path
from cvis.runs.metrics_file import new_classes, read_run
from cvis.runs.old_config import read_literals
from cvis.runs.paths import RunFolder
from cvis.runs.record import AGAIN, config_of, finished_steps, read_record
from cvis.runs.result import RunResult, labelled
from cvis.runs.unbundle import SUFFIX, unpacked
from cvis.scenario import Scenario, load_scenario
from cvis.scenario.spec import list_scenarios


@dataclass(frozen=True)
class OpenRun:
    """A run on disk, finished or not.

    Attributes:
        record: content of its ``run.json``.
        config: the configuration in it, as plain values.
    """

    folder: RunFolder
    record: dict[str, Any]
    config: dict[str, Any]

    @cached_property
    def result(self) -> RunResult:
        """Its ``metrics.json``.

        Raises:
            UserError: the run is unfinished, or the file is damaged.
        """
        return read_run(self.folder.metrics)

    @cached_property
    def learned(self) -> tuple[tuple[int, ...], ...]:
        """The classes that each finished step learned.

        Raises:
            UserError: the ``metrics.json`` of a step is damaged.
        """
        steps = enumerate(finished_steps(self.folder))
        return tuple(new_classes(f"{self.folder.step(t).metrics}: ", metrics) for t, metrics in steps)

    @property
    def name(self) -> str:
        """As in tables; an unfinished run has no label yet."""
        if self.folder.metrics.is_file():
            return self.result.name
        encoder = self.record.get("text_encoder")
        is_random = isinstance(encoder, dict) and encoder.get("pretrained") == "random"
        return labelled(str(self.config["names"].get("run")), "random text encoder" if is_random else "")

    def scenario(self, data: Path | None = None) -> Scenario:
        """The stream that the run was made on.

        Args:
            data: the folder of the data set, if it is no longer where the run found it.

        Raises:
            UserError: its data set is missing, or it or the stream has changed since the run.
        """
        scenario = self.scenario_now(data)
        then = self.record.get("scenario_hash")
        if then != scenario.hash:
            raise UserError(
                f"{self.folder.path}: scenario_hash: {then!r:.14}: is {scenario.hash:.12} now: the data set or the "
                "stream has changed since the run; say where its own data set is with --data"
            )
        return scenario

    def scenario_now(self, data: Path | None = None) -> Scenario:
        """The stream as its file and its data set are now.

        Raises:
            UserError: one of them is missing or damaged.
        """
        return scenario_of(self.placed, data)

    @cached_property
    def placed(self) -> dict[str, Any]:
        """The configuration with its stream and the place of the data; ``run.json`` of older versions lacks them.

        Raises:
            UserError: they are recorded nowhere, or are no names.
        """
        config = self.config if "scenario" in self.config else {**self.config, **self._unrecorded()}
        named, place = config.get("scenario"), config["runtime"].get("data")
        if not isinstance(named, str):
            raise UserError(
                f"{self.folder.record}: config.scenario: {named!r:.60}: is not the name of a "
                "stream or its file; run the same `cvis run` again, it completes what an older version left out"
            )
        if place is not None and not isinstance(place, str):
            raise UserError(
                f"{self.folder.record}: config.runtime.data: {place!r:.60}: is not the name of a folder; {AGAIN}"
            )
        own = self.folder.stream
        return {**config, "scenario": str(own)} if named == own.name and own.is_file() else config

    def _unrecorded(self) -> dict[str, Any]:
        """What ``run.json`` of an older version left out; its ``config.py`` has it."""
        named = self.record.get("scenario")
        if named in list_scenarios():
            return {"scenario": named}
        old = read_literals(self.folder.config)
        runtime = old.get("runtime")
        place = runtime.get("data") if isinstance(runtime, dict) else None
        return {"scenario": old.get("scenario"), "runtime": {**self.config["runtime"], "data": place}}

    def predictions(self, step: int) -> Path:
        """The results file of a step.

        Raises:
            UserError: there is none.
        """
        path = self.folder.step(step).predictions
        if not path.is_file():
            raise UserError(f"{path}: does not exist; copy it from where the run was made")
        return path


def open_run(path: Path) -> OpenRun:
    """A run by its folder, or by a bundle that holds it alone.

    Raises:
        UserError: not the folder of a run, or its ``run.json`` is damaged; or a bundle that is damaged or holds more.
    """
    if path.suffix == SUFFIX and path.is_file():
        folders = unpacked(path)
        if len(folders) > 1:
            raise UserError(f"{path}: holds {len(folders)} runs; unzip it, and give the folder of one")
        path = folders[0]
    if not path.is_dir():
        remedy = "give the folder of a run, as `cvis run` prints it, or a bundle"
        raise UserError(f"{path}: is not a folder; {remedy if path.exists() else did_you_mean_path(path, remedy)}")
    folder = RunFolder(path)
    record = read_record(folder)
    return OpenRun(folder, record, config_of(folder, record))


def scenario_of(config: Mapping[str, Any], data: Path | str | None = None) -> Scenario:
    """The stream that a configuration names, with its data set.

    Args:
        config: plain values, from ``run.json`` or of a run to be made.
        data: the folder of the data set, in place of the configuration's.

    Raises:
        UserError: see :func:`cvis.scenario.load_scenario`.
    """
    data = data or config["runtime"].get("data")
    keys = ("split", "visibility", "other_class_policy")
    overrides = {key: value for key in keys if (value := config["protocol"].get(key)) is not None}
    return load_scenario(config["scenario"], Path(data) if data else None, **overrides)
