"""Where the queries of every step lie: t-SNE of their embeddings."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

from cvis.errors import UserError
from cvis.report.plots.style import COLUMN, MARKERS, SEQUENTIAL, Plot, house_style, legend
from cvis.runs.queries import read_queries, run_name


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


@house_style()
def query_map(run_folder: Path | str, label: str = "") -> Plot:
    """The queries of a run in the plane, coloured by the step that owns them.

    Raises:
        UserError: the run has no readable ``queries.npz``, or too few queries.
    """
    queries = read_queries(run_folder)
    places = layout(queries.embeddings)
    steps = np.unique(queries.step)
    name = label or run_name(run_folder)
    counts = ", ".join(f"{(queries.step == t).sum()} of step {t}" for t in steps)
    figure = Plot(COLUMN, 2.6, f"Query embeddings, {name}", f"t-SNE map of the query embeddings of {name}: {counts}.")
    axes = figure.subplots()
    shades = matplotlib.colormaps[SEQUENTIAL](np.linspace(0, 0.95, len(steps)))
    for i, (t, shade) in enumerate(zip(steps, shades, strict=True)):
        own = places[queries.step == t]
        marker = MARKERS[i % len(MARKERS)]
        axes.scatter(
            own[:, 0], own[:, 1], s=18, color=shade, marker=marker, edgecolor="white", linewidth=0.4, label=f"step {t}"
        )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel("t-SNE 1 (no unit)")
    axes.set_ylabel("t-SNE 2 (no unit)")
    axes.set_title(name)
    legend(figure, [axes], handlelength=1.0)
    return figure
