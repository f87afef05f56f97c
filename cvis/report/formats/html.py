"""A fragment of HTML, to be put into a page.

Plain ASCII, so it reads right under any encoding. Best and second are ``strong`` and ``u`` as well as classes: they
show without a style sheet.
"""

from __future__ import annotations

from html import escape as quoted

from cvis.report.value import Cell, Column, Document, Table, all_notes

SUFFIX = ".html"


def render(document: Document) -> str:
    """A ``section.group`` per section with its tables; the notes in ``ul.notes`` at the end.

    Tables have their kind as class, ``ours``, ``published`` or ``difference``; cells ``num``, ``best`` and ``second``.
    """
    sections, lines = document.sections(), []
    for section in sections:
        lines += ['<section class="group">', f"<h3>{escape(section.title)}</h3>"]
        for table in section.tables:
            lines += [*_table(table, section.title), *(f"<p>{escape(note)}</p>" for note in table.notes)]
        lines.append("</section>")
    notes = [*([document.legend] if document.legend and sections else []), *all_notes(sections)]
    lines += ['<ul class="notes">', *(f"<li>{escape(note)}</li>" for note in notes), "</ul>"]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Also quotes, and everything beyond ASCII.

    >>> escape("1 ± 2 <b>")
    '1 &#177; 2 &lt;b&gt;'
    """
    return quoted(text).encode("ascii", "xmlcharrefreplace").decode("ascii")


def _table(table: Table, title: str) -> list[str]:
    heads = "".join(f'<th scope="col"{_class(column)}>{escape(column.title)}</th>' for column in table.columns)
    return [
        f'<table class="{table.kind}">',
        f"<caption>{escape(table.title or title)}</caption>",
        f"<thead><tr>{heads}</tr></thead>",
        "<tbody>",
        *(f'<tr><th scope="row">{escape(row[0].text)}</th>{_cells(table, row)}</tr>' for row in table.rows),
        "</tbody>",
        "</table>",
    ]


def _cells(table: Table, row: tuple[Cell, ...]) -> str:
    return "".join(map(_cell, table.columns[1:], row[1:]))


def _cell(column: Column, cell: Cell) -> str:
    text = escape(cell.text)
    marked = {1: f"<strong>{text}</strong>", 2: f"<u>{text}</u>"}.get(cell.rank, text)
    return f"<td{_class(column, cell.rank)}>{marked}</td>"


def _class(column: Column, rank: int = 0) -> str:
    names = [*(["num"] if column.numeric else []), *{1: ["best"], 2: ["second"]}.get(rank, [])]
    return f' class="{" ".join(names)}"' if names else ""
