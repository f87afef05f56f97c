"""Figures of finished runs. Each function returns a matplotlib figure; :func:`save` writes it."""

from cvis.report.plots.cost import cost
from cvis.report.plots.curves import curves
from cvis.report.plots.heatmap import class_heatmap
from cvis.report.plots.output import FORMATS, check_format, inline_svg, save
from cvis.report.plots.query_covariance import query_covariance
from cvis.report.plots.query_map import query_map
from cvis.report.plots.style import Plot
from cvis.report.plots.tradeoff import stability_plasticity

__all__ = [
    "FORMATS",
    "Plot",
    "check_format",
    "class_heatmap",
    "cost",
    "curves",
    "inline_svg",
    "query_covariance",
    "query_map",
    "save",
    "stability_plasticity",
]
