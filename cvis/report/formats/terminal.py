"""Plain aligned columns."""

from __future__ import annotations

from collections.abc import Sequence

from cvis.report.formats.sheet import all_notes, pages
from cvis.report.rows import Group


def render(groups: Sequence[Group]) -> str:
    """A table per block under its title, then the notes."""
    found, lines = pages(groups), []
    for page in found:
        for sheet in page.sheets:
            lines += [page.title, *([sheet.heading] if sheet.heading else [])]
            lines += aligned([sheet.columns, *([cell.text for cell in row] for row in sheet.rows)], sheet.left)
            lines.append("")
    return "".join(f"{line}\n" for line in [*lines, *all_notes(found)])


def aligned(lines: Sequence[Sequence[str]], left: int) -> list[str]:
    """The first ``left`` columns flush left, the others flush right.

    >>> aligned([["learner", "mAP"], ["joint", "4"]], left=1)
    ['learner  mAP', 'joint      4']
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = (
        "  ".join(
            text.ljust(width) if i < left else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
    return [text.rstrip() for text in texts]
