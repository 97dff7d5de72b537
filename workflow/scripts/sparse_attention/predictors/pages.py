"""Pages of consecutive keys, kept or left out whole by what a summary of their keys says about a query's scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from sparse_attention.attention.levels import levels_at_least, levels_of_budgets
from sparse_attention.predictors.base import NestedPredictor
from sparse_attention.predictors.features import Features

# Newton's method on a convex function: a query needs four or five steps, ten at most are usual
MAX_STEPS = 60
COUNTED_STEPS = 5
# Multiply-adds for one page in such a step: two transcendental functions at eight, and eight products
STEP_COST = 24.0


@dataclass(frozen=True)
class Pages:
    """The keys of an example in pages of equal size, and what each query may see of them.

    Attributes
    ----------
    keys : Tensor
        `(heads, pages, size, head_dim)`, zeros behind the last key.
    real : Tensor
        Bool `(pages, size)`: False behind the last key.
    seen : Tensor
        int64 `(queries, pages)`: how many of a page's keys the query may attend to.
    partial : tuple of Tensor
        The queries and pages, int64 `(pairs,)` each, where that is some of the keys but not all.
    visible : Tensor
        Bool `(pairs, size)`: which keys it is for these.
    """

    keys: Tensor
    real: Tensor
    seen: Tensor
    partial: tuple[Tensor, Tensor]
    visible: Tensor

    @classmethod
    def of(cls, features: Features, size: int) -> Pages:
        """Cut the keys into pages of `size`; the last one may be shorter."""
        missing = -features.shape[2] % size
        keys = pad(features.raw_keys, (0, 0, 0, missing)).unflatten(1, (-1, size))
        valid = pad(features.valid, (0, missing)).unflatten(1, (-1, size))
        real = (torch.arange(valid[0].numel(), device=valid.device) < features.shape[2]).view(-1, size)
        seen = valid.sum(-1)
        rows, columns = torch.nonzero((seen > 0) & (seen < real.sum(-1)), as_tuple=True)
        return cls(keys, real, seen, (rows, columns), valid[rows, columns])

    def products(self, queries: Tensor, summarise: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Return the products of queries with the summaries of the keys that each may see.

        A summary of a whole page serves all queries that see all of it; where a query sees a part, as in the page of
        its own position under a causal mask, that part is summarised for it alone.

        Parameters
        ----------
        queries : Tensor
            `(heads, queries, summary)`.
        summarise : callable
            From keys `(heads, …, size, head_dim)` and which of them count, bool `(…, size)`, to `(heads, …, summary)`.

        Returns
        -------
        Tensor
            `(heads, queries, pages)`; of no meaning where nothing is seen.
        """
        result = queries @ summarise(self.keys, self.real).transpose(-1, -2)
        rows, columns = self.partial
        if len(rows):
            own = summarise(self.keys[:, columns], self.visible)
            result[:, rows, columns] = (queries[:, rows] * own).sum(-1)
        return result

    def by_key(self, levels: Tensor, keys: int) -> Tensor:
        """Give every key the level of its page: `(heads, queries, pages)` to `(heads, queries, keys)`."""
        return levels.repeat_interleave(self.keys.shape[2], dim=-1)[..., :keys]


def extremes(keys: Tensor, counted: Tensor) -> Tensor:
    """Return the highest, then the lowest value of every channel, `(heads, …, 2 · head_dim)`."""
    left_out = ~counted[..., None]
    return torch.cat(
        [keys.masked_fill(left_out, -torch.inf).amax(-2), keys.masked_fill(left_out, torch.inf).amin(-2)], dim=-1
    )


def means(keys: Tensor, counted: Tensor) -> Tensor:
    """Return the mean of every channel, `(heads, …, head_dim)`."""
    weights = counted[..., None].to(keys.dtype)
    return (keys * weights).sum(-2) / weights.sum(-2)


def variances(keys: Tensor, counted: Tensor) -> Tensor:
    """Return the variance of every channel around its mean, `(heads, …, head_dim)`."""
    return means((keys - means(keys, counted)[..., None, :]).square(), counted)


