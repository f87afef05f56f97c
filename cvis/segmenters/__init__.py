"""Video instance segmentation models behind one contract."""

from cvis.segmenters.base import Memory, Output, Segmenter
from cvis.segmenters.heads import ClassHeads
from cvis.segmenters.init import InitReport, load_init
from cvis.segmenters.mask2former.groups import QueryGroup
from cvis.segmenters.registry import SEGMENTERS, build_segmenter

__all__ = [
    "SEGMENTERS",
    "ClassHeads",
    "InitReport",
    "Memory",
    "Output",
    "QueryGroup",
    "Segmenter",
    "build_segmenter",
    "load_init",
]
