"""Algorithm 1 against the eigenvectors of a covariance matrix, computed another way."""

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from cvis.errors import UserError
from cvis.learners.crisp_parts.pca import pca_queries


def some_queries(count=30, dim=12, seed=0):
    """Directions of clearly different variance, away from the origin."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.linspace(3, 0.3, dim)
    return torch.randn(count, dim, generator=generator) * spread + 2


def principal_directions(old: np.ndarray) -> np.ndarray:
    """[D, D]: rows are eigenvectors of the covariance, the largest eigenvalue first, largest entry positive."""
    centre = sum(old) / len(old)
    covariance = np.zeros((old.shape[1], old.shape[1]))
    for row in old:
        covariance += np.outer(row - centre, row - centre)
    _, vectors = np.linalg.eigh(covariance)
    rows = vectors.T[::-1]
    return np.stack([row if row[np.abs(row).argmax()] > 0 else -row for row in rows])


@pytest.mark.parametrize(("count", "dim", "prompts"), [(30, 12, 5), (30, 12, 12), (9, 40, 8), (100, 256, 10)])
def test_new_queries_are_scaled_eigenvectors_of_the_covariance(count, dim, prompts):
    old = some_queries(count, dim).double()
    length = sum(float(row.norm()) for row in old) / count
    expected = length * principal_directions(old.numpy())[:prompts]
    torch.testing.assert_close(pca_queries(old, prompts), torch.from_numpy(expected), rtol=1e-8, atol=1e-8)


def test_new_queries_are_as_long_as_the_old_and_orthogonal():
    old = some_queries()
    new = pca_queries(old, 5)
    assert new.dtype == old.dtype
    mean_length = old.norm(dim=1).mean()
    torch.testing.assert_close(new @ new.T, mean_length**2 * torch.eye(5), rtol=1e-5, atol=1e-4)


def test_they_do_not_depend_on_the_order_or_the_sign_of_the_spread():
    """PCA has no order of rows and no sign: with the sign fixed, mirrored queries give the same directions."""
    old = some_queries().double()
    torch.testing.assert_close(pca_queries(old.flip(0), 5), pca_queries(old, 5))
    torch.testing.assert_close(pca_queries(-old, 5), pca_queries(old, 5))


def test_the_same_bits_on_every_call_and_for_any_number_of_threads():
    old = some_queries(190, 256)
    first = pca_queries(old, 10)
    for threads in (1, 2, 4):
        with threadpool_limits(limits=threads):
            assert torch.equal(pca_queries(old, 10), first)


def test_reference_norm_takes_unit_directions_in_an_order_of_rounding_and_turns_them():
    old = some_queries().double()
    all_directions = principal_directions(old.numpy())
    length = float(old.norm(dim=1).mean())
    chosen = pca_queries(old, 5, "reference_norm").numpy() / -length
    match = np.abs(chosen @ all_directions.T)
    assert np.allclose(match.max(axis=1), 1)  # each is one of the directions
    assert len(set(match.argmax(axis=1))) == 5  # and no two are the same
    assert all(row[np.abs(row).argmax()] > 0 for row in chosen)
    assert torch.equal(pca_queries(old, 5, "reference_norm"), pca_queries(old, 5, "reference_norm"))


def test_queries_of_a_gpu_model_in_half_precision_keep_their_type():
    assert pca_queries(some_queries().half(), 3).dtype == torch.float16


@pytest.mark.parametrize(
    ("old", "prompts", "selection", "message"),
    [
        (some_queries(6, 12), 6, "top_variance", "learner.num_prompts: 6: 6 old queries .* only 5 principal"),
        (some_queries(30, 12), 13, "top_variance", "only 12 principal directions; use fewer prompts"),
        (some_queries() * torch.inf, 5, "top_variance", "not finite: training diverged"),
    ],
)
def test_what_is_not_possible_is_said_in_one_line(old, prompts, selection, message):
    with pytest.raises(UserError, match=message) as caught:
        pca_queries(old, prompts, selection)
    assert "\n" not in str(caught.value)
