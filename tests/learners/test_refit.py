"""Masks in closed form: weighted ridge regression of inside and around, object by object."""

import numpy as np
import torch
from sklearn.linear_model import Ridge

from cvis.learners.analytic.refit import REACH, RIDGE, refitted


def example():
    generator = torch.Generator().manual_seed(4)
    features = torch.randn(3, 5, 10, 14, generator=generator)
    masks = torch.full((3, 3, 10, 14), -2.0)
    masks[0, 0, 2:6, 3:8] = 1.0
    masks[0, 2, 5:9, 6:9] = 1.0  # not seen in the middle frame
    masks[1, 1, 0:3, 0:4] = 0.5
    masks[2, 1, 5, 5] = 3.0  # too small to say anything
    return torch.randn(3, 5, generator=generator), masks, features


def ring(mask):
    """Pixels outside that lie within REACH, in rows and columns, of one inside."""
    near = np.zeros_like(mask)
    for y, x in zip(*np.nonzero(mask), strict=True):
        near[max(y - REACH, 0) : y + REACH + 1, max(x - REACH, 0) : x + REACH + 1] = True
    return near & ~mask


def test_it_is_sklearns_weighted_ridge():
    embeddings, masks, features = example()
    found = refitted(embeddings, masks, [features], 0.3)
    for row in (0, 1):
        f, y = [], []
        for frame, mask in zip(features.double().numpy(), masks[row].numpy() > 0, strict=True):
            for pixels, value in ((mask, 1.0), (ring(mask), -1.0)):
                f.append(frame[:, pixels].T)
                y += [value] * pixels.sum()
        f, y = np.concatenate(f), np.array(y)
        weight = np.where(y > 0, 0.5 / (y > 0).sum(), 0.5 / (y < 0).sum())
        alpha = RIDGE * (weight[:, None] * f**2).sum() / f.shape[1]
        z = torch.from_numpy(Ridge(alpha, fit_intercept=False, solver="cholesky").fit(f, y, weight).coef_).float()
        e = embeddings[row]
        assert torch.allclose(found[row], 0.7 * e + 0.3 * e.norm() * z / z.norm(), atol=1e-5)


def test_small_and_empty_masks_and_a_share_of_nothing_change_nothing():
    embeddings, masks, features = example()
    assert torch.equal(refitted(embeddings, masks, [features], 0.3)[2], embeddings[2])
    assert torch.equal(refitted(embeddings, masks, [features], 0.0), embeddings)
    long = 1e3 * embeddings
    assert torch.equal(refitted(long, -torch.ones(3, 3, 10, 14), [features], 1.0), long)
    everywhere = refitted(embeddings, torch.ones(3, 3, 10, 14), [features], 0.5)  # nothing is around it
    assert everywhere.isfinite().all()


def test_windows_and_company_do_not_matter():
    embeddings, masks, features = example()
    whole = refitted(embeddings, masks, [features], 0.3)
    assert torch.allclose(refitted(embeddings, masks, features.split(2), 0.3), whole, atol=1e-6)
    assert torch.equal(refitted(embeddings[1:2], masks[1:2], [features], 0.3), whole[1:2])
