"""Tables in GitHub's Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cvis.report.formats.sheet import LEGEND, Sheet, Text, all_notes, pages
from cvis.report.rows import Group

MARKS = re.compile(r"([\\`*_{}\[\]|#~$])")


def render(groups: Sequence[Group]) -> str:
    """A heading per group, a table per block, the notes as a list at the end."""
    found, parts = pages(groups), []
    for page in found:
        parts.append(f"### {escape(page.title)}")
        for sheet in page.sheets:
            parts += [f"_{escape(sheet.heading)}_"] if sheet.heading else []
            parts.append("\n".join(_table(sheet)))
    notes = [*([LEGEND] if parts else []), *all_notes(found)]
    parts.append("\n".join(f"- {escape(note)}" for note in notes))
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    """No character of ``text`` is markup, and none ends the cell.

    >>> escape("a|b <i> *c*")
    'a\\\\|b &lt;i&gt; \\\\*c\\\\*'
    """
    text = " ".join(text.split())
    return MARKS.sub(r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def _table(sheet: Sheet) -> list[str]:
    rule = [":---" if i < sheet.left else "---:" for i in range(len(sheet.columns))]
    lines = [[escape(name) for name in sheet.columns], rule, *([_cell(cell) for cell in row] for row in sheet.rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _cell(cell: Text) -> str:
    text = escape(cell.text)
    return {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(cell.rank, text)
