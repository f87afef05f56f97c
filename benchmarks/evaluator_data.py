"""Generated data of the size of YouTube-VIS-2019's validation part; the masks are random blobs, not the data set's.

302 videos of 720 x 1280 with 8 to 36 frames, 40 classes of falling frequency, 1.6 annotated tracks a video of
which three in ten are visible in a part of it. Every mask is a blob with one gap (two runs in a column), some 700
bytes compressed. Annotations hold uncompressed run lists, as the official file does; predictions hold compressed
strings and encoded empty masks for absent frames, as the models write them. More than half of the predictions
are good, the others poor, misplaced or of a wrong class, and three scores in ten are rounded so that they tie.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import orjson

HEIGHT, WIDTH, CLASSES = 720, 1280, 40
PIXELS = HEIGHT * WIDTH
ROUND = 0.3  # share of scores with three digits
GROUP = 5  # bits in a character of a compressed string


@dataclass(frozen=True)
class Blob:
    """One object in one video: an ellipse with a wavy rim, per frame [T]."""

    category_id: int
    x: np.ndarray  # centre, pixels
    y: np.ndarray
    rx: np.ndarray  # half axes, pixels
    ry: np.ndarray
    waves: float
    visible: np.ndarray  # bool

    def __len__(self) -> int:
        return len(self.x)


def write(folder: Path, videos: int, predictions: int, seed: int = 0) -> tuple[Path, Path]:
    """Write ``instances.json`` and ``results.json``; one video's masks are in memory at a time.

    Args:
        folder: where to write.
        videos: how many.
        predictions: tracks a video.
        seed: equal seeds give equal bytes.
    """
    rng = np.random.default_rng(seed)
    listing: list[dict] = []
    annotations, results = folder / "instances.json", folder / "results.json"
    with annotations.open("wb") as truth, results.open("wb") as found:
        truth.write(b'{"annotations":[')
        found.write(b"[")
        tracks = 0
        for video_id in range(1, videos + 1):
            length = round(rng.triangular(8, 36, 36))
            names = [f"{video_id:04d}/{5 * t:05d}.jpg" for t in range(length)]
            size = {"height": HEIGHT, "width": WIDTH, "length": length}
            listing.append({"id": video_id, **size, "file_names": names})
            own = [_object(rng, length) for _ in range(1 + rng.poisson(0.63))]
            for blob in own:
                tracks += 1
                truth.write((b",\n" if tracks > 1 else b"\n") + orjson.dumps(_annotation(tracks, video_id, blob)))
            for n, entry in enumerate(_predictions(rng, video_id, own, predictions)):
                found.write((b"\n" if video_id == 1 and n == 0 else b",\n") + orjson.dumps(entry))
        categories = [{"id": c, "name": f"class {c}"} for c in range(1, CLASSES + 1)]
        truth.write(b'],\n"videos":' + orjson.dumps(listing) + b',\n"categories":' + orjson.dumps(categories) + b"}\n")
        found.write(b"\n]\n")
    return annotations, results


def _object(rng: np.random.Generator, length: int) -> Blob:
    start, stop = rng.uniform(0.2, 0.8, (2, 2))
    path = start + (stop - start) * np.linspace(0, 0.6, length)[:, None]
    growth = np.linspace(1, rng.uniform(0.6, 1.5), length)
    rx, ry = rng.uniform(20, 95) * growth, rng.uniform(20, 130) * growth
    visible = np.ones(length, bool)
    if rng.random() < 0.3:
        first = int(rng.integers(0, length // 2))
        visible[:] = False
        visible[first : first + int(rng.integers(2, length - 1))] = True
    category_id = 1 + int(rng.choice(CLASSES, p=_ZIPF))
    return Blob(category_id, path[:, 0] * WIDTH, path[:, 1] * HEIGHT, rx, ry, float(rng.uniform(2, 6)), visible)


_ZIPF = 1 / np.arange(1, CLASSES + 1)
_ZIPF /= _ZIPF.sum()


def _annotation(track: int, video_id: int, blob: Blob) -> dict:
    runs = [own.tolist() if seen else None for own, seen in zip(_runs(blob), blob.visible, strict=True)]
    return {
        "id": track,
        "video_id": video_id,
        "category_id": blob.category_id,
        "iscrowd": 0,
        "areas": [sum(own[1::2]) if own else None for own in runs],
        "segmentations": [{"counts": own, "size": [HEIGHT, WIDTH]} if own else None for own in runs],
    }


def _predictions(rng: np.random.Generator, video_id: int, own: list[Blob], number: int) -> Iterator[dict]:
    length = len(own[0])
    for _ in range(number):
        kind = rng.choice(5, p=[0.55, 0.15, 0.1, 0.1, 0.1])  # good, so-so, poor, stray, wrong class
        blob = _object(rng, length) if kind == 3 else own[int(rng.integers(len(own)))]
        blob = _disturbed(rng, blob, (0.05, 0.15, 0.4, 0.0, 0.05)[kind])
        if kind == 4:
            blob = replace(blob, category_id=1 + int(rng.integers(CLASSES)))
        score = float(np.clip((0.7, 0.6, 0.4, 0.3, 0.5)[kind] + rng.normal(0, 0.2), 0.001, 0.999))
        strings = compressed(_runs(blob))
        yield {
            "video_id": video_id,
            "score": round(score, 3) if rng.random() < ROUND else score,
            "category_id": blob.category_id,
            "segmentations": [
                {"size": [HEIGHT, WIDTH], "counts": text if seen else _EMPTY}
                for text, seen in zip(strings, blob.visible, strict=True)
            ],
        }


def _disturbed(rng: np.random.Generator, blob: Blob, amount: float) -> Blob:
    shift = rng.normal(0, amount, (2, 1)) + rng.normal(0, amount / 3, (2, len(blob)))
    scale = np.exp(rng.normal(0, amount / 2, (2, 1)) + rng.normal(0, amount / 4, (2, len(blob))))
    visible = blob.visible & (rng.random(len(blob)) > amount / 5)
    x, y = blob.x + shift[0] * blob.rx, blob.y + shift[1] * blob.ry
    return replace(blob, x=x, y=y, rx=blob.rx * scale[0], ry=blob.ry * scale[1], visible=visible)


def _runs(blob: Blob) -> list[np.ndarray]:
    """Run lengths of each frame's mask, background first; column by column, two runs of the object in each."""
    rx, ry = np.minimum(blob.rx, WIDTH / 2 - 4), np.minimum(blob.ry, HEIGHT / 3)
    left = np.clip(blob.x - rx, 1, WIDTH - 2 * rx - 2).astype(np.int64)
    widths = np.maximum(2, (2 * rx).astype(np.int64))
    first = np.append(0, np.cumsum(widths)[:-1])  # column of each frame
    frame = np.repeat(np.arange(len(blob)), widths)
    column = np.arange(widths.sum()) - first[frame]
    u = 0.98 * (2 * column / (widths[frame] - 1) - 1)
    half = ry[frame] * np.sqrt(1 - u * u) * (1 + 0.08 * np.sin(blob.waves * 3 * u))
    upper, gap, lower = (np.maximum(1, share * half).astype(np.int64) for share in (0.8, 0.3, 0.9))
    height = upper + gap + lower
    top = np.round(blob.y[frame] - half + 0.05 * ry[frame] * np.sin(blob.waves * u)).astype(np.int64)
    start = (left[frame] + column) * HEIGHT + np.clip(top, 1, HEIGHT - 1 - height)
    stop = start + height
    before = start - np.append(0, stop[:-1])
    before[first] = start[first]
    inner = np.split(np.stack([before, upper, gap, lower], 1).ravel(), 4 * first[1:])
    last = PIXELS - stop[first + widths - 1]
    return [np.append(runs, end) for runs, end in zip(inner, last, strict=True)]


def compressed(masks: list[np.ndarray]) -> list[str]:
    """Compressed RLE strings of several run lists: COCO's code, all numbers at once.

    From the fourth run on the difference to the run two before is written, five bits a character, lowest first;
    a character says whether more follow, and the last one carries the sign.

    >>> compressed([np.array([5, 2, 2, 7])])
    ['5225']
    """
    numbers = np.concatenate([np.append(runs[:3], runs[3:] - runs[1:-2]) for runs in masks])
    groups = np.arange(1, 6)
    limits = 16 << (GROUP * (groups - 1))
    fits = (numbers[:, None] >= -limits) & (numbers[:, None] < limits)
    lengths = 1 + fits.argmax(axis=1)
    codes = (numbers[:, None] >> (GROUP * (groups - 1))) & 31
    codes += np.where(groups < lengths[:, None], 32, 0) + 48
    text = codes[groups <= lengths[:, None]].astype(np.uint8).tobytes().decode()
    ends = np.append(0, np.cumsum(lengths))[np.cumsum([0] + [len(runs) for runs in masks])]
    return [text[a:b] for a, b in pairwise(ends.tolist())]


_EMPTY = compressed([np.array([PIXELS])])[0]
