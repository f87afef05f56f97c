"""Which data set lies in a folder, told by the names of its classes; and a set of one's own, opened by its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cvis.data.dataset import Dataset
from cvis.data.datasets import DATASETS, OFFERED
from cvis.data.schema import parse
from cvis.data.videoset import VideoSet
from cvis.data.ytvis import collection_paused, decode, read_bytes, read_ytvis
from cvis.errors import UserError

OWN = "custom"


def guess(root: Path) -> str:
    """The name of the data set whose classes the training part below ``root`` has; else ``custom``."""
    read: dict[Path, VideoSet | None] = {}
    for name, entry in {**DATASETS, **OFFERED.values()}.items():
        file = entry.find(root, "train")[0]
        if file is None or not entry.categories:
            continue
        if file not in read:
            read[file] = _classes(file)
        videos = read[file]
        if videos is not None and not any(p.field != "videos" for p in entry.differences(videos, file)):
            return name
    return OWN


def open_own(path: Path) -> VideoSet:
    """The training part below a folder, or the part of an annotation file; frames are found in the usual places.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise UserError(f"{path}: does not exist; give a data set's folder, or its annotation file")
    if path.is_dir():
        entry = _entry(path)
        annotations, frames = entry.find(path, "train")
        if annotations is None or frames is None:
            raise entry.missing(path, "train").error()
        return read_ytvis(annotations, frames)
    own = DATASETS[OWN]
    part = next((part for part, layout in own.layouts.items() if path.name in layout.annotations), "train")
    frames = own.find(path.parent, part)[1]
    if frames is None:
        raise UserError(
            f"{path}: has no folder JPEGImages beside it; give a data set's folder, or put the frames there"
        )
    return read_ytvis(path, frames)


def _entry(root: Path) -> Dataset:
    name = guess(root)
    return {**DATASETS, **OFFERED.values()}[name]


def _classes(file: Path) -> VideoSet | None:
    """The categories and videos of a file, whatever is wrong with it."""
    try:
        with collection_paused():
            raw: Any = decode(read_bytes(file), file)
            return parse({**raw, "annotations": []}, file, "", lambda problem: None) if isinstance(raw, dict) else None
    except UserError:
        return None
