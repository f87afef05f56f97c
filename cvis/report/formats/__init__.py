"""Documents as text. A format is a module here: its name is the format's, ``SUFFIX`` is what a file's name ends in, and
``render(document)`` gives the text, ending in a line feed. Whatever comes from a file is escaped there.
"""

from __future__ import annotations

from cvis.discovery import declared
from cvis.errors import UserError, did_you_mean
from cvis.report.value import Document

FORMATS = declared(__name__, "render")
SUFFIXES: dict[str, str] = {suffix: name for name, suffix in declared(__name__, "SUFFIX").items()}
"""What a file's name says of its format."""


def render(document: Document, format: str = "terminal") -> str:
    """The document as text of one format.

    Raises:
        UserError: an unknown format.
    """
    if format not in FORMATS:
        raise UserError(f"--format {format}: no such format; {did_you_mean(format, FORMATS)}")
    text: str = FORMATS[format](document)
    return text
