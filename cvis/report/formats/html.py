"""Tables as a fragment of HTML, to be put into a page.

Plain ASCII, so it reads right under any encoding. Best and second are ``strong`` and ``u`` as well as classes: they
show without a style sheet.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape as quoted

from cvis.report.formats.sheet import LEGEND, Sheet, Text, all_notes, pages
from cvis.report.rows import Group


def render(groups: Sequence[Group]) -> str:
    """A ``section.group`` per group with a ``table`` per block; the notes in ``ul.notes`` at the end.

    Tables have the class ``ours``, ``published`` or ``difference``; cells ``num``, ``best`` and ``second``.
    """
    found, lines = pages(groups), []
    for page in found:
        lines += ['<section class="group">', f"<h3>{escape(page.title)}</h3>"]
        for sheet in page.sheets:
            lines += _table(sheet, page.title)
        lines.append("</section>")
    notes = [*([LEGEND] if found else []), *all_notes(found)]
    lines += ['<ul class="notes">', *(f"<li>{escape(note)}</li>" for note in notes), "</ul>"]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Also quotes, and everything beyond ASCII.

    >>> escape("1 ± 2 <b>")
    '1 &#177; 2 &lt;b&gt;'
    """
    return quoted(text).encode("ascii", "xmlcharrefreplace").decode("ascii")


def _table(sheet: Sheet, title: str) -> list[str]:
    heads = "".join(
        f'<th scope="col"{"" if i < sheet.left else _class("num")}>{escape(name)}</th>'
        for i, name in enumerate(sheet.columns)
    )
    return [
        f'<table class="{sheet.kind}">',
        f"<caption>{escape(sheet.heading or title)}</caption>",
        f"<thead><tr>{heads}</tr></thead>",
        "<tbody>",
        *(f"<tr>{_row(row, sheet.left)}</tr>" for row in sheet.rows),
        "</tbody>",
        "</table>",
    ]


def _row(row: Sequence[Text], left: int) -> str:
    first = f'<th scope="row">{escape(row[0].text)}</th>'
    return first + "".join(_cell(cell, i >= left) for i, cell in enumerate(row[1:], 1))


def _cell(cell: Text, is_number: bool) -> str:
    text = escape(cell.text)
    marked = {1: f"<strong>{text}</strong>", 2: f"<u>{text}</u>"}.get(cell.rank, text)
    names = [*(["num"] if is_number else []), *{1: ["best"], 2: ["second"]}.get(cell.rank, [])]
    return f"<td{_class(*names)}>{marked}</td>"


def _class(*names: str) -> str:
    return f' class="{" ".join(names)}"' if names else ""
