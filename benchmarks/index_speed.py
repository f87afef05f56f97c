"""What the first opening of an annotation file costs, and how much faster the second is.

Writes a file of the size of YouTube-VIS-2019's training annotations (2,238 videos of 27 frames in 720 x 1280,
3,774 tracks, uncompressed RLE, about 130 MB) into a scratch folder, opens it twice, and prints processor times, their
ratio and the peak memory of both.

    python benchmarks/index_speed.py
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from cvis.data.track_masks import backend
from cvis.data.ytvis import read_ytvis

VIDEOS, TRACKS, FRAMES, HEIGHT, WIDTH, CATEGORIES = 2238, 3774, 27, 720, 1280, 40
RUNS = 260  # of one mask; makes the file as large as the official one


def write_annotations(path: Path, seed: int = 0) -> None:
    """Random runs that sum to the frame; three in a hundred masks are null."""
    rng = np.random.default_rng(seed)
    videos = [
        {
            "id": i,
            "height": HEIGHT,
            "width": WIDTH,
            "length": FRAMES,
            "file_names": [f"{i:010x}/{t:05d}.jpg" for t in range(0, 5 * FRAMES, 5)],
        }
        for i in range(1, VIDEOS + 1)
    ]
    annotations = [_annotation(i, rng) for i in range(1, TRACKS + 1)]
    categories = [{"id": c, "name": f"class {c}"} for c in range(1, CATEGORIES + 1)]
    path.write_text(json.dumps({"videos": videos, "categories": categories, "annotations": annotations}))


def _annotation(track: int, rng: np.random.Generator) -> dict:
    runs = rng.integers(1, HEIGHT, (FRAMES, RUNS))
    runs[:, -1] = HEIGHT * WIDTH - runs[:, :-1].sum(1)
    seen = rng.random(FRAMES) > 0.03
    return {
        "id": track,
        "video_id": 1 + track % VIDEOS,
        "category_id": 1 + track % CATEGORIES,
        "iscrowd": 0,
        "segmentations": [
            {"counts": own.tolist(), "size": [HEIGHT, WIDTH]} if s else None for own, s in zip(runs, seen, strict=True)
        ],
        "areas": [int(own[1::2].sum()) if s else None for own, s in zip(runs, seen, strict=True)],
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CVIS_CACHE"] = str(Path(folder) / "cache")
        path = Path(folder) / "instances.json"
        writer = multiprocessing.get_context("spawn").Process(target=write_annotations, args=(path,))
        writer.start()  # of its own, as writing takes more memory than reading
        writer.join()
        backend()  # makes its machine code, once on a machine
        times = []
        for _ in range(2):
            start = time.process_time()
            videos = read_ytvis(path, Path(folder))
            times.append(time.process_time() - start)
        megabytes = path.stat().st_size / 1e6
        print(f"{megabytes:.0f} MB, {len(videos)} videos, {videos.num_tracks} tracks")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"first opening: {times[0]:.1f} s of the processor, {peak:.0f} MB at most")
        print(f"second opening: {times[0] / times[1]:.1f} times as fast as the first")


if __name__ == "__main__":
    main()
