"""From a stream's name to the stream: find its file, read its data set, build it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from cvis.data.datasets import DataFiles, known, locate, require_part
from cvis.data.videoset import VideoSet
from cvis.data.ytvis import read_ytvis
from cvis.errors import UserError
from cvis.scenario.build import build
from cvis.scenario.spec import Spec, find_scenario, read_spec
from cvis.scenario.stream import Scenario


def load_scenario(name_or_path: str | Path, data_root: Path | str | None = None, **overrides: Any) -> Scenario:
    """A shipped stream by its name (``cvis.load_scenario("synthetic-20-4")``), or one's own by its toml file.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import cvis
    >>> from cvis.testing.stream import make_stream
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     scenario = cvis.load_scenario(make_stream(Path(folder), steps=(2, 1, 1)), visibility="disjoint")
    >>> len(scenario), scenario.protocol["visibility"]
    (3, 'disjoint')

    Args:
        data_root: the folder of the data set; by default where :func:`cvis.data.datasets.locate` looks. The
            synthetic videos are made on first use. For ``dataset = "custom"`` the folder that the paths in
            the toml file are relative to, by default that of the file.
        overrides: ``visibility``, ``other_class_policy``, ``split``, ``test_fraction``.

    Raises:
        UserError: no such stream, a field or override that does not fit, missing files, or a data set that
            is not the stream's.
    """
    path = find_scenario(name_or_path)
    spec = read_spec(path, overrides)
    annotated, test = read_data(spec, _files(spec, path, None if data_root is None else Path(data_root).expanduser()))
    return build(spec, annotated, test, str(path))


def read_data(spec: Spec, files: DataFiles) -> tuple[VideoSet, VideoSet | None]:
    """The annotated train set, and the test set where the split uses one."""
    annotated = _read(spec, files.train_annotations, files.train_frames, "train")
    if spec.split not in ("official-valid", "test-file") or files.test_annotations is None:
        return annotated, None
    return annotated, _read(spec, files.test_annotations, files.test_frames, "valid")


def _read(spec: Spec, annotations: Path, frames: Path | None, part: str) -> VideoSet:
    videos = read_ytvis(annotations, frames)
    for problem in known(spec.dataset).differences(videos, annotations, part):
        raise problem.error()
    return videos


def _files(spec: Spec, path: Path, root: Path | None) -> DataFiles:
    if known(spec.dataset).own_files:
        return custom_files(spec, root or path.resolve().parent, str(path))
    files = locate(spec.dataset, root)
    if spec.split != "official-valid" or files.test_annotations is not None:
        return files
    annotations, frames = require_part(spec.dataset, root, "valid")
    return replace(files, test_annotations=annotations, test_frames=frames)


def custom_files(spec: Spec, root: Path, where: str) -> DataFiles:
    """The files that a custom spec names, its relative paths taken from ``root``.

    Frames are in ``JPEGImages`` beside the annotation file where the spec names no folder.

    Raises:
        UserError: a named file or folder does not exist.
    """
    annotations = _existing(spec, "annotations", root, where)
    if annotations is None:
        raise UserError(f"{where}: annotations: missing; add the JSON file's path")
    beside = annotations.parent / "JPEGImages"
    frames = _existing(spec, "frames", root, where) or (beside if beside.is_dir() else None)
    test_annotations = _existing(spec, "test_annotations", root, where)
    return DataFiles(annotations, frames, test_annotations, _existing(spec, "test_frames", root, where) or frames)


def _existing(spec: Spec, field: str, root: Path, where: str) -> Path | None:
    value = getattr(spec, field)
    if value is None:
        return None
    path = root / value.expanduser()
    if not path.exists():
        raise UserError(f"{where}: {field}: {str(value)!r}: no such file or folder under {root}; correct the path")
    return path
