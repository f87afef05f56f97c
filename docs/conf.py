"""How Sphinx makes the site (`make docs`) of the Markdown files; its root is the repository's, so that links hold."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.errors import SphinxError

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]
from figures import base_map  # noqa: E402
from from_code import PAGES  # noqa: E402

project = "cvis"
root_doc = "docs/index"
include_patterns = ["docs/*.md", "examples/*/README.md", "leaderboard/README.md", "*.md"]
exclude_patterns = [".*", "build", "data", "runs", "templates"]
extensions = ["myst_parser"]
myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "dollarmath"]
myst_dmath_allow_space = False  # "$HOME and $PATH" is no formula
myst_heading_anchors = 3
highlight_language = "text"
smartquotes_action = "qe"  # quotes and ellipses, no dashes: "--set" is an option
html_theme = "furo"
html_title = "cvis"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = html_show_copyright = False
html_math_renderer = "mathml"  # browsers draw it themselves: no script, nothing from another host
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#c2410c", "color-brand-content": "#b03a0a"},
    "dark_css_variables": {"color-brand-primary": "#fb923c", "color-brand-content": "#fdba74"},
}
MADE = {**PAGES, "base_map": lambda: framed(base_map())}
MARK = re.compile(r"^<!-- from the code: (\w+) -->$", re.MULTILINE)
FOLDER = re.compile(r"\]\(([\w./-]+)\)")
DRAWING = re.compile(r"^!\[(.*)\]\((.*\.svg)\)$", re.MULTILINE)
FOREIGN = re.compile(r'<(?:script|img|link|iframe)[^>]+(?:src|href)="(?:https?:)?//', re.IGNORECASE)


def complete(app, docname, source) -> None:
    """What the code says goes into the page, drawings too, to have its colours; a folder's page is its README."""
    here = ROOT / Path(docname).parent

    def to_readme(link: re.Match) -> str:
        return f"]({link[1]}/README.md)" if (here / link[1]).is_dir() else link[0]

    text = FOLDER.sub(to_readme, source[0])
    text = DRAWING.sub(lambda drawing: framed((here / drawing[2]).read_text(encoding="utf-8")), text)
    source[0] = MARK.sub(lambda mark: MADE[mark[1]](), text)


def framed(drawing: str) -> str:
    return f'<div class="drawing">\n{drawing.strip()}\n</div>'


def inline_math(self, node) -> None:
    self.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def block_math(self, node) -> None:
    self.body.append(f'<div class="math">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def finish(app, exception) -> None:
    """The first page is where one looks for it; no page loads anything from another host."""
    if exception is not None:
        return
    out = Path(app.outdir)
    for page in out.rglob("*.html"):
        if found := FOREIGN.search(page.read_text(encoding="utf-8")):
            raise SphinxError(f"{page}: loads from another host: {found[0]}")
    first = f"{root_doc}.html"
    (out / "index.html").write_text(f'<meta http-equiv="refresh" content="0; url={first}"><a href="{first}">cvis</a>\n')


def setup(app) -> None:
    app.connect("source-read", complete)
    app.connect("build-finished", finish)
    app.add_html_math_renderer("mathml", inline_renderers=(inline_math, None), block_renderers=(block_math, None))
