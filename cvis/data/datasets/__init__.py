"""The data sets: every file of this folder declares one, and an installed package may bring more.

A package offers a :class:`~cvis.data.dataset.Dataset` as an entry point in the group ``cvis.datasets``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvis.data.dataset import Dataset
from cvis.discovery import Offers, Origin, declared
from cvis.errors import UserError
from cvis.validation import did_you_mean

DATASETS: dict[str, Dataset] = declared(__name__, "DATASET")
"""Our own."""


def _check(dataset: Any, origin: Origin) -> Dataset:
    if not isinstance(dataset, Dataset):
        raise UserError(f"entry point {origin.name}: is not a cvis.data.dataset.Dataset")
    return dataset


OFFERED = Offers("cvis.datasets", lambda: DATASETS, _check)
"""Those of installed packages."""


@dataclass(frozen=True)
class DataFiles:
    """Where a data set lies. Without a test part, a part of the training videos is held out."""

    train_annotations: Path
    train_frames: Path | None  # None: no frame will be read
    test_annotations: Path | None = None
    test_frames: Path | None = None


def known(dataset: str) -> Dataset:
    """The data set of this name.

    Raises:
        UserError: there is none, or its package is broken.
    """
    found = DATASETS.get(dataset) or OFFERED.values().get(dataset)
    if found is not None:
        return found
    if reason := OFFERED.reason(dataset):
        raise UserError(f"dataset: {dataset!r}: does not load: {reason}; correct or uninstall the package")
    hint = did_you_mean(dataset, [*DATASETS, *OFFERED.values()])
    raise UserError(f"dataset: {dataset!r}: there is no such data set; {hint}")


def data_root(dataset: str, root: Path | str | None) -> Path:
    """``root``; without one where the data set makes itself, else ``$CVIS_DATA/<dataset>`` or ``./data/<dataset>``."""
    make = known(dataset).make
    if root is not None:
        return Path(root).expanduser()
    return make() if make else Path(os.environ.get("CVIS_DATA") or "data").expanduser() / dataset


def locate(dataset: str, root: Path | str | None) -> DataFiles:
    """The files of a data set below ``root`` (see :func:`data_root`), in any of its usual layouts.

    The official valid and test parts are not a test set here: their annotations are private. A user who has
    labels for them finds them with :func:`locate_part`.

    Raises:
        UserError: nothing is there; says what was looked for and where to get the data set.
    """
    tests_on = known(dataset).tests_on
    test = locate_part(dataset, root, tests_on) if tests_on else None
    return DataFiles(*require_part(dataset, root, "train"), *(test or (None, None)))


def require_part(dataset: str, root: Path | str | None, part: str) -> tuple[Path, Path]:
    """As :func:`locate_part`.

    Raises:
        UserError: one of the two is not there; says what was looked for and where to get the data set.
    """
    files = locate_part(dataset, root, part)
    if files is None:
        raise known(dataset).missing(data_root(dataset, root), part).error()
    return files


def locate_part(dataset: str, root: Path | str | None, part: str) -> tuple[Path, Path] | None:
    """Annotation file and folder of frames of one part ("train", "valid", "test"); ``None`` if not both are there."""
    annotations, frames = known(dataset).find(data_root(dataset, root), part)
    return (annotations, frames) if annotations and frames else None
