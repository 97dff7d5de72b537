"""Predict the support of entmax over the scores of projected queries and keys."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sparse_attention.attention.entmax import threshold
from sparse_attention.attention.levels import ascending
from sparse_attention.predictors.base import Predictor
from sparse_attention.predictors.features import Features

COUNTED_STEPS = 6  # steps of Newton's method in the cost, as measured on trained queries and keys
MIN_CANDIDATES = 16  # smallest number of candidate keys for which rows are solved together
MARGIN = 1 + 1e-5  # a key is left out only where its bound exceeds 1 by more than rounding errors
POWER_COST = 8  # multiply-adds of a power


class LowDimEntmax(Predictor):
    """Keep the pairs with positive probability in `entmax_alpha(q kᵀ / √dim)` over the valid keys.

    This is Sparsefinder's `dotproduct_entmax`. With causal attention, the original code computes probabilities over
    later keys as well, so that keys that a query may not see take probability from those that it may see.

    In exact arithmetic, supports shrink as alpha grows. Key `i` is in the support while
    `Σ_j ((alpha - 1) (s_j - s_i))^(1 / (alpha - 1)) < 1` over the higher scores `s_j`. Rounding may violate this order,
    so the support of each alpha is computed separately.
    """

    name = "entmax"
    label = "Low-dimensional entmax"
    group = "Distances"
    paper = (
        "Treviso, Góis, Fernandes, Fonseca, Martins. Predicting Attention Sparsity in Transformers. SPNLP 2022. "
        "arXiv:2109.12188"
    )
    needs = ("projection",)
    parameters = {"alpha": {"type": "number", "exclusiveMinimum": 1, "maximum": 2}}

    def prepare(self, features: Features) -> Rows:
        """Return the scores of each row relative to its highest, as they are and sorted."""
        queries, keys = features.queries, features.keys
        scores = (queries @ keys.transpose(-1, -2) / keys.shape[-1] ** 0.5).masked_fill_(~features.valid, -torch.inf)
        scores -= scores.amax(-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).min)
        return Rows.of(scores, features.valid.sum(-1).expand(scores.shape[:-1]))

    def predict(self, prepared: Rows, alpha: float) -> Tensor:
        """Compute the threshold of each row from its candidates, the highest scores that may be in the support.

        The search starts just below the lowest candidate. Rows with similar numbers of candidates are solved together;
        this choice depends on the row alone, so its result does not depend on other rows.
        """
        ordered, keys, candidates = prepared.ordered, prepared.ordered.shape[-1], prepared.candidates(alpha)
        least = ordered.gather(-1, keys - candidates.clamp(min=1)[..., None]) * (alpha - 1)
        lowest = least.nextafter(torch.full_like(least, -torch.inf))
        below, width = 0, MIN_CANDIDATES
        while below < keys:
            rows = (candidates > below) & (candidates <= width)
            if rows.any():
                lowest[rows] = threshold(ordered[..., max(keys - width, 0) :][rows], alpha, at_least=lowest[rows])
            below, width = width, 2 * width
        return prepared.scores * (alpha - 1) > lowest

    def cost(self, features: Features, **point: Any) -> float:
        """Count for every valid pair a product per dimension, finding the highest score, and Newton's method.

        Each Newton step counts a difference, a comparison and two sums, and a power unless alpha is 1.5 or 2. It counts
        for all valid pairs, although it runs on candidates only.
        """
        step = 4 + (0 if point["alpha"] in (1.5, 2) else POWER_COST)
        return features.valid_pairs * (features.keys.shape[-1] + 1.0 + COUNTED_STEPS * step)


class Rows(NamedTuple):
    """Scores of all pairs, sorted per query, and their sums, which bound the sizes of supports.

    Let β = alpha - 1. The key of rank r is in the support while `Σ_j (β d_j)^(1/β) < 1`, where `d_j` are the
    differences between the r - 1 higher scores and its own. Let D be the sum of these differences. By the inequality of
    power means, the sum above is at least `(r - 1) (β D / (r - 1))^(1/β)`.

    Attributes
    ----------
    scores, ordered : Tensor
        ``(heads, queries, keys)``: scores relative to the highest of the row, -inf for invalid pairs; and the same in
        ascending order.
    sums : Tensor
        float64 ``(heads, queries, keys)``: sums of the 1, 2, … highest scores of each row.
    valid : Tensor
        int64 ``(heads, queries)``: number of valid keys of each query.
    """

    scores: Tensor
    ordered: Tensor
    sums: Tensor
    valid: Tensor

    @classmethod
    def of(cls, scores: Tensor, valid: Tensor) -> Rows:
        """Sort the scores and sum them up; on a CPU with numpy, which is several times faster than torch."""
        ordered = ascending(scores)
        if ordered.is_cuda:
            return cls(scores, ordered, ordered.flip(-1).cumsum(-1, dtype=torch.float64), valid)
        return cls(scores, ordered, torch.from_numpy(np.cumsum(ordered.numpy()[..., ::-1], -1, np.float64)), valid)

    def candidates(self, alpha: float) -> Tensor:
        """Return how many of each row's highest scores may be in the support, int64 ``(heads, queries)``."""
        within, out = torch.zeros_like(self.valid), self.valid + 1
        for _ in range(self.ordered.shape[-1].bit_length()):
            rank = (within + out) // 2
            largest, total = self._differences(rank, alpha)
            low = (total >= MARGIN * (rank - 1) ** (2.0 - alpha)) | (largest >= 1)
            # rank 0 means no key; it is the result for a row without valid keys
            low &= rank > 1
            within, out = torch.where(low, within, rank), torch.where(low, rank, out)
        return within

    def _differences(self, rank: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
        """Return β d, the largest difference, and β D of the keys of a rank, float64; NaN where a score is -inf."""
        place = rank.clamp(min=1)[..., None] - 1
        own = self.ordered.gather(-1, self.ordered.shape[-1] - 1 - place)[..., 0].double()
        total = self.sums.gather(-1, place)[..., 0] - rank * own
        return -own * (alpha - 1), total * (alpha - 1)
