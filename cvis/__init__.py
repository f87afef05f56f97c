"""cvis: the benchmark suite for continual video instance segmentation."""

__version__ = "0.1.0"
