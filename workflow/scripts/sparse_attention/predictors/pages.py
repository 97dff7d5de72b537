"""Keep or skip whole pages of consecutive keys, by scores of a query that are estimated from a summary of each page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sparse_attention.attention.levels import levels_at_least, levels_of_budgets
from sparse_attention.predictors.base import NestedPredictor
from sparse_attention.predictors.features import Features
from sparse_attention.predictors.paging import Pages, blocks_of_pages, extremes, levels_of_keys, means, variances

# Newton's method on a convex function: a query usually needs four or five steps, rarely more than ten.
MAX_STEPS = 60
COUNTED_STEPS = 5
# Multiply-adds per page in a Newton step: two transcendental functions at eight each, and eight products.
STEP_COST = 24.0


class PageBounds(NestedPredictor):
    """Keep for each query the `pages` pages with the highest bounds of its scores; of equal bounds earlier pages.

    From Quest (arXiv 2406.10774). Only the highest and the lowest value of each channel of a page are known. A score
    `q·k` with a key of the page is at most the sum, over channels, of the larger product of `q` with these two values.
    Chosen pages are kept whole.

    Quest selects pages for one new token at a time; here, every query selects pages. A page that a query may attend to
    in part is bounded by that part alone: under a causal mask, this is what a cache would hold at that time. A page
    that a query may not attend to is never chosen. The first two layers, which Quest leaves dense, are treated like all
    others.
    """

    name = "quest"
    label = "Quest pages"
    group = "Estimates without training"
    paper = (
        "Tang et al. Quest: Query-Aware Sparsity for Efficient Long-Context LLM Inference. ICML 2024. arXiv:2406.10774"
    )
    nested = "pages"
    parameters = {
        "page": {"type": "integer", "minimum": 1, "description": "tokens per page"},
        "pages": {"type": "integer", "minimum": 1, "description": "pages kept for each query"},
    }

    quadratic = False

    def levels(self, prepared: Features, values: Sequence[int], **others: Any) -> Tensor:
        """Rank the pages of each query by their bounds."""
        return levels_of_keys(self.page_levels(prepared, values, **others), others["page"], prepared.shape[2])

    def block_pairs(self, features: Features, query_block: int, key_block: int, **point: Any) -> Tensor:
        """Return the blocks with a kept page of one of their queries; see `Predictor.block_pairs`."""
        kept = self.page_levels(features, [point["pages"]], page=point["page"]) == 0
        return blocks_of_pages(kept, features, point["page"], query_block, key_block)

    def page_levels(self, prepared: Features, values: Sequence[int], **others: Any) -> Tensor:
        """Return the levels of pages, uint8 ``(heads, queries, pages)``."""
        pages = Pages.of(prepared, others["page"])
        queries = prepared.raw_queries
        bounds = pages.products(torch.cat([queries.clamp(min=0), queries.clamp(max=0)], dim=-1), extremes)
        bounds.masked_fill_(pages.seen == 0, -torch.inf)
        return levels_of_budgets(bounds, values)

    def cost(self, features: Features, **point: Any) -> float:
        """Count two comparisons per channel of each key, and a bound and a comparison per query and visible page."""
        head_dim = features.raw_keys.shape[-1]
        visible_pages = int((Pages.of(features, point["page"]).seen > 0).sum())
        return 2.0 * head_dim * features.shape[2] + visible_pages * (2 * head_dim + 1)


class GaussianPages(NestedPredictor):
    """Keep the pages that hold a key of the entmax support with at least `probability`, for Gaussian scores.

    From EntmaxKV (arXiv 2605.21649). Of each page, the mean and the variance of each channel of its keys are known. If
    channels are independent, the scores of a query in page p have mean m_p and deviation s_p. The entmax threshold τ is
    estimated as the one at which the expected probabilities of all keys sum to one. A page with n_p keys that the query
    may attend to holds a score above it with probability `1 - Φ((τ - (α-1) m_p) / ((α-1) s_p)) ^ n_p`, and is kept when
    this is at least `probability`. So the number of pages adapts to each query. The authors' quantile of the highest
    score, 0.995, is a `probability` of 0.005.

    With `mixture`, τ is computed for a mixture with one Gaussian per page; without, for a single Gaussian with the mean
    and variance of all scores. The authors use the mixture where positions bias scores, and the single Gaussian
    elsewhere. A mixture over pages of one token gives the exact entmax support.

    Differences from EntmaxKV: there is no safety margin below τ; no page is always kept, where the authors always keep
    the last one; and a page that a query may attend to in part has the moments of that part.
    """

    name = "gaussian_pages"
    label = "Gaussian pages"
    group = "Estimates without training"
    paper = "Duarte, Couceiro, Treviso. EntmaxKV: Support-Aware Decoding for Entmax Attention. 2026. arXiv:2605.21649"
    nested, falling = "probability", True
    parameters = {
        "page": {"type": "integer", "minimum": 1, "description": "tokens per page"},
        "alpha": {"enum": [1.25, 1.5, 2], "description": "of the entmax whose threshold is estimated"},
        "mixture": {"type": "boolean", "description": "one Gaussian per page instead of a single one for all scores"},
        "probability": {
            "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1,
            "description": "probability of holding a key of the support, from which on a page is kept",
        },
    }  # fmt: skip

    quadratic = False

    def levels(self, prepared: Features, values: Sequence[float], **others: Any) -> Tensor:
        """Compare the probability of each page with the values of the setting `probability`."""
        return levels_of_keys(self.page_levels(prepared, values, **others), others["page"], prepared.shape[2])

    def block_pairs(self, features: Features, query_block: int, key_block: int, **point: Any) -> Tensor:
        """Return the blocks with a kept page of one of their queries; see `Predictor.block_pairs`."""
        others = {name: value for name, value in point.items() if name != "probability"}
        kept = self.page_levels(features, [point["probability"]], **others) == 0
        return blocks_of_pages(kept, features, point["page"], query_block, key_block)

    def page_levels(self, prepared: Features, values: Sequence[float], **others: Any) -> Tensor:
        """Return the levels of pages, uint8 ``(heads, queries, pages)``."""
        pages, alpha = Pages.of(prepared, others["page"]), others["alpha"]
        queries = prepared.raw_queries * ((alpha - 1) / prepared.raw_queries.shape[-1] ** 0.5)
        mean = pages.products(queries, means)
        deviation = pages.products(queries.square(), variances).clamp_(min=0).sqrt_()
        # in pages of equal keys the deviation is 0: a tiny one keeps quotients finite and changes no comparison
        deviation.clamp_(min=torch.finfo(mean.dtype).tiny ** 0.5)
        gaussians = (mean, deviation, pages.seen) if others["mixture"] else single_gaussian(mean, deviation, pages.seen)
        below = torch.special.log_ndtr((expected_threshold(*gaussians, alpha) - mean) / deviation) * pages.seen
        chance = (-torch.expm1(below)).masked_fill_(pages.seen == 0, -1.0)
        return levels_at_least(chance, values)

    def cost(self, features: Features, **point: Any) -> float:
        """Count two moments per channel of each key, and two products per query and visible page, and the threshold.

        A Newton step counts `STEP_COST` for each Gaussian. The decision about a page counts its deviation (a square
        root, at eight), a product and a comparison, since a probability corresponds to a fixed number of deviations.
        """
        head_dim = features.raw_keys.shape[-1]
        visible_pages = int((Pages.of(features, point["page"]).seen > 0).sum())
        # a single Gaussian needs the sums of means, squares and variances over pages
        gaussians, sums = (visible_pages, 0) if point["mixture"] else (features.shape[1], 3 * visible_pages)
        solving = COUNTED_STEPS * STEP_COST * gaussians + sums
        return 2.0 * head_dim * features.shape[2] + visible_pages * (2.0 * head_dim + 10) + solving


def single_gaussian(mean: Tensor, deviation: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Merge the moments of all pages into those of one page.

    Parameters
    ----------
    mean, deviation : Tensor
        Moments of the scores in each page, ``(heads, queries, pages)``.
    seen : Tensor
        Number of keys in each page that a query may attend to, ``(queries, pages)``.

    Returns
    -------
    mean, deviation : Tensor
        ``(heads, queries, 1)``.
    total : Tensor
        Number of keys, ``(queries, 1)``.
    """
    total = seen.sum(-1, keepdim=True)
    shares = seen.to(mean.dtype) / total.clamp(min=1)
    mean = mean.masked_fill(seen == 0, 0)
    middle = (mean * shares).sum(-1, keepdim=True)
    spread = (deviation.masked_fill(seen == 0, 0).square() + (mean - middle).square()) * shares
    return middle, spread.sum(-1, keepdim=True).sqrt().clamp_(min=torch.finfo(mean.dtype).tiny ** 0.5), total


