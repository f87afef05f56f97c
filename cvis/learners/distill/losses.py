"""Losses between an old and a new model, and classification where old classes go unlabelled.

Logits are [..., K+1], an old model's [..., o+1], in the order of :mod:`cvis.segmenters.background`; where a function's
``background`` is ``sigmoid``, [..., K] and [..., o]. Everywhere o is the number of old classes, and what is said of
queries holds for locations and pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from cvis.segmenters.background import (
    Background,
    is_no_object,
    join,
    num_classes,
    object_probability,
    old_columns,
    sigmoid_focal,
    split,
    weighted_nll,
)
from cvis.segmenters.shared_batch import mean_of_all

FOCAL_ALPHA, FOCAL_GAMMA = 5.0, 1.0


def unbiased_log_probabilities(logits: Tensor, num_old: int) -> Tensor:
    """Log-probabilities [..., K+1] where "no object" means "no new object": old classes may hide in it.

    log p'(no-object) = LSE(z_no-object, z_1, ..., z_o) - LSE(z); all others as in the softmax (MiB, equation 5).
    """
    log_p = logits.log_softmax(-1)
    classes, _ = split(log_p)
    return join(classes, old_columns(log_p, num_old).logsumexp(-1, keepdim=True))


def unbiased_cross_entropy(
    logits: Tensor, columns: Tensor, no_object_weight: float, num_old: int, focal: bool = False
) -> Tensor:
    """MiB's unbiased cross entropy (Cermelli et al., CVPR 2020, equation 5) for a set of queries.

    A weighted mean, as :func:`~cvis.segmenters.mask2former.criterion.softmax_cross_entropy`, which it equals without
    old classes; ``functools.partial`` over ``num_old`` makes it a criterion's ``classify``.

    Args:
        logits: [B, Q, K+1].
        columns: [B, Q] int64; K is no-object.
        no_object_weight: weight of the no-object targets.
        num_old: o.
        focal: the loss of :func:`softmax_focal` instead.
    """
    log_p = unbiased_log_probabilities(logits, num_old)
    return _focal(log_p, columns) if focal else weighted_nll(log_p, columns, no_object_weight)


def unbiased_focal(logits: Tensor, columns: Tensor, no_object_weight: float, old_logits: Tensor) -> Tensor:
    """The focal loss of sigmoids where an old class may hide in what is unlabelled: MiB's reading for them, ours.

    In a slot without a target the old model's q_c says how likely an old class c is there, so that its negative counts
    1 - q_c. All else is as in :func:`~cvis.segmenters.background.sigmoid_focal`, which it equals without old classes.

    Args:
        logits: [B, N, K].
        columns: [B, N] int64; K is no-object.
        no_object_weight: on the slots without a class.
        old_logits: [B, N, o].
    """
    unlabelled = is_no_object(columns, logits, "sigmoid")[..., None]
    hidden = F.pad(old_logits.sigmoid(), (0, logits.shape[-1] - old_logits.shape[-1])) * unlabelled
    return sigmoid_focal(logits, columns, no_object_weight, 1 - hidden)


def softmax_focal(logits: Tensor, columns: Tensor, no_object_weight: float = 1.0) -> Tensor:
    """5 * mean over clips and queries of (1 - p) * -log p, p the softmax probability of the target (CoMFormer).

    Args:
        logits: [B, Q, K+1].
        columns: [B, Q] int64.
        no_object_weight: not used: the focal factor takes the place of class weights.
    """
    return _focal(logits.log_softmax(-1), columns)


def unbiased_distillation(logits: Tensor, old_logits: Tensor, background: Background = "column") -> Tensor:
    """MiB's unbiased knowledge distillation (equation 8), per query: KL(q || p) over the o old classes and no-object.

    q is the old model's softmax. The new model's p(no-object) is the sum of its probabilities of no-object and of
    all new classes: what the old model called "no object" may be new by now. Without new classes, and with equal
    models, it is zero; it does not see how probability is shared among no-object and the new classes.

    Of sigmoids (ours): the sum over the old classes of the BCE of p_c against q_c, less the entropy of q_c, so that it
    is zero where they agree. New classes have no part in it.

    Args:
        logits: [..., K+1] of the new model.
        old_logits: [..., o+1] of the old model, the same queries.
        background: ``sigmoid``: there is no such column.

    Returns:
        [...], at least 0.
    """
    if background == "sigmoid":
        wanted = old_logits.sigmoid()
        pair = (logits[..., : old_logits.shape[-1]], old_logits)
        new, old = (F.binary_cross_entropy_with_logits(each, wanted, reduction="none").sum(-1) for each in pair)
        return new - old
    old_classes, nothing_old = logits.log_softmax(-1).tensor_split([num_classes(old_logits)], dim=-1)
    return kl(old_logits.log_softmax(-1), join(old_classes, nothing_old.logsumexp(-1, keepdim=True)))


def slot_mean(values: Tensor, old_logits: Tensor, background: Background = "column") -> Tensor:
    """Mean of [B, N] over queries or pixels; of sigmoids (ours) sum_i v_i / sum_i max_c q_ic.

    Dense detectors divide by the number of locations that show an object: a mean over all would hardly see these.
    Nobody labels old classes, so the old model guesses that number.
    """
    if background == "sigmoid":
        return values.sum() / mean_of_all(object_probability(old_logits, background).sum())
    return values.mean()


def adaptive_mean(
    values: Tensor,
    old_logits: Tensor,
    per_track: Callable[[Tensor], Tensor] = lambda weights: weights,
    background: Background = "column",
) -> Tensor:
    """CoMFormer's adaptive distillation: sum w_i v_i / sum w_i, w_i = (1 - q_i(no-object))^2.

    Queries in which the old model sees an object count; the many that are background do not drown them.

    Args:
        values: [B, Q], such as :func:`unbiased_distillation`'s.
        old_logits: [B, Q, o+1].
        per_track: of a model whose tracks are several queries each, see
            :meth:`~cvis.segmenters.contract.ClassSlots.per_track`.
        background: of sigmoids w_i is the square of the greatest.
    """
    return weighted_mean(values, per_track(object_probability(old_logits, background) ** 2))


def mask_distillation(masks: Tensor, old_masks: Tensor) -> Tensor:
    """Mean BCE of mask logits against the old model's mask probabilities, over all queries, frames and pixels.

    Args:
        masks, old_masks: [B, Q, T, h, w] logits.
    """
    return F.binary_cross_entropy_with_logits(masks, old_masks.sigmoid())


def feature_distance(queries: Tensor, old_queries: Tensor, weight: Tensor) -> Tensor:
    """sum_i w_i mean_d (x_id - x'_id)^2 / sum_i w_i; zero if no query has weight.

    Args:
        queries, old_queries: [B, Q, D].
        weight: [B, Q], at least 0.
    """
    return weighted_mean(F.mse_loss(queries, old_queries, reduction="none").mean(-1), weight)


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """sum w v / sum w, over all processes; zero where all weights are."""
    total = mean_of_all(weight.sum())
    # a tiny divisor instead would have gradients of infinity times zero
    return (weight * values).sum() / torch.where(total > 0, total, 1)


def kl(log_q: Tensor, log_p: Tensor) -> Tensor:
    """KL(q || p) over the last axis."""
    return (log_q.exp() * (log_q - log_p)).sum(-1)


def _focal(log_p: Tensor, columns: Tensor) -> Tensor:
    right = log_p.gather(-1, columns[..., None]).squeeze(-1)
    return (FOCAL_ALPHA * (1 - right.exp()) ** FOCAL_GAMMA * -right).mean()
