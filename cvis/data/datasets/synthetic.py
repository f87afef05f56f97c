"""The synthetic videos (:mod:`cvis.data.synthetic`), made on first use."""

from __future__ import annotations

from pathlib import Path

from cvis.data.dataset import Dataset, Layout


def make() -> Path:
    from cvis.data.synthetic import synthetic_root  # draws, and so loads OpenCV

    return synthetic_root()


DATASET = Dataset(
    title="the synthetic data set",
    source="`cvis data synth`",
    layouts={part: Layout((f"{part}.json",), (f"{part}/JPEGImages",)) for part in ("train", "test")},
    tests_on="test",
    make=make,
)
