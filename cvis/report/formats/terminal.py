"""Plain aligned columns."""

from __future__ import annotations

from cvis.report.value import Column, Document, Table, all_notes

SUFFIX = ".txt"


def render(document: Document) -> str:
    """Every table under its section's title, then the notes."""
    sections = document.sections()
    lines: list[str] = []
    for section in sections:
        for table in section.tables:
            lines += [section.title, *([table.title] if table.title else []), *aligned(table), *table.notes, ""]
    return "".join(f"{line}\n" for line in [*lines, *all_notes(sections)])


def aligned(table: Table) -> list[str]:
    """Words flush left, numbers flush right.

    >>> from cvis.report.value import numbers, texts, words
    >>> aligned(Table((*words("learner"), *numbers("mAP")), (texts("joint", "4"),)))
    ['learner  mAP', 'joint      4']
    """
    widths = [max(map(len, column)) for column in zip(*table.lines, strict=True)]
    return ["  ".join(map(_flush, table.columns, line, widths)).rstrip() for line in table.lines]


def _flush(column: Column, text: str, width: int) -> str:
    return text.rjust(width) if column.numeric else text.ljust(width)
