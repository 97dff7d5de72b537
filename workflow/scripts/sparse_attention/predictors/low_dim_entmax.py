"""The support of entmax over the scores of projected queries and keys."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sparse_attention.attention.entmax import threshold
from sparse_attention.attention.levels import ascending
from sparse_attention.predictors.base import Predictor
from sparse_attention.predictors.features import Features

STEPS = 6  # of Newton's method, as measured on trained queries and keys
NARROWEST = 16
SURELY = 1 + 1e-5  # what bounds and rounding leave open is solved for
POWER = 8  # multiply-adds that a power counts for


class LowDimEntmax(Predictor):
    """The pairs of positive probability in `entmax_alpha(q kᵀ / √dim)`, taken over the valid keys.

    The published `dotproduct_entmax`. The original takes probabilities over later keys as well where attention is
    causal, so that keys that a query may not see take probability from those that it may.

    Supports shrink as alpha grows: key `i` is in while `Σ_j ((alpha - 1) (s_j - s_i))^(1 / (alpha - 1)) < 1` over
    higher scores `s_j`, and such a sum falls with alpha. Rounding may break that, so each support is computed alone.
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
        """Sort the scores of each row, relative to the highest."""
        queries, keys = features.queries, features.keys
        scores = (queries @ keys.transpose(-1, -2) / keys.shape[-1] ** 0.5).masked_fill_(~features.valid, -torch.inf)
        scores -= scores.amax(-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).min)
        return Rows.of(scores, features.valid.sum(-1).expand(scores.shape[:-1]))

    def predict(self, prepared: Rows, alpha: float) -> Tensor:
        """Find each row's threshold from those of its highest scores that a bound leaves, starting below their lowest.

        Rows are worked on with others that have about as many of these, so that a row's result depends on it alone.
        """
        ordered, keys, candidates = prepared.ordered, prepared.ordered.shape[-1], prepared.candidates(alpha)
        least = ordered.gather(-1, keys - candidates.clamp(min=1)[..., None]) * (alpha - 1)
        lowest = least.nextafter(torch.full_like(least, -torch.inf))
        below, width = 0, NARROWEST
        while below < keys:
            rows = (candidates > below) & (candidates <= width)
            if rows.any():
                lowest[rows] = threshold(ordered[..., max(keys - width, 0) :][rows], alpha, at_least=lowest[rows])
            below, width = width, 2 * width
        return prepared.scores * (alpha - 1) > lowest

    def cost(self, features: Features, **point: Any) -> float:
        """Count for every valid pair a product per dim, finding the highest score, and Newton's method.

        Each of its steps takes a difference, a comparison and two sums, and a power unless alpha is 1.5 or 2. They
        count for all these pairs, though keys that cannot be in the support are left out.
        """
        step = 4 + (0 if point["alpha"] in (1.5, 2) else POWER)
        return features.valid_pairs * (features.keys.shape[-1] + 1.0 + STEPS * step)


class Rows(NamedTuple):
    """Scores of queries with all keys, and what bounds the sizes of their supports.

    With β = alpha - 1, the key of rank r is in the support while `Σ_j (β d_j)^(1/β) < 1` over the differences `d_j` of
    the r - 1 higher scores to its own. By the power mean, that sum is at least `(r - 1) (β D / (r - 1))^(1/β)`, D being
    the sum of the differences.

    Attributes
    ----------
    scores, ordered : Tensor
        `(heads, queries, keys)`, relative to the highest of a row, -inf for invalid pairs; and ascending.
    sums : Tensor
        float64 `(heads, queries, keys)`: the sum of the one, two, … highest scores of each row.
    valid : Tensor
        int64 `(heads, queries)`: each query's number of valid keys.
    """

    scores: Tensor
    ordered: Tensor
    sums: Tensor
    valid: Tensor

    @classmethod
    def of(cls, scores: Tensor, valid: Tensor) -> Rows:
        """Sort and sum; numpy is several times faster than torch here."""
        ordered = ascending(scores)
        if ordered.is_cuda:
            return cls(scores, ordered, ordered.flip(-1).cumsum(-1, dtype=torch.float64), valid)
        return cls(scores, ordered, torch.from_numpy(np.cumsum(ordered.numpy()[..., ::-1], -1, np.float64)), valid)

    def candidates(self, alpha: float) -> Tensor:
        """Return how many of each row's highest scores may be in the support, int64 `(heads, queries)`."""
        within, out = torch.zeros_like(self.valid), self.valid + 1
        for _ in range(self.ordered.shape[-1].bit_length()):
            rank = (within + out) // 2
            largest, total = self._differences(rank, alpha)
            low = (total >= SURELY * (rank - 1) ** (2.0 - alpha)) | (largest >= 1)
            # rank 0 stands for nothing at all, which is what remains of a row without valid keys
            low &= rank > 1
            within, out = torch.where(low, within, rank), torch.where(low, rank, out)
        return within

    def _differences(self, rank: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
        """Return β d and β D of the keys of some rank, float64; D is not a number where a score is -inf."""
        place = rank.clamp(min=1)[..., None] - 1
        own = self.ordered.gather(-1, self.ordered.shape[-1] - 1 - place)[..., 0].double()
        total = self.sums.gather(-1, place)[..., 0] - rank * own
        return -own * (alpha - 1), total * (alpha - 1)
