"""Whether a segmenter can learn at all: a few synthetic videos by heart, and their video mAP.

    python benchmarks/overfit.py --segmenter ctvis_tiny

Trains on clips of the first videos of synthetic-20-4's step 0, which it then predicts. mAP asks for an IoU of up to
0.95, so masks of queries weigh as much as in Mask2Former (2, 5, 5), and clusters of pixels as published, at the size of
the frame; all else is the segmenter's and the tiny schedule's own.
"""

from __future__ import annotations

import argparse
import json

import torch

from cvis.data.clips import ClipDataset, ClipSampler, make_loader
from cvis.engine.environment import seed_everything
from cvis.engine.resolve import resolve
from cvis.engine.train import clip_sampling
from cvis.evaluation import score
from cvis.scenario import load_scenario
from cvis.segmenters import SEGMENTERS, build_segmenter
from cvis.segmenters.contract import AlignedQueries
from cvis.segmenters.st_pyramid import STPyramid

FOR_MASKS: dict[type, tuple[str, ...]] = {
    AlignedQueries: tuple(f"segmenter.criterion.{key}" for key in ("class_weight=2", "mask_weight=5", "dice_weight=5")),
    STPyramid: ("segmenter.criterion.class_weight=1", "segmenter.output_stride=1"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--segmenter", default="mask2former_tiny")
    parser.add_argument("--videos", type=int, default=4)
    parser.add_argument("--iterations", type=int, default=600)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of cvis run")
    options = parser.parse_args()
    config = resolve("synthetic-20-4", "finetune", options.segmenter, "tiny", options.set)
    for kind, settings in FOR_MASKS.items():
        if issubclass(SEGMENTERS.find(config.segmenter["type"]), kind):
            config = resolve("synthetic-20-4", "finetune", options.segmenter, "tiny", [*settings, *options.set])
    seed_everything(0)
    task = load_scenario("synthetic-20-4").tasks[0]
    videos = task.train.select([video.id for video in task.train.videos[: options.videos]])
    clips = ClipDataset(videos, clip_sampling(config))
    sampler = ClipSampler(len(clips), config.schedule.batch_size, options.iterations, seed=0)
    model = build_segmenter(config.segmenter)
    model.add_classes(task.new_classes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.iterations)
    for iteration, clip in enumerate(make_loader(clips, sampler)):
        total = sum(model.losses(clip).values())
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if iteration % 100 == 0:
            print(f"iteration {iteration}: loss {total.item():.3f}", flush=True)
    model.eval()
    summary = score(videos, [model.predict(video) for video in videos.videos]).summary()
    print(json.dumps({**vars(options), "mAP": summary["mAP"], "AP50": summary["AP50"]}))


if __name__ == "__main__":
    main()
