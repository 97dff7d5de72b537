"""Learned hashing: queries and keys get codes of a few bits, and the score of a pair is the number of equal bits."""

from __future__ import annotations

import math
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
    generator_of,
    learn,
    support_loss,
    support_pairs,
    weights_for,
)
from sparse_attention.projections.weights import ProjectionSetting, apply_weights, initial_weights

if TYPE_CHECKING:
    from sparse_attention.qk.gold import Gold

# While learning, tanh(s · x) replaces the sign of x; s rises from the first number to the second.
SHARPNESS = (1.0, 4.0)
WORD = 64


class HashAttention(TopPredictor):
    """Keep for each query the `keys` valid keys whose codes have the most bits in common with it, earlier keys first.

    From HashAttention (arXiv 2412.14468). A code is the signs of a learned map; each head has one map for queries and
    one for keys, and the Hamming distance of codes ranks the keys. As there, the maps are learned with tanh in place of
    the sign, by a binary cross-entropy in which gold pairs weigh more.

    Differences from HashAttention:

    - The gold pairs are the entmax support instead of the 32 highest scores.
    - Gold pairs and other pairs have the same total weight, instead of a fixed weight of 20 for gold pairs.
    - tanh gets sharper during learning, and a slope and an offset turn the number of equal bits into log-odds.
    - A map is linear or has one tanh layer; the published code has up to three linear layers with SiLU in between.
    - First and latest tokens are not added, and values are not used.
    """

    name = "hash_attention"
    label = "HashAttention"
    group = "Learned selectors"
    paper = "Desai et al. HashAttention: Semantic Sparsity for Faster Inference. ICML 2025. arXiv:2412.14468"
    fits = True
    blocks = True
    parameters = {
        "bits": {"type": "integer", "minimum": 1},
        "hidden": {"type": "integer", "minimum": 0, "description": "width of the maps' hidden layer; 0: linear maps"},
        "steps": {"type": "integer", "minimum": 1, "description": "optimiser steps per layer, 4 examples each"},
        "keys": {"type": "integer", "minimum": 1},
    }
    fitted = ("bits", "hidden", "steps")

    def fit(self, layer: int, training: Iterable[tuple[Features, Gold]]) -> None:
        """Learn the maps of all heads of `layer`; see `Predictor.fit`."""
        bits, hidden, steps = (int(self.context.fixed[name]) for name in ("bits", "hidden", "steps"))
        generator = generator_of(self.name, self.context.seed, layer)
        statistics = TrainingStatistics.of(training, support_pairs)
        heads, _, dim = statistics.keys.mean.shape
        setting = ProjectionSetting("mlp" if hidden else "linear", bits, shared=False, hidden=hidden or None)
        start = {side: initial_weights(setting, heads, dim, generator) for side in ("queries", "keys")}
        # the slope is learned as a logarithm: a negative slope would reverse the order of codes
        start["logit"] = {"slope": torch.full((heads, 1, 1), -0.5 * math.log(bits)), "offset": torch.zeros(heads, 1, 1)}
        weight = (1 - statistics.share) / statistics.share

        def loss(learned: Learned, pairs: Pairs, done: float) -> Tensor:
            sharpness = SHARPNESS[0] + (SHARPNESS[1] - SHARPNESS[0]) * done
            queries = torch.tanh(sharpness * apply_weights(learned["queries"], pairs.queries))
            keys = torch.tanh(sharpness * apply_weights(learned["keys"], pairs.keys))
            logits = queries @ keys.mT * learned["logit"]["slope"].exp() + learned["logit"]["offset"]
            return support_loss(logits, pairs, weight)

        examples = statistics.draw(training, support_pairs, generator)
        learned = learn(start, examples, loss, steps)
        scales = {"queries": statistics.queries, "keys": statistics.keys}
        self.learned = {layer: {side: scale.fold(learned[side]) for side, scale in scales.items()}}

    def prepare(self, features: Features) -> Tensor:
        """Return scores, ``(heads, queries, keys)``, that rank keys by equal bits, then by position; none are equal."""
        learned = weights_for(features, self.learned[features.layer])
        queries, keys = (
            torch.where(apply_weights(learned[side], vectors) > 0, 1.0, -1.0)
            for side, vectors in (("queries", features.raw_queries), ("keys", features.raw_keys))
        )
        shared = (queries @ keys.mT + queries.shape[-1]) / 2
        count = keys.shape[1]
        # the scores are whole numbers, which float32 holds exactly up to 2²⁴
        shared = shared if (queries.shape[-1] + 1) * count < 2**24 else shared.double()
        scores = shared * count - torch.arange(count, device=shared.device)
        return scores.masked_fill_(~features.valid, -torch.inf)

    def cost(self, features: Features, **point: Any) -> float:
        """Count the maps and signs, and for each valid pair an XOR and a bit count per 64 bits, and a comparison."""
        _, queries, keys = features.shape
        bits, hidden, dim = self.context.fixed["bits"], self.context.fixed["hidden"], features.raw_keys.shape[-1]
        mapping = dim * bits if not hidden else (dim + bits) * hidden
        return (queries + keys) * (mapping + bits) + features.valid_pairs * (2.0 * -(-bits // WORD) + 1)
