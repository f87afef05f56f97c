"""The final queries of a run: where they lie (t-SNE), and how alike they are (CRISP's Fig. 2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cvis.errors import UserError
from cvis.report.plots.plot import Drawing, Plot, row_file_name
from cvis.report.plots.style import COLUMN, DIVERGING, MARKERS, SEQUENTIAL, house_style, legend, new_figure
from cvis.report.views import Entry
from cvis.runs.queries import FILE, read_queries, run_name
from cvis.runs.result import RunResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def layout(embeddings: np.ndarray) -> np.ndarray:
    """Places in the plane, [N, 2], of N embeddings [N, D]; the same bits for the same input.

    The exact gradient on one thread: sums in another order would make another map.

    Raises:
        UserError: fewer than four queries, of which there is no map.
    """
    if len(embeddings) < 4:
        raise UserError(f"queries: {len(embeddings)}: too few for a map; it takes four")
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(30.0, (len(embeddings) - 1) / 3)
    with threadpool_limits(limits=1):
        tsne = TSNE(perplexity=perplexity, init="pca", learning_rate="auto", method="exact", random_state=0)
        return tsne.fit_transform(embeddings.astype(np.float64))


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
def query_map(run_folder: Path | str, label: str = "") -> Figure:
    """The queries of a run in the plane, coloured by the step that owns them.

    Raises:
        UserError: the run has no readable ``queries.npz``, or too few queries.
    """
    import matplotlib

    queries = read_queries(run_folder)
    places = layout(queries.embeddings)
    steps = np.unique(queries.step)
    name = label or run_name(run_folder)
    counts = ", ".join(f"{(queries.step == t).sum()} of step {t}" for t in steps)
    described = f"t-SNE map of the query embeddings of {name}: {counts}."
    figure = new_figure(COLUMN, 2.6, f"Query embeddings, {name}", described)
    axes = figure.subplots()
    shades = matplotlib.colormaps[SEQUENTIAL](np.linspace(0, 0.95, len(steps)))
    for i, (t, shade) in enumerate(zip(steps, shades, strict=True)):
        x, y = places[queries.step == t].T
        marker = MARKERS[i % len(MARKERS)]
        axes.scatter(x, y, s=18, color=shade, marker=marker, edgecolor="white", linewidth=0.4, label=f"step {t}")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel("t-SNE 1 (no unit)")
    axes.set_ylabel("t-SNE 2 (no unit)")
    axes.set_title(name)
    legend(figure, [axes], handlelength=1.0)
    return figure


@house_style()
def query_covariance(run_folder: Path | str, label: str = "") -> Figure:
    """Cosine of every pair of queries of a run, ordered by the step that owns them.

    Raises:
        UserError: the run has no readable ``queries.npz``.
    """
    queries = read_queries(run_folder)
    cosines = cosine_matrix(queries.embeddings)
    steps, starts = np.unique(queries.step, return_index=True)
    ends = [*starts[1:], len(cosines)]
    name = label or run_name(run_folder)
    figure = new_figure(COLUMN, 2.75, f"Similarity of queries, {name}", _describe(name, cosines, queries.step))
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
    off_diagonal = ~np.eye(len(step), dtype=bool)
    parts = [(same & off_diagonal, "within a step"), (~same, "across steps")]
    means = [f"{np.nanmean(cosines[mask]):.2f} {where}" for mask, where in parts if mask.any()]
    return f"Cosine of every pair of the {len(step)} queries of {name}. Mean: " + ", ".join(means or ["-"]) + "."


def _drawings(rows: Sequence[Entry], metrics: Sequence[str], among: Sequence[RunResult]) -> Iterator[Drawing]:
    """A row's queries are those of its first seed that keeps them: a mean over seeds has no sense."""
    lacking = []
    for row in rows:
        run = next((run for run in row.runs if (run.path / FILE).is_file()), None)
        if run is None:
            lacking.append(row.label)
            continue
        label, name = f"{row.label}, seed {run.seed}", row_file_name(row)
        draw_map, draw_cosines = partial(query_map, run.path, label), partial(query_covariance, run.path, label)
        yield Drawing(f"query-map-{name}", draw_map, "t-SNE map of the query embeddings.")
        yield Drawing(f"query-covariance-{name}", draw_cosines, "Cosine of every pair of queries, ordered by step.")
    if lacking:
        yield Drawing("query-map, query-covariance", partial(_refuse, lacking))


def _refuse(lacking: Sequence[str]) -> Figure:
    """One word for all rows whose runs keep no queries."""
    raise UserError(
        f"no {FILE} in the runs of {', '.join(lacking)}: they are older than the file; run the same "
        "`cvis run` in another folder"
    )


PLOT = Plot("queries", "the query embeddings: a t-SNE map, and the cosine of every pair", _drawings, section="queries")
