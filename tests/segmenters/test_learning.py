"""The shipped tiny configuration learns: it overfits two clips of moving rectangles in seconds."""

import torch
from mmengine.config import Config

from cvis.files import shipped
from cvis.segmenters.registry import build_segmenter
from cvis.types import Clip, Targets


def moving_rectangles() -> Clip:
    """Two clips of two 64 x 96 frames, each with a red and a blue rectangle that move; classes 5 and 9."""
    frames = torch.full((2, 2, 3, 64, 96), 110, dtype=torch.uint8)
    targets = []
    for clip in range(2):
        masks = torch.zeros(2, 2, 64, 96, dtype=torch.bool)
        for frame in range(2):
            masks[0, frame, 6 + 8 * clip : 30 + 8 * clip, 8 + 6 * frame : 40 + 6 * frame] = True
            masks[1, frame, 38 - 6 * frame : 60 - 6 * frame, 50 : 86 - 20 * clip] = True
            frames[clip, frame, 0, masks[0, frame]] = 230
            frames[clip, frame, 2, masks[1, frame]] = 230
        targets.append(Targets(torch.tensor([5, 9]), masks))
    return Clip(frames, torch.tensor([[64, 96]] * 2), tuple(targets), ("a", "b"))


def test_tiny_overfits():
    segmenter = build_segmenter(Config.fromfile(shipped("configs") / "segmenters/mask2former_tiny.py").segmenter)
    segmenter.add_classes([9, 5])
    clip = moving_rectangles()
    optimizer = torch.optim.AdamW(segmenter.parameters(), lr=1e-3, fused=True)
    totals = []
    for _ in range(80):
        total = sum(segmenter.losses(clip).values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert sum(totals[-5:]) / 5 < 0.25 * totals[0]
    with torch.no_grad():
        segmenter.eval()
        answer = segmenter.decode(segmenter.features(clip.frames, clip.sizes))[-1]
        matching = segmenter.match([answer], clip.targets)
    masks = torch.nn.functional.interpolate(answer.masks.flatten(0, 1), (64, 96), mode="bilinear") > 0
    masks = masks.unflatten(0, answer.masks.shape[:2])
    truth = torch.cat([target.masks for target in clip.targets])
    ids = torch.cat([target.category_ids for target in clip.targets]).tolist()
    for track, (home, query) in enumerate(zip(matching.clip, matching.query[-1], strict=True)):
        overlap = (masks[home, query] & truth[track]).sum() / (masks[home, query] | truth[track]).sum()
        assert overlap > 0.7
        assert segmenter.classes[answer.logits[home, query, :-1].argmax()] == ids[track]
