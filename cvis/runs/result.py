"""The results of one finished run, as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvis.errors import UserError
from cvis.evaluation.continual import APMatrix, is_defined
from cvis.runs.paths import RunFolder
from cvis.runs.protocol import conditions, signature


@dataclass(frozen=True)
class TextEncoder:
    """The text encoder that a learner took class names through. Other weights make other rows."""

    model: str
    pretrained: str  # as configured: random, a tag, or a path
    sha256: str | None = None  # of the weight file; None for random weights

    @property
    def key(self) -> tuple[str, str]:
        """What makes it this one: a weight file that was moved is still the same."""
        return self.model, self.sha256 or self.pretrained

    @property
    def is_random(self) -> bool:
        return self.pretrained == "random"

    @property
    def note(self) -> str:
        """What a learner's name must be followed by, wherever its numbers are shown."""
        return "random text encoder" if self.is_random else ""

    def __str__(self) -> str:
        kind = "random text encoder" if self.is_random else self.pretrained
        return ", ".join([kind, self.model, *([self.sha256[:8]] if self.sha256 else [])])


def labelled(label: str, note: str) -> str:
    """A row's label as printed, with what it alone would hide.

    >>> labelled("crisp", "random text encoder"), labelled("finetune", "")
    ('crisp [random text encoder]', 'finetune')
    """
    return f"{label} [{note}]" if note else label


@dataclass(frozen=True)
class RunResult:
    """One finished run: one learner on one stream with one seed. Metrics are percentages (x100).

    Attributes:
        path: its folder.
        learner: what folder and command line call the row.
        classes: data-set id -> name.
        groups: the classes of every step of the stream, in learning order.
        learned: the classes that each step of the run learned: the groups, or all in one (joint).
        label: what tables call it; the learner where the file has none.
        run_id: the first 12 hex digits of the sha256 of its metrics.json.
    """

    path: Path
    scenario: str
    learner: str
    segmenter: str
    seed: int
    protocol: dict[str, Any]
    classes: dict[int, str]
    groups: tuple[tuple[int, ...], ...]
    learned: tuple[tuple[int, ...], ...]
    steps: tuple[dict[str, Any], ...]
    final: dict[str, Any]
    upper_bound: bool  # saw the whole stream at once, as joint training does
    text_encoder: TextEncoder | None
    label: str
    run_id: str

    @property
    def file(self) -> Path:
        """The ``metrics.json`` that it was read from, for messages."""
        return RunFolder(self.path).metrics

    @property
    def name(self) -> str:
        """As printed: one that rests on random text features says so."""
        return labelled(self.label, self.text_encoder.note if self.text_encoder else "")

    @property
    def method(self) -> tuple[str, ...]:
        """What the runs of one row share beside the protocol: the learner, what its settings make of it, and its text
        encoder."""
        return (self.learner, self.label, *(self.text_encoder.key if self.text_encoder else ()))

    @property
    def conditions(self) -> dict[str, Any]:
        """What must be equal in all runs that are ranked together: the protocol, and how many classes are averaged."""
        return conditions(self.protocol, self.steps)

    @property
    def cell(self) -> tuple[str, str, str, int]:
        """The place in a table that it claims: scenario, segmenter, learner, seed."""
        return (self.scenario, self.segmenter, self.learner, self.seed)

    @property
    def identity(self) -> tuple[object, ...]:
        """What two copies of one run share."""
        return (*self.cell, self.method, signature(self.conditions))

    @property
    def learned_at(self) -> dict[int, int]:
        """Class -> the step that brought it, in learning order. Joint training has all classes in its one step."""
        return {c: t for t, classes in enumerate(self.learned) for c in classes}

    @property
    def ap_matrix(self) -> APMatrix:
        """The AP of every class after every step; raises what :meth:`class_values` does."""
        return APMatrix(self.learned, tuple(self.class_values(t) for t in range(len(self.steps))))

    def class_values(self, step: int, metric: str = "AP") -> dict[int, float]:
        """Data-set id -> value after a step, of the classes that have one; empty in files without them.

        Raises:
            UserError: ``per_class`` is not what the schema has there.
        """
        per_class = self.steps[step].get("per_class")
        where = f"{self.file}: steps[{step}].per_class"
        if per_class is None:
            return {}
        if not isinstance(per_class, dict):
            raise UserError(f"{where}: {per_class!r:.60}: is not a table of classes; run the same `cvis run` again")
        values = {}
        for key, metrics in per_class.items():
            value = metrics.get(metric) if isinstance(metrics, dict) else metrics
            if metrics is value or type(value) not in (int, float, type(None)) or not key.isdecimal():
                said = f"{value!r:.60}: is not a number of a class"
                raise UserError(f"{where}.{key}: {said}; run the same `cvis run` again")
            if is_defined(value):
                values[int(key)] = float(value)
        return values

    def step_at(self, step: int | None) -> int:
        """The step that a user asked for; None stands for the last.

        Raises:
            UserError: there is no such step.
        """
        last = len(self.steps) - 1
        if step is not None and not 0 <= step <= last:
            raise UserError(f"--step {step}: {self.path} has the steps 0 to {last}; choose one of them")
        return last if step is None else step
