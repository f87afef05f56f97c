"""Do outlines help on real masks? Annotated masks made coarse, and drawn again by what the other videos teach.

    OMP_NUM_THREADS=1 python benchmarks/outlines.py annotations.json JPEGImages --strides 4 8

No model: a mask of an object in a frame is brought to a pixel for every 4 or 8, as a segmenter would see it, and back
to the frame's size, bilinear or by :class:`~cvis.learners.analytic.Outlines` fitted to all other videos. Printed is the
mean IoU with the annotated mask over videos, and in how many of them each was better; and the same with grey frames, in
which there is nothing to see: the fit can still sharpen, and what is more than that is owed to colours. Masks that were
themselves drawn along colours would make a fine result of no meaning: use careful ones.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cvis.data.videoset import VideoSet
from cvis.data.ytvis import read_ytvis
from cvis.errors import UserError
from cvis.learners.analytic.outlines import Outlines, fitted, moments_of, rim
from cvis.segmenters.mask2former.inference import Inference
from cvis.types import Video

Object = tuple[Tensor, Tensor, Tensor, tuple[int, int]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("annotations", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--strides", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--every", type=int, default=4, help="of so many frames one is looked at")
    parser.add_argument("--short-side", type=int, default=360)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        data = read_ytvis(options.annotations, options.images)
    except UserError as error:
        parser.error(str(error))
    found = {}
    for stride in options.strides:
        objects = {v.id: list(coarse(data, v, stride, options.every, options.short_side)) for v in data.videos}
        objects = {video: each for video, each in objects.items() if each}
        if len(objects) < 2:
            parser.error(f"{options.annotations}: give two videos with masks: each is drawn by what the others teach")
        grey = {v: [(m, i, torch.full_like(f, 128), size) for m, i, f, size in each] for v, each in objects.items()}
        found[stride] = {**compared(objects), "grey": compared(grey)["drawn"]}
    if options.json:
        print(json.dumps(found))
    else:
        for stride, row in found.items():
            means = f"IoU {row['bilinear']:.4f} bilinear, {row['drawn']:.4f} drawn, {row['grey']:.4f} on grey"
            print(
                f"stride {stride}, {row['videos']} videos: {means}; better in {row['better']}, worse in {row['worse']}"
            )


def coarse(data: VideoSet, video: Video, stride: int, every: int, short_side: int) -> Iterator[Object]:
    """Mask logits, the annotated mask, the frame and its padded size, of all objects of one in ``every`` frames."""
    for at in range(0, len(video), every):
        still = replace(video, frames=video.frames[at : at + 1])
        tracks = [t for t in data.tracks[video.id] if t.segmentations[at] is not None and not t.iscrowd]
        tracks = [replace(track, segmentations=track.segmentations[at : at + 1]) for track in tracks]
        frames, masks = Inference(short_side=short_side).annotated(still, tracks)
        height, width = frames.shape[-2:]
        size = (-height % stride + height, -width % stride + width)
        for inside in (mask for mask in masks[:, 0] if mask.any()):
            padded = F.pad(inside.float(), (0, size[1] - width, 0, size[0] - height))
            share = F.avg_pool2d(padded[None, None], stride)[0, 0]
            yield 2 * (2 * share - 1).clamp(-0.999, 0.999).atanh(), inside, frames[0], size


def compared(objects: dict[int, list[Object]]) -> dict[str, float]:
    """Each video by what all others teach."""
    taught = {
        video: sum(moments_of(*rim(mask, inside, frame, size)) for mask, inside, frame, size in each)
        for video, each in objects.items()
    }
    total = sum(taught.values())
    rows = []
    for video, each in objects.items():
        plain, drawn = Outlines(), Outlines()
        drawn.weights[0] = fitted(total - taught[video], plain.weights[0])
        rows.append([np.mean([overlap(made, *one) for one in each]) for made in (plain, drawn)])
    bilinear, better = np.array(rows).T
    return {
        "videos": len(rows),
        "bilinear": float(bilinear.mean()),
        "drawn": float(better.mean()),
        "better": int((better > bilinear).sum()),
        "worse": int((better < bilinear).sum()),
    }


def overlap(made: Outlines, mask: Tensor, inside: Tensor, frame: Tensor, size: tuple[int, int]) -> float:
    """IoU of what is drawn with the annotated mask."""
    found = made(mask[None, None], frame[None], size, torch.tensor([0]))[0, 0] > 0
    return float((found & inside).sum() / (found | inside).sum().clamp(min=1))


if __name__ == "__main__":
    main()