class PageBounds(NestedPredictor):
    """The `pages` pages of keys with the highest upper bound of a query's scores; of equal bounds the earlier pages.

    From Quest (arXiv 2406.10774): of each page only the highest and lowest value of every channel is known, so no
    `q·k` exceeds the sum over channels of the larger of `q` times either. Chosen pages are kept whole. Quest selects
    for one new token at a time; here every query selects, as far as it sees: a page that it may attend to in part is
    bounded by that part alone (under a causal mask what a cache would hold at its turn), and one that it may not attend
    to is never chosen. The first two layers, which Quest leaves dense, are treated like the others.
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

    def levels(self, prepared: Features, values: Sequence[int], **others: Any) -> Tensor:
        """Rank each query's pages by bound."""
        pages = Pages.of(prepared, others["page"])
        queries = prepared.raw_queries
        bounds = pages.products(torch.cat([queries.clamp(min=0), queries.clamp(max=0)], dim=-1), extremes)
        bounds.masked_fill_(pages.seen == 0, -torch.inf)
        return pages.by_key(levels_of_budgets(bounds, values), prepared.shape[2])

    def cost(self, features: Features, **point: Any) -> float:
        """Count two comparisons per channel of each key; for a query and a page in sight the bound and a comparison."""
        head_dim = features.raw_keys.shape[-1]
        in_sight = int((Pages.of(features, point["page"]).seen > 0).sum())
        return 2.0 * head_dim * features.shape[2] + in_sight * (2 * head_dim + 1)


class GaussianPages(NestedPredictor):
    """The pages that hold a key of the entmax support with at least `probability`, if scores are Gaussian in each page.

    From EntmaxKV (arXiv 2605.21649): of each page the mean and the variance of every channel of its keys are known.
    With independent channels, a query's scores in page p have mean m_p and deviation s_p; the entmax threshold τ is
    estimated as the one at which the expected probabilities of all its keys sum to one, and a page is kept when its
    highest score is likely enough to lie above. So the number of pages adapts to each query. With n_p keys in sight the
    chance is `1 - Φ((τ - (α-1) m_p) / ((α-1) s_p)) ^ n_p`; the authors' quantile of the highest score, 0.995, is a
    `probability` of 0.005. With `mixture`, τ is that of a Gaussian for each page, otherwise of one with the mean
    and variance of all scores (the authors take the mixture where positions bias scores, the single one elsewhere).
    A mixture over pages of one token gives the exact entmax support.

    Differences: there is no safety margin below τ, no page is kept whatever its scores, as the authors keep the last
    one, and a page that a query may attend to in part has the moments of that part.
    """

    name = "gaussian_pages"
    label = "Gaussian pages"
    group = "Estimates without training"
    paper = "Duarte, Couceiro, Treviso. EntmaxKV: Support-Aware Decoding for Entmax Attention. 2026. arXiv:2605.21649"
    nested, falling = "probability", True
    parameters = {
        "page": {"type": "integer", "minimum": 1, "description": "tokens per page"},
        "alpha": {"enum": [1.25, 1.5, 2], "description": "of the entmax whose threshold is estimated"},
        "mixture": {"type": "boolean", "description": "whether the threshold is that of one Gaussian for each page"},
        "probability": {
            "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1,
            "description": "with which a page that is kept must hold a key of the support",
        },
    }  # fmt: skip

    def levels(self, prepared: Features, values: Sequence[float], **others: Any) -> Tensor:
        """Compare each page's chance with every probability."""
        pages, alpha = Pages.of(prepared, others["page"]), others["alpha"]
        queries = prepared.raw_queries * ((alpha - 1) / prepared.raw_queries.shape[-1] ** 0.5)
        mean = pages.products(queries, means)
        deviation = pages.products(queries.square(), variances).clamp_(min=0).sqrt_()
        # pages of equal keys: keeps quotients finite, and is nothing beside any difference of scores
        deviation.clamp_(min=torch.finfo(mean.dtype).tiny ** 0.5)
        gaussians = (mean, deviation, pages.seen) if others["mixture"] else single_gaussian(mean, deviation, pages.seen)
        below = torch.special.log_ndtr((expected_threshold(*gaussians, alpha) - mean) / deviation) * pages.seen
        chance = (-torch.expm1(below)).masked_fill_(pages.seen == 0, -1.0)
        return pages.by_key(levels_at_least(chance, values), prepared.shape[2])

    def cost(self, features: Features, **point: Any) -> float:
        """Count two moments per channel of each key; for each query and page in sight two products and the threshold.

        A step towards the threshold takes `STEP_COST` for each Gaussian; keeping a page takes its deviation (a square
        root, at eight), a product and a comparison, since a chance is a fixed number of deviations.
        """
        head_dim = features.raw_keys.shape[-1]
        in_sight = int((Pages.of(features, point["page"]).seen > 0).sum())
        # a single Gaussian takes the sums of means, squares and variances over pages
        gaussians, sums = (in_sight, 0) if point["mixture"] else (features.shape[1], 3 * in_sight)
        solving = COUNTED_STEPS * STEP_COST * gaussians + sums
        return 2.0 * head_dim * features.shape[2] + in_sight * (2.0 * head_dim + 10) + solving


