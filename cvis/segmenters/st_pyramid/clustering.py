"""From what is said of every pixel to instances: the surest centre takes the pixels that are near, and so on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cvis.segmenters.st_pyramid.pixels import Pixels, gaussian


class Clusters(NamedTuple):
    """J instances of a clip, the surest first."""

    heat: Tensor  # [J], of each centre
    logits: Tensor  # [J, C], means over its pixels
    masks: Tensor  # [J, T, h, w], p of its Gaussian, 0 where a pixel is another's


@dataclass(frozen=True)
class Clustering:
    """Until no free pixel is a sure centre: the surest one c takes the free pixels of p_i(e_c, Sigma_c) > .5.

    Args:
        min_heat: of a centre.
        min_probability: of a pixel, p.
        most: instances of a clip at most.
        normalised: see :func:`~cvis.segmenters.st_pyramid.pixels.gaussian`; not a key, it is the criterion's.
    """

    min_heat: float = 0.8
    min_probability: float = 0.5
    most: int = 20

    def __call__(self, pixels: Pixels, row: int, normalised: bool = False) -> Clusters:
        """The instances of one clip of the batch."""
        embeddings, variances = pixels.embeddings[row], pixels.variances[row]
        free = pixels.heat[row].clone()  # a pixel that is taken has -1
        heats: list[Tensor] = []
        logits, masks = [], []
        while len(heats) < self.most:
            heat, center = free.max(0)
            if heat < self.min_heat:
                break
            p = gaussian(embeddings, embeddings[:, center][None], variances[:, center][None], normalised)[0]
            p = torch.where(free >= 0, p, 0)
            inside = p > self.min_probability
            inside[center] = True  # a density may be less everywhere
            free[inside] = -1
            heats.append(heat)
            logits.append(pixels.logits[row][inside].mean(0))
            masks.append(p.view(pixels.size))
        if not heats:
            empty = pixels.logits[row][:0]
            return Clusters(free[:0], empty, free.new_zeros(0, *pixels.size))
        return Clusters(torch.stack(heats), torch.stack(logits), torch.stack(masks))
