"""A user's own files in the format of YouTube-VIS."""

from __future__ import annotations

from cvis.data.dataset import Dataset, Layout

DATASET = Dataset(
    title="a data set of your own",
    source="your own files in YouTube-VIS format",
    layouts={
        "train": Layout(
            ("instances.json", "train.json", "train/instances.json"), ("JPEGImages", "train/JPEGImages", "train")
        ),
        "test": Layout(("test.json", "test/instances.json"), ("test/JPEGImages", "JPEGImages", "test")),
    },
    tests_on="test",
    own_files=True,
)
