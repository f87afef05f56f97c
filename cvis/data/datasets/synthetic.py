"""The synthetic videos (:mod:`cvis.data.synthetic`), made on first use."""

from __future__ import annotations

from pathlib import Path

from cvis.data.dataset import Dataset, Layout


def of_world(world: str, title: str, source: str) -> Dataset:
    """The videos of one of :data:`cvis.data.worlds.WORLDS`."""

    def make() -> Path:
        from cvis.data.synthetic import synthetic_root  # draws, and so loads OpenCV

        return synthetic_root(world=world)

    layouts = {part: Layout((f"{part}.json",), (f"{part}/JPEGImages",)) for part in ("train", "test")}
    return Dataset(title=title, source=source, layouts=layouts, tests_on="test", make=make)


DATASET = of_world("texture", "the synthetic data set", "`cvis data synth`")
