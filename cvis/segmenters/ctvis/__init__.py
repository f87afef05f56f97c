"""CTVIS: Mask2Former frame by frame, and embeddings that say which object of one frame is which of another."""

from cvis.segmenters.ctvis.model import CTVIS

__all__ = ["CTVIS"]
