"""What the model of the step before says of objects that are about to become new classes.

    python benchmarks/no_object_share.py runs/synthetic-20-4/mask2former_tiny/mib/seed0

For every step t > 0: of the annotated objects of C_t in training clips of step t, the query of the model of step t - 1
whose mask overlaps it most (IoU > 0.5), and that query's probability of no-object and of the likeliest old class, as
means. Unbiased distillation lets new classes take what the old model called no-object; where that is nothing, they
cannot be learned.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from cvis.data.clips import ClipDataset, ClipSampling, collate
from cvis.engine.predict import load_trained
from cvis.learners import Learner
from cvis.runs.open import open_run
from cvis.scenario import Task
from cvis.segmenters.mask2former.decoder import resize


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--clips", type=int, default=40, help="of each step, at the most")
    options = parser.parse_args()
    run = open_run(options.run)
    sampling = {**run.config["sampling"], "flip": 0.0}
    sampling["short_sides"] = tuple(sampling["short_sides"])
    print("step  objects  no-object  likeliest old class")
    for task in run.scenario()[1:]:
        learner = load_trained(options.run, task.index - 1, "cpu").learner.eval()
        found = shares(learner, task, ClipSampling(**sampling), options.clips)
        no_object, old = found.mean(0).tolist() if len(found) else (float("nan"), float("nan"))
        print(f"{task.index:4d}  {len(found):7d}  {no_object:9.3f}  {old:19.3f}")


@torch.no_grad()
def shares(learner: Learner, task: Task, sampling: ClipSampling, clips: int) -> Tensor:
    """[N, 2]: probability of no-object and of the likeliest class, for each of N objects that a query covers."""
    dataset = ClipDataset(task.train, sampling)
    rows = [torch.empty(0, 2)]
    for index in range(min(clips, len(dataset))):
        clip = collate([dataset[index, 0]])
        memory = learner.segmenter.features(clip.frames, clip.sizes)
        answer = learner.segmenter.decode(memory)[-1]
        target = clip.targets[0].masks
        masks = resize(answer.masks[0], memory.size)
        masks = masks[..., : target.shape[-2], : target.shape[-1]] > 0
        overlap = (masks[:, None] & target).flatten(2).sum(2) / (masks[:, None] | target).flatten(2).sum(2).clamp(min=1)
        best = overlap.max(0)
        probabilities = answer.logits[0, best.indices[best.values > 0.5]].softmax(-1)
        rows.append(torch.stack([probabilities[:, -1], probabilities[:, :-1].amax(-1)], dim=1))
    return torch.cat(rows)


if __name__ == "__main__":
    main()
