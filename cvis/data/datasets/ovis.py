"""OVIS (Qi et al., "Occluded Video Instance Segmentation: A Benchmark", IJCV 2022)."""

from __future__ import annotations

from cvis.data.dataset import Dataset, Layout

CATEGORIES = (  # "Vehical" is how the file spells it
    "Person Bird Cat Dog Horse Sheep Cow Elephant Bear Zebra Giraffe Poultry Giant_panda Lizard Parrot "
    "Monkey Rabbit Tiger Fish Turtle Bicycle Motorcycle Airplane Boat Vehical"
)


def layout(part: str) -> Layout:
    files = (f"annotations_{part}.json", f"annotations/annotations_{part}.json")
    return Layout(files, (part, f"Images/{part}", f"images/{part}", f"JPEGImages/{part}"))


DATASET = Dataset(
    title="OVIS",
    source="https://songbai.site/ovis/",
    layouts={part: layout(part) for part in ("train", "valid", "test")},
    train_videos=607,
    categories=tuple(CATEGORIES.split()),
)
