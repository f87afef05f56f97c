"""The embedded data set: small synthetic videos on disk, in the format of YouTube-VIS.

Forty classes, named by texture and shape, by shape alone or by motion (:mod:`cvis.data.worlds`). Training from
scratch on two CPU cores learns them in minutes, yet it is the real thing: JPEG frames, JSON annotations, null frames,
occlusion, several objects a video. Every byte follows from the parameters: each video has a random generator of its
own, seeded with ``(seed, split, video)``, whatever the order or the process in which the videos are drawn.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from cvis.data.crossings import place_crossing
from cvis.data.scenes import Scene, draw_scene
from cvis.data.worlds import NUM_CLASSES, WORLDS
from cvis.errors import UserError
from cvis.files import cache_dir

VERSION = 1
"""Changes whenever the same parameters give other bytes."""

_MARKER = "synthetic.json"
_FIRST = (("crossings", 0), ("world", "texture"))
_SPLITS = ("train", "test")
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 88]


@dataclass(frozen=True)
class _Parameters:
    seed: int
    train_videos: int
    test_videos: int
    frames: int
    height: int
    width: int
    crossings: int
    world: str
    version: int = VERSION

    def marker(self) -> dict[str, int | str]:
        """What is written down; a folder of what there was first is marked as it was then."""
        return {field: value for field, value in asdict(self).items() if (field, value) not in _FIRST}

    def length(self, split: str) -> int:
        """Frames of each video of a split."""
        return self.crossings if split == "test" and self.crossings else self.frames


def make_synthetic(
    root: Path,
    seed: int = 0,
    train_videos: int = 600,
    test_videos: int = 160,
    frames: int = 10,
    height: int = 64,
    width: int = 96,
    crossings: int = 0,
    world: str = "texture",
) -> None:
    """Write ``root/{train,test}.json`` and ``root/{train,test}/JPEGImages/<video>/<frame>.jpg``.

    ``root`` appears complete or not at all. A complete one with the same parameters is kept as it is.

    Args:
        root: the folder to make.
        seed: of everything random, >= 0.
        train_videos: number of videos of ``train``.
        test_videos: number of videos of ``test``.
        frames: per video.
        height: of a frame, pixels, >= 32.
        width: of a frame, pixels, >= 32.
        crossings: frames of each test video, whose objects then cross, leave and come back
            (:mod:`cvis.data.crossings`), so that following them says something; 0: test videos are like train's.
        world: ``texture``, ``shape`` or ``motion``, what the names of classes are about (:mod:`cvis.data.worlds`).

    Raises:
        UserError: a parameter is out of range; ``root`` holds something else; the disk refuses the write.
    """
    parameters = _Parameters(seed, train_videos, test_videos, frames, height, width, crossings, world)
    _check(parameters)
    root = Path(root)
    if _is_made(root, parameters):
        return
    temporary = root.absolute().parent / f".{root.name}.{uuid.uuid4().hex}.tmp"
    try:
        temporary.mkdir(parents=True)
        for split in _SPLITS:
            _write_split(temporary, split, parameters)
        _write_json(temporary / _MARKER, parameters.marker())
        _publish(temporary, root, parameters)
    except OSError as error:
        reason = error.strerror or str(error)
        message = f"{root}: cannot be written: {reason}; free space or choose another folder"
        raise UserError(message) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def synthetic_root(seed: int = 0, world: str = "texture") -> Path:
    """The data set with default parameters in the user's cache; made at the first call.

    Raises:
        UserError: the cache cannot be written.
    """
    named = "synthetic" if world == "texture" else f"synthetic-{world}"
    root = cache_dir() / f"{named}-v{VERSION}-seed{seed}"
    make_synthetic(root, seed, world=world)
    return root


def crossings_root(seed: int = 0) -> Path:
    """As :func:`synthetic_root`, with the same train videos, and test videos of objects that cross, leave and return.

    Raises:
        UserError: the cache cannot be written.
    """
    root = cache_dir() / f"synthetic-crossings-v{VERSION}-seed{seed}"
    make_synthetic(root, seed, test_videos=80, crossings=40)
    return root


def category_name(index: int, world: str = "texture") -> str:
    """Name of the class with this index (0..39); its category id is ``index + 1``.

    >>> category_name(0), category_name(11)
    ('solid_red_disc', 'dotted_purple_triangle')
    >>> category_name(11, "shape"), category_name(11, "motion")
    ('round_triangle', 'growing_triangle')
    """
    return WORLDS[world].name_of(index)


def _check(parameters: _Parameters) -> None:
    limits = {"seed": 0, "train_videos": 1, "test_videos": 1, "frames": 1, "height": 32, "width": 32, "crossings": 0}
    for field, least in limits.items():
        value = getattr(parameters, field)
        if value < least:
            raise UserError(f"synthetic data: {field}: {value}: must be at least {least}")
    if parameters.world not in WORLDS:
        raise UserError(f"synthetic data: world: {parameters.world!r}: must be one of {', '.join(WORLDS)}")
    if parameters.crossings and parameters.world != "texture":
        what = "objects cross in the world of textures only"
        raise UserError(f"synthetic data: crossings: {parameters.crossings}: {what}; leave one of the two away")


def _is_made(root: Path, parameters: _Parameters) -> bool:
    """Whether ``root`` is this data set; a missing or empty folder is not, and anything else is an error."""
    marker = root / _MARKER
    if not marker.is_file():
        if root.exists() and not (root.is_dir() and not any(root.iterdir())):
            raise UserError(f"{root}: exists and is not a synthetic data set; choose another folder")
        return False
    try:
        marked = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{marker}: cannot be read ({error}); remove the folder or choose another") from error
    wanted = parameters.marker()
    if not isinstance(marked, dict) or marked.keys() != wanted.keys():
        raise UserError(f"{marker}: not written by this generator; remove the folder or choose another")
    for field, value in wanted.items():
        if marked[field] != value:
            what = f"made with {field}={marked[field]}, asked for {value}"
            raise UserError(f"{marker}: {field}: {what}; remove the folder or choose another")
    return True


def _publish(temporary: Path, root: Path, parameters: _Parameters) -> None:
    try:
        os.replace(temporary, root)  # over an empty folder at most
    except OSError:
        with suppress(FileNotFoundError):
            if _is_made(root, parameters):  # another process was quicker, and its bytes are the same
                return
        raise


def _write_split(root: Path, split: str, parameters: _Parameters) -> None:
    videos: list[dict] = []
    annotations: list[dict] = []
    crossing, length = bool(parameters.crossings) and split == "test", parameters.length(split)
    place = place_crossing if crossing else WORLDS[parameters.world].place
    for video_id, classes in enumerate(_casts(split, parameters, crossing), start=1):
        rng = _generator(parameters.seed, split, video_id)
        size = parameters.height, parameters.width
        scene = draw_scene(rng, classes, length, size, place)
        name = f"{video_id:04d}"
        files = [f"{name}/{t:05d}.jpg" for t in range(length)]
        _write_frames(root / split / "JPEGImages", files, scene.frames)
        shared = {"height": parameters.height, "width": parameters.width, "length": length}
        videos.append({"id": video_id, "file_names": files, **shared})
        for annotation in _annotations(scene, classes):
            annotations.append({"id": len(annotations) + 1, "video_id": video_id, **shared, **annotation})
    names = WORLDS[parameters.world].names
    categories = [{"id": i, "name": name, "supercategory": "object"} for i, name in enumerate(names, start=1)]
    info = {"description": f"cvis synthetic videos, {split}", "seed": parameters.seed, "version": VERSION}
    document = {"info": info, "videos": videos, "annotations": annotations, "categories": categories}
    _write_json(root / f"{split}.json", document)


def _generator(seed: int, split: str, video_id: int) -> np.random.Generator:
    """Video 0 stands for the split as a whole."""
    return np.random.default_rng(np.random.SeedSequence([seed, _SPLITS.index(split), video_id]))


def _casts(split: str, parameters: _Parameters, crossing: bool) -> Iterator[list[int]]:
    """Class indices of each video's one to three objects; of a crossing, of two of one class, and often a third.

    Both the numbers and the classes are dealt from shuffled decks, so that no two classes differ by more
    than one track over the split.
    """
    rng = _generator(parameters.seed, split, 0)
    sizes, classes, doubles = _deal(rng, 3), _deal(rng, NUM_CLASSES), _deal(rng, NUM_CLASSES)
    for _ in range(getattr(parameters, f"{split}_videos")):
        others = [next(classes) for _ in range(min(next(sizes), 1) if crossing else next(sizes) + 1)]
        yield [*([next(doubles)] * 2 if crossing else []), *others]


def _deal(rng: np.random.Generator, cards: int) -> Iterator[int]:
    """0 to ``cards - 1``, shuffled, again and again."""
    while True:
        yield from rng.permutation(cards).tolist()


def _write_frames(folder: Path, files: list[str], frames: np.ndarray) -> None:
    (folder / files[0]).parent.mkdir(parents=True)
    for file, frame in zip(files, frames, strict=True):
        encoded = cv2.imencode(".jpg", np.ascontiguousarray(frame[..., ::-1]), _JPEG)[1]
        (folder / file).write_bytes(encoded.tobytes())


def _annotations(scene: Scene, classes: list[int]) -> Iterator[dict]:
    for index, masks in zip(classes, scene.masks, strict=True):
        visible = [mask if mask.any() else None for mask in masks]
        yield {
            "category_id": index + 1,
            "iscrowd": 0,
            "segmentations": [None if mask is None else _uncompressed_rle(mask) for mask in visible],
            "bboxes": [None if mask is None else _box(mask) for mask in visible],
            "areas": [None if mask is None else int(mask.sum()) for mask in visible],
        }


def _uncompressed_rle(mask: np.ndarray) -> dict:
    """COCO's run lengths, down the columns, the first run of zeros."""
    flat = mask.ravel(order="F")
    borders = np.flatnonzero(np.diff(flat, prepend=False))
    counts = np.diff(borders, prepend=0, append=flat.size).tolist()
    return {"counts": counts, "size": list(mask.shape)}


def _box(mask: np.ndarray) -> list[float]:
    """x, y, width, height, pixels."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    x, y = int(columns[0]), int(rows[0])
    return [float(x), float(y), float(columns[-1] + 1 - x), float(rows[-1] + 1 - y)]


def _write_json(path: Path, document: dict) -> None:
    path.write_text(json.dumps(document, sort_keys=True, separators=(",", ":")), encoding="utf-8")
