"""Video instance segmentation models behind one contract."""

from cvis.segmenters.contract import Segmenter
from cvis.segmenters.init import InitReport, load_init
from cvis.segmenters.registry import SEGMENTERS, build_segmenter

__all__ = ["SEGMENTERS", "InitReport", "Segmenter", "build_segmenter", "load_init"]
