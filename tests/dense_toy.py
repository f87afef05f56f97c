"""A dense model without queries and without a no-object class: of every class, every pixel says yes or no."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvis.data.frames import read_frames
from cvis.data.rle import encode
from cvis.segmenters.contract import ClipTracks
from cvis.segmenters.outputs import Maps, ProposedTracks
from cvis.segmenters.registry import SEGMENTERS
from cvis.types import NO_OBJECT, Clip, Tracks, Video


@SEGMENTERS.register_module(name="dense_toy")
class DenseToy(ClipTracks):
    """One track of each class, of all its pixels: there is no telling apart two objects of a class."""

    static_graph = True

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.width = width
        self.backbone = nn.Sequential(nn.Conv2d(3, width, 5, stride=2, padding=2), nn.ReLU())
        self.neck = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU())
        self.heads = nn.ModuleList()

    def grow(self, num_classes: int) -> None:
        self.heads.append(nn.Conv2d(self.width, num_classes, 1))

    def pixels(self, frames: Tensor) -> Tensor:
        """uint8 [B, T, 3, H, W] -> logits [B, K, T, H, W]."""
        features = self.neck(self.backbone(frames.flatten(0, 1).float() / 64 - 2))
        logits = torch.cat([head(features) for head in self.heads], dim=1)
        large = F.interpolate(logits, frames.shape[-2:], mode="bilinear")
        return large.unflatten(0, frames.shape[:2]).transpose(1, 2)

    def losses(self, clip: Clip, maps: Maps | None = None) -> dict[str, Tensor]:
        logits = self.pixels(clip.frames)
        wanted = torch.zeros_like(logits)
        for truth, target in zip(wanted, clip.targets, strict=True):
            for category, mask in zip(target.category_ids.tolist(), target.masks, strict=True):
                if category != NO_OBJECT:
                    truth[self.classes.index(category)][mask] = 1
        return {"loss_pixel": F.binary_cross_entropy_with_logits(logits, wanted)}

    @torch.no_grad()
    def clip_tracks(self, clip: Clip, maps: Maps | None = None) -> list[ProposedTracks]:
        probabilities = self.pixels(clip.frames).sigmoid()
        return [ProposedTracks(torch.diag(masks.flatten(1).amax(1)), masks) for masks in probabilities]

    @torch.inference_mode()
    def predict(self, video: Video) -> Tracks:
        frames = torch.from_numpy(read_frames(video.frames, video.height, video.width)).permute(0, 3, 1, 2)
        logits = self.pixels(frames[None])[0]
        scores = logits.flatten(1).amax(1).sigmoid().tolist()
        masks = tuple(tuple(map(encode, track)) for track in (logits > 0).numpy())
        return Tracks(video.id, tuple(self.classes), tuple(scores), masks)
