"""Our entmax against the `entmax` package, and what must hold of it on ragged, tied and extreme rows."""

from __future__ import annotations

import pytest
import torch
from entmax import entmax15, entmax_bisect, sparsemax

from covering import all_pairs
from sparse_attention.attention import entmax as module
from sparse_attention.attention.entmax import entmax, probabilities, threshold

ALPHAS = [1.05, 1.2, 1.5, 1.7, 2.0]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 3e-6}


def package(scores: torch.Tensor, alpha: float) -> torch.Tensor:
    scores = scores.double()
    if alpha == 1.5:
        return entmax15(scores, dim=-1)
    if alpha == 2.0:
        return sparsemax(scores, dim=-1)
    return entmax_bisect(scores, alpha=alpha, dim=-1, n_iter=80)


def random_scores(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@all_pairs(shape=[(1, 1), (3, 2), (5, 7), (2, 3, 4, 33), (700, 513)], alpha=ALPHAS, dtype=list(TOLERANCE))
def test_equals_the_package_on_random_rows(shape, alpha, dtype):
    scores = 2 * random_scores(*shape, dtype=dtype)
    result = probabilities(scores, alpha)
    assert result.dtype == dtype
    assert (result - package(scores, alpha)).abs().max() < TOLERANCE[dtype]
    assert (result.double().sum(-1) - 1).abs().max() < 100 * TOLERANCE[dtype]


@all_pairs(scale=[1e-5, 1e-2, 1e2, 1e4], alpha=ALPHAS, dtype=list(TOLERANCE))
def test_equals_the_package_at_extreme_scales(scale, alpha, dtype):
    scores = scale * random_scores(40, 65, dtype=dtype)
    assert (probabilities(scores, alpha) - package(scores, alpha)).abs().max() < 10 * TOLERANCE[dtype]


@pytest.mark.parametrize("alpha", ALPHAS)
def test_is_immune_to_an_offset(alpha):
    scores = random_scores(6, 20)
    assert torch.allclose(probabilities(scores + 1e4, alpha), probabilities(scores, alpha), atol=1e-9)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("tied", [2, 5, 64])
def test_ties_share_alike(alpha, tied):
    scores = torch.full((1, 64), -50.0, dtype=torch.float64)
    scores[:, :tied] = 3.0
    expected = (scores > 0).double() / tied
    assert torch.allclose(probabilities(scores, alpha), expected, atol=1e-12)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_rounded_scores_with_many_ties_equal_the_package(alpha):
    scores = (2 * random_scores(30, 40)).round()
    assert torch.allclose(probabilities(scores, alpha), package(scores, alpha), atol=1e-12)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_ragged_masks_equal_the_package_on_the_valid_part(alpha):
    scores, lengths = random_scores(9, 4, 12), torch.tensor([1, 2, 3, 5, 8, 9, 10, 11, 12])
    valid = torch.arange(12) < lengths[:, None, None]
    result = probabilities(scores, alpha, valid)
    for row, length in enumerate(lengths):
        assert torch.allclose(result[row, :, :length], package(scores[row, :, :length], alpha), atol=1e-12)
    assert not result[~valid.expand(9, 4, 12)].any()
    assert torch.equal(result, probabilities(scores.masked_fill(~valid, -torch.inf), alpha))


@pytest.mark.parametrize("alpha", ALPHAS)
def test_rows_with_nothing_valid_give_zeros_without_gradient(alpha):
    scores = random_scores(3, 5)
    scores[1] = -torch.inf
    scores.requires_grad_()
    result = entmax(scores, alpha)
    (result * random_scores(3, 5, seed=1)).sum().backward()
    assert not result[1].any() and not scores.grad[1].any()
    assert torch.isfinite(scores.grad).all() and scores.grad[0].any()
    assert torch.isfinite(threshold(scores.detach(), alpha)).all()


@pytest.mark.parametrize("alpha", ALPHAS)
def test_a_single_valid_key_gets_everything(alpha):
    valid = torch.eye(6, dtype=torch.bool)
    assert torch.equal(probabilities(random_scores(6, 6), alpha, valid), torch.eye(6, dtype=torch.float64))


@pytest.mark.parametrize("alpha", ALPHAS)
def test_threshold_rebuilds_the_probabilities(alpha):
    scores, valid = random_scores(2, 5, 30), torch.arange(30) < 20
    tau = threshold(scores, alpha, valid)
    rebuilt = torch.relu((alpha - 1) * scores - tau).pow(1 / (alpha - 1)) * valid
    assert tau.shape == (2, 5, 1)
    assert torch.allclose(rebuilt, probabilities(scores, alpha, valid), atol=1e-12)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_gradient_equals_finite_differences(alpha):
    scores = random_scores(3, 6).masked_fill(torch.arange(6) > 4, -torch.inf)[:, :5].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda leaf: entmax(leaf, alpha), scores, eps=1e-7, atol=1e-5)


@pytest.mark.parametrize("alpha", [1.5, 2.0])
def test_gradient_equals_the_package(alpha):
    ours, theirs = (2 * random_scores(50, 70)).requires_grad_(), (2 * random_scores(50, 70)).requires_grad_()
    weights = random_scores(50, 70, seed=3)
    (entmax(ours, alpha) * weights).sum().backward()
    (package(theirs, alpha) * weights).sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_computed_in_float32(dtype):
    scores = random_scores(20, 50, dtype=dtype)
    assert torch.equal(probabilities(scores, 1.5), probabilities(scores.float(), 1.5).to(dtype))


@pytest.mark.parametrize("alpha", [1.5, 2.0])
def test_a_row_does_not_depend_on_its_batch(alpha, monkeypatch):
    scores = torch.cat([scale * random_scores(20, 33, dtype=torch.float32) for scale in (0.01, 1.0, 30.0)])
    together = probabilities(scores, alpha)
    monkeypatch.setattr(module, "PIECE", 33)
    assert torch.equal(together, probabilities(scores, alpha))


def test_works_on_transposed_scores():
    scores = random_scores(8, 6).T
    assert torch.allclose(probabilities(scores, 1.5), package(scores, 1.5), atol=1e-12)


@pytest.mark.parametrize("alpha", [1.0, 2.5, 0.5])
def test_alpha_out_of_range_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha"):
        probabilities(random_scores(2, 2), alpha)


@pytest.mark.parametrize("alpha", [1.1, 1.5, 1.7, 2.0])
@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_a_start_saves_steps_and_bounds_the_threshold(alpha, scale):
    scores = 7 + scale * torch.randn(40, 33, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    exact = threshold(scores, alpha)
    for below in (1e-9, 1e-3, 0.5, 100.0):
        torch.testing.assert_close(threshold(scores, alpha, at_least=exact - below), exact, rtol=0, atol=1e-9)
    for above in (1e-3, 0.5):
        torch.testing.assert_close(threshold(scores, alpha, at_least=exact + above), exact + above, rtol=0, atol=1e-9)
