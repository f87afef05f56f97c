"""Runs with every metric that a figure shows, and what a figure says in words."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
from stream_runs import AP, write_stream

from cvis.report.plots.output import save
from cvis.runs.find import load_runs

SVG = "{http://www.w3.org/2000/svg}"
RANDOM = {"model": "tiny", "pretrained": "random", "sha256": None}
STEPS = {
    "mAP_all": (10.0, 20.0, 30.0),
    "AR1": (15.0, 25.0, 35.0),
    "mAP_base": (40.0, 30.0, 20.0),
    "trainable_params": (1000, 10, 10),
    "stored_params": (1000, 20, 20),
    "train_s": (60.0, 2.0, 3.0),
}
FINAL = {"plasticity": 12.0, "forgetting": 5.0, "FR": 4.0}


def plotted_runs(folder):
    """crisp with two seeds, finetune with one, and joint."""
    for seed in (0, 1):
        values = {name: tuple(v + seed for v in by_step) for name, by_step in STEPS.items()}
        write_stream(folder, "crisp", seed, step_fields=values, final=FINAL, text_encoder=RANDOM)
    write_stream(folder, "finetune", 0, step_fields=STEPS, final={**FINAL, "plasticity": 30.0})
    bound = {"mAP_all": (55.0,), "AR1": (66.0,), "mAP_base": (55.0,), "trainable_params": (2000,), "train_s": (90.0,)}
    write_stream(folder, "joint", 0, ap={c: (50.0,) for c in AP}, step_fields=bound)
    return load_runs([folder]).runs


def words(path):
    return [e.text for e in ElementTree.parse(path).iter(f"{SVG}text")]


def saved(figure, path):
    save(figure, path)
    return words(path)


def write_queries(folder, seed=0, sizes=(6, 2, 2)):
    rng = np.random.default_rng(seed)
    step = np.repeat(np.arange(len(sizes)), sizes)
    np.savez(folder / "queries.npz", queries=rng.normal(size=(len(step), 8)).astype(np.float32), step=step)
