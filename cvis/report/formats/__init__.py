"""Result tables as text: for a terminal, Markdown, LaTeX, CSV, JSON and HTML."""

from __future__ import annotations

from collections.abc import Sequence

from cvis.errors import UserError
from cvis.report.rows import Group
from cvis.runs.find import LeftOut

FORMATS = ("terminal", "md", "latex", "csv", "json", "html")
SUFFIXES = {
    ".txt": "terminal",
    ".md": "md",
    ".tex": "latex",
    ".csv": "csv",
    ".json": "json",
    ".html": "html",
}
"""What a file's name says of its format."""


def render(
    groups: Sequence[Group],
    format: str = "terminal",
    *,
    left_out: Sequence[LeftOut] = (),
    set_apart: Sequence[LeftOut] = (),
) -> str:
    """The tables as text of one format, ending in a line feed.

    Whatever comes from a file is escaped. In CSV and JSON numbers are unrounded, and no rank is lost.

    Args:
        format: one of ``FORMATS``.
        left_out: runs that are no rows; only JSON lists them.
        set_apart: likewise.

    Raises:
        UserError: an unknown format.
    """
    from cvis.report.formats import comma, html, json_text, latex, markdown, terminal

    if format == "json":
        return json_text.render(groups, left_out, set_apart)
    writers = {"terminal": terminal, "md": markdown, "latex": latex, "csv": comma, "html": html}
    if format not in writers:
        raise UserError(f"--format {format}: no such format; choose of {', '.join(FORMATS)}")
    return writers[format].render(groups)
