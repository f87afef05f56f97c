"""Inference of one video by our Mask2Former-VIS against mmdet's Mask2FormerVideo, of R50 size with equal weights.

    OMP_NUM_THREADS=1 python benchmarks/video_speed.py --frames 10 30

From files of 360 x 640 pixels to the run-length code of ten tracks: processor time of the second prediction of a
process (the first, of one frame, loads what is loaded once), and the peak memory of that process. Each side is a
process of its own, the sides take turns. The ten tracks must be equal: the classes, the scores to 1e-4, and all but one
in a thousand of the pixels, since a mask logit near zero may be rounded to either side.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask
from ratios import Ratio, tell
from timed_process import python

HEIGHT, WIDTH = 360, 640
AIMS = {30: (0.55, 0.25)}  # of time and of memory, by the number of frames


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[10, 30])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(measure(SIDES[options.side], frames_in(options.folder)[: options.frames[0]])))
        return 0
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        write_frames(Path(folder), max(options.frames))
        for length in options.frames:
            runs: dict[str, list[dict]] = {"theirs": [], "ours": []}
            for _ in range(options.repeats):
                for side, found in runs.items():
                    command = [__file__, "--side", side, "--frames", length, "--folder", folder]
                    found.append(json.loads(python(command).last_line))
            if problem := difference(runs["theirs"][0]["tracks"], runs["ours"][0]["tracks"]):
                raise SystemExit(f"{length} frames: the predictions are not equal: {problem}")
            time_aim, memory_aim = AIMS.get(length, (None, None))
            for what, key, aim in (("time", "seconds", time_aim), ("peak memory", "peak", memory_aim)):
                values = [ours[key] / theirs[key] for theirs, ours in zip(runs["theirs"], runs["ours"], strict=True)]
                ratios.append(Ratio(f"{what} of {length} frames, of mmdet's Mask2FormerVideo's", values, aim))
    tell(ratios, options.json)
    return 0


def write_frames(folder: Path, count: int, size: tuple[int, int] = (HEIGHT, WIDTH), kind: str = "png") -> None:
    """Smooth noise that moves to and fro."""
    height, width = size
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (12, 24, 3), dtype=np.uint8))
    whole = picture.resize((2 * width, height), Image.Resampling.BICUBIC)
    for t in range(count):
        left = width - abs(8 * t % (2 * width) - width)
        whole.crop((left, 0, left + width, height)).save(folder / f"{t:04d}.{kind}")


def frames_in(folder: Path, kind: str = "png") -> tuple[Path, ...]:
    return tuple(sorted(folder.glob(f"*.{kind}")))


def measure(side: Callable[[], Callable[[tuple[Path, ...]], list]], frames: tuple[Path, ...]) -> dict:
    import torch

    from cvis.engine.environment import peak_memory_mb

    predict = side()
    with torch.inference_mode():
        predict(frames[:1])
        begun = time.process_time()
        tracks = predict(frames)
        seconds = time.process_time() - begun
    return {"seconds": seconds, "peak": peak_memory_mb(torch.device("cpu")), "tracks": tracks}


def ours() -> Callable[[tuple[Path, ...]], list]:
    from mmdet_r50 import video_pair

    from cvis.types import Video

    model = video_pair()[1]

    def predict(frames: tuple[Path, ...]) -> list:
        found = model.predict(Video(1, "v", HEIGHT, WIDTH, frames))
        masks = [[rle and rle["counts"].decode() for rle in track] for track in found.segmentations]
        return list(zip(found.category_ids, found.scores, masks, strict=True))

    return predict


def theirs() -> Callable[[tuple[Path, ...]], list]:
    import torch
    from mmdet_r50 import video_pair

    from cvis.data.frames import read_frames
    from cvis.data.rle import encode
    from cvis.segmenters.inputs import padded

    model, twin = video_pair()
    mean, std, divisor = twin.mean, twin.std, twin.size_divisor
    del twin
    from mmdet.structures import DetDataSample, TrackDataSample

    def predict(frames: tuple[Path, ...]) -> list:
        images = torch.from_numpy(read_frames(frames, HEIGHT, WIDTH)).permute(0, 3, 1, 2)[None]
        inputs = padded((images - mean) / std, divisor)
        size = {"img_shape": (HEIGHT, WIDTH), "ori_shape": (HEIGHT, WIDTH), "batch_input_shape": inputs.shape[-2:]}
        sample = TrackDataSample(video_data_samples=[DetDataSample(metainfo=size) for _ in frames])
        found = [frame.pred_track_instances for frame in model.predict(inputs, [sample])[0].video_data_samples]
        ids, scores = found[0].labels.add(1).tolist(), found[0].scores.tolist()
        masks = [[encode(mask) for mask in frame.masks.numpy()] for frame in found]
        coded = [[rle and rle["counts"].decode() for rle in track] for track in zip(*masks, strict=True)]
        return sorted(zip(ids, scores, coded, strict=True), key=lambda track: -track[1])

    return predict


SIDES = {"ours": ours, "theirs": theirs}


def difference(one: list, other: list) -> str:
    """In what two lists of tracks are not equal, with the tolerances above; empty if they are."""
    classes = [[track[0] for track in tracks] for tracks in (one, other)]
    if classes[0] != classes[1]:
        return f"classes {classes[0]} and {classes[1]}"
    apart = max(abs(a[1] - b[1]) for a, b in zip(one, other, strict=True))
    if apart > 1e-4:
        return f"scores apart by {apart:.1e}"
    pairs = [(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x[2], y[2], strict=True)]
    moved = float(np.mean([np.mean(decoded(a) != decoded(b)) for a, b in pairs]))
    return f"{moved:.1e} of the pixels" if moved > 1e-3 else ""


def decoded(counts: str | None) -> np.ndarray:
    if counts is None:
        return np.zeros((HEIGHT, WIDTH), np.uint8)
    return coco_mask.decode({"size": [HEIGHT, WIDTH], "counts": counts.encode()})


if __name__ == "__main__":
    sys.exit(main())
