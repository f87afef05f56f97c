"""A result table with every row's gain over one of them, the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cvis.errors import UserError
from cvis.report.paired import paired_difference
from cvis.report.rows import Baseline, Block, DifferenceRow, Group, Row


def with_baseline(groups: Sequence[Group], name: str) -> list[Group]:
    """The groups with the differences of each block's rows to its row ``name``, a learner or a printed name.

    Rows under another protocol are not compared: a block without that row has no differences, and its group says so.

    Raises:
        UserError: no block has such a row, or one has several.
    """
    compared = [_of_group(group, name) for group in groups]
    if not any(block.baseline for group in compared for block in group.blocks):
        known = sorted({row.learner for group in groups for block in group.blocks for row in _ours(block)})
        raise UserError(f"--baseline {name}: no row is called that; choose of {', '.join(known) or 'none: no runs'}")
    return compared


def _of_group(group: Group, name: str) -> Group:
    blocks = [replace(block, baseline=_of_block(block, group.columns, name)) for block in group.blocks]
    lacking = [i for i, block in enumerate(blocks) if _ours(block) and block.baseline is None]
    if not lacking:
        return replace(group, blocks=tuple(blocks))
    where = "" if len(lacking) == len(blocks) else " in " + ", ".join(f"block {i + 1}" for i in lacking)
    note = f"{group.scenario}, {group.segmenter}: no run of the baseline {name}{where}: no differences there."
    return replace(group, blocks=tuple(blocks), notes=(*group.notes, note))


def _ours(block: Block) -> tuple[Row, ...]:
    return block.rows if block.source == "ours" else ()


def _of_block(block: Block, columns: Sequence[str], name: str) -> Baseline | None:
    rows = _ours(block)
    called = [row for row in rows if row.name == name] or [row for row in rows if name in (row.learner, row.label)]
    if len(called) > 1:
        names = ", ".join(repr(row.name) for row in called)
        raise UserError(f"--baseline {name}: {len(called)} rows are called that; give one of {names}")
    if not called:
        return None
    (baseline,) = called
    return Baseline(baseline, tuple(_difference(row, baseline, columns) for row in block.rows if row is not baseline))


def _difference(row: Row, baseline: Row, columns: Sequence[str]) -> DifferenceRow:
    cells = {name: paired_difference(row.cells[name].by_seed, baseline.cells[name].by_seed) for name in columns}
    return DifferenceRow(row, cells, tuple(sorted({*row.seeds} ^ {*baseline.seeds})))
