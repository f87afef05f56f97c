"""What the first opening of an annotation file costs, and how much faster the second is.

Writes a file of the size of YouTube-VIS-2019's training annotations (2,238 videos of 27 frames in 720 x 1280,
3,774 tracks, uncompressed RLE, about 130 MB) into a scratch folder, opens it twice, and prints processor times and peak
memory; as ratios, of what Python's own json takes to read the file.

    python benchmarks/index_speed.py
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from ratios import Ratio, tell

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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CVIS_CACHE"] = str(Path(folder) / "cache")
        path = Path(folder) / "instances.json"
        alone(write_annotations, path)  # writing takes more memory than reading
        backend()  # makes its machine code, once on a machine
        plain, first, second = (alone(work, path) for work in (plainly_read, opened, opened))
    if not as_json:
        for name, (seconds, peak) in {"json.loads": plain, "first opening": first, "second opening": second}.items():
            print(f"{name}: {seconds:.1f} s of the processor, {peak:.0f} MB at most")
    ratios = [
        Ratio("first opening of a full-size annotation file, of json.loads's time", [first[0] / plain[0]]),
        Ratio("peak memory of it, of json.loads's", [first[1] / plain[1]]),
        Ratio("second opening, of the first one's time", [second[0] / first[0]]),
    ]
    tell(ratios, as_json)


def alone(work: Callable[[Path], object], path: Path) -> tuple[float, float]:
    """Seconds of a processor, and the peak memory in MB of a process that does nothing else."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(measured, work, path).result()


def measured(work: Callable[[Path], object], path: Path) -> tuple[float, float]:
    begun = time.process_time()
    work(path)
    return time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def plainly_read(path: Path) -> object:
    return json.loads(path.read_bytes())


def opened(path: Path) -> object:
    return read_ytvis(path, path.parent)


if __name__ == "__main__":
    main()
