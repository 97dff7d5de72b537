"""The support of entmax over the scores of projected queries and keys."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sparse_attention.attention.entmax import threshold
from sparse_attention.attention.levels import ascending
from sparse_attention.predictors.base import Features, Predictor

STEPS = 6  # of Newton's method, as measured on trained queries and keys
NARROWEST = 16
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
    needs = ("projection",)
    parameters = {"alpha": {"type": "number", "exclusiveMinimum": 1, "maximum": 2}}

    def prepare(self, features: Features) -> tuple[Tensor, Tensor]:
        """Return scores relative to the highest of their row, and sorted rows."""
        queries, keys = features.queries, features.keys
        scores = (queries @ keys.transpose(-1, -2) / keys.shape[-1] ** 0.5).masked_fill_(~features.valid, -torch.inf)
        scores -= scores.amax(-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).min)
        return scores, ascending(scores)

    def predict(self, prepared: tuple[Tensor, Tensor], alpha: float) -> Tensor:
        """Find each row's threshold from its highest scores only: one that is 1 below the highest has probability 0.

        Rows are worked on with others that have about as many of these, so that a row's result depends on it alone.
        """
        scores, ordered = prepared
        keys, candidates = ordered.shape[-1], (ordered * (alpha - 1) > -1).sum(-1)
        lowest = torch.full(candidates.shape, torch.inf, dtype=ordered.dtype, device=ordered.device)
        below, width = 0, NARROWEST
        while below < keys:
            rows = (candidates > below) & (candidates <= width)
            if rows.any():
                lowest[rows] = threshold(ordered[..., max(keys - width, 0) :][rows], alpha)[:, 0]
            below, width = width, 2 * width
        return scores * (alpha - 1) > lowest[..., None]

    def cost(self, features: Features, **point: Any) -> float:
        """Count for every valid pair a product per dim, finding the highest score, and Newton's method.

        Each of its steps takes a difference, a comparison and two sums, and a power unless alpha is 1.5 or 2. They
        count for all these pairs, though keys that cannot be in the support are left out.
        """
        step = 4 + (0 if point["alpha"] in (1.5, 2) else POWER)
        return features.valid_pairs * (features.keys.shape[-1] + 1.0 + STEPS * step)
