"""VisTR: sequence queries, one for each frame and instance of a clip."""

from cvis.segmenters.vistr.model import VisTR

__all__ = ["VisTR"]
