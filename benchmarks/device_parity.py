"""Is a model on this device the model that it should be?

    python benchmarks/device_parity.py --device cuda
    python benchmarks/device_parity.py --device cuda --run FOLDER_OF_A_RUN_OF_FINETUNE

Compares cvis on the device in fp32 with mmdet's own Mask2Former-VIS of the same weights on the CPU in fp64. With a
finished run of plain training, compares its last model, on videos of its test set: the device with the CPU, both in
fp32, and bf16 with fp32, both on the device. Exit code 1 if a difference is greater than rounding explains.

TensorFloat-32, which torch lets convolutions use on a GPU, is off: an error of ours could hide among its roundings.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from torch import Tensor

from cvis.engine.environment import select_device, use_amp
from cvis.engine.predict import load_trained
from cvis.runs.open import open_run

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "segmenters"))
Answer = list[tuple[Tensor, Tensor]]  # of each video: class probabilities [Q, K+1], mask logits [Q, T, h, w]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=("cpu", "cuda"))
    parser.add_argument("--run", type=Path, help="folder of a finished run of finetune or joint")
    parser.add_argument("--videos", type=int, default=8, help="of its test set")
    options = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    device = select_device(options.device)
    fine = against_mmdet(device)
    if options.run:
        on_cpu, here = answers(options, torch.device("cpu")), answers(options, device)
        fine &= report(f"fp32: {device}, CPU", on_cpu, here, most=1e-3)
        if use_amp("bf16" if device.type == "cpu" else "auto", device):
            fine &= report(f"{device}: bf16, fp32", here, answers(options, device, bf16=True), most=0.02)
    sys.exit(0 if fine else 1)


@torch.no_grad()
def against_mmdet(device: torch.device) -> bool:
    """Print the greatest differences of all prediction layers, from the same maps; whether they are small."""
    from mmdet_twin import CHANNELS, theirs_and_ours

    torch.manual_seed(0)
    theirs, ours = theirs_and_ours(frames=2)
    maps = [
        torch.randn(4, n, 64 // s, 96 // s, dtype=torch.float64) for n, s in zip(CHANNELS, (4, 8, 16, 32), strict=True)
    ]
    classes, masks = theirs.track_head(maps, None)
    ours = ours.float().to(device)
    ours.backbone.forward = lambda images: [level.float().to(device) for level in maps]
    outputs = ours.decode(ours.features(torch.zeros(2, 2, 3, 64, 96, dtype=torch.uint8, device=device)))
    logit = max(_apart(own.logits, other) for own, other in zip(outputs, classes, strict=True))
    mask = max(_apart(own.masks, other) for own, other in zip(outputs, masks, strict=True))
    fine = max(logit, mask) < 1e-4  # of logits around 1
    print(f"{_word(fine)} {device} fp32, mmdet fp64: class logits apart by {logit:.1e}, mask logits by {mask:.1e}")
    return fine


@torch.inference_mode()
def answers(options: argparse.Namespace, device: torch.device, bf16: bool = False) -> Answer:
    """Of the run's last model."""
    segmenter = load_trained(options.run, device=device.type).learner.segmenter
    found = []
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        for video in open_run(options.run).scenario().test.videos[: options.videos]:
            output = segmenter.decode(segmenter.video_features(video), prediction_layers="last")[0]
            found.append((output.logits[0].softmax(-1), output.masks[0].float()))
    return found


def report(what: str, first: Answer, second: Answer, most: float) -> bool:
    """Print how two models differ; whether at most the share ``most`` of the mask pixels changes sides."""
    pairs = list(zip(first, second, strict=True))
    probability = max(_apart(a[0], b[0]) for a, b in pairs)
    moved = torch.cat([((a[1].cpu() > 0) != (b[1].cpu() > 0)).flatten() for a, b in pairs]).float().mean().item()
    fine = moved <= most
    print(f"{_word(fine)} {what}: probabilities apart by {probability:.1e}, mask pixels on another side {moved:.1e}")
    return fine


def _apart(one: Tensor, other: Tensor) -> float:
    return (one.cpu().double() - other.cpu().double()).abs().max().item()


def _word(fine: bool) -> str:
    return "ok " if fine else "BAD"


if __name__ == "__main__":
    main()
