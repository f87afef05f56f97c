"""Small videos with known tracks, made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as rle_tools

from cvis.types import Tracks, Video

HEIGHT, WIDTH = 64, 96


def rectangle(top: int, left: int, height: int, width: int):
    """A compressed mask."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    mask[top : top + height, left : left + width] = 1
    code = rle_tools.encode(mask)
    return {"size": list(code["size"]), "counts": code["counts"]}


def grey_video(folder: Path, length: int = 3, video_id: int = 7) -> Video:
    paths = []
    for t in range(length):
        paths.append(folder / f"{t}.png")
        Image.new("RGB", (WIDTH, HEIGHT), (120, 120, 120)).save(paths[-1])
    return Video(video_id, "grey", HEIGHT, WIDTH, tuple(paths))


def tracks(*masks, ids=None, scores=None, length: int = 3, video_id: int = 7) -> Tracks:
    """Tracks that stand still; a mask may also be a list with one entry per frame."""
    rows = tuple(tuple(m) if isinstance(m, list) else (m,) * length for m in masks)
    return Tracks(video_id, tuple(ids or [1] * len(masks)), tuple(scores or [0.9] * len(masks)), rows)


def read_mp4(path: Path) -> list[np.ndarray]:
    import av

    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
