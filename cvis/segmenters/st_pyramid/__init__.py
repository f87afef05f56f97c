"""Space-time pyramid with attention: every pixel of a clip embeds itself, and instances are clusters."""

from cvis.segmenters.st_pyramid.model import STPyramid

__all__ = ["STPyramid"]
