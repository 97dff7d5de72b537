"""Patterns of published sparse transformers, which ignore content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparse_attention.attention.levels import levels_of_budgets, levels_of_thresholds
from sparse_attention.attention.masks import keep_mask, window_mask
from sparse_attention.predictors.base import NestedPredictor, Predictor
from sparse_attention.predictors.features import Features


class BigBird(NestedPredictor):
    """BigBird at block size 1: `random_keys` keys per query and head, ±1 neighbours, global first and last token.

    The random keys are drawn uniformly from all valid keys. In long sequences, the original code draws them from the
    first few positions only.
    """

    name = "bigbird"
    label = "BigBird"
    group = "Patterns that ignore content"
    paper = "Zaheer et al. Big Bird: Transformers for Longer Sequences. NeurIPS 2020. arXiv:2007.14062"
    nested = "random_keys"
    blocks = True
    parameters = {"random_keys": {"type": "integer", "minimum": 0}}

    def prepare(self, features: Features) -> tuple[Tensor, Tensor]:
        """Return the part of the pattern that is not random, and a random number for each valid pair."""
        shape = features.shape[1:]
        pattern = (window_mask(*shape, 3) | keep_mask(*shape, "cls+last")).to(features.valid.device)
        return pattern, self.noise(features, *shape).masked_fill_(~features.valid, -torch.inf)

    def levels(self, prepared: tuple[Tensor, Tensor], values: Sequence[int], **others: Any) -> Tensor:
        """Rank the keys of each query by their random numbers."""
        pattern, noise = prepared
        return levels_of_budgets(noise, values).masked_fill_(pattern, 0)

    def cost(self, features: Features, **point: Any) -> float:
        """Return 0: the pattern ignores content."""
        return 0.0


class Longformer(NestedPredictor):
    """Longformer at block size 1: the diagonal, and `global_tokens` that attend to all tokens and vice versa.

    The first token is one of them; the others are distinct random positions, the same in all heads.
    """

    name = "longformer"
    label = "Longformer"
    group = "Patterns that ignore content"
    paper = "Beltagy, Peters, Cohan. Longformer: The Long-Document Transformer. 2020. arXiv:2004.05150"
    nested = "global_tokens"
    blocks = True
    parameters = {"global_tokens": {"type": "integer", "minimum": 1}}

    def prepare(self, features: Features) -> tuple[Tensor, Tensor]:
        """Return the diagonal, and for each pair the index of its query or key in the random order of global tokens."""
        _, queries, keys = features.shape
        positions, device = max(queries, keys), features.valid.device
        place = np.zeros(positions, np.int64)
        place[1:] = self.rng(features).permutation(positions - 1) + 1
        places = torch.from_numpy(place).to(device)
        return window_mask(queries, keys, 1).to(device), torch.minimum(places[:queries, None], places[:keys])[None]

    def levels(self, prepared: tuple[Tensor, Tensor], values: Sequence[int], **others: Any) -> Tensor:
        """Keep the diagonal, and the rows and columns of the first global tokens."""
        diagonal, place = prepared
        return levels_of_thresholds(place, values).masked_fill_(diagonal, 0)

    def cost(self, features: Features, **point: Any) -> float:
        """Return 0: the pattern ignores content."""
        return 0.0


class Strided(Predictor):
    """The fixed pattern of the Sparse Transformer (arXiv 1904.10509), extended to later keys.

    Positions are cut into blocks of `stride`. A query attends to its own block, and to the last `expressivity`
    positions of every block, its summary. Where one block holds all positions, the support is complete. As in
    Sparsefinder, every head has both parts, and queries also attend to the summaries of later blocks.

    The published code cuts blocks one position later and includes both ends of each part, so that blocks overlap.
    """

    name = "strided"
    label = "Sparse Transformer"
    group = "Patterns that ignore content"
    paper = (
        "Child, Gray, Radford, Sutskever. Generating Long Sequences with Sparse Transformers. 2019. arXiv:1904.10509"
    )
    blocks = True
    parameters = {"stride": {"type": "integer", "minimum": 1}, "expressivity": {"type": "integer", "minimum": 0}}
    at_most = {"expressivity": "stride"}

    def predict(self, prepared: Features, stride: int, expressivity: int) -> Tensor:
        """Return the pattern, the same for all heads."""
        _, queries, keys = prepared.shape
        positions = torch.arange(max(queries, keys), device=prepared.valid.device)
        block, place = positions // stride, positions % stride
        own = block[:queries, None] == block[None, :keys]
        return (own | (place[:keys] >= stride - expressivity))[None]

    def cost(self, features: Features, **point: Any) -> float:
        """Return 0: the pattern ignores content."""
        return 0.0
