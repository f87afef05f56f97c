"""The plots of the page, as SVG in the text of the page."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from cvis.errors import UserError
from cvis.report.page.values import Figure
from cvis.report.plots.output import inline_svg
from cvis.report.plots.plot import plots, runs_of
from cvis.report.views import Entry


def figures(section: str, rows: Sequence[Entry], prefix: str) -> tuple[Figure, ...]:
    """What can be drawn of these rows for a section of the page, the narrow ones first: they share a line."""
    offered = [plot for plot in plots().values() if plot.section == section]
    drawings = [drawing for plot in offered for drawing in plot.drawings(rows, plot.default, runs_of(rows))]
    drawn = []
    for i, drawing in enumerate(sorted(drawings, key=lambda drawing: drawing.wide)):
        try:
            figure = drawing.draw()
        except UserError:  # a stream of one step has no curve, and an old run no sizes
            continue
        drawn.append(Figure(drawing.caption, Markup(inline_svg(figure, f"{prefix}-{i}")), drawing.wide))
    return tuple(drawn)
