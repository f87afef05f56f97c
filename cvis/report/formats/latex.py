"""Tables for LaTeX with booktabs; no other package is needed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from cvis.report.value import Cell, Column, Document, Section, Table

SUFFIX = ".tex"
SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "[": "{[}",  # after a line's end it would be taken for an option, as would the star
    "]": "{]}",
    "*": "{*}",
    "±": r"$\pm$",
    **{mark: "\\" + mark for mark in "{}$&#_%"},
}
ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}
"""Combining character -> the command that sets it."""


def render(document: Document) -> str:
    """A ``table`` per section with a part per table of one shape; those of another follow in tabulars of their own."""
    tables = [_table(section, document.legend) for section in document.sections() if section.tables]
    return "\n".join(["% needs \\usepackage{booktabs}", *tables]) + "\n"


def escape(text: str) -> str:
    """``text`` as any LaTeX sets it; a letter that it may not have becomes its code point.

    >>> escape("50 % of a_b [x] é 中")
    "50 \\\\% of a\\\\_b {[}x{]} \\\\'{e} U+4E2D"
    """
    return "".join(map(_character, " ".join(text.split())))


def _character(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    if " " <= character <= "~":
        return character
    base, *marks = list(unicodedata.normalize("NFD", character))
    if len(marks) == 1 and marks[0] in ACCENTS and base.isascii() and base.isalpha():
        return f"\\{ACCENTS[marks[0]]}{{{base}}}"
    return f"U+{ord(character):04X}"


def _table(section: Section, legend: str) -> str:
    first = section.tables[0]
    together = [table for table in section.tables if table.columns == first.columns]
    lines = [r"\begin{table}", r"\centering\small\setlength{\tabcolsep}{4pt}"]
    lines += [rf"\caption{{{escape(section.title)}}}", rf"\label{{tab:{_slug(section.title)}}}"]
    lines += _tabular(together)
    for table in section.tables:
        if table not in together:
            lines += [r"\par\medskip", *_tabular([table])]
    titles = [table.title for table in together if table.title != table.short]
    below = [note for table in section.tables for note in table.notes]
    for note in [*([legend] if legend else []), *titles, *below, *section.notes]:
        lines.append(rf"\par\smallskip{{\footnotesize {escape(note)}\par}}")
    return "\n".join([*lines, r"\end{table}"])


def _tabular(tables: Sequence[Table]) -> list[str]:
    columns = tables[0].columns
    places = "".join("r" if column.numeric else "l" for column in columns)
    lines = [rf"\begin{{tabular}}{{{places}}}", r"\toprule"]
    lines += [_line([escape(column.title) for column in columns]), r"\midrule"]
    for table in tables:
        lines += [r"\midrule"] if table is not tables[0] else []
        if table.short:
            lines += [rf"\multicolumn{{{len(columns)}}}{{l}}{{\emph{{{escape(table.short)}}}}} \\", r"\midrule"]
        lines += [_line(map(_cell, columns, row)) for row in table.rows]
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(column: Column, cell: Cell) -> str:
    text = escape(cell.text)
    if column.numeric:
        text = "--" if text == "-" else text.replace("-", "$-$")  # a minus, not a hyphen
    return {1: rf"\textbf{{{text}}}", 2: rf"\underline{{{text}}}"}.get(cell.rank, text)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")
