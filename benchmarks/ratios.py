"""What a benchmark found, in the one form that `make bench` reads: ratios, of every turn, and what they should be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any


@dataclass(frozen=True)
class Ratio:
    """Of two times, or two amounts of memory, of one run on one machine; less is better.

    Attributes:
        what: the one over the other.
        values: of every turn.
        aim: what it should be at most; None: nothing was promised.
    """

    what: str
    values: Sequence[float]
    aim: float | None = None

    @property
    def spread(self) -> str:
        """Its mean, and the least and the greatest value of several.

        >>> Ratio("", [0.25, 0.35]).spread, Ratio("", [0.125]).spread
        ('0.30 (0.25 to 0.35)', '0.12')
        """
        several = f" ({min(self.values):.2f} to {max(self.values):.2f})" if len(self.values) > 1 else ""
        return f"{mean(self.values):.2f}{several}"

    @property
    def verdict(self) -> str:
        """Whether the mean is what it should be.

        >>> Ratio("", [0.3], 0.25).verdict, Ratio("", [0.25], 0.25).verdict, Ratio("", [0.3]).verdict
        ('**missed**', 'met', '')
        """
        return "" if self.aim is None else "met" if mean(self.values) <= self.aim else "**missed**"


def tell(ratios: Sequence[Ratio], as_json: bool, **more: Any) -> None:
    """Print them as lines, or with all ``more`` that was measured as one line of JSON."""
    if as_json:
        print(json.dumps({**more, "ratios": [asdict(ratio) for ratio in ratios]}))
        return
    width = max(len(ratio.what) for ratio in ratios)
    for ratio in ratios:
        aim = "" if ratio.aim is None else f"  at most {ratio.aim:.2f}: {ratio.verdict.strip('*')}"
        print(f"{ratio.what:{width}}  {ratio.spread}{aim}")
