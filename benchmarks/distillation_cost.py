"""What a method costs: its training iterations against fine-tuning's, in one run; with a teacher, or mostly frozen.

    OMP_NUM_THREADS=1 python benchmarks/distillation_cost.py
    OMP_NUM_THREADS=1 python benchmarks/distillation_cost.py --methods eclipse crisp
    python benchmarks/distillation_cost.py --device cuda --bf16 --size paper --clips 16 --rounds 20

Each method stands in its second step, on the same random weights, and does whole iterations: forward, backward,
optimiser step. The methods take turns, iteration by iteration, so that whatever else the machine does meets all alike;
the first turn does not count. On a CPU the time is the process's own, on a GPU the clock's between two
synchronisations. A ratio is of a method and of fine-tuning in the same turn.

The teacher's class logits are shifted so that it sees objects in a tenth of its queries: one that sees none has no
pseudo-labels to make, one that sees them everywhere makes more than any trained one. Text encoders have their full size
and random weights. A method with ``-views`` behind its name finds the features of its clip in the cache, as it does in
every epoch after the first ones with ``schedule.incremental.views`` and ``--cache-features ram``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import AbstractContextManager, nullcontext

import torch
from ratios import Ratio, tell
from torch import nn

from cvis.data.videoset import VideoSet
from cvis.engine.resolve import resolve
from cvis.learners import Learner
from cvis.learners.registry import build_learner
from cvis.scenario import Task
from cvis.segmenters import build_segmenter
from cvis.segmenters.background import split
from cvis.segmenters.feature_cache import GB, FeatureCache
from cvis.types import Category, Clip, Targets

TEACHERS = ("mib", "comformer", "combo", "balconpas", "pseudo")
PROMPTS = ("eclipse", "crisp")
VIEWS = "-views"
CACHED = tuple(name + VIEWS for name in PROMPTS)
SIZES = {"small": (160, 256), "paper": (360, 640)}
BASE, NEW = tuple(range(1, 21)), (21, 22, 23, 24)
EMPTY = VideoSet(tuple(Category(c, f"class {c}") for c in (*BASE, *NEW)), (), {}, "")
OVERRIDES = {"crisp": ["learner.text_encoder.pretrained=random"]}
AIMS = {**dict.fromkeys(TEACHERS, 1.15), **dict.fromkeys((*PROMPTS, *CACHED), 0.25)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--segmenter", default="mask2former_r50")
    parser.add_argument("--size", default="small", choices=SIZES, help="; ".join(f"{k}: {v}" for k, v in SIZES.items()))
    parser.add_argument("--clips", type=int, default=2, help="batch size; clips of two frames")
    parser.add_argument("--rounds", type=int, default=5, help="turns that count")
    parser.add_argument("--methods", nargs="+", default=TEACHERS, choices=(*TEACHERS, *PROMPTS, *CACHED))
    parser.add_argument("--all-learn", action="store_true", help="train the backbone too (protocol.freeze=none)")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    names = list(dict.fromkeys(("finetune", *options.methods)))
    clip = make_clip(options.clips, *SIZES[options.size]).to(options.device)
    runners = {name: Iteration(make_learner(name, options, clip), options) for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(options.rounds + 1):
        for name, runner in runners.items():
            spent = runner(clip, seed=turn)
            if turn:
                times[name].append(spent)
    report(times, options)


class Iteration:
    """One learner with its optimiser; a call is one training iteration, and returns its seconds."""

    def __init__(self, learner: Learner, options: argparse.Namespace) -> None:
        self.learner = learner
        self.device, self.options = options.device, options
        self.parameters = [p for p in learner.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-6, weight_decay=0.05)

    def __call__(self, clip: Clip, seed: int) -> float:
        torch.manual_seed(seed)
        begun = now(self.device)
        with autocast(self.options):
            losses = self.learner(clip)
        torch.stack([value.float() for value in losses.values()]).sum().backward()
        nn.utils.clip_grad_norm_(self.parameters, 0.01)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)  # last, so that the others' turns have the memory
        return now(self.device) - begun


def now(device: str) -> float:
    """In seconds: the process's own time on a CPU, the clock's once all is done on a GPU."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def autocast(options: argparse.Namespace) -> AbstractContextManager:
    return torch.autocast(options.device, torch.bfloat16) if options.bf16 else nullcontext()


def make_learner(name: str, options: argparse.Namespace, clip: Clip) -> Learner:
    """A learner at the beginning of its second step."""
    torch.manual_seed(0)
    cached, name = name.endswith(VIEWS), name.removesuffix(VIEWS)
    config = resolve("ytvis2019-20-4", name, options.segmenter, overrides=OVERRIDES.get(name, ()))
    segmenter = build_segmenter(config.segmenter)
    if cached:
        segmenter.feature_cache = FeatureCache(GB, about="")
    learner = build_learner(config.learner, segmenter)
    learner.begin_task(Task(0, BASE, (), EMPTY, 0))
    learner.to(options.device).eval().end_task(Task(0, BASE, (), EMPTY, 0))
    see_objects(learner, clip)
    if not options.all_learn:
        segmenter.freeze_backbone()
    learner.begin_task(Task(1, NEW, BASE, EMPTY, 0))
    return learner.to(options.device).train()


@torch.no_grad()
def see_objects(learner: Learner, clip: Clip, share: float = 0.1) -> None:
    """Shift the no-object logit so that ``share`` of the queries are of a class."""
    memory = learner.segmenter.features(clip.frames, clip.sizes)
    classes, no_object = split(learner.segmenter.decode_queries(memory)[-1].logits)
    lead = classes.amax(-1) - no_object[..., 0]
    last = [module for module in learner.segmenter.class_heads.no_object.modules() if isinstance(module, nn.Linear)][-1]
    last.bias += lead.flatten().quantile(1 - share)


def make_clip(clips: int, height: int, width: int) -> Clip:
    """Random frames, two rectangles in each clip."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (clips, 2, 3, height, width), dtype=torch.uint8, generator=generator)
    masks = torch.zeros(2, 2, height, width, dtype=torch.bool)
    masks[0, :, height // 8 : height // 2, width // 8 : width // 2] = True
    masks[1, :, height // 2 : height - 8, width // 3 : width - 8] = True
    target = Targets(torch.tensor(NEW[:2]), masks)
    return Clip(frames, torch.tensor([[height, width]] * clips), (target,) * clips, ("clip",) * clips)


def report(times: dict[str, list[float]], options: argparse.Namespace) -> None:
    what = "a training iteration of {}, of finetune's"
    ratios = [
        Ratio(what.format(name), [a / b for a, b in zip(own, times["finetune"], strict=True)], AIMS[name])
        for name, own in times.items()
        if name != "finetune"
    ]
    device = torch.cuda.get_device_name() if options.device == "cuda" else f"CPU, {torch.get_num_threads()} thread(s)"
    seconds = {name: statistics.median(own) for name, own in times.items()}
    if not options.json:
        height, width = SIZES[options.size]
        clips = f"{options.clips} clips x 2 frames x {height}x{width}"
        print(f"{device}: {options.segmenter}, {clips}, {options.rounds} turns")
        print("median seconds:", ", ".join(f"{name} {median:.3f}" for name, median in seconds.items()))
    tell(ratios, options.json, **vars(options), device_name=device, median_s=seconds)


if __name__ == "__main__":
    main()
