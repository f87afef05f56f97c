"""GitHub's Markdown."""

from __future__ import annotations

import re

from cvis.report.value import Cell, Document, Table, all_notes

SUFFIX = ".md"
MARKS = re.compile(r"([\\`*_{}\[\]|#~$])")


def render(document: Document) -> str:
    """A heading per section with its tables; the notes at the end, as a list where a legend heads them."""
    sections = document.sections()
    parts = []
    for section in sections:
        parts.append(f"### {escape(section.title)}")
        for shown in section.tables:
            title = [f"_{escape(shown.title)}_"] if shown.title else []
            parts += [*title, table(shown), *map(escape, shown.notes)]
    legend = [document.legend] if document.legend and parts else []
    bullet = "- " if document.legend else ""
    parts.append("\n".join(f"{bullet}{escape(note)}" for note in [*legend, *all_notes(sections)]))
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    """No character of ``text`` is markup, and none ends the cell.

    >>> escape("a|b <i> *c*")
    'a\\\\|b &lt;i&gt; \\\\*c\\\\*'
    """
    text = " ".join(text.split())
    return MARKS.sub(r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def table(shown: Table) -> str:
    """One table, without its titles and notes."""
    heads = [escape(column.title) for column in shown.columns]
    rule = ["---:" if column.numeric else ":---" for column in shown.columns]
    lines = [heads, rule, *([_cell(cell) for cell in row] for row in shown.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    return {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(cell.rank, text)
