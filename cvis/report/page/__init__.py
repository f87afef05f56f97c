"""The result page: one HTML file with everything in it, which asks the network for nothing."""

from cvis.report.page.build import Options, write_page

__all__ = ["Options", "write_page"]
