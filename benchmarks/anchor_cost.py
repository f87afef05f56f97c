"""What ANCHOR costs beside CRISP, whose prompts it has: training, a test with six groups, the look back after a step.

    OMP_NUM_THREADS=1 python benchmarks/anchor_cost.py
    python benchmarks/anchor_cost.py --device cuda --bf16 --size paper --clips 16

Both stand on the same random weights and take turns, as in ``distillation_cost.py``, whose iterations these are. The
look back of ``end_task`` is measured on a video with two annotated tracks, and counted for a step of ``STREAM``: as
many videos as its classes' share of the training part, against the iterations and the batch of its schedule.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from distillation_cost import BASE, EMPTY, NEW, SIZES, Iteration, autocast, make_clip, make_learner, now
from protocol_cost import FRACTION, FRAMES
from ratios import Ratio, tell
from video_speed import frames_in, write_frames

from cvis.data.datasets import known
from cvis.data.rle import encode
from cvis.data.videoset import VideoSet
from cvis.engine.resolve import resolve
from cvis.scenario import Task
from cvis.scenario.spec import find_scenario, read_spec
from cvis.types import Category, Clip, Track, Video

STREAM = "ytvis2019-20-4"
GROUPS = 6
NAMED = replace(EMPTY, categories=tuple(Category(100 + index, f"thing {index}") for index in range(GROUPS)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--segmenter", default="mask2former_r50")
    parser.add_argument("--size", default="small", choices=SIZES, help="; ".join(f"{k}: {v}" for k, v in SIZES.items()))
    parser.add_argument("--clips", type=int, default=2, help="batch size; clips of two frames")
    parser.add_argument("--rounds", type=int, default=3, help="turns that count")
    parser.add_argument("--frames", type=int, default=FRAMES, help="of a video")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.all_learn = False
    with tempfile.TemporaryDirectory() as folder:
        write_frames(Path(folder), options.frames, SIZES[options.size])
        video = Video(1, "v", *SIZES[options.size], frames_in(Path(folder)))
        tell(measure(video, options), options.json, **vars(options))


def measure(video: Video, options: argparse.Namespace) -> list[Ratio]:
    """ANCHOR's training and its test over CRISP's, and its look back over its training."""
    clip = make_clip(options.clips, *SIZES[options.size]).to(options.device)
    learners = [make_learner(name, options, clip) for name in ("crisp", "anchor")]
    for learner in learners:  # tests and the look back at the size of training
        learner.segmenter.inference = replace(learner.segmenter.inference, short_side=video.height)
    iterations = [Iteration(learner, options) for learner in learners]
    training = in_turns(options, [partial(one, clip) for one in iterations])
    anchor = learners[1]
    step = Task(1, NEW, BASE, EMPTY, 0)

    def look(train: VideoSet) -> None:  # with a copy, since a class is learned once
        copy.deepcopy(anchor.analytic).learn(replace(step, train=train), anchor.segmenter)

    looks = in_turns(options, [timed(options, partial(look, annotated(video, clip, times))) for times in (1, 2)])
    for index in range(2, GROUPS):
        for learner in learners:
            learner.begin_task(replace(step, index=index, new_classes=(100 + index,), train=NAMED))
    tests = in_turns(options, [timed(options, partial(learner.eval().predict, video)) for learner in learners])
    return [
        Ratio("a training iteration of anchor, of crisp's", over(*training), 1.3),
        Ratio(f"a test with {GROUPS} groups of anchor, of crisp's", over(*tests), 1.3),
        Ratio(f"anchor's look back at a step of {STREAM}, of its training", share(looks, training[1], options), 0.1),
    ]


def timed(options: argparse.Namespace, work: Callable[[], object]) -> Callable[[int], float]:
    """The seconds that it takes: the process's own on a CPU, the clock's on a GPU."""

    def seconds(seed: int) -> float:
        torch.manual_seed(seed)
        begun = now(options.device)
        with torch.inference_mode(), autocast(options):
            work()
        return now(options.device) - begun

    return seconds


def in_turns(options: argparse.Namespace, works: Sequence[Callable[[int], float]]) -> list[list[float]]:
    """The seconds of each work in each turn; the first turn does not count."""
    turns = [[work(turn) for work in works] for turn in range(options.rounds + 1)]
    return [list(times) for times in zip(*turns[1:], strict=True)]


def over(crisp: Sequence[float], anchor: Sequence[float]) -> list[float]:
    return [a / c for c, a in zip(crisp, anchor, strict=True)]


def share(looks: Sequence[list[float]], iterations: Sequence[float], options: argparse.Namespace) -> list[float]:
    """Of a step's training that the look back at all of its videos is, turn by turn; ``looks``: at one, and at two."""
    config = resolve(STREAM, "anchor", options.segmenter)
    dataset = known(read_spec(find_scenario(STREAM)).dataset)
    videos = dataset.train_videos * (1 - FRACTION) * len(NEW) / len(dataset.categories)
    batches = config.schedule.incremental.iterations * config.schedule.batch_size / options.clips
    return [
        (one + (videos - 1) * (two - one)) / (batches * iteration)
        for one, two, iteration in zip(*looks, iterations, strict=True)
    ]


def annotated(video: Video, clip: Clip, times: int) -> VideoSet:
    """So many copies of the video, with the clip's two targets, which stay where they are."""
    target = clip.targets[0]
    masks = [encode(mask[0].cpu().numpy()) for mask in target.masks]
    tracks = tuple(
        Track(number, video.id, category, (mask,) * len(video), (1.0,) * len(video))
        for number, (category, mask) in enumerate(zip(target.category_ids.tolist(), masks, strict=True))
    )
    videos = tuple(replace(video, id=number) for number in range(times))
    return replace(EMPTY, videos=videos, tracks=dict.fromkeys(range(times), tracks))


if __name__ == "__main__":
    main()
