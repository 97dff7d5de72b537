"""A learned indexer: a few low-dimensional rectified products, weighted by the query, score the keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sparse_attention.predictors.base import Context, TopPredictor
from sparse_attention.predictors.features import Features
from sparse_attention.predictors.learning import (
    Learned,
    Pairs,
    Survey,
    distribution_loss,
    generator_of,
    learn,
    of_heads,
    probability_pairs,
)
from sparse_attention.projections.model import ProjectionSetting, apply_weights, initial_weights

if TYPE_CHECKING:
    from sparse_attention.qk.gold import Gold


class LightningIndexer(TopPredictor):
    """The `keys` valid keys of highest index score for each query; of equal scores the earlier keys.

    The lightning indexer of DeepSeek Sparse Attention (DeepSeek-V3.2): the score of query q and key k is
    `Σ_g w_g(q) · ReLU(q'_g · k')`, with `index_heads` index queries q'_g of `dim` dimensions and as many weights w_g,
    all maps of q, and one index key k', a map of k, that the index heads share. It learns as in the published dense
    warm-up, by the divergence KL(gold ‖ softmax of scores), here from entmax probabilities. Different here: each
    attention head has an indexer of its own, low-rank maps of its own queries and keys, where the published one reads
    the token's hidden state and serves all heads, whose attention is summed for it; the maps have biases; there is no
    rotary embedding inside and nothing is quantized; the model is not trained on with what was selected.
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

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.learned: dict[int, Learned] = {}

    def fit(self, layer: int, training: Iterable[tuple[Features, Gold]]) -> None:
        """Learn the indexers of all heads of `layer`."""
        index_heads, dim, steps = (int(self.context.fixed[name]) for name in ("index_heads", "dim", "steps"))
        generator = generator_of(self.name, self.context.seed, layer)
        survey = Survey.of(training, probability_pairs)
        heads, _, head_dim = survey.keys.mean.shape
        sizes = {"queries": index_heads * dim, "weights": index_heads, "keys": dim}
        start = {
            part: initial_weights(ProjectionSetting("linear", size, shared=False), heads, head_dim, generator)
            for part, size in sizes.items()
        }
        # to begin with the plain sum of the rectified products, which learns twice as fast as a random one
        start["weights"]["b"] = torch.ones_like(start["weights"]["b"])

        def loss(learned: Learned, pairs: Pairs, done: float) -> Tensor:
            return distribution_loss(index_scores(learned, pairs.queries, pairs.keys), pairs)

        examples = survey.draw(training, probability_pairs, generator)
        learned = learn(start, examples, loss, steps)
        scales = {"queries": survey.queries, "weights": survey.queries, "keys": survey.keys}
        self.learned[layer] = {part: scales[part].fold(weights) for part, weights in learned.items()}

    def prepare(self, features: Features) -> Tensor:
        """Return the index scores."""
        learned = of_heads(self.learned[features.layer], features)
        scores = index_scores(learned, features.raw_queries, features.raw_keys)
        return scores.masked_fill(~features.valid, -torch.inf)

    def cost(self, features: Features, **point: Any) -> float:
        """Map, and for a valid pair take a product per dim, a ReLU and a weighting per index head, and a comparison."""
        _, queries, keys = features.shape
        index_heads, dim = self.context.fixed["index_heads"], self.context.fixed["dim"]
        mapping = features.raw_keys.shape[-1] * (queries * index_heads * (dim + 1) + keys * dim)
        return mapping + features.valid_pairs * (index_heads * (dim + 2.0) + 1)


def index_scores(learned: Learned, queries: Tensor, keys: Tensor) -> Tensor:
    """Return `Σ_g w_g(q) · ReLU(q'_g · k')`, `(heads, queries, keys)`, one index head in memory at a time."""
    weights, of_keys = apply_weights(learned["weights"], queries), apply_weights(learned["keys"], keys)
    index_queries = apply_weights(learned["queries"], queries).unflatten(-1, (weights.shape[-1], -1))
    # a fixed factor that keeps first scores small; it changes no order
    factor = (weights.shape[-1] * of_keys.shape[-1]) ** -0.5
    scores = queries.new_zeros(queries.shape[0], queries.shape[1], keys.shape[1])
    for weight, index_query in zip(weights.unbind(-1), index_queries.unbind(-2), strict=True):
        scores = scores + (factor * weight[..., None]) * torch.relu(index_query @ of_keys.mT)
    return scores
