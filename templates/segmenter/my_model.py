"""My model (Author et al., "Title", CONF 2026)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvis.data.frames import read_frames
from cvis.data.rle import encode
from cvis.segmenters import Segmenter
from cvis.segmenters.outputs import Maps
from cvis.types import NO_OBJECT, Clip, Tracks, Video


class MyModel(Segmenter):
    """One line on what kind of model it is: `cvis segmenters` prints it.

    As it stands: of every class, every pixel says yes or no, and all its pixels are one track. Further abilities are
    base classes beside ``Segmenter``: see cvis.segmenters.contract.

    Args:
        dim: channels. Each argument is a setting: --set segmenter.dim=32
    """

    def __init__(self, dim: int = 16) -> None:
        super().__init__()
        self.dim = dim
        self.backbone = nn.Sequential(nn.Conv2d(3, dim, 5, stride=2, padding=2), nn.ReLU())  # can be frozen
        self.neck = nn.Sequential(nn.Conv2d(dim, dim, 3, padding=1), nn.ReLU())
        self.heads = nn.ModuleList()  # one for each step

    def grow(self, num_classes: int) -> None:
        """Room for the classes of a step; their data-set ids are then the last ones of ``self.classes``."""
        head = nn.Conv2d(self.dim, num_classes, 1)
        self.heads.append(head.to(next(self.parameters()).device))

    def logits(self, frames: Tensor) -> Tensor:
        """uint8 RGB [T, 3, H, W] -> [K, T, H, W], K classes in the order of ``self.classes``."""
        features = self.neck(self.backbone(frames.float() / 64 - 2))
        logits = torch.cat([head(features) for head in self.heads], dim=1)
        return F.interpolate(logits, frames.shape[-2:], mode="bilinear").transpose(0, 1)

    def losses(self, clip: Clip, maps: Maps | None = None) -> dict[str, Tensor]:
        """Of a batch: named, weighted scalars."""
        each = []
        for frames, (height, width), targets in zip(clip.frames, clip.sizes.tolist(), clip.targets, strict=True):
            logits = self.logits(frames[..., :height, :width])  # without the padding
            wanted = torch.zeros_like(logits)
            for category, mask in zip(targets.category_ids.tolist(), targets.masks, strict=True):
                if category != NO_OBJECT:
                    wanted[self.classes.index(category)][mask[..., :height, :width]] = 1
            each.append(F.binary_cross_entropy_with_logits(logits, wanted))
        return {"loss_pixel": torch.stack(each).mean()}

    @torch.inference_mode()
    def predict(self, video: Video) -> Tracks:
        """The tracks of a video of any length, a few frames at a time."""
        frames = torch.from_numpy(read_frames(video.frames, video.height, video.width)).permute(0, 3, 1, 2)
        device = next(self.parameters()).device
        logits = torch.cat([self.logits(part.to(device)).cpu() for part in frames.split(8)], dim=1)
        scores = logits.flatten(1).amax(1).sigmoid().tolist()
        masks = tuple(tuple(map(encode, track)) for track in (logits > 0).numpy())
        return Tracks(video.id, tuple(self.classes), tuple(scores), masks)
