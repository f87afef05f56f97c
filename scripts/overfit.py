"""Does a segmenter learn at all? It sees four synthetic clips again and again; tested on them, its mAP should pass 90.

python scripts/overfit.py vistr_tiny --iterations 600
"""

from __future__ import annotations

import argparse

import torch

from cvis.data.clips import ClipDataset, ClipSampling, collate
from cvis.data.synthetic import synthetic_root
from cvis.data.ytvis import read_ytvis
from cvis.engine.config import Phase, Schedule
from cvis.engine.environment import seed_everything
from cvis.engine.evaluate import predict_videos
from cvis.engine.optim import build_optimizer, build_schedulers
from cvis.engine.resolve import resolve
from cvis.evaluation import VideoAP
from cvis.learners import build_learner
from cvis.segmenters import build_segmenter

CLIPS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("segmenter", help="a file of configs/segmenters, for small frames")
    parser.add_argument("--iterations", type=int, default=600, help="each sees all clips")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of cvis run")
    arguments = parser.parse_args()

    config = resolve("synthetic-20-4", "finetune", arguments.segmenter, overrides=arguments.set)
    frames = config.sampling.num_frames
    root = synthetic_root()
    videos = read_ytvis(root / "train.json", root / "train" / "JPEGImages")
    chosen = videos.select([video.id for video in videos.videos[:CLIPS]])
    chosen = chosen.slice_frames({video.id: (0, frames) for video in chosen.videos})
    height = chosen.videos[0].height
    clips = ClipDataset(chosen, ClipSampling(num_frames=frames, short_sides=(height,), flip=0.0))
    batch = collate([clips[index, 0] for index in range(len(clips))])

    seed_everything(0)
    learner = build_learner(config.learner, build_segmenter(config.segmenter))
    learner.segmenter.add_classes(sorted({track.category_id for track in chosen.all_tracks}))
    phase = Phase(iterations=arguments.iterations, lr=arguments.lr, policy="cosine")
    optimizer = build_optimizer(learner.param_groups(), phase, Schedule(weight_decay=0.0, backbone_lr_mult=1.0))
    schedulers = build_schedulers(optimizer, phase, [])
    learner.train()
    for iteration in range(1, arguments.iterations + 1):
        losses = learner.loss(batch)
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), config.schedule.clip_grad)
        optimizer.step()
        optimizer.zero_grad()
        for scheduler in schedulers:
            scheduler.step()
        if iteration % 50 == 0 or iteration == arguments.iterations:
            said = ", ".join(f"{name} {value:.3f}" for name, value in losses.items() if "." not in name)
            print(f"{iteration:5d} mAP {tested(learner, chosen):5.1f}  {said}", flush=True)


def tested(learner, videos) -> float:
    """mAP on the clips themselves."""
    metric = VideoAP(videos, learner.segmenter.classes)
    for tracks in predict_videos(learner, videos.videos, "test", amp=False):
        metric.add(tracks)
    learner.train()
    return metric.result().summary()["mAP"]


if __name__ == "__main__":
    main()
