"""From values to the text of one HTML file that may ask the network for nothing."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cvis.errors import UserError
from cvis.report.page.values import Page

HERE = Path(__file__).parent
GENERATOR = '<meta name="generator" content="cvis report">'


def render(page: Page) -> str:
    """The whole page. Everything that is not from our own files is escaped by the template engine."""
    templates = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["breakable"] = _breakable
    script = (HERE / "page.js").read_text(encoding="utf-8")
    style = (HERE / "style.css").read_text(encoding="utf-8")
    return templates.get_template("page.html").render(
        page=page, script=Markup(script), style=Markup(style), policy=_policy(script), generator=Markup(GENERATOR)
    )


def _breakable(text: str) -> Markup:
    """A long name may go on in the next line behind an underscore, before it is cut anywhere."""
    return Markup("_<wbr>").join(text.split("_"))


def _policy(script: str) -> str:
    """Nothing may be fetched, and only our own script may run, known by its checksum.

    Styles stay open: the plots' SVG sets them on single elements, and with no fetch allowed they can leak nothing.
    """
    checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = {
        "default-src": "'none'",
        "img-src": "data:",
        "media-src": "data:",
        "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{checksum}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{what} {source}" for what, source in allowed.items())


def check_place(path: Path) -> None:
    """Before any work is done: may ``path`` be written over?

    Raises:
        UserError: the folder is a file, or another tool's page stands there.
    """
    if path.parent.exists() and not path.parent.is_dir():
        raise UserError(f"--out {path.parent}: is a file; give a folder")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; choose another folder with --out")
    if path.is_file():
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                ours = GENERATOR in file.read(2000)
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}; choose another folder with --out") from error
        if not ours:
            raise UserError(f"{path}: was not made by `cvis report`; it stays; choose another folder with --out")
