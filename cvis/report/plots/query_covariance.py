"""How alike the queries are, within a step and across steps (CRISP's Fig. 2)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cvis.report.plots.style import COLUMN, DIVERGING, Plot, house_style
from cvis.runs.queries import read_queries, run_name


def cosine_matrix(embeddings: np.ndarray) -> np.ndarray:
    """The covariance of embeddings [N, D] scaled to unit length: cosines [N, N]; nan for one of length zero.

    >>> cosine_matrix(np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]])).tolist()
    [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]
    """
    wide = embeddings.astype(np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    unit = np.divide(wide, length, out=np.full_like(wide, np.nan), where=length > 0)
    return np.einsum("id,jd->ij", unit, unit)


@house_style()
def query_covariance(run_folder: Path | str, label: str = "") -> Plot:
    """Cosine of every pair of queries of a run, ordered by the step that owns them.

    Raises:
        UserError: the run has no readable ``queries.npz``.
    """
    queries = read_queries(run_folder)
    cosines = cosine_matrix(queries.embeddings)
    steps, starts = np.unique(queries.step, return_index=True)
    ends = [*starts[1:], len(cosines)]
    name = label or run_name(run_folder)
    figure = Plot(COLUMN, 2.75, f"Similarity of queries, {name}", _describe(name, cosines, queries.step))
    axes = figure.subplots()
    image = axes.imshow(cosines, cmap=DIVERGING, vmin=-1, vmax=1, interpolation="nearest")
    centres = [(a + b - 1) / 2 for a, b in zip(starts, ends, strict=True)]
    axes.set_xticks(centres, [str(t) for t in steps], fontsize=6)
    axes.set_yticks(centres, [str(t) for t in steps], fontsize=6)
    axes.tick_params(length=0)
    for start in starts[1:]:
        axes.axhline(start - 0.5, color="black", linewidth=0.5)
        axes.axvline(start - 0.5, color="black", linewidth=0.5)
    for spine in axes.spines.values():
        spine.set_visible(True)
    axes.set_xlabel("queries, by step")
    axes.set_ylabel("queries, by step")
    axes.set_title(name)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02, ticks=(-1, -0.5, 0, 0.5, 1))
    bar.set_label("cosine")
    bar.outline.set_linewidth(0.6)
    return figure


def _describe(name: str, cosines: np.ndarray, step: np.ndarray) -> str:
    same = step[:, None] == step[None, :]
    off = ~np.eye(len(step), dtype=bool)
    parts = [(same & off, "within a step"), (~same, "across steps")]
    said = [f"{np.nanmean(cosines[mask]):.2f} {where}" for mask, where in parts if mask.any()]
    return f"Cosine of every pair of the {len(step)} queries of {name}. Mean: " + ", ".join(said or ["-"]) + "."
