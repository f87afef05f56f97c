"""Comma-separated values: a line for each record, which is what data frames like best."""

from __future__ import annotations

import csv
import io
from typing import Any

from cvis.report.value import Document

SUFFIX = ".csv"


def render(document: Document) -> str:
    """Numbers unrounded; empty where there is none."""
    text = io.StringIO()
    writer = csv.DictWriter(text, document.fields, lineterminator="\n")
    writer.writeheader()
    for record in document.records():
        writer.writerow({field: cell(value) for field, value in record.items()})
    return text.getvalue()


def cell(value: Any) -> Any:
    """Lists are separated by blanks, and yes is 1. Numbers stay.

    Text that a spreadsheet would run as a formula begins with an apostrophe, which makes it text.

    >>> cell("=1+1"), cell([0, 1]), cell(True), cell(-2.5)
    ("'=1+1", '0 1', 1, -2.5)
    """
    if isinstance(value, list):
        value = " ".join(map(str, value))
    if isinstance(value, bool):
        value = int(value)
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value
