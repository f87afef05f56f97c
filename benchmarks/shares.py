"""Where the time of a training iteration goes, and what mmdet's own model takes for the same batch with equal weights.

    python benchmarks/shares.py --device cuda --bf16 --clips 16
    OMP_NUM_THREADS=1 python benchmarks/shares.py --device cpu --size 96 160 --clips 2 --rounds 2

Mask2Former-VIS of R50 size, clips of two frames, three instances each. The device is waited for before and after every
part, which costs a little; the whole iteration is measured without. The loader reads JPEG files of 1280 x 720 pixels
with so many workers, and is ahead of the model if a batch of it takes less than an iteration. Times are medians,
absolute on a GPU only: elsewhere the output has shares and ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from mmdet_r50 import video_pair
from torch import Tensor, nn
from video_speed import frames_in, write_frames

from cvis.data.clips import ClipDataset, ClipSampler, ClipSampling, make_loader
from cvis.data.rle import encode
from cvis.data.videoset import VideoSet
from cvis.types import Category, Clip, Targets, Track, Video

CLASSES, FULL = (1, 7, 40), (720, 1280)
FRAMES, LOADED = 8, 6  # of the video on disk; batches that are timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=("cpu", "cuda"))
    parser.add_argument("--size", type=int, nargs=2, default=(360, 640), metavar=("H", "W"))
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=8, help="of the loader")
    parser.add_argument("--bf16", action="store_true")
    options = parser.parse_args()
    theirs, ours = (model.to(options.device).train() for model in video_pair())
    clip = make_clip(options.clips, *options.size).to(options.device)
    clock = Clock(options.device)
    autocast = (lambda: torch.autocast(options.device, torch.bfloat16)) if options.bf16 else nullcontext

    def our_losses() -> dict[str, Tensor]:
        with autocast():
            return ours.losses(clip)

    def their_losses() -> dict[str, Tensor]:
        with autocast():
            return theirs.loss(ours.normalise(clip.frames), samples(clip))

    whole = {name: clock.medians(iteration(work, model, clock), options.rounds) for name, work, model in (
        ("ours", our_losses, ours), ("mmdet's", their_losses, theirs))}  # fmt: skip
    with parts_of(ours, clock):
        parts = clock.medians(iteration(our_losses, ours, clock), options.rounds)
    parts = {"backbone": parts["backbone"], "pixel decoder": parts["pixel decoder"],
             "decoder": parts["decoder"], "matcher": parts["matcher"], "losses": parts["criterion"] - parts["matcher"],
             "backward": parts["backward"]}  # fmt: skip
    loaded = loader_seconds(options)
    report: dict[str, Any] = {
        **vars(options),
        "device": torch.cuda.get_device_name() if options.device == "cuda" else "CPU",
        "shares": {name: round(seconds / sum(parts.values()), 3) for name, seconds in parts.items()},
        "loader / iteration": loaded / whole["ours"]["iteration"],
        "iteration / mmdet's": whole["ours"]["iteration"] / whole["mmdet's"]["iteration"],
    }
    if options.device == "cuda":
        report["seconds"] = {**parts, "loader": loaded, **{name: each["iteration"] for name, each in whole.items()}}
        report["peak_mb"] = {name: each["peak_mb"] for name, each in whole.items()}
    print(json.dumps(report, indent=1))


class Clock:
    """Seconds of named parts of the work on a device."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.spent: dict[str, float] = defaultdict(float)

    def now(self) -> float:
        if self.device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        begun = self.now()
        yield
        self.spent[name] += self.now() - begun

    def medians(self, work: Callable[[], None], rounds: int) -> dict[str, float]:
        """Of every part, over some calls after one that does not count; and the peak memory in MB, on a GPU."""
        turns = []
        for _ in range(rounds + 1):
            self.spent.clear()
            if self.device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            work()
            turns.append(dict(self.spent))
        peak = {"peak_mb": torch.cuda.max_memory_allocated() / 2**20} if self.device == "cuda" else {}
        return {name: statistics.median(turn[name] for turn in turns[1:]) for name in turns[0]} | peak


