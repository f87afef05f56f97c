"""Every row's gain over one of them, the baseline, seed by seed.

Two runs of one seed share the step-0 model and the order of the clips, so their difference varies less than either
of them does. Only seeds that both have are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import sqrt
from statistics import fmean, stdev

from cvis.errors import UserError, did_you_mean
from cvis.report.rows import Block, Group, PairedDifference, Row

LEVEL = 0.95


def with_baseline(groups: Sequence[Group], name: str) -> list[Group]:
    """The groups with the differences of each block's rows to its row ``name``, a learner or a printed name.

    Rows under another protocol are not compared: a block without that row has no differences, and its group says so.

    Raises:
        UserError: no block has such a row, or one has several.
    """
    against = [_of_group(group, name) for group in groups]
    if not any(block.baseline for group in against for block in group.blocks):
        ours = {
            row.learner for group in groups for block in group.blocks if block.source == "ours" for row in block.rows
        }
        raise UserError(f"--baseline {name}: no row is called that; {did_you_mean(name, sorted(ours))}")
    return against


def paired_difference(
    ours: Mapping[int, float], baseline: Mapping[int, float], level: float = LEVEL
) -> PairedDifference:
    """``ours`` minus ``baseline``, seed -> value each, with the interval of a paired Student t-test.

    >>> paired_difference({0: 3.0, 1: 5.0, 7: 9.0}, {0: 1.0, 1: 2.0}).mean
    2.5
    """
    gains = [ours[seed] - baseline[seed] for seed in sorted(ours.keys() & baseline.keys())]
    if len(gains) < 2:
        return PairedDifference(gains[0] if gains else None, n=len(gains))
    from scipy.special import stdtrit  # scipy.stats would take a second to load

    mean = fmean(gains)
    half = float(stdtrit(len(gains) - 1, 0.5 + level / 2)) * stdev(gains) / sqrt(len(gains))
    return PairedDifference(mean, mean - half, mean + half, len(gains))


def compared(block: Block) -> list[Row]:
    """The rows that have gains over the block's baseline."""
    return [row for row in block.rows if row.gains]


def unpaired(row: Row, baseline: Row) -> list[int]:
    """Seeds that only one of the two has."""
    return sorted({*row.seeds} ^ {*baseline.seeds})


def _of_group(group: Group, name: str) -> Group:
    blocks = tuple(_of_block(block, name) if block.source == "ours" else block for block in group.blocks)
    lacking = [i for i, block in enumerate(blocks, 1) if block.source == "ours" and block.baseline is None]
    if not lacking:
        return replace(group, blocks=blocks)
    where = "" if len(lacking) == len(blocks) else " in " + ", ".join(f"block {i}" for i in lacking)
    note = f"{group.scenario}, {group.segmenter}: no run of the baseline {name}{where}: no differences there."
    return replace(group, blocks=blocks, notes=(*group.notes, note))


def _of_block(block: Block, name: str) -> Block:
    called = [row for row in block.rows if row.name == name]
    called = called or [row for row in block.rows if name in (row.learner, row.label)]
    if len(called) > 1:
        names = ", ".join(repr(row.name) for row in called)
        raise UserError(f"--baseline {name}: {len(called)} rows are called that; give one of {names}")
    if not called:
        return block
    (baseline,) = called
    rows = tuple(row if row is baseline else _with_gains(row, baseline) for row in block.rows)
    return replace(block, rows=rows, baseline=baseline)


def _with_gains(row: Row, baseline: Row) -> Row:
    gains = {name: paired_difference(cell.by_seed, baseline.cells[name].by_seed) for name, cell in row.cells.items()}
    return replace(row, gains=gains)
