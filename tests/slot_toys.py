"""The dense toy with its pixels as slots: once with a column for what is no class, once with sigmoids alone."""

import torch
import torch.nn.functional as F
from dense_toy import DenseToy
from torch import Tensor

from cvis.segmenters.background import class_probabilities, sigmoid_focal
from cvis.segmenters.contract import ClassSlots
from cvis.segmenters.heads import ClassHeads
from cvis.segmenters.inputs import target_columns
from cvis.segmenters.mask2former.criterion import softmax_cross_entropy
from cvis.segmenters.outputs import Maps, Memory, SlotOutput
from cvis.segmenters.registry import SEGMENTERS


@SEGMENTERS.register_module(name="column_toy")
class ColumnToy(ClassSlots, DenseToy):
    """Slots are the pixels of the feature map, frame by frame and row by row."""

    static_graph = True
    variants = ("comformer", "balconpas")

    def __init__(self, width: int = 16) -> None:
        super().__init__(width)
        self.class_heads = ClassHeads(width, background=self.background)

    def extract(self, frames: Tensor, sizes: Tensor | None = None) -> Maps:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.backbone_frozen):
            level = self.backbone(frames.flatten(0, 1).to(self.backbone[0].weight.dtype) / 64 - 2)
        return Maps((level,), frames.shape[1], (frames.shape[-2], frames.shape[-1]))

    def encode(self, maps: Maps) -> Memory:
        features = self.neck(maps.levels[0]).unflatten(0, (-1, maps.length))
        return Memory((features,), features, maps.size)

    def answers(self, memory: Memory) -> list[SlotOutput]:
        features = memory.mask_features.permute(0, 1, 3, 4, 2).flatten(1, 3)
        return [SlotOutput(self.class_heads(features), features)]

    def criterion(self, outputs, targets, classify=None, class_weight=None):
        taught = []
        for target, columns in zip(targets, target_columns(targets, self.classes), strict=True):
            of_pixels = torch.full(target.masks.shape[1:], len(self.classes))
            for column, mask in zip(columns, target.masks, strict=True):
                of_pixels[mask] = column
            taught.append(of_pixels[..., ::2, ::2].flatten())
        plain = softmax_cross_entropy if self.background == "column" else sigmoid_focal
        weight = 1.0 if class_weight is None else class_weight
        (output,) = outputs
        return {"loss_cls": weight * (classify or plain)(output.logits, torch.stack(taught), 0.5)}

    def pixels(self, frames: Tensor) -> Tensor:
        """uint8 [B, T, 3, H, W] -> log-odds of the classes [B, K, T, H, W]."""
        memory = self.features(frames)
        logits = self.answers(memory)[-1].logits
        odds = class_probabilities(logits, self.background).clamp(1e-6, 1 - 1e-6).logit()
        maps = odds.unflatten(1, (-1, *memory.mask_features.shape[-2:])).permute(0, 1, 4, 2, 3)
        large = F.interpolate(maps.flatten(0, 1), frames.shape[-2:], mode="bilinear")
        return large.unflatten(0, frames.shape[:2]).transpose(1, 2)


@SEGMENTERS.register_module(name="sigmoid_toy")
class SigmoidToy(ColumnToy):
    """Without a column for what is no class."""

    background = "sigmoid"
    variants = ("mib", "comformer", "balconpas")
