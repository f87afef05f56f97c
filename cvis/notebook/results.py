"""Finished runs in a notebook."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cvis.errors import UserError, did_you_mean
from cvis.evaluation.measures import SIZES
from cvis.notebook.shown import Shown
from cvis.report.table import comparison, per_step
from cvis.runs import find

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Results:
    """Finished runs: what :func:`load_runs` found, or :func:`cvis.run` made. A notebook shows it as the result table.

    Attributes:
        store: the runs, and what had to be left out, with the reasons.

    >>> import cvis
    >>> runs = cvis.load_runs("runs")
    >>> len(runs), runs.folders[0].name, runs.store.left_out
    (1, 'seed0', ())
    """

    store: find.Store

    def __len__(self) -> int:
        return len(self.store.runs)

    def __repr__(self) -> str:
        return repr(self.table()) if len(self) else "no finished run\n"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    @property
    def folders(self) -> list[Path]:
        """Of the runs.

        >>> import cvis
        >>> [folder.parent.name for folder in cvis.load_runs("runs").folders]
        ['finetune']
        """
        return [run.path for run in self.store.runs]

    def only(self, **fields: Any) -> Results:
        """Those runs whose fields have these values: ``learner``, ``scenario``, ``segmenter``, ``seed``, ``label``.

        >>> import cvis
        >>> len(cvis.load_runs("runs").only(learner="finetune", seed=0))
        1

        Raises:
            UserError: no such field, or no run is left.
        """
        known = ("learner", "scenario", "segmenter", "seed", "label")
        if unknown := [name for name in fields if name not in known]:
            raise UserError(f"only: {unknown[0]}: no such field; {did_you_mean(unknown[0], known)}")
        kept = tuple(run for run in self.store.runs if all(getattr(run, name) == v for name, v in fields.items()))
        if not kept:
            wanted = ", ".join(f"{name}={value!r}" for name, value in fields.items())
            there = sorted({str(getattr(run, name)) for run in self.store.runs for name in fields})
            raise UserError(f"only: {wanted}: no run is left; there are {', '.join(there)}")
        return replace(self, store=replace(self.store, runs=kept))

    def table(self, *metrics: str, baseline: str | None = None) -> Shown:
        """The result table, as ``cvis compare``: a row per learner, mean and deviation over seeds, x100.

        >>> import cvis
        >>> cvis.load_runs("runs").table("mAP")._repr_html_().startswith('<section class="group">')
        True

        Args:
            metrics: default: all.
            baseline: also the differences to this learner, paired by seed.

        Raises:
            UserError: an unknown metric or baseline.
        """
        from cvis.report.baseline import with_baseline
        from cvis.report.result_tables import ResultTables

        groups = comparison(self.store.runs, metrics)
        groups = with_baseline(groups, baseline) if baseline is not None else groups
        return Shown(ResultTables(groups, self.store.left_out, self.store.set_apart))

    def to_pandas(self) -> pandas.DataFrame:
        """The numbers of :meth:`table`, unrounded: a row per learner and metric.

        >>> import cvis
        >>> frame = cvis.load_runs("runs").to_pandas()
        >>> set(frame["learner"])
        {'finetune'}

        Raises:
            UserError: pandas is not installed.
        """
        return self.table().to_pandas()

    def steps(self, *metrics: str) -> Shown:
        """Metrics after every step of the stream, as ``cvis steps``; default: the AP of small, medium, large objects.

        >>> import cvis
        >>> [one["step"] for one in cvis.load_runs("runs").steps("mAP_seen").records()]
        [0, 1, 2]

        Raises:
            UserError: an unknown metric.
        """
        from cvis.report.result_tables import ResultTables
        from cvis.report.views import beside

        tables = {name: per_step(self.store.runs, name) for name in metrics or SIZES}
        groups = [group for groups in tables.values() for group in groups]
        return Shown(ResultTables(groups, self.store.left_out, self.store.set_apart, beside(tables)))

    def per_class(self, metric: str = "AP") -> Shown:
        """A metric of every class after every step, and what was forgotten of it.

        >>> import cvis
        >>> classes = {one["class"] for one in cvis.load_runs("runs").per_class().records()}
        >>> classes == {"red", "green", "blue", "grey"}
        True

        Raises:
            UserError: no metric of a single class.
        """
        from cvis.report.class_tables import ClassTables, class_tables

        return Shown(ClassTables(class_tables(self.store.runs, metric), self.store.left_out))

    def plot(self, kind: str = "curves", *metrics: str) -> Figure:
        """One of the figures of ``cvis plot``: ``curves``, ``tradeoff``, ``cost``, ``heatmap``, ``queries``.

        >>> import cvis
        >>> type(cvis.load_runs("runs").plot("curves", "mAP_seen")).__module__
        'matplotlib.figure'

        Raises:
            UserError: no such kind or metric, nothing to draw, or several figures: of ``heatmap`` and ``queries`` there
                is one for each learner, so choose one by :meth:`only`.
        """
        from cvis.report.plots.plot import plots
        from cvis.report.views import entries

        known = plots()
        if kind not in known:
            raise UserError(f"plot: {kind!r}: no such kind; {did_you_mean(kind, known)}")
        chosen = known[kind]
        if unknown := [name for name in metrics if name not in chosen.metrics]:
            raise UserError(f"plot: {unknown[0]!r}: no metric of {kind}; {did_you_mean(unknown[0], chosen.metrics)}")
        drawings = list(chosen.drawings(entries(self.store.runs), metrics or chosen.default, self.store.runs))
        if len(drawings) != 1:
            names = ", ".join(drawing.name for drawing in drawings) or "none"
            raise UserError(
                f"plot: {kind}: these are {len(drawings)} figures: {names}; choose runs by only(learner=..)"
            )
        return _for_notebook(drawings[0].draw())


def load_runs(*paths: Path | str) -> Results:
    """All finished runs below these folders, and in these bundles; default: ``runs``.

    >>> import cvis
    >>> cvis.load_runs("runs").store.runs[0].learner
    'finetune'

    Raises:
        UserError: a folder does not exist.
    """
    return Results(find.load_runs(paths or ("runs",)))


def _for_notebook(figure: Figure) -> Figure:
    """Tell IPython, where it runs, to show figures as pictures: it does so by itself only once pyplot is used."""
    import sys

    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is not None:
        from IPython.core.pylabtools import select_figure_formats

        select_figure_formats(shell, {"retina"})
    return figure
