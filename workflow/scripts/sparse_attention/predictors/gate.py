"""A learned gate: the low-dimensional product of pooled queries and keys says how likely a pair of blocks is gold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from sparse_attention.attention.blocks import block_any, token_vectors
from sparse_attention.attention.levels import levels_at_least
from sparse_attention.predictors.base import Context, NestedPredictor
from sparse_attention.predictors.features import Features
from sparse_attention.predictors.learning import (
    Learned,
    Pairs,
    Survey,
    generator_of,
    learn,
    of_heads,
    support_loss,
)
from sparse_attention.projections.model import ProjectionSetting, apply_weights, initial_weights

if TYPE_CHECKING:
    from sparse_attention.qk.gold import Gold


class Gate(NestedPredictor):
    """The pairs of blocks whose gate is open with a probability of at least `threshold`.

    After SeerAttention (arXiv 2410.13276): queries are averaged over blocks of `block` tokens, of keys the mean, the
    maximum and the minimum over a block stand side by side; a linear map per head brings either to `dim` dimensions,
    and their product scores the pair of blocks, for all its tokens. Different here: the score, with an offset, is the
    log-odds that any pair of tokens in the two blocks is gold, learned by binary cross-entropy, where the published
    gate is a softmax over blocks that learns the largest attention probability in each; the budget is its threshold,
    which lets queries differ in their number of keys; the maps have biases, and there is no rotary embedding inside.
    As gold pairs count no more than others, probabilities are those of the data: with single tokens, thresholds around
    0.5 give about the gold sparsity, those far below give more pairs; the larger the blocks, the closer to 1 they have
    to be. With `block` 1, mean, maximum and minimum are the same vector and it is taken once. On blocks of tokens,
    `block` counts those, and all their tokens are pooled.
    """

    name = "gate"
    label = "Learned gate"
    group = "Learned selectors"
    paper = "Gao et al. SeerAttention: Learning Intrinsic Sparse Attention in Your LLMs. 2024. arXiv:2410.13276"
    nested, falling = "threshold", True
    fits = True
    blocks = True
    parameters = {
        "dim": {"type": "integer", "minimum": 1},
        "block": {"type": "integer", "minimum": 1},
        "steps": {"type": "integer", "minimum": 1, "description": "optimiser steps per layer, 4 examples each"},
        "threshold": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    }
    fitted = ("dim", "block", "steps")

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.learned: dict[int, Learned] = {}

    def fit(self, layer: int, training: Iterable[tuple[Features, Gold]]) -> None:
        """Learn the gates of all heads of `layer`."""
        dim, steps = (int(self.context.fixed[name]) for name in ("dim", "steps"))
        generator = generator_of(self.name, self.context.seed, layer)
        survey, setting = Survey.of(training, self._pairs), ProjectionSetting("linear", dim, shared=False)
        start = {
            side: initial_weights(setting, len(scale.mean), scale.mean.shape[-1], generator)
            for side, scale in (("queries", survey.queries), ("keys", survey.keys))
        }
        start["logit"] = {"offset": survey.share.logit()[:, None, None]}

        def loss(learned: Learned, pairs: Pairs, done: float) -> Tensor:
            return support_loss(gate_logits(learned, pairs.queries, pairs.keys), pairs)

        examples = survey.draw(training, self._pairs, generator)
        learned = learn(start, examples, loss, steps)
        folded = {"queries": survey.queries.fold(learned["queries"]), "keys": survey.keys.fold(learned["keys"])}
        self.learned[layer] = {**learned, **folded}

    def prepare(self, features: Features) -> Tensor:
        """Return the gate's probabilities, the same for all tokens of a pair of blocks."""
        learned, block = of_heads(self.learned[features.layer], features), self._block()
        queries, keys = pooled(features, block)
        probabilities = torch.sigmoid(gate_logits(learned, queries, keys))
        if block == 1:
            return probabilities
        _, rows, columns = features.shape
        by_row = probabilities.repeat_interleave(block, 1)[:, :rows]
        return by_row.repeat_interleave(block, 2)[..., :columns].contiguous()

    def levels(self, prepared: Tensor, values: Sequence[float], **others: Any) -> Tensor:
        """Keep the pairs whose probability is at least the threshold."""
        return levels_at_least(prepared, values)

    def cost(self, features: Features, **point: Any) -> float:
        """Pool (an operation per number), map; for a valid pair of blocks take a product per dim and a comparison."""
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
        """See an example by blocks: which pairs of them hold a gold pair, and which a valid one."""
        block = self._block()
        if block == 1:
            return Pairs(*pooled(features, 1), gold.support, features.valid)
        return Pairs(*pooled(features, block), block_any(gold.support, block), block_any(features.valid, block))


def gate_logits(learned: Learned, queries: Tensor, keys: Tensor) -> Tensor:
    """Return the log-odds of pairs of pooled queries and keys, `(heads, queries, keys)`."""
    of_queries, of_keys = apply_weights(learned["queries"], queries), apply_weights(learned["keys"], keys)
    return of_queries @ of_keys.mT * of_keys.shape[-1] ** -0.5 + learned["logit"]["offset"]


def pooled(features: Features, block: int) -> tuple[Tensor, Tensor]:
    """Pool the raw vectors over `block` positions: `(heads, query blocks, dim)`, `(heads, key blocks, pools · dim)`."""
    size, tokens = block * features.block_size, features.valid if features.token_valid is None else features.token_valid
    queries, keys = (
        token_vectors(vectors, features.block_size)[:, :count]
        for vectors, count in zip((features.raw_queries, features.raw_keys), tokens.shape, strict=True)
    )
    if size == 1:
        return queries, keys
    return mean_pool(queries, size), torch.cat([pool(keys, size) for pool in KEY_POOLS], -1)


def mean_pool(vectors: Tensor, size: int) -> Tensor:
    """Return the mean of each block of `size` vectors, `(heads, n, dim)`; the last block may be smaller."""
    counts = _blocks(torch.ones_like(vectors[:1, :, :1]), size, 0.0).sum(-2)
    return _blocks(vectors, size, 0.0).sum(-2) / counts


def max_pool(vectors: Tensor, size: int) -> Tensor:
    """Return the maximum of each block, for each dimension."""
    return _blocks(vectors, size, -torch.inf).amax(-2)


def min_pool(vectors: Tensor, size: int) -> Tensor:
    """Return the minimum of each block, for each dimension."""
    return _blocks(vectors, size, torch.inf).amin(-2)


KEY_POOLS = (mean_pool, max_pool, min_pool)


def _blocks(vectors: Tensor, size: int, fill: float) -> Tensor:
    """Split into blocks, `(heads, blocks, size, dim)`, and fill up the last one."""
    return pad(vectors, (0, 0, 0, -vectors.shape[-2] % size), value=fill).unflatten(-2, (-1, size))
