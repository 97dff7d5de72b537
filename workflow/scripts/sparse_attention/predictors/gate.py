"""A learned gate: pooled and projected queries and keys give the probability that a pair of blocks is gold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from sparse_attention.attention.blocks import block_any, regrouped, token_vectors
from sparse_attention.attention.levels import levels_at_least
from sparse_attention.predictors.base import NestedPredictor
from sparse_attention.predictors.features import Features
from sparse_attention.predictors.learning import (
    Learned,
    Pairs,
    TrainingStatistics,
    generator_of,
    learn,
    support_loss,
    weights_for,
)
from sparse_attention.projections.weights import ProjectionSetting, apply_weights, initial_weights

if TYPE_CHECKING:
    from sparse_attention.qk.gold import Gold


class Gate(NestedPredictor):
    """Keep the pairs of blocks whose predicted probability of holding a gold pair is at least `threshold`.

    After SeerAttention (arXiv 2410.13276). Queries are averaged over blocks of `block` tokens; for keys, the mean, the
    maximum and the minimum over a block are concatenated. A linear map per head projects both to `dim` dimensions, and
    their product is the score of all pairs of the two blocks. With `block` 1, mean, maximum and minimum are equal, and
    only one of them is used. On blocks of tokens, `block` is a number of such blocks, and all their tokens are pooled.

    Differences from SeerAttention:

    - The score plus an offset is the log-odds that any token pair of the two blocks is gold, and is learned by binary
      cross-entropy. There, the gate is a softmax over blocks that learns the largest attention probability in each.
    - The setting is a threshold, so the number of keys can differ between queries.
    - The maps have biases, and the gate has no rotary embedding.

    Gold pairs have the same weight as others, so the probabilities are those of the data. With single tokens,
    thresholds around 0.5 give about the gold sparsity, and much lower ones give more pairs. The larger the blocks, the
    closer to 1 a useful threshold is.
    """

    name = "gate"
    label = "Learned gate"
    group = "Learned selectors"
    paper = "Gao et al. SeerAttention: Learning Intrinsic Sparse Attention in Your LLMs. 2024. arXiv:2410.13276"
    nested, falling = "threshold", True
    fits = True
    blocks = True
    quadratic = False
    parameters = {
        "dim": {"type": "integer", "minimum": 1},
        "block": {"type": "integer", "minimum": 1},
        "steps": {"type": "integer", "minimum": 1, "description": "optimiser steps per layer, 4 examples each"},
        "threshold": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    }
    fitted = ("dim", "block", "steps")

    def fit(self, layer: int, training: Iterable[tuple[Features, Gold]]) -> None:
        """Learn the gates of all heads of `layer`; see `Predictor.fit`."""
        dim, steps = (int(self.context.fixed[name]) for name in ("dim", "steps"))
        generator = generator_of(self.name, self.context.seed, layer)
        statistics, setting = (
            TrainingStatistics.of(training, self._pairs),
            ProjectionSetting("linear", dim, shared=False),
        )
        start = {
            side: initial_weights(setting, len(scale.mean), scale.mean.shape[-1], generator)
            for side, scale in (("queries", statistics.queries), ("keys", statistics.keys))
        }
        start["logit"] = {"offset": statistics.share.logit()[:, None, None]}

        def loss(learned: Learned, pairs: Pairs, done: float) -> Tensor:
            return support_loss(gate_logits(learned, pairs.queries, pairs.keys), pairs)

        examples = statistics.draw(training, self._pairs, generator)
        learned = learn(start, examples, loss, steps)
        folded = {"queries": statistics.queries.fold(learned["queries"]), "keys": statistics.keys.fold(learned["keys"])}
        self.learned = {layer: {**learned, **folded}}

    def probabilities(self, features: Features) -> Tensor:
        """Return the probability of each pair of blocks, ``(heads, query blocks, key blocks)``."""
        learned = weights_for(features, self.learned[features.layer])
        return torch.sigmoid(gate_logits(learned, *pooled(features, self._block())))

    def prepare(self, features: Features) -> Tensor:
        """Return the probability of each pair, ``(heads, queries, keys)``, the same for all pairs of two blocks."""
        probabilities, block = self.probabilities(features), self._block()
        if block == 1:
            return probabilities
        _, rows, columns = features.shape
        by_row = probabilities.repeat_interleave(block, 1)[:, :rows]
        return by_row.repeat_interleave(block, 2)[..., :columns].contiguous()

    def levels(self, prepared: Tensor, values: Sequence[float], **others: Any) -> Tensor:
        """Keep the pairs whose probability is at least the threshold."""
        return levels_at_least(prepared, values)

    def block_pairs(self, features: Features, query_block: int, key_block: int, **point: Any) -> Tensor:
        """Return the blocks that hold a part of a kept pair of the gate's own blocks; see `Predictor.block_pairs`.

        With `block` 1, its own blocks are tokens, and all pairs are scored.
        """
        (_, queries, keys), block = features.shape, self._block()
        kept = self.levels(self.probabilities(features), [point["threshold"]]) == 0
        return regrouped(regrouped(kept, 1, queries, block, query_block), 2, keys, block, key_block)

    def cost(self, features: Features, **point: Any) -> float:
        """Count the pooling, the maps, and a product per dimension and a comparison for each valid pair of blocks."""
        _, queries, keys = features.shape
        dim, block, width = self.context.fixed["dim"], self._block(), features.raw_keys.shape[-1]
        pools = len(KEY_POOLS) if block * features.block_size > 1 else 1
        pooling = (queries + pools * keys) * width if pools > 1 else 0
        query_blocks, key_blocks = -(-queries // block), -(-keys // block)
        mapping = (query_blocks + pools * key_blocks) * width // features.block_size * dim
        pairs = features.valid_pairs if block == 1 else int(block_any(features.valid, block).sum())
        return pooling + mapping + pairs * (dim + 1.0)

    def _block(self) -> int:
        return int(self.context.fixed["block"])

    def _pairs(self, features: Features, gold: Gold) -> Pairs:
        """Return the pooled vectors of an example, and which pairs of blocks hold a gold pair and a valid pair."""
        block = self._block()
        if block == 1:
            return Pairs(*pooled(features, 1), gold.support, features.valid)
        return Pairs(*pooled(features, block), block_any(gold.support, block), block_any(features.valid, block))


def gate_logits(learned: Learned, queries: Tensor, keys: Tensor) -> Tensor:
    """Return the log-odds of the pairs of pooled queries and keys, ``(heads, query blocks, key blocks)``."""
    of_queries, of_keys = apply_weights(learned["queries"], queries), apply_weights(learned["keys"], keys)
    return of_queries @ of_keys.mT * of_keys.shape[-1] ** -0.5 + learned["logit"]["offset"]


def pooled(features: Features, block: int) -> tuple[Tensor, Tensor]:
    """Pool the raw vectors over `block` positions.

    Returns
    -------
    tuple of Tensor
        Queries ``(heads, query blocks, head_dim)`` and keys ``(heads, key blocks, 3 · head_dim)``; keys are
        ``(heads, keys, head_dim)`` when a block is one token.
    """
    size = block * features.block_size
    queries, keys = (
        token_vectors(vectors, features.block_size)[:, :count]
        for vectors, count in zip((features.raw_queries, features.raw_keys), features.tokens, strict=True)
    )
    if size == 1:
        return queries, keys
    return mean_pool(queries, size), torch.cat([pool(keys, size) for pool in KEY_POOLS], -1)


def mean_pool(vectors: Tensor, size: int) -> Tensor:
    """Return the mean of each block of `size` vectors, ``(heads, blocks, dim)``; the last block may be smaller."""
    counts = _blocks(torch.ones_like(vectors[:1, :, :1]), size, 0.0).sum(-2)
    return _blocks(vectors, size, 0.0).sum(-2) / counts


def max_pool(vectors: Tensor, size: int) -> Tensor:
    """Return the maximum of each block in each dimension, ``(heads, blocks, dim)``."""
    return _blocks(vectors, size, -torch.inf).amax(-2)


def min_pool(vectors: Tensor, size: int) -> Tensor:
    """Return the minimum of each block in each dimension, ``(heads, blocks, dim)``."""
    return _blocks(vectors, size, torch.inf).amin(-2)


KEY_POOLS = (mean_pool, max_pool, min_pool)


def _blocks(vectors: Tensor, size: int, fill: float) -> Tensor:
    """Split vectors ``(heads, n, dim)`` into blocks ``(heads, blocks, size, dim)``; the last one ends with `fill`."""
    return pad(vectors, (0, 0, 0, -vectors.shape[-2] % size), value=fill).unflatten(-2, (-1, size))
