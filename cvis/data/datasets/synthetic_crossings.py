"""The synthetic videos with a test part in which objects of one class cross, leave and come back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cvis.data.datasets import synthetic


def make() -> Path:
    from cvis.data.synthetic import crossings_root

    return crossings_root()


DATASET = replace(
    synthetic.DATASET,
    title="the synthetic data set with crossings",
    source="`cvis data synth --crossings 40`",
    make=make,
)
