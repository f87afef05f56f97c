"""Any YouTube-VIS-format file becomes a stream: write its toml file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cvis.atomic import write_text
from cvis.data.dataset import plain_name
from cvis.data.videoset import VideoSet
from cvis.errors import UserError
from cvis.scenario.build import build
from cvis.scenario.load import custom_files, read_data
from cvis.scenario.order import learning_order
from cvis.scenario.spec import parse_spec
from cvis.scenario.stream import Scenario


def make_scenario(
    annotations: Path,
    frames: Path | None,
    base: int,
    increment: int | Sequence[int],
    out: Path,
    order: str = "file",
    visibility: str = "overlap",
    split: str = "holdout",
    test_annotations: Path | None = None,
    test_frames: Path | None = None,
    **fields: Any,
) -> Path:
    """Write ``out``, a stream with its learning order spelled out; nothing is written unless it builds.

    Args:
        order: ``file``, ``alphabetical``, ``frequency``, ``random:SEED``, or the path of a text file with one
            class name a line.
        frames: the folder of the frames; by default ``JPEGImages`` beside the annotation file.
        fields: any other field of :class:`cvis.scenario.spec.Spec`.

    Returns:
        ``out``.

    Raises:
        UserError: ``out`` exists, an input does not, the stream cannot be built, a step has no test video, or a frame
            does not exist (looked for only where the folder of the frames is known).
    """
    out = Path(out)
    if out.suffix != ".toml":
        raise UserError(f"{out}: a scenario file ends in .toml; choose {out.name}.toml")
    if out.exists():
        raise UserError(f"{out}: exists already; remove it or choose another name")
    folder = out.resolve().parent
    sources = {
        "annotations": annotations,
        "frames": frames,
        "test_annotations": test_annotations,
        "test_frames": test_frames,
    }
    content: dict[str, Any] = {
        "name": out.stem,
        "dataset": "custom",
        **{field: _portable(Path(path), folder) for field, path in sources.items() if path is not None},
        "base": base,
        "increment": increment if isinstance(increment, int) else list(increment),
        "order": _order(order),
        "visibility": visibility,
        "split": split,
        **fields,
    }
    spec = parse_spec(content, str(out))
    annotated, test = read_data(spec, custom_files(spec, folder, str(out)))
    classes = learning_order(spec.order, annotated, str(out), spec.exclude)
    content["order"] = _listed(classes, annotated)
    scenario = build(parse_spec(content, str(out)), annotated, test, str(out))
    _refuse_untested(scenario, split, out)
    _refuse_missing(annotated, test, out)
    write_text(out, as_toml(content))
    return out


def _refuse_untested(scenario: Scenario, split: str, out: Path) -> None:
    """A step that nothing tests would be found out after all of the training."""
    untested = set(scenario.classes_without_test)
    for task in scenario:
        if untested.issuperset(task.new_classes):
            names = [scenario.categories[c] for c in task.new_classes]
            raise UserError(
                f"{out}: step {task.index}: {names}: no test video shows its classes (split {split!r}); annotate "
                "more videos of them, put them into one step with others, or choose --split frames (or same, to try)"
            )


def _refuse_missing(train: VideoSet, test: VideoSet | None, out: Path) -> None:
    frames = [frame for part in (train, test) if part for video in part.videos for frame in video.frames]
    if not frames[0].is_absolute():  # nobody said where they are
        return
    missing = [frame for frame in frames if not frame.is_file()]
    if missing:
        what = f"this frame does not exist ({len(missing)} of {len(frames)} are missing)"
        raise UserError(f"{out}: frames: {missing[0]}: {what}; copy them there, or give their folder by --frames")


def _order(order: str) -> str | list[str]:
    path = Path(order).expanduser()
    if not path.is_file():
        return order
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: --order: cannot be read ({error}); give a text file with one class a line") from error
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _listed(classes: Sequence[int], videos: VideoSet) -> list[str | int]:
    """Names, or ids where a name is not unique."""
    names = {c.id: c.name for c in videos.categories}
    plain = [plain_name(name) for name in names.values()]
    return [names[c] if plain.count(plain_name(names[c])) == 1 else c for c in classes]


def _portable(path: Path, folder: Path) -> str:
    """Relative where the file lies under the toml file's folder, else absolute."""
    resolved = path.expanduser().resolve()
    return os.path.relpath(resolved, folder) if resolved.is_relative_to(folder) else str(resolved)


def as_toml(content: dict[str, Any]) -> str:
    """The text of a stream's file: a JSON string, number or list of them is a TOML value too."""
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in content.items())
