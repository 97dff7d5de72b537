"""A learned indexer: scores keys by a few low-dimensional products with ReLU, weighted by the query."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sparse_attention.predictors.base import TopPredictor
from sparse_attention.predictors.features import Features
from sparse_attention.predictors.learning import (
    Learned,
    Pairs,
    TrainingStatistics,
    distribution_loss,
    generator_of,
    learn,
    probability_pairs,
    weights_for,
)
from sparse_attention.projections.weights import ProjectionSetting, apply_weights, initial_weights

if TYPE_CHECKING:
    from sparse_attention.qk.gold import Gold


class LightningIndexer(TopPredictor):
    """Keep for each query the `keys` valid keys with the highest index scores; of equal scores the earlier keys.

    This is the lightning indexer of DeepSeek Sparse Attention (DeepSeek-V3.2). The score of query q and key k is
    `Σ_g w_g(q) · ReLU(q'_g · k')`. The `index_heads` index queries q'_g with `dim` dimensions and as many weights w_g
    are linear maps of q. The index key k' is a linear map of k and is shared by all index heads. As in the published
    dense warm-up, the maps are learned by the divergence KL(gold ‖ softmax of scores); here the gold probabilities are
    those of entmax.

    Differences from DeepSeek-V3.2:

    - Each attention head has its own indexer, which maps its queries and keys. There, one indexer reads the hidden
      states of tokens and serves all heads, whose attention is summed as its target.
    - The maps have biases; there is no rotary embedding inside, and nothing is quantized.
    - The model is not trained further with the selected keys.
    """

    name = "indexer"
    label = "Lightning indexer"
    group = "Learned selectors"
    paper = "DeepSeek-AI. DeepSeek-V3.2: Pushing the Frontier of Open Large Language Models. 2025. arXiv:2512.02556"
    fits = True
    blocks = True
    parameters = {
        "index_heads": {"type": "integer", "minimum": 1},
        "dim": {"type": "integer", "minimum": 1},
        "steps": {"type": "integer", "minimum": 1, "description": "optimiser steps per layer, 4 examples each"},
        "keys": {"type": "integer", "minimum": 1},
    }
    fitted = ("index_heads", "dim", "steps")

    def fit(self, layer: int, training: Iterable[tuple[Features, Gold]]) -> None:
        """Learn the indexers of all heads of `layer`; see `Predictor.fit`."""
        index_heads, dim, steps = (int(self.context.fixed[name]) for name in ("index_heads", "dim", "steps"))
        generator = generator_of(self.name, self.context.seed, layer)
        statistics = TrainingStatistics.of(training, probability_pairs)
        heads, _, head_dim = statistics.keys.mean.shape
        sizes = {"queries": index_heads * dim, "weights": index_heads, "keys": dim}
        start = {
            part: initial_weights(ProjectionSetting("linear", size, shared=False), heads, head_dim, generator)
            for part, size in sizes.items()
        }
        # initially about the plain sum of the products, which learns twice as fast as a random start
        start["weights"]["b"] = torch.ones_like(start["weights"]["b"])

        def loss(learned: Learned, pairs: Pairs, done: float) -> Tensor:
            return distribution_loss(index_scores(learned, pairs.queries, pairs.keys), pairs)

        examples = statistics.draw(training, probability_pairs, generator)
        learned = learn(start, examples, loss, steps)
        scales = {"queries": statistics.queries, "weights": statistics.queries, "keys": statistics.keys}
        self.learned = {layer: {part: scales[part].fold(weights) for part, weights in learned.items()}}

    def prepare(self, features: Features) -> Tensor:
        """Return the index scores, ``(heads, queries, keys)``, -inf for invalid pairs."""
        learned = weights_for(features, self.learned[features.layer])
        scores = index_scores(learned, features.raw_queries, features.raw_keys)
        return scores.masked_fill(~features.valid, -torch.inf)

    def cost(self, features: Features, **point: Any) -> float:
        """Count the maps; per valid pair a comparison, and per index head the products, a ReLU and a weight."""
        _, queries, keys = features.shape
        index_heads, dim = self.context.fixed["index_heads"], self.context.fixed["dim"]
        mapping = features.raw_keys.shape[-1] * (queries * index_heads * (dim + 1) + keys * dim)
        return mapping + features.valid_pairs * (index_heads * (dim + 2.0) + 1)


def index_scores(learned: Learned, queries: Tensor, keys: Tensor) -> Tensor:
    """Return `Σ_g w_g(q) · ReLU(q'_g · k')`, ``(heads, queries, keys)``, one index head in memory at a time."""
    weights, of_keys = apply_weights(learned["weights"], queries), apply_weights(learned["keys"], keys)
    index_queries = apply_weights(learned["queries"], queries).unflatten(-1, (weights.shape[-1], -1))
    # a constant factor that keeps initial scores small; it does not change the order of keys
    factor = (weights.shape[-1] * of_keys.shape[-1]) ** -0.5
    scores = queries.new_zeros(queries.shape[0], queries.shape[1], keys.shape[1])
    for weight, index_query in zip(weights.unbind(-1), index_queries.unbind(-2), strict=True):
        scores = scores + (factor * weight[..., None]) * torch.relu(index_query @ of_keys.mT)
    return scores
