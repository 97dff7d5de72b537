"""Patterns of published sparse transformers, which ignore content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparse_attention.attention.blocks import block_any, crossing_blocks, near_blocks, regrouped
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
        pattern = (window_mask(*shape, 3) | keep_mask(*shape, "cls+last")).to(features.device)
        return pattern, self.noise(features, *shape).masked_fill_(~features.valid, -torch.inf)

    def levels(self, prepared: tuple[Tensor, Tensor], values: Sequence[int], **others: Any) -> Tensor:
        """Rank the keys of each query by their random numbers."""
        pattern, noise = prepared
        return levels_of_budgets(noise, values).masked_fill_(pattern, 0)

    def block_pairs(self, features: Features, query_block: int, key_block: int, **point: Any) -> Tensor:
        """Draw the same random numbers for all pairs, but for few queries at a time; see `Predictor.block_pairs`."""
        (_, queries, keys), device = features.shape, features.device
        ends = (torch.zeros(n, dtype=torch.bool, device=device) for n in (queries, keys))
        of_queries, of_keys = (end.index_fill_(0, torch.tensor([0, len(end) - 1], device=device), True) for end in ends)
        pattern = near_blocks(queries, keys, query_block, key_block, 1, device)
        pattern |= crossing_blocks(of_queries, of_keys, query_block, key_block)
        heads = range(features.heads.start, features.heads.stop)
        rngs, found, columns = [self.rng(features, head) for head in heads], [], torch.arange(keys, device=device)
        for start in range(0, queries, query_block):
            rows = torch.arange(start, min(start + query_block, queries), device=device)
            drawn = np.stack([rng.random((len(rows), keys), dtype=np.float32) for rng in rngs])
            noise = torch.from_numpy(drawn).to(device)
            noise.masked_fill_(~features.valid_at(rows[:, None], columns), -torch.inf)
            chosen = levels_of_budgets(noise, [point["random_keys"]]) == 0
            found.append(block_any(chosen, query_block, key_block))
        return torch.cat(found, dim=1) | pattern

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
    quadratic = False
    parameters = {"global_tokens": {"type": "integer", "minimum": 1}}

    def prepare(self, features: Features) -> tuple[Tensor, Tensor]:
        """Return the diagonal, and for each pair the index of its query or key in the random order of global tokens."""
        _, queries, keys = features.shape
        places, diagonal = self._places(features), window_mask(queries, keys, 1).to(features.device)
        return diagonal, torch.minimum(places[:queries, None], places[:keys])[None]

    def levels(self, prepared: tuple[Tensor, Tensor], values: Sequence[int], **others: Any) -> Tensor:
        """Keep the diagonal, and the rows and columns of the first global tokens."""
        diagonal, place = prepared
        return levels_of_thresholds(place, values).masked_fill_(diagonal, 0)

    def block_pairs(self, features: Features, query_block: int, key_block: int, **point: Any) -> Tensor:
        """Return the blocks on the diagonal, and all in rows and columns of global tokens; see the base class."""
        (_, queries, keys), device = features.shape, features.device
        chosen = self._places(features) < point["global_tokens"]
        crossing = crossing_blocks(chosen[:queries], chosen[:keys], query_block, key_block)
        return (near_blocks(queries, keys, query_block, key_block, 0, device) | crossing)[None]

    def _places(self, features: Features) -> Tensor:
        """Return for each position its index in the random order of global tokens."""
        positions = max(features.shape[1:])
        place = np.zeros(positions, np.int64)
        place[1:] = self.rng(features).permutation(positions - 1) + 1
        return torch.from_numpy(place).to(features.device)

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
    quadratic = False
    parameters = {"stride": {"type": "integer", "minimum": 1}, "expressivity": {"type": "integer", "minimum": 0}}
    at_most = {"expressivity": "stride"}

    def predict(self, prepared: Features, stride: int, expressivity: int) -> Tensor:
        """Return the pattern, the same for all heads."""
        _, queries, keys = prepared.shape
        positions = torch.arange(max(queries, keys), device=prepared.device)
        block, place = positions // stride, positions % stride
        own = block[:queries, None] == block[None, :keys]
        return (own | (place[:keys] >= stride - expressivity))[None]

    def block_pairs(self, features: Features, query_block: int, key_block: int, **point: Any) -> Tensor:
        """Return the blocks that share a block of `stride`, and those with a summary; see the base class."""
        (_, queries, keys), stride, device = features.shape, point["stride"], features.device
        (first_query, last_query), (first_key, last_key) = (
            (starts // stride, ((starts + size).clamp(max=n) - 1) // stride)
            for n, size in ((queries, query_block), (keys, key_block))
            for starts in [torch.arange(0, n, size, device=device)]
        )
        own = (first_query[:, None] <= last_key) & (first_key <= last_query[:, None])
        summary = torch.arange(keys, device=device) % stride >= stride - point["expressivity"]
        return (own | regrouped(summary, 0, keys, 1, key_block))[None]

    def cost(self, features: Features, **point: Any) -> float:
        """Return 0: the pattern ignores content."""
        return 0.0
