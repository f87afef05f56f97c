"""The Lovasz hinge (Berman et al., CVPR 2018): the convex surrogate of 1 - IoU."""

from __future__ import annotations

import torch
from torch import Tensor


def lovasz_hinge(scores: Tensor, wanted: Tensor) -> Tensor:
    """sum_k max(0, m_(k)) (Delta_k - Delta_(k-1)), of each row.

    m_i = 1 - s_i (2 y_i - 1) are the errors, in falling order; Delta_k is the Jaccard loss 1 - IoU of a mask that is
    wrong in the k pixels of the greatest errors alone.

    Args:
        scores: s [J, N]; a pixel is inside where it is positive.
        wanted: y [J, N], 0 or 1.

    Returns:
        [J].
    """
    wanted = wanted.to(scores)
    errors, order = (1 - scores * (2 * wanted - 1)).sort(dim=1, descending=True)
    inside = wanted.gather(1, order)
    area = inside.sum(1, keepdim=True)
    intersection, union = area - inside.cumsum(1), area + (1 - inside).cumsum(1)
    jaccard = 1 - intersection / union
    steps = torch.cat([jaccard[:, :1], jaccard[:, 1:] - jaccard[:, :-1]], dim=1)
    return (errors.relu() * steps).sum(1)
