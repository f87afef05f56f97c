"""Valid files, small enough to be changed a hundred times, and the changes themselves as values."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as rle

HEIGHT, WIDTH = 4, 6
Change = Callable[[Any], Any]


class Mutation(NamedTuple):
    """A change of a valid file.

    Attributes:
        change: takes a copy of the valid content and changes it, or returns another; bytes are written as they are.
        says: a pattern of the one line that refuses it; None: it is accepted, because it is valid.
    """

    name: str
    change: Change
    says: str | None
    mAP: float | None = None  # what an accepted file scores, if not what the valid one does


def put(path: str, value: Any) -> Change:
    """The value at ``videos.0.height`` becomes another."""

    def change(content: Any) -> None:
        place, last = _at(content, path)
        place[last] = value

    return change


def drop(path: str) -> Change:
    """The value at ``videos.0.height`` goes."""

    def change(content: Any) -> None:
        place, last = _at(content, path)
        del place[last]

    return change


def _at(content: Any, path: str) -> tuple[Any, Any]:
    """What holds the value, and its key or index there."""
    *way, last = path.split(".")
    for part in way:
        content = content[int(part) if isinstance(content, list) else part]
    return content, int(last) if isinstance(content, list) else last


def to(value: Any) -> Change:
    """All of the content becomes another."""
    return lambda content: value


def again(path: str) -> Change:
    """The first of a list comes twice."""
    return lambda content: content[path].append(copy.deepcopy(content[path][0])) if path else content.append(content[0])


def text(change: Callable[[str], str | bytes]) -> Change:
    """The JSON text itself is changed."""

    def changed(content: Any) -> bytes:
        new = change(json.dumps(content))
        return new if isinstance(new, bytes) else new.encode()

    return changed


def nested(before: str, depth: int) -> Change:
    """A key of lists within lists before another key."""
    return text(lambda t: t.replace(f'"{before}"', f'"x": {"[" * depth + "]" * depth}, "{before}"', 1))


def written(path: Path, mutation: Mutation, valid: Any) -> Path:
    content = copy.deepcopy(valid)
    new = mutation.change(content)
    content = content if new is None else new
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def square(*pixels: tuple[int, int]) -> dict[str, Any]:
    full = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    for pixel in pixels:
        full[pixel] = 1
    return {"size": [HEIGHT, WIDTH], "counts": rle.encode(full)["counts"].decode()}


ONE, TWO = square((0, 0), (0, 1)), square((2, 3), (3, 3), (2, 4))


def annotations() -> dict[str, Any]:
    """Two videos, two categories and three tracks, of each the first with the id 0."""
    videos = [
        {"id": i, "height": HEIGHT, "width": WIDTH, "length": 2, "file_names": [f"v{i}/0.jpg", f"v{i}/1.jpg"]}
        for i in (0, 7)
    ]
    tracks = [
        {"id": i, "video_id": v, "category_id": c, "segmentations": masks, "areas": [None, None], "iscrowd": 0}
        for i, v, c, masks in ((0, 0, 0, [ONE, TWO]), (1, 0, 5, [TWO, None]), (2, 7, 5, [TWO, TWO]))
    ]
    return {
        "videos": videos,
        "categories": [{"id": 0, "name": "dog"}, {"id": 5, "name": "cat"}],
        "annotations": tracks,
    }


def results() -> list[dict[str, Any]]:
    """Two tracks are found, one is not."""
    found = ((0, 0, 0.9, [ONE, TWO]), (7, 5, 0.5, [TWO, TWO]))
    return [{"video_id": v, "category_id": c, "score": s, "segmentations": masks} for v, c, s, masks in found]


STREAM = """\
name = "small"
dataset = "custom"
base = 1
increment = 1
order = ["dog", "cat"]
split = "same"
annotations = "instances.json"
"""
