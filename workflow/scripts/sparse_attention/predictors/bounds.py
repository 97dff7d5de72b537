"""Bounds of all predictors: choosing by the true scores (upper), and choosing at random (lower)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sparse_attention.attention.blocks import block_highest, token_vectors
from sparse_attention.attention.levels import levels_at_least
from sparse_attention.predictors.base import NestedPredictor, TopPredictor
from sparse_attention.predictors.features import Features


class Oracle(TopPredictor):
    """Keep for each query the `keys` valid keys with the highest true scores; of equal scores the earlier keys.

    The score of a pair of blocks is the highest score of its token pairs, each relative to the highest of its query.
    """

    name = "oracle"
    label = "Oracle top-k"
    bound = "upper"
    blocks = True
    parameters = {"keys": {"type": "integer", "minimum": 1}}

    def prepare(self, features: Features) -> Tensor:
        """Return the scores `q kᵀ`, float64 ``(heads, queries, keys)``, with the precision of the gold support."""
        size = features.block_size
        queries, keys = (token_vectors(x, size).double() for x in (features.raw_queries, features.raw_keys))
        scores = queries @ keys.transpose(-1, -2)
        if features.token_valid is None:
            return scores.masked_fill_(~features.valid, -torch.inf)
        scores = scores[:, : features.token_valid.shape[0], : features.token_valid.shape[1]]
        scores = scores.masked_fill(~features.token_valid, -torch.inf)
        return block_highest(scores - scores.amax(-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).min), size)

    def cost(self, features: Features, **point: Any) -> float:
        """Count all scores, and a comparison for each."""
        pairs = features.valid_pairs if features.token_valid is None else int(features.token_valid.sum())
        return pairs * (features.raw_keys.shape[-1] / features.block_size + 1)


class Random(NestedPredictor):
    """Keep each pair at random, independently, with probability `1 - sparsity`."""

    name = "random"
    label = "Random"
    bound = "lower"
    nested, falling = "sparsity", True
    blocks = True
    parameters = {"sparsity": {"type": "number", "minimum": 0, "maximum": 1}}

    def prepare(self, features: Features) -> Tensor:
        """Draw a random number in [0, 1) for each pair, so that a sparser support lies within a denser one."""
        return self.noise(features, *features.shape[1:])

    def levels(self, prepared: Tensor, values: Sequence[float], **others: Any) -> Tensor:
        """Keep the pairs whose number is at least the sparsity."""
        return levels_at_least(prepared, values)

    def cost(self, features: Features, **point: Any) -> float:
        """Return 0: the kept pairs can be drawn directly."""
        return 0.0
