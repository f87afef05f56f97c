"""A table in a notebook: HTML where that can be shown, text elsewhere, and a data frame for who wants to compute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cvis.errors import UserError
from cvis.report.formats import render
from cvis.report.value import Document

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, repr=False)
class Shown:
    """A table of results: what ``cvis compare`` or ``cvis steps`` prints.

    >>> import cvis
    >>> table = cvis.load_runs("runs").table("mAP", "FR")
    >>> print(table)  # doctest: +ELLIPSIS
    tiny  mask2former_tiny
    learner ... seeds ... mAP ... FR
    finetune ...
    """

    document: Document

    def __repr__(self) -> str:
        return render(self.document, "terminal")

    def _repr_html_(self) -> str:
        return render(self.document, "html")

    def text(self, format: str) -> str:
        """As one of the formats of ``cvis compare --format``, such as ``latex`` or ``md``.

        >>> import cvis
        >>> print(cvis.load_runs("runs").table("mAP").text("csv").splitlines()[0])  # doctest: +ELLIPSIS
        scenario,segmenter,block,...

        Raises:
            UserError: an unknown format.
        """
        return render(self.document, format)

    def records(self) -> list[Mapping[str, Any]]:
        """Its numbers, unrounded, one record each (or for each class, step and metric).

        >>> import cvis
        >>> [(one["learner"], one["metric"]) for one in cvis.load_runs("runs").table("mAP", "AR1").records()]
        [('finetune', 'mAP'), ('finetune', 'AR1')]
        """
        return list(self.document.records())

    def to_pandas(self) -> pandas.DataFrame:
        """The records as a data frame.

        >>> import cvis
        >>> frame = cvis.load_runs("runs").table("mAP").to_pandas()
        >>> list(frame["metric"])
        ['mAP']

        Raises:
            UserError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise UserError(f"to_pandas: pandas cannot be imported ({error}); pip install pandas") from error
        return pandas.DataFrame(self.records(), columns=list(self.document.fields))
