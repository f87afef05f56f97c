"""Synthetic videos whose classes are told by shape and motion (:mod:`cvis.data.worlds`)."""

from cvis.data.datasets.synthetic import of_world

DATASET = of_world("motion", "the synthetic data set named by motion", "`cvis data synth --world motion`")
