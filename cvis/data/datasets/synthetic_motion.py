"""Synthetic videos of classes that are told by their motion (:mod:`cvis.data.worlds`)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cvis.data.datasets import synthetic


def make() -> Path:
    from cvis.data.synthetic import synthetic_root

    return synthetic_root(world="motion")


DATASET = replace(
    synthetic.DATASET,
    title="the synthetic data set named by motion",
    source="`cvis data synth --world motion`",
    make=make,
)
