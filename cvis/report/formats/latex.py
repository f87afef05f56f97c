"""Tables for LaTeX with booktabs; no other package is needed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from cvis.report.formats.sheet import LEGEND, Page, Sheet, Text, pages
from cvis.report.rows import Group

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


def render(groups: Sequence[Group]) -> str:
    """A ``table`` per group with a part per block; differences to a baseline follow in a tabular of their own."""
    tables = [_table(page) for page in pages(groups) if page.sheets]
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


def _table(page: Page) -> str:
    results = [sheet for sheet in page.sheets if sheet.kind != "difference"]
    differences = [sheet for sheet in page.sheets if sheet.kind == "difference"]
    lines = [r"\begin{table}", r"\centering\small\setlength{\tabcolsep}{4pt}"]
    lines += [rf"\caption{{{escape(page.title)}}}", rf"\label{{tab:{_slug(page.title)}}}"]
    lines += _tabular(results)
    for sheet in differences:
        lines += [r"\par\medskip", *_tabular([sheet])]
    headings = [sheet.heading for sheet in results if sheet.heading != sheet.short]
    for note in [LEGEND, *headings, *page.notes]:
        lines.append(rf"\par\smallskip{{\footnotesize {escape(note)}\par}}")
    return "\n".join([*lines, r"\end{table}"])


def _tabular(sheets: Sequence[Sheet]) -> list[str]:
    first = sheets[0]
    width = len(first.columns)
    lines = [rf"\begin{{tabular}}{{{'l' * first.left}{'r' * (width - first.left)}}}", r"\toprule"]
    lines += [_line([escape(name) for name in first.columns]), r"\midrule"]
    for sheet in sheets:
        lines += [r"\midrule"] if sheet is not first else []
        if sheet.short:
            lines += [rf"\multicolumn{{{width}}}{{l}}{{\emph{{{escape(sheet.short)}}}}} \\", r"\midrule"]
        lines += [_line([_cell(cell, i >= sheet.left) for i, cell in enumerate(row)]) for row in sheet.rows]
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: Text, is_number: bool) -> str:
    text = escape(cell.text)
    if is_number:
        text = "--" if text == "-" else text.replace("-", "$-$")  # a minus, not a hyphen
    return {1: rf"\textbf{{{text}}}", 2: rf"\underline{{{text}}}"}.get(cell.rank, text)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")