def expected_threshold(mean: Tensor, deviation: Tensor, seen: Tensor, alpha: float) -> Tensor:
    """Find the threshold at which the expected entmax probabilities of Gaussian scores sum to one.

    With `k = 1 / (α - 1)` the sum is `Σ_p n_p E[max(0, Y_p - τ) ^ k]`. Its k-th root is a convex, decreasing function
    of τ, so that Newton's method rises monotonically to the solution from any start below it.

    Parameters
    ----------
    mean, deviation : Tensor
        Moments of `(α - 1)` times the scores in each page, ``(heads, queries, pages)``.
    seen : Tensor
        Number of keys in each page that a query may attend to, ``(queries, pages)``.
    alpha : float
        Alpha of the entmax, such that `k` is a whole number.

    Returns
    -------
    Tensor
        ``(heads, queries, 1)``.
    """
    k, shape, dtype = round(1 / (alpha - 1)), mean.shape, mean.dtype
    # float64, since far above the mean of a page the moments are small differences of large numbers
    count = seen.double().expand(shape).flatten(0, 1)
    mean, deviation = mean.masked_fill(seen == 0, 0).double().flatten(0, 1), deviation.double().flatten(0, 1)
    # a lower bound of τ: by Jensen's inequality, one page alone reaches a sum of one here
    start = (mean - count.clamp(min=1) ** (-1 / k)).masked_fill(count == 0, -torch.inf)
    tau = start.amax(-1, keepdim=True).clamp_(min=torch.finfo(dtype).min)
    rows = torch.arange(len(tau), device=tau.device)
    for _ in range(MAX_STEPS):
        lower, upper = truncated_moments(mean - tau[rows], deviation, k)
        norm = (upper * count).sum(-1, keepdim=True) ** (1 / k)
        slope = (lower * count).sum(-1, keepdim=True) / norm ** (k - 1)
        step = (norm - 1) / slope
        # finished rows drop out, and so do rows without a key, whose step is NaN
        going = (step > 1e-7 * (1 + tau[rows].abs())).squeeze(-1)
        rows, mean, deviation, count = rows[going], mean[going], deviation[going], count[going]
        tau[rows] += step[going]
        if not len(rows):
            break
    return tau.view(*shape[:-1], 1).to(dtype)


def truncated_moments(mean: Tensor, deviation: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return `E[max(0, Y)^(k-1)]` and `E[max(0, Y)^k]` of Gaussians Y, with `0^0 = 0`, by their recursion in k."""
    ratio = mean / deviation
    lower = 0.5 * torch.erfc(ratio * -(0.5**0.5))
    density = torch.exp(-0.5 * ratio.square()) * (deviation / (2 * torch.pi) ** 0.5)
    upper = mean * lower + density
    for power in range(2, k + 1):
        lower, upper = upper, mean * upper + (power - 1) * deviation.square() * lower
    return lower.clamp(min=0), upper.clamp(min=0)
