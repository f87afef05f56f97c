"""Mask2Former-VIS: one query is one track through all frames of a clip."""

from cvis.segmenters.mask2former.model import Mask2Former

__all__ = ["Mask2Former"]