def single_gaussian(mean: Tensor, deviation: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean, deviation and number of all scores of each query from those in each page, as one page."""
    total = seen.sum(-1, keepdim=True)
    shares = seen.to(mean.dtype) / total.clamp(min=1)
    mean = mean.masked_fill(seen == 0, 0)
    middle = (mean * shares).sum(-1, keepdim=True)
    spread = (deviation.masked_fill(seen == 0, 0).square() + (mean - middle).square()) * shares
    return middle, spread.sum(-1, keepdim=True).sqrt().clamp_(min=torch.finfo(mean.dtype).tiny ** 0.5), total


def expected_threshold(mean: Tensor, deviation: Tensor, seen: Tensor, alpha: float) -> Tensor:
    """Find the threshold at which the expected entmax probabilities of Gaussian scores sum to one.

    With `k = 1 / (α - 1)` the sum is `Σ_p n_p E[max(0, Y_p - τ) ^ k]`. Its k-th root is convex and falls in τ, so that
    Newton's method rises to the solution from any start below it.

    Parameters
    ----------
    mean, deviation : Tensor
        Of `(α - 1)` times the scores in each page, `(heads, queries, pages)`.
    seen : Tensor
        Number of keys in each page, `(queries, pages)`.
    alpha : float
        Such that `k` is whole.

    Returns
    -------
    Tensor
        `(heads, queries, 1)`.
    """
    k, shape, dtype = round(1 / (alpha - 1)), mean.shape, mean.dtype
    # far above a page's mean its moments are small differences of large numbers
    count = seen.double().expand(shape).flatten(0, 1)
    mean, deviation = mean.masked_fill(seen == 0, 0).double().flatten(0, 1), deviation.double().flatten(0, 1)
    # by Jensen's inequality one page alone reaches a sum of one here
    start = (mean - count.clamp(min=1) ** (-1 / k)).masked_fill(count == 0, -torch.inf)
    tau = start.amax(-1, keepdim=True).clamp_(min=torch.finfo(dtype).min)
    rows = torch.arange(len(tau), device=tau.device)
    for _ in range(MAX_STEPS):
        lower, upper = truncated_moments(mean - tau[rows], deviation, k)
        norm = (upper * count).sum(-1, keepdim=True) ** (1 / k)
        slope = (lower * count).sum(-1, keepdim=True) / norm ** (k - 1)
        step = (norm - 1) / slope
        # finished rows drop out; those without a key have no slope
        going = (step > 1e-7 * (1 + tau[rows].abs())).squeeze(-1)
        rows, mean, deviation, count = rows[going], mean[going], deviation[going], count[going]
        tau[rows] += step[going]
        if not len(rows):
            break
    return tau.view(*shape[:-1], 1).to(dtype)


def truncated_moments(mean: Tensor, deviation: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return `E[max(0, Y)^(k-1)]` and `E[max(0, Y)^k]` of Gaussians, `0^0` being 0, by their recursion in k."""
    ratio = mean / deviation
    lower = 0.5 * torch.erfc(ratio * -(0.5**0.5))
    density = torch.exp(-0.5 * ratio.square()) * (deviation / (2 * torch.pi) ** 0.5)
    upper = mean * lower + density
    for power in range(2, k + 1):
        lower, upper = upper, mean * upper + (power - 1) * deviation.square() * lower
    return lower.clamp(min=0), upper.clamp(min=0)
