"""The one table of metrics: what each is called, what it means, where it stands, and how a run's is computed.

Files, tables, plots, the page and ``--metric`` follow from it: a new metric is a new entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from cvis.evaluation import continual
from cvis.evaluation.continual import APMatrix

Direction = Literal["higher", "lower"]
"""What is better."""
Place = Literal["run", "step", "class"]
"""Of what a table can show it: of a run after its last step, of every step, of a single class after a step."""


@dataclass(frozen=True)
class Measure:
    """One metric of ``metrics.json``.

    Attributes:
        heading: of a column.
        places: none for what only the file has.
        title: in words, where it stands alone; default: the heading.
        default: the places at which it is shown unasked; everything would be too wide.
        stability: a measure of what is kept, to be set against plasticity.
        of: computes a run's value from the AP of every class after every step; without it the value is the last step's.
        against_joint: likewise, from the run's AP and the AP of every class (id -> AP) that joint training reaches. No
            run can know it alone, so it stands in no file.
    """

    heading: str
    meaning: str
    places: tuple[Place, ...] = ("run",)
    title: str = ""
    unit: str = "%"
    direction: Direction = "higher"
    default: tuple[Place, ...] = ()
    stability: bool = False
    of: Callable[[APMatrix], float | None] | None = None
    against_joint: Callable[[APMatrix, Mapping[int, float | None]], float | None] | None = None

    @property
    def axis(self) -> str:
        """What an axis of it is called."""
        return f"{self.title or self.heading} ({self.unit})"


RUN: tuple[Place, ...] = ("run",)
STEP: tuple[Place, ...] = ("step",)
CLASS: tuple[Place, ...] = ("class",)

MEASURES: dict[str, Measure] = {
    "mAP": Measure(
        "mAP",
        "Video average precision over all classes of the stream after the last step, mask IoU 0.50 to 0.95.",
        default=RUN,
    ),
    "mAP_all": Measure(
        "mAP_all", "mAP over all classes of the stream; those not learned yet count with 0.", STEP, "mAP, all classes"
    ),
    "mAP_seen": Measure("mAP_seen", "mAP over the classes seen so far.", STEP, "mAP, classes seen so far"),
    "mAP_base": Measure(
        "mAP base", "mAP over the classes of step 0.", RUN + STEP, "mAP, base classes", default=RUN, stability=True
    ),
    "mAP_old": Measure(
        "mAP old", "mAP over the classes of all earlier steps.", RUN + STEP, "mAP, old classes", default=RUN
    ),
    "mAP_new": Measure(
        "mAP new",
        "mAP over the classes of this step; in the result table: of the last step.",
        RUN + STEP,
        "mAP, new classes",
        default=RUN,
    ),
    "AP": Measure("AP", "Average precision of the class, mask IoU 0.50 to 0.95.", CLASS, default=CLASS),
    "AP50": Measure("AP50", "Average precision at mask IoU 0.50.", RUN + STEP + CLASS, default=RUN),
    "AP75": Measure("AP75", "Average precision at mask IoU 0.75.", RUN + STEP + CLASS, default=RUN),
    "APs": Measure("APs", "mAP over small objects.", STEP, "mAP, small objects", default=STEP),
    "APm": Measure("APm", "mAP over medium objects.", STEP, "mAP, medium objects", default=STEP),
    "APl": Measure("APl", "mAP over large objects.", STEP, "mAP, large objects", default=STEP),
    "AR1": Measure("AR1", "Average recall with one prediction per video.", RUN + STEP + CLASS, default=RUN),
    "AR10": Measure("AR10", "Average recall with ten predictions per video.", RUN + STEP + CLASS, default=RUN),
    "FR": Measure(
        "FR",
        "Forgetting rate in percent (CRISP, eq. 8): relative drop of each old class, early classes weighted less. "
        "Its ceiling depends on the stream.",
        title="forgetting rate FR",
        unit="% per step",
        direction="lower",
        default=RUN,
        stability=True,
        of=continual.forgetting_rate,
    ),
    "FR_normalized": Measure(
        "FR norm",
        "FR in percent of the FR of a model that loses everything: comparable between streams.",
        title="normalised forgetting rate",
        direction="lower",
        default=RUN,
        stability=True,
        of=continual.forgetting_rate_normalized,
    ),
    "FR_max": Measure(
        "FR max",
        "The FR of a model that loses everything: it depends on the stream alone.",
        (),
        of=continual.forgetting_rate_max,
    ),
    "n_never_learned": Measure(
        "never learned",
        "Classes with AP 0 at the step that brought them.",
        unit="classes",
        direction="lower",
        of=continual.num_never_learned,
    ),
    "forgetting": Measure(
        "forgetting",
        "Mean over old steps of (best mAP ever - mAP at the end), in points.",
        unit="points of AP",
        direction="lower",
        default=RUN,
        stability=True,
        of=continual.forgetting,
    ),
    "bwt": Measure(
        "BWT",
        "Backward transfer: mean over old steps of (mAP at the end - mAP when new), in points; negative is forgetting.",
        title="backward transfer",
        unit="points of AP",
        default=RUN,
        stability=True,
        of=continual.backward_transfer,
    ),
    "plasticity": Measure(
        "plasticity", "Mean mAP of new classes at the step that brought them.", of=continual.plasticity
    ),
    "relative_drop": Measure(
        "rel drop",
        "Mean relative drop of the old classes, in percent.",
        title="relative drop of AP",
        direction="lower",
        stability=True,
        of=continual.relative_drop,
    ),
    "avg_incremental_mAP": Measure(
        "avg inc mAP",
        "Mean over all steps of the mAP over the classes seen so far.",
        default=RUN,
        of=continual.average_incremental_map,
    ),
    "avg_incremental_mAP_without_base": Measure(
        "avg inc mAP no base", "The same without step 0.", of=partial(continual.average_incremental_map, base=False)
    ),
    "intransigence": Measure(
        "intransigence",
        "What learning in steps costs new classes: mean over the steps of (mAP of joint training with the same seed "
        "- mAP when new), in points.",
        unit="points of AP",
        direction="lower",
        against_joint=continual.intransigence,
    ),
}
"""Name -> metric, in the order of columns, of ``metrics.json`` and of lists to choose from."""


def _named(chosen: Callable[[Measure], bool]) -> tuple[str, ...]:
    return tuple(name for name, measure in MEASURES.items() if chosen(measure))


METRICS = _named(lambda measure: "run" in measure.places)
"""What a result table can be asked for."""
COLUMNS = _named(lambda measure: "run" in measure.default)
"""What it shows if nothing is asked for."""
STEP_METRICS = _named(lambda measure: "step" in measure.places)
SIZES = _named(lambda measure: "step" in measure.default)
"""AP of small, medium and large objects: the columns of CRISP's Tables III to VI at every step."""
CLASS_METRICS = _named(lambda measure: "class" in measure.places)
STABILITY = _named(lambda measure: measure.stability)


def heading(column: str) -> str:
    """Of a column of a table: a metric's, or the column's own name where it is a step, say.

    >>> heading("avg_incremental_mAP"), heading("step 3")
    ('avg inc mAP', 'step 3')
    """
    return MEASURES[column].heading if column in MEASURES else column
