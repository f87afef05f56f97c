"""Synthetic videos whose classes are told by shape alone (:mod:`cvis.data.worlds`)."""

from cvis.data.datasets.synthetic import of_world

DATASET = of_world("shape", "the synthetic data set named by shape", "`cvis data synth --world shape`")
