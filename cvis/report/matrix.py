"""Learner x segmenter: the result tables of one stream side by side, a column for each segmenter.

A column is a block of a result table, whole, with its ranks. Two columns stand in one matrix only if their protocols
agree but for what belongs to a model: its settings, its schedule and its sampling, and whether its backbone begins with
random weights or with those of another model's step 0, which has seen the same videos and began with random weights.
Where runs changed these too, they are with those of other segmenters that changed the same keys to the same values.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from cvis.evaluation.ranks import RankCorrelation, rank_correlation
from cvis.report.rows import Block, Row, Statistic
from cvis.report.table import comparison
from cvis.runs.protocol import BACKBONE, SHIPPED, Differences, differences, flat, signature
from cvis.runs.result import RunResult

Pair = tuple[str, str]
"""A learner and a segmenter, by the names of their runs."""
OF_MODEL = ("segmenter", "schedule", "sampling")
"""Parts of a protocol that the files of a segmenter set."""
SCALE = "schedule.scale"
"""No model's matter: how much of every schedule is trained."""
VARIANT = " (variant)"


@dataclass(frozen=True)
class MatrixRow:
    """One learner, with one text encoder if it has any, on every segmenter.

    Attributes:
        cells: segmenter -> its row in that one's result table; missing where there is no run.
    """

    learner: str
    cells: Mapping[str, Row]

    @property
    def name(self) -> str:
        """As printed; which cells are variants is said of each."""
        return max((row.name.replace(VARIANT, "") for row in self.cells.values()), key=len, default=self.learner)

    @property
    def upper_bound(self) -> bool:
        return any(row.upper_bound for row in self.cells.values())

    @property
    def n(self) -> int:
        """Seeds of the cell that has most."""
        return max((row.n for row in self.cells.values()), default=0)


@dataclass(frozen=True)
class Matrix:
    """The columns of one protocol.

    Attributes:
        differs: protocol keys in which it differs from the first matrix of the stream.
        trained: segmenter -> in which keys its initial weights, its schedule and its sampling differ from the first
            column's, if in any.
    """

    scenario: str
    metric: str
    segmenters: tuple[str, ...]
    rows: tuple[MatrixRow, ...]
    differs: Differences
    trained: Mapping[str, Differences]

    def value(self, row: MatrixRow, segmenter: str) -> Statistic | None:
        """None where there is no run."""
        return row.cells[segmenter].cells[self.metric] if segmenter in row.cells else None

    def is_variant(self, row: MatrixRow, segmenter: str) -> bool:
        """Whether the method is not as its paper has it, with this model or with any."""
        return segmenter in row.cells and VARIANT in row.cells[segmenter].name

    def correlations(self) -> list[tuple[str, str, RankCorrelation]]:
        """How far every two segmenters put the learners that both have in one order; upper bounds are in none.

        Where some have one seed, which leaves no interval, those with several follow on their own.
        """
        columns: dict[str, dict[str, Mapping[int, float]]] = {name: {} for name in self.segmenters}
        for i, row in enumerate(self.rows):
            for name, cell in row.cells.items():
                if not row.upper_bound and (by_seed := cell.cells[self.metric].by_seed):
                    columns[name][str(i)] = by_seed
        several = {name: {i: seeds for i, seeds in own.items() if len(seeds) > 1} for name, own in columns.items()}
        found = []
        for here, there in combinations(self.segmenters, 2):
            found.append((here, there, rank_correlation(columns[here], columns[there])))
            sure = rank_correlation(several[here], several[there])
            if sure.low is not None and sure.n < found[-1][2].n:
                found.append((here, there, sure))
        return found


def matrices(
    runs: Sequence[RunResult], metric: str = "mAP", learners: Sequence[str] = (), segmenters: Sequence[str] = ()
) -> list[Matrix]:
    """The matrices of the runs of one stream, the one of most runs first.

    Args:
        learners: to show alone and in this order, in the first matrix also without a run; default: all that have runs.
        segmenters: likewise.

    Raises:
        UserError: an unknown metric, or damaged numbers of a class where they are needed.
    """
    chosen = [run for run in runs if not learners or run.learner in learners or run.upper_bound]  # which others need
    chosen = [run for run in chosen if not segmenters or run.segmenter in segmenters]
    found: dict[Hashable, dict[str, Block]] = {}
    for group in comparison(chosen, [metric]):
        for block in group.blocks:
            if asked := tuple(row for row in block.rows if not learners or row.learner in learners):
                found.setdefault(_condition(block), {})[group.segmenter] = replace(block, rows=asked)
    most = sorted(found.values(), key=lambda blocks: -sum(row.n for block in blocks.values() for row in block.rows))
    made: list[Matrix] = []
    order = {name: i for i, name in enumerate(learners)}
    for blocks in most:
        rows = _rows(blocks)
        if blocks is most[0]:
            rows += [MatrixRow(name, {}) for name in learners if name not in {row.learner for row in rows}]
        rows.sort(key=lambda row: (row.upper_bound, order.get(row.learner, 0)))
        columns = [name for name in segmenters if name in blocks or blocks is most[0]] or list(blocks)
        first, of_most = (
            next(each[name] for name in (*segmenters, *each) if name in each) for each in (blocks, most[0])
        )
        own = {key: pair for key, pair in first.differs.items() if _is_of_model(key)}
        differs = {**differences(_shared(first), _shared(of_most)), **own}
        trained = {name: differences(_training(block), _training(first)) for name, block in blocks.items()}
        made.append(Matrix(chosen[0].scenario, metric, tuple(columns), tuple(rows), differs, trained))
    return made


def _rows(blocks: Mapping[str, Block]) -> list[MatrixRow]:
    """Rows of one learner in several columns are one, also where it is a variant in some of them."""
    rows: dict[Hashable, dict[str, Row]] = {}
    for segmenter, block in blocks.items():
        for row in block.rows:
            label = row.label.removesuffix(f" ({row.learner})")  # that told it apart in this column
            encoder = row.text_encoder and row.text_encoder.key
            key: Hashable = (row.learner, label.replace(VARIANT, ""), encoder)
            if segmenter in rows.get(key, {}):  # two rows that differ in being a variant alone
                key = (row.learner, label, encoder)
            rows.setdefault(key, {})[segmenter] = row
    return [MatrixRow(next(iter(cells.values())).learner, cells) for cells in rows.values()]


def _condition(block: Block) -> Hashable:
    """Equal for blocks whose rows may stand in one line."""
    own = frozenset((key, repr(here)) for key, (here, _) in block.differs.items() if _is_of_model(key))
    return signature(_shared(block)), own


def _shared(block: Block) -> dict[str, Any]:
    shared = {key: value for key, value in block.protocol.items() if key not in OF_MODEL}
    if str(shared.get("init")).startswith(BACKBONE + SHIPPED):
        shared["init"] = "random"
    return {**shared, SCALE: flat(block.protocol).get(SCALE)}


def _training(block: Block) -> dict[str, Any]:
    return {"init": block.protocol.get("init"), **{key: block.protocol.get(key) or {} for key in OF_MODEL[1:]}}


def _is_of_model(key: str) -> bool:
    return key.partition(".")[0] in OF_MODEL and key != SCALE