def iteration(losses: Callable[[], dict[str, Tensor]], model: nn.Module, clock: Clock) -> Callable[[], None]:
    """Forward and backward of a batch."""

    def work() -> None:
        model.zero_grad(set_to_none=True)
        with clock.part("iteration"):
            total = torch.stack([value.float().sum() for value in losses().values() if value.requires_grad]).sum()
            with clock.part("backward"):
                total.backward()

    return work


@contextmanager
def parts_of(model: Any, clock: Clock) -> Iterator[None]:
    """Measure the parts of our model while the block runs."""
    places = {
        "backbone": (model.backbone, "forward"),
        "pixel decoder": (model.pixel_decoder, "forward"),
        "queries": (model, "decode_queries"),
        "masks": (model, "with_masks"),
        "criterion": (model, "criterion"),
        "matcher": (model._criterion, "match"),
    }

    def timed(original: Callable, name: str) -> Callable:
        def call(*arguments: Any, **keywords: Any) -> Any:
            with clock.part("decoder" if name in ("queries", "masks") else name):
                return original(*arguments, **keywords)

        return call

    originals = {name: getattr(*place) for name, place in places.items()}
    for name, place in places.items():
        setattr(*place, timed(originals[name], name))
    try:
        yield
    finally:
        for owner, attribute in places.values():
            delattr(owner, attribute)  # of the instance; the class has the original


def make_clip(clips: int, height: int, width: int) -> Clip:
    """Noise, with three rectangles in each clip."""
    frames = torch.randint(0, 256, (clips, 2, 3, height, width), dtype=torch.uint8)
    masks = torch.zeros(3, 2, height, width, dtype=torch.bool)
    for n, mask in enumerate(masks):
        mask[:, 10 * n : 10 * n + height // 3, 20 * n : 20 * n + width // 3] = True
    target = Targets(torch.tensor(CLASSES), masks)
    return Clip(frames, torch.tensor([[height, width]] * clips), (target,) * clips, ("clip",) * clips)


def samples(clip: Clip) -> list:
    """The targets as mmdet wants them, which changes what it is given."""
    from mmdet.structures import DetDataSample, TrackDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData

    height, width = clip.frames.shape[-2:]
    size = {"img_shape": (height, width), "batch_input_shape": (height, width)}
    tracks = []
    for target in clip.targets:
        frames = []
        for masks in target.masks.transpose(0, 1):
            frame = DetDataSample(metainfo=size)
            frame.gt_instances = InstanceData(
                labels=target.category_ids - 1,
                instances_ids=torch.arange(len(masks), device=masks.device),
                masks=BitmapMasks(masks.cpu().numpy().astype("uint8"), height, width),
            )
            frames.append(frame)
        track = TrackDataSample(video_data_samples=frames)
        track.set_metainfo({"key_frames_inds": list(range(len(frames))), "ref_frames_inds": []})
        tracks.append(track)
    return tracks


def loader_seconds(options: argparse.Namespace) -> float:
    """By the clock, for a batch, with workers that have begun."""
    with tempfile.TemporaryDirectory() as folder:
        write_frames(Path(folder), FRAMES, FULL, "jpg")
        frames = frames_in(Path(folder), "jpg")
        video = Video(1, "v", *FULL, frames)
        mask = torch.zeros(FULL, dtype=torch.bool)
        mask[100:400, 200:700] = True
        track = Track(1, 1, 1, (encode(mask.numpy()),) * FRAMES, (float(mask.sum()),) * FRAMES)
        videos = VideoSet((Category(1, "thing"),), (video,), {1: (track,)}, "")
        clips = ClipDataset(videos, ClipSampling(short_sides=(min(options.size),)))
        sampler = ClipSampler(1, options.clips, 2 * LOADED, seed=0)
        batches = iter(make_loader(clips, sampler, options.workers, pin_memory=options.device == "cuda"))
        for _ in range(LOADED):
            next(batches)
        begun = time.perf_counter()
        for _ in batches:
            pass
        return (time.perf_counter() - begun) / LOADED


if __name__ == "__main__":
    main()
