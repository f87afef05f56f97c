"""The result page: one HTML file with everything in it, which asks the network for nothing."""

from cvis.report.page.build import TITLE, Options, write_page

__all__ = ["TITLE", "Options", "write_page"]
