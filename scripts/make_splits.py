"""Compute the checksum of a data set's held-out split, and keep it in scenarios/splits.toml.

    python scripts/make_splits.py ytvis2019 --ann train.json [--write]
    python scripts/make_splits.py ytvis2019 --classes video_classes.json [--write]

``--classes`` takes ``{video id: [class index]}``, class index = category id - 1: enough for the split.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from cvis.atomic import write_text
from cvis.data.datasets import DATASETS
from cvis.data.split import FRACTION, Split, holdout_split, read_splits
from cvis.data.ytvis import decode, read_bytes, read_ytvis
from cvis.errors import UserError

SPLITS = Path(__file__).resolve().parents[1] / "scenarios" / "splits.toml"
HEADER = """\
# The held-out split of each data set's annotated train part (cvis.data.split.holdout_split), by checksum.
# "confirmed": computed from the official annotations. "unconfirmed": nobody has run this on them yet:
#   python scripts/make_splits.py DATASET --ann FILE --write
"""


def read_classes(arguments: argparse.Namespace) -> dict[int, Collection[int]]:
    """Video id -> category ids."""
    if arguments.ann:
        videos = read_ytvis(arguments.ann, None)
        return {video.id: videos.classes_of(video.id) for video in videos.videos}
    indices = decode(read_bytes(arguments.classes), arguments.classes)
    return {int(video): [index + 1 for index in own] for video, own in indices.items()}


def report(dataset: str, classes: Mapping[int, Collection[int]], split: Split) -> None:
    """Print how many train and test videos each class has."""
    names = DATASETS[dataset].categories
    total = Counter(c for own in classes.values() for c in set(own))
    test = Counter(c for video in split.test for c in set(classes[video]))
    print(f"{'class':<24}{'train':>6}{'test':>6}")
    for c in sorted(total):
        name = names[c - 1] if 0 < c <= len(names) else ""
        print(f"{c:>3} {name:<20}{total[c] - test[c]:>6}{test[c]:>6}")
    print(f"{'videos':<24}{len(split.train):>6}{len(split.test):>6}")
    print(f"sha256 {split.sha256}")


def keep(dataset: str, split: Split) -> None:
    """Enter a split into scenarios/splits.toml as confirmed."""
    entry = {
        "status": "confirmed",
        "sha256": split.sha256,
        "train_videos": len(split.train),
        "test_videos": len(split.test),
        "fraction": FRACTION,
    }
    tables = {**read_splits(), dataset: entry}
    text = HEADER
    for name, table in tables.items():
        text += f"\n[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
    write_text(SPLITS, text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=[name for name in DATASETS if DATASETS[name].categories])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--ann", type=Path, help="the official annotation file")
    source.add_argument("--classes", type=Path, help="the classes of each video")
    parser.add_argument("--write", action="store_true", help="enter the checksum into scenarios/splits.toml")
    arguments = parser.parse_args()
    try:
        classes = read_classes(arguments)
        split = holdout_split(classes)
        report(arguments.dataset, classes, split)
        if arguments.write:
            keep(arguments.dataset, split)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
