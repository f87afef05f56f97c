"""The four losses of the space-time pyramid: embeddings, bandwidths, centres and classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cvis.segmenters.contract import Classify
from cvis.segmenters.st_pyramid.lovasz import lovasz_hinge
from cvis.segmenters.st_pyramid.pixels import Pixels, gaussian


class Criterion:
    """L = L_emb + L_smooth + L_center + L_cls, each a mean over the clips of the batch; of a clip with J instances

        mu_j, Sigma_j  means of embeddings and variances over the mask M_j
        L_emb     mean over j of the Lovasz hinge of 2 p_ij - 1 and M_j, over all pixels i
        L_smooth  mean over j of mean_{i in M_j} |b_i - mean_{M_j} b|^2
        L_center  (sum_j mean_{i in M_j} (H_i - p_ij)^2 + mean_{i in no mask} H_i^2) / (J + 1), p without gradient
        L_cls     mean over j of CE(mean_{i : p_ij > .5} S_i, c_j); of an empty set, M_j stands for it

    With a background channel L_cls is the cross entropy of every pixel instead.

    Args:
        embedding_weight, smooth_weight, center_weight, class_weight: of the losses, 1 as published.
        no_object_weight: of the background's pixels in the cross entropy of every pixel.
        normalised: see :func:`~cvis.segmenters.st_pyramid.pixels.gaussian`.
    """

    def __init__(
        self,
        embedding_weight: float = 1.0,
        smooth_weight: float = 1.0,
        center_weight: float = 1.0,
        class_weight: float = 1.0,
        no_object_weight: float = 1.0,
        normalised: bool = False,
    ) -> None:
        self.weights = (embedding_weight, smooth_weight, center_weight)
        self.class_weight, self.no_object_weight = class_weight, no_object_weight
        self.normalised = normalised

    def __call__(
        self,
        pixels: Pixels,
        columns: Sequence[Tensor],
        masks: Sequence[Tensor],
        classify: Classify | None,
        class_weight: float | None = None,
    ) -> dict[str, Tensor]:
        """Losses by name: ``loss_emb``, ``loss_smooth``, ``loss_center``, ``loss_cls``.

        Args:
            columns: of each clip [M] int64; targets of no object count as background.
            masks: of each clip [M, T, H, W] bool, padded as the frames are.
            classify: the loss of every pixel's class; None: L_cls as above.
            class_weight: in place of the one given at construction.
        """
        instances = [_instances(pixels.size, *clip) for clip in zip(columns, masks, strict=True)]
        with torch.autocast(pixels.heat.device.type, enabled=False):  # means of places in bf16 would be pixels away
            of_clips = [self._clip(pixels, row, *found) for row, found in enumerate(instances)]
        emb, smooth, center, classes = torch.stack(of_clips).mean(0)
        if classify is not None:
            classes = classify(pixels.logits, _pixel_columns(pixels.logits, instances), self.no_object_weight)
        weights = (*self.weights, self.class_weight if class_weight is None else class_weight)
        names = ("loss_emb", "loss_smooth", "loss_center", "loss_cls")
        return {name: w * loss for name, w, loss in zip(names, weights, (emb, smooth, center, classes), strict=True)}

    def _clip(self, pixels: Pixels, row: int, columns: Tensor, masks: Tensor) -> Tensor:
        """The four losses of one clip, [4]."""
        embeddings, heat, logits = pixels.embeddings[row], pixels.heat[row], pixels.logits[row]
        bandwidths, variances = pixels.bandwidths[row], pixels.variances[row]
        outside = ~masks.any(0)
        background = (outside * heat**2).sum() / outside.sum().clamp(min=1)
        if not len(masks):  # zero, and still part of the graph
            nothing = 0 * (embeddings.sum() + bandwidths.sum() + logits.sum())
            return torch.stack([nothing, nothing, background, nothing])
        share = masks.to(embeddings) / masks.sum(1, keepdim=True)  # [J, N]: a product with it is a mean over M_j
        p = gaussian(embeddings, share @ embeddings.T, share @ variances.T, self.normalised)
        middle = share @ bandwidths.T
        smooth = (share[:, None] * (bandwidths - middle[..., None]) ** 2).sum((1, 2))
        center = (share * (heat - p.detach()) ** 2).sum(1)
        found = p.detach() > 0.5
        found = torch.where(found.any(1, keepdim=True), found, masks).to(logits)
        of_instances = (found / found.sum(1, keepdim=True)) @ logits
        return torch.stack(
            [
                lovasz_hinge(2 * p - 1, masks).mean(),
                smooth.mean(),
                (center.sum() + background) / (len(masks) + 1),
                F.cross_entropy(of_instances, columns),
            ]
        )


def _instances(size: tuple[int, int, int], columns: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Columns [J] and masks [J, N] at the answer's size; what no frame shows, no-object among them, is left out."""
    if masks.shape[2:] != size[1:]:
        masks = F.interpolate(masks.float(), size[1:], mode="area") >= 0.5
    shown = masks.flatten(1).any(1)
    return columns[shown], masks[shown].flatten(1)


def _pixel_columns(logits: Tensor, instances: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """[B, N]: the column of each pixel's class, where no instance is that of the background."""
    wanted = torch.full(logits.shape[:2], logits.shape[2] - 1, device=logits.device)
    for row, (columns, masks) in zip(wanted, instances, strict=True):
        for column, mask in zip(columns, masks, strict=True):
            row[mask] = column
    return wanted
