"""Learned hashing: queries and keys get codes of a few bits, and a pair's score is the number of bits they share."""

from __future__ import annotations

import math
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
    generator_of,
    learn,
    of_heads,
    support_loss,
    support_pairs,
)
from sparse_attention.projections.model import ProjectionSetting, apply_weights, initial_weights

if TYPE_CHECKING:
    from sparse_attention.qk.gold import Gold

# While learning, tanh(s · x) stands for the sign of x; s rises from the first to the second.
SHARPNESS = (1.0, 4.0)
WORD = 64


class HashAttention(TopPredictor):
    """The `keys` valid keys of each query whose learned codes share the most bits with its own; then the earlier keys.

    HashAttention (arXiv 2412.14468) without its extras: a code is the signs of a learned map, one map for a head's
    queries and one for its keys, and the Hamming distance of codes ranks the keys. As there, the maps are learned with
    tanh in place of the sign and a binary cross-entropy in which gold pairs count more. Different here: the gold pairs
    are the entmax support, not the 32 highest scores; gold pairs and others count the same in total, in place of a
    fixed weight of 20; tanh gets sharper while learning; a slope and an offset turn shared bits into log-odds; a map
    is linear or has one tanh layer, where the published code has up to three linear layers with SiLU between; no first
    and latest tokens are added, and values play no part.
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

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.learned: dict[int, Learned] = {}

    def fit(self, layer: int, training: Iterable[tuple[Features, Gold]]) -> None:
        """Learn the maps of all heads of `layer`."""
        bits, hidden, steps = (int(self.context.fixed[name]) for name in ("bits", "hidden", "steps"))
        generator = generator_of(self.name, self.context.seed, layer)
        survey = Survey.of(training, support_pairs)
        heads, _, dim = survey.keys.mean.shape
        setting = ProjectionSetting("mlp" if hidden else "linear", bits, shared=False, hidden=hidden or None)
        start = {side: initial_weights(setting, heads, dim, generator) for side in ("queries", "keys")}
        # the logarithm, since a slope below 0 would turn the order of the codes round
        start["logit"] = {"slope": torch.full((heads, 1, 1), -0.5 * math.log(bits)), "offset": torch.zeros(heads, 1, 1)}
        weight = (1 - survey.share) / survey.share

        def loss(learned: Learned, pairs: Pairs, done: float) -> Tensor:
            sharpness = SHARPNESS[0] + (SHARPNESS[1] - SHARPNESS[0]) * done
            queries = torch.tanh(sharpness * apply_weights(learned["queries"], pairs.queries))
            keys = torch.tanh(sharpness * apply_weights(learned["keys"], pairs.keys))
            logits = queries @ keys.mT * learned["logit"]["slope"].exp() + learned["logit"]["offset"]
            return support_loss(logits, pairs, weight)

        examples = survey.draw(training, support_pairs, generator)
        learned = learn(start, examples, loss, steps)
        self.learned[layer] = {
            "queries": survey.queries.fold(learned["queries"]), "keys": survey.keys.fold(learned["keys"]),
        }  # fmt: skip

    def prepare(self, features: Features) -> Tensor:
        """Return scores that order keys by shared bits, then by place, so that no two are equal."""
        learned = of_heads(self.learned[features.layer], features)
        queries, keys = (
            torch.where(apply_weights(learned[side], vectors) > 0, 1.0, -1.0)
            for side, vectors in (("queries", features.raw_queries), ("keys", features.raw_keys))
        )
        shared = (queries @ keys.mT + queries.shape[-1]) / 2
        count = keys.shape[1]
        # whole numbers, which float32 holds exactly up to 2²⁴
        shared = shared if (queries.shape[-1] + 1) * count < 2**24 else shared.double()
        scores = shared * count - torch.arange(count, device=shared.device)
        return scores.masked_fill_(~features.valid, -torch.inf)

    def cost(self, features: Features, **point: Any) -> float:
        """Map, compare with 0, and for each valid pair take an XOR and a bit count per 64 bits, and a comparison."""
        _, queries, keys = features.shape
        bits, hidden, dim = self.context.fixed["bits"], self.context.fixed["hidden"], features.raw_keys.shape[-1]
        mapping = dim * bits if not hidden else (dim + bits) * hidden
        return (queries + keys) * (mapping + bits) + features.valid_pairs * (2.0 * -(-bits // WORD) + 1)
