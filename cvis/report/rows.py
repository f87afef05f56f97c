"""What a result table is made of: statistics, rows, blocks of rows that may be ranked together, groups of blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from cvis.runs.protocol import Differences
from cvis.runs.result import TextEncoder, labelled

if TYPE_CHECKING:
    from cvis.evaluation.bootstrap import Interval

Source = Literal["ours", "paper"]
"""``ours``: from a metrics.json. ``paper``: printed in one, and not run here."""


@dataclass(frozen=True)
class Statistic:
    """One number over the seeds. ``std`` is the sample deviation (n - 1), None for a single seed."""

    mean: float | None
    std: float | None = None
    n: int = 0
    rank: int = 0  # 1 the best of its block, 2 the second, 0 neither or not ranked
    by_seed: Mapping[int, float] = field(default_factory=dict)

    def text(self) -> str:
        """As printed: two decimals, ``-`` where the metric does not exist.

        >>> Statistic(12.0, 2.828, 2).text(), Statistic(None).text()
        ('12.00 ± 2.83', '-')
        """
        if self.mean is None:
            return "-"
        return printed(self.mean) if self.std is None else f"{printed(self.mean)} ± {self.std:.2f}"


def printed(value: float) -> str:
    """Two decimals, and no negative zero.

    >>> printed(-0.001), printed(1.005)
    ('0.00', '1.00')
    """
    return f"{round(value, 2) + 0.0:.2f}"


@dataclass(frozen=True)
class PairedDifference:
    """Mean difference over ``n`` pairs of seeds, and from two pairs on its confidence interval."""

    mean: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0


@dataclass(frozen=True)
class OverVideos:
    """What a row would be on other test videos: 95 % intervals; metrics that cannot be drawn anew are not in them."""

    intervals: Mapping[str, Interval]
    gains: Mapping[str, Interval]  # over the block's baseline
    place: tuple[int, int] | None  # by the first metric, among the rows that are ranked


@dataclass(frozen=True)
class Row:
    """One learner, with one text encoder if it has any, under one protocol, over its seeds."""

    learner: str
    seeds: tuple[int, ...]  # empty for a row of a paper that names none
    init: str
    cells: dict[str, Statistic]
    upper_bound: bool = False  # sees the whole stream at once: listed last, never ranked
    text_encoder: TextEncoder | None = None
    note: str = ""  # what the label alone would hide
    label: str = ""
    source: Source = "ours"
    run_ids: tuple[str, ...] = ()  # of each seed
    gains: dict[str, PairedDifference] = field(default_factory=dict)  # over the block's baseline, in each column
    over_videos: OverVideos | None = None

    @property
    def name(self) -> str:
        """As printed: a row that rests on random text features says so."""
        return labelled(self.label or self.learner, self.note)

    @property
    def n(self) -> int:
        """How many runs it is made of; a paper's row is taken for one."""
        return len(self.seeds) or 1

    def about(self) -> dict[str, Any]:
        """What a program is told of it beside its numbers."""
        return {
            "learner": self.learner,
            "name": self.name,
            "source": self.source,
            "seeds": list(self.seeds),
            "run_ids": list(self.run_ids),
            "init": self.init,
            "upper_bound": self.upper_bound,
        }

    def metrics(self) -> dict[str, dict[str, Any]]:
        """Its numbers, unrounded."""
        return {name: {"mean": cell.mean, "std": cell.std, "n": cell.n} for name, cell in self.cells.items()}


@dataclass(frozen=True)
class Block:
    """Rows that may be compared with each other."""

    protocol: dict[str, Any]
    differs: Differences  # key -> (value here, value in the first block of the group)
    rows: tuple[Row, ...]
    source: Source = "ours"
    title: str = ""  # of published rows: where they were printed
    notes: tuple[str, ...] = ()  # of published rows: how they were measured
    baseline: Row | None = None  # that the others have gains over


@dataclass(frozen=True)
class Group:
    """All blocks of one scenario and segmenter; the first block holds the most common protocol."""

    scenario: str
    segmenter: str
    blocks: tuple[Block, ...]
    columns: tuple[str, ...]
    metric: str = ""  # that the columns are steps of; empty where every column is a metric
    notes: tuple[str, ...] = ()
