"""What keeps MiB from learning new classes where its distillation weighs much: its parts taken away, one at a time.

    python benchmarks/mib_ablation.py runs/synthetic-20-4/mask2former_tiny/finetune/seed0

From the step-0 model of a finished run, every variant learns the next steps as `cvis run --learner mib` would. Of the
annotated objects of C_t in training clips of step t, the query whose mask overlaps it most (IoU > 0.5) is asked after
the step: means of its probability of the object's class, of all classes of C_t, of no-object and of the likeliest older
class. "kd : ce" is the ratio of the norms of the gradients of distillation and classification, the mean over the step.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cvis.data.clips import ClipDataset, collate
from cvis.engine.config import Config
from cvis.engine.environment import derive_seed, seed_everything
from cvis.engine.evaluate import predict_videos
from cvis.engine.predict import load_trained
from cvis.engine.trackers import build_visualizer
from cvis.engine.train import clip_sampling, train_step
from cvis.evaluation import VideoAP, step_metrics
from cvis.learners.mib import MiB
from cvis.runs.open import open_run
from cvis.scenario import Scenario, Task
from cvis.segmenters import build_segmenter
from cvis.segmenters.mask2former.decoder import resize
from cvis.types import Clip

VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # settings of the learner, of the schedule
    "weight 10": (dict(kd_weight=10.0), {}),
    "weight 100": (dict(kd_weight=100.0), {}),
    "100, gradients not clipped": (dict(kd_weight=100.0), dict(clip_grad=0.0)),
    "100, plain cross entropy": (dict(kd_weight=100.0, unbiased_ce=False), {}),
    "100, plain distillation": (dict(kd_weight=100.0, unbiased_kd=False), {}),
    "100, no imprinting": (dict(kd_weight=100.0, imprint=False), {}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a finished run of a learner that shares step 0")
    parser.add_argument("--steps", type=int, default=3, help="steps after step 0")
    parser.add_argument("--clips", type=int, default=40, help="of each step, that are asked after it")
    options = parser.parse_args()
    run = open_run(options.run)
    base = load_trained(options.run, 0, "cpu").learner.segmenter.state_dict()
    print("variant                     step  mAP new  mAP base  p(own)  p(new)  p(no-object)  p(older)  kd : ce")
    for name, (settings, schedule) in VARIANTS.items():
        values = {**run.config, "learner": {"type": "mib", **settings}}
        values["schedule"] = {**values["schedule"], **schedule}
        for row in follow(Config.model_validate(values), run.scenario(), base, options.steps, options.clips):
            print(f"{name:26s}  " + "".join(row), flush=True)


def follow(config: Config, stream: Scenario, base: dict[str, Tensor], steps: int, clips: int) -> list[str]:
    """Learn the steps; a line of the table for each."""
    seed, cpu = config.runtime.seed, torch.device("cpu")
    learner = Watched(build_segmenter(config.segmenter), **{k: v for k, v in config.learner.items() if k != "type"})
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        visualizer = build_visualizer([], Path(folder) / "a/b/c/d")
        for task in stream[: steps + 1]:
            seed_everything(derive_seed(seed, "begin", task.index))
            learner.eval()
            if task.index:
                learner.segmenter.freeze_backbone()
            learner.begin_task(task)
            if not task.index:
                learner.segmenter.load_state_dict(base)
                continue
            learner.ratios.clear()
            phase = config.schedule.phase(False, False, len(stream))
            train_step(learner, task, phase, config, cpu, False, Path(folder) / f"{task.index}.pth", visualizer)
            learner.eval()
            learner.end_task(task)
            asked = shares(learner, task, config, clips).mean(0).tolist()
            mean = sum(learner.ratios) / len(learner.ratios)
            ap = _ap(learner, stream, task)
            lines.append(
                f"{task.index:4d}  {ap[0]:7.2f}  {ap[1]:8.2f}  {asked[0]:6.3f}  {asked[1]:6.3f}  {asked[2]:12.3f}  "
                f"{asked[3]:8.3f}  {mean:7.2f}"
            )
    return lines


class Watched(MiB):
    """MiB that notes how long the gradients of its two class losses are, every twentieth iteration."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.ratios: list[float] = []
        self.seen = 0

    def loss(self, clip: Clip) -> dict[str, Tensor]:
        losses = super().loss(clip)
        self.seen += 1
        if "loss_kd" in losses and self.seen % 20 == 0:
            parameters = [p for p in self.segmenter.parameters() if p.requires_grad]
            classes = torch.stack([value for name, value in losses.items() if name.endswith("loss_cls")]).sum()
            norms = []
            for value in (losses["loss_kd"], classes):
                gradients = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
                norms.append(torch.stack([g.norm() for g in gradients if g is not None]).norm().item())
            self.ratios.append(norms[0] / norms[1])
        return losses


@torch.no_grad()
def shares(learner: MiB, task: Task, config: Config, clips: int) -> Tensor:
    """[N, 4], of N objects that a query covers: p of its class, of the step's, of no-object, of the best old one."""
    dataset = ClipDataset(task.train, clip_sampling(config))
    column = {category: index for index, category in enumerate(learner.segmenter.classes)}
    new, rows = [column[c] for c in task.new_classes], []
    for index in range(min(clips, len(dataset))):
        clip = collate([dataset[index, 0]])
        memory = learner.segmenter.features(clip.frames, clip.sizes)
        answer = learner.segmenter.with_masks(memory, learner.segmenter.decode_queries(memory)[-1:])[0]
        target = clip.targets[0].masks
        masks = resize(answer.masks[0], memory.size)[..., : target.shape[-2], : target.shape[-1]] > 0
        overlap = (masks[:, None] & target).flatten(2).sum(2) / (masks[:, None] | target).flatten(2).sum(2).clamp(min=1)
        best = overlap.max(0)
        for track in (best.values > 0.5).nonzero().flatten().tolist():
            p = answer.logits[0, best.indices[track]].softmax(-1)
            own = column[clip.targets[0].category_ids[track].item()]
            rows.append(torch.stack([p[own], p[new].sum(), p[-1], p[: min(new)].max()]))
    return torch.stack(rows) if rows else torch.full((1, 4), torch.nan)


def _ap(learner: MiB, stream: Scenario, task: Task) -> tuple[float, float]:
    """mAP of the step's classes and of the base classes, per cent."""
    scores = VideoAP(stream.test, stream.classes)
    for tracks in predict_videos(learner, stream.test.videos, f"step {task.index} test", amp=False):
        scores.add(tracks)
    metrics = step_metrics(
        scores.result(),
        classes=stream.classes,
        base=stream.base_classes,
        old=task.old_classes,
        new=task.new_classes,
    )
    return metrics["mAP_new"], metrics["mAP_base"]


if __name__ == "__main__":
    main()
