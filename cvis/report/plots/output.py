"""Figures become files, or a part of a page: equal figures, equal bytes."""

from __future__ import annotations

import hashlib
import html
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cvis.atomic import atomic_path
from cvis.errors import UserError
from cvis.report.plots.style import SETTINGS, house_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("svg", "pdf", "png")
DPI = 150
UNDATED: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}

ID = re.compile(r'\b(id="|href="#|url\(#)')
HEAD = re.compile(r"^.*?<svg[^>]*>", re.DOTALL)
VIEW_BOX = re.compile(r'viewBox="([^"]*)"')
METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)


def check_format(path: Path, option: str = "") -> str:
    """The format that a file's name asks for, before work is done.

    Args:
        option: that gave the path, for the error.

    Raises:
        UserError: its name ends in none of the formats.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise UserError(
            f"{f'{option} {path}'.strip()}: {path.suffix!r}: not a format; end the name in .svg, .pdf or .png"
        )
    return kind


def save(figure: Figure, path: Path | str, settings: Mapping[Any, Any] = SETTINGS) -> None:
    """Write a figure as SVG, PDF or PNG (150 dpi), by the end of the name; atomic, without a date.

    Args:
        settings: of matplotlib, those that the figure was drawn with.

    Raises:
        UserError: an unknown format, or the file cannot be written.
    """
    kind = check_format(Path(path))
    with house_style(settings), atomic_path(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=DPI, metadata=UNDATED.get(kind))


def inline_svg(figure: Figure, prefix: str = "") -> str:
    """A figure as an ``<svg>`` element for an HTML page, as wide as its place.

    It has a title and a description for screen readers, and no id that another figure of the page could have.

    Args:
        prefix: of its ids; default: made of the figure's content.
    """
    buffer = io.StringIO()
    with house_style():
        figure.savefig(buffer, format="svg", metadata=UNDATED["svg"])
    text = METADATA.sub("", buffer.getvalue())
    prefix = prefix or "f" + hashlib.sha256(text.encode()).hexdigest()[:10]
    view = VIEW_BOX.search(text)
    title, _, description = html.escape(str(figure.get_label())).partition("\n")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{view.group(1) if view else ""}" width="100%" role="img" '
        f'aria-labelledby="{prefix}-title {prefix}-desc">'
        f'<title id="{prefix}-title">{title}</title><desc id="{prefix}-desc">{description}</desc>'
    )
    return head + ID.sub(rf"\g<1>{prefix}-", HEAD.sub("", text, count=1)).rstrip()
