"""A classifier that is a function of sums: the same whatever the order of the steps, so that it cannot forget."""

from __future__ import annotations

import torch
from mmengine.dist import all_reduce
from torch import Tensor, nn


class ClassMoments(nn.Module):
    """First and second moments of every class's samples x [F]: all that is stored of them.

        S = sum over classes c of mean_{i in c} x_i x_i^T        m_c = mean_{i in c} x_i

    Every class weighs the same, however many samples it has. The size depends on F and the number of classes alone.
    Any order and any partition of the classes into steps leave the same moments, to rounding.

    Attributes:
        second: S [F, F], double precision.
        means: m [K, F], double precision.
        samples: how many each class had, [K]; a class without is in no sum.
    """

    second: Tensor
    means: Tensor
    samples: Tensor

    def __init__(self, length: int) -> None:
        super().__init__()
        self.register_buffer("second", torch.zeros(length, length, dtype=torch.float64))
        self.register_buffer("means", torch.zeros(0, length, dtype=torch.float64))
        self.register_buffer("samples", torch.zeros(0, dtype=torch.int64))

    def grow(self, num_classes: int) -> None:
        """Room for that many more classes."""
        self.means = torch.cat([self.means, self.means.new_zeros(num_classes, self.means.shape[1])])
        self.samples = torch.cat([self.samples, self.samples.new_zeros(num_classes)])

    def add(self, samples: Tensor, columns: Tensor, counts: Tensor) -> None:
        """A part of the samples [n, F] of classes ``columns`` [n].

        Args:
            counts: [K], of each class how many samples there will be of it in all: parts may come one by one, and
                from several processes, which :meth:`merge` puts together.
        """
        x = samples.to(self.second)
        weights = 1 / counts.to(self.second)[columns]
        self.second += (x * weights[:, None]).T @ x
        self.means.index_add_(0, columns, x * weights[:, None])
        self.samples.index_add_(0, columns, torch.ones_like(columns))

    def merge(self, before: ClassMoments) -> None:
        """The sum over the processes of what each added since ``before``, which all have in common."""
        for name, buffer in before.named_buffers():
            added = getattr(self, name) - buffer
            all_reduce(added)
            getattr(self, name).copy_(buffer + added)

    def classifier(self, ridge: Tensor) -> tuple[Tensor, Tensor]:
        """:func:`ridge_classifier` of the classes that have samples; the others are always answered 0."""
        there = self.samples > 0
        weights, bias = self.means.new_zeros(self.means.T.shape), self.means.new_zeros(len(self.means))
        if there.any():
            weights[:, there], bias[there] = ridge_classifier(self.second, self.means[there], ridge)
        return weights, bias


def ridge_classifier(second: Tensor, means: Tensor, ridge: Tensor) -> tuple[Tensor, Tensor]:
    """Ridge regression of one-hot classes on standardised features, every class with the same weight, closed form.

    With mu = mean_c m_c, C = S / K - mu mu^T, s = diag(C)^(1/2) and z = (x - mu) / s, the W and b that make

        mean_c mean_{i in c} |onehot(c) - W^T z_i - b|^2 + sum_f ridge_f |W_f|^2

    least are W = (R + diag(ridge))^-1 ((m_c - mu) / s)^T / K and b = 1 / K, with R = C / (s s^T), the correlations of
    the features. A feature that never changes has no weight.

    Args:
        second: S [F, F], double precision, see :class:`ClassMoments`.
        means: m [K, F].
        ridge: of each feature [F], more than 0.

    Returns:
        Weights [F, K] and bias [K] for x itself: x @ weights + bias = W^T z + b.
    """
    mean = means.mean(0)
    covariance = second / len(means) - torch.outer(mean, mean)
    noise = torch.finfo(second.dtype).eps * len(mean) * second.diagonal() / len(means)  # of that difference
    moves = covariance.diagonal() > noise
    scale = covariance.diagonal().where(moves, 1).sqrt()
    correlation = (covariance / torch.outer(scale, scale)).where(torch.outer(moves, moves), 0)
    correlation.diagonal().add_(ridge.to(correlation))
    towards = ((means - mean) / scale * moves).T / len(means)
    weights = torch.cholesky_solve(towards, torch.linalg.cholesky(correlation)) / scale[:, None]
    return weights, 1 / len(means) - mean @ weights
