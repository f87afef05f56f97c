"""A finished run explained: where the AP of a step is lost, and where the forgotten AP went."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from cvis.errors import UserError
from cvis.evaluation.explain import Explanation, explain
from cvis.evaluation.forgotten import Fate, fates, sight, together
from cvis.evaluation.results import read_results
from cvis.runs.open import OpenRun
from cvis.runs.result import RunResult
from cvis.scenario import Scenario


@dataclass(frozen=True)
class RunExplanation:
    """One step of one run.

    Attributes:
        groups: the classes of every step so far, those reported only.
        fates: of every old class, in learning order; empty where nothing can be forgotten (step 0, joint).
    """

    run: RunResult
    step: int
    groups: tuple[tuple[int, ...], ...]
    losses: Explanation
    fates: dict[int, Fate]

    @property
    def names(self) -> dict[int, str]:
        """Of all classes seen by this step."""
        return {c: self.run.classes[c] for group in self.run.learned[: self.step + 1] for c in group}

    @property
    def title(self) -> str:
        """What is explained, in one line."""
        return f"{self.run.scenario}  {self.run.name}  step {self.step}"

    @property
    def per_task(self) -> dict[int, Fate]:
        """Step -> fate of the classes that it introduced, for the steps before this one."""
        by_step = {t: [self.fates[c] for c in group if c in self.fates] for t, group in enumerate(self.groups)}
        return {t: together(parts) for t, parts in by_step.items() if parts}

    @property
    def total(self) -> Fate:
        return together(self.fates.values())

    def takers(self, fate: Fate, limit: int = 2) -> str:
        """The classes that have most of the lost tracks now: ``cat 5, cow 2, ..``."""
        by_class = sorted({**fate.newer, **fate.older}.items(), key=lambda item: (-item[1], item[0]))
        shown = [f"{self.names.get(c, c)} {n}" for c, n in by_class[:limit]]
        return ", ".join(shown + [".."] * (len(by_class) > limit))

    def rows(self) -> list[tuple[str, Fate, bool]]:
        """(label, fate, is a sum): all old classes, then each task and its classes, in learning order."""
        rows = [("all old classes", self.total, True)]
        for step, fate in self.per_task.items():
            rows.append((f"classes of step {step}", fate, True))
            rows += [(self.names[c], self.fates[c], False) for c in self.groups[step] if c in self.fates]
        return rows

    def as_json(self) -> dict[str, Any]:
        forgotten = {
            "total": self.total.as_json(),
            "tasks": {str(t): fate.as_json() for t, fate in self.per_task.items()},
            "classes": {str(c): fate.as_json() for c, fate in self.fates.items()},
        }
        return {
            "scenario": self.run.scenario,
            "learner": self.run.learner,
            "text_encoder": self.run.text_encoder and asdict(self.run.text_encoder),
            "step": self.step,
            "names": {str(c): name for c, name in self.names.items()},
            "losses": self.losses.as_json(),
            "forgotten": forgotten if self.fates else None,
        }


def explain_run(
    run: OpenRun, scenario: Scenario, step: int | None = None, classes: Collection[int] | None = None
) -> RunExplanation:
    """Explain one step of a run on the test videos of its stream.

    Args:
        step: default: the last.
        classes: data-set ids to report (default: all seen by then).

    Raises:
        UserError: no such step, a class not seen by then, or a metrics.json or predictions that are damaged.
    """
    result = run.result
    step = result.step_at(step)
    groups = result.learned[: step + 1]
    seen = [c for group in groups for c in group]
    wanted = seen if classes is None else list(classes)
    if unseen := sorted(set(wanted) - set(seen)):
        known = ", ".join(map(str, seen))
        raise UserError(f"--classes: {unseen[0]}: not learned by step {step}; choose of {known}")
    test, files = scenario.test, [run.predictions(t) for t in range(step + 1)]
    losses = explain(test, read_results(files[step], test), wanted)
    forgotten: dict[int, Fate] = {}
    if step:
        sightings = [sight(test, read_results(file, test)) for file in files]
        forgotten = fates(groups, sightings[:-1], sightings[-1])
    return RunExplanation(
        run=result,
        step=step,
        groups=tuple(tuple(c for c in group if c in wanted) for group in groups),
        losses=losses,
        fates={c: fate for c, fate in forgotten.items() if c in wanted},
    )
