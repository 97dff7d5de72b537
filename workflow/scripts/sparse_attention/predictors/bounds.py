"""What any predictor lies between: choosing with the true scores, and choosing by chance."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sparse_attention.predictors.base import Features, Predictor


class Oracle(Predictor):
    """The `keys` valid keys of highest true score for each query; of equal scores the earlier keys."""

    name = "oracle"
    label = "Oracle top-k"
    parameters = {"keys": {"type": "integer", "minimum": 1}}

    def prepare(self, features: Features) -> tuple[Tensor, Tensor]:
        """Return the scores `q kᵀ`, in float64 as the gold support's, and each query's scores in ascending order."""
        scores = features.raw_queries.double() @ features.raw_keys.double().transpose(-1, -2)
        scores.masked_fill_(~features.valid, -torch.inf)
        return scores, torch.from_numpy(np.sort(scores.numpy()))

    def predict(self, prepared: tuple[Tensor, Tensor], keys: int) -> Tensor:
        """Return the scores from the `keys`-th highest on, less the last of those that tie with it."""
        scores, ascending = prepared
        least = ascending[..., -min(keys, ascending.shape[-1]), None]
        support = scores >= least
        surplus = (support.sum(-1, keepdim=True) - keys).masked_fill_(least.isinf(), 0)
        if (surplus > 0).any():
            tied = scores == least
            support &= ~tied | (tied.flip(-1).cumsum(-1).flip(-1) > surplus)
        return support


class Random(Predictor):
    """Each pair is kept by chance: independently, with probability `1 - sparsity`."""

    name = "random"
    label = "Random"
    parameters = {"sparsity": {"type": "number", "minimum": 0, "maximum": 1}}

    def prepare(self, features: Features) -> Tensor:
        """Return a random number in [0, 1) per pair: a sparser support lies within a denser one."""
        return torch.from_numpy(self.rng(features).random(features.shape, dtype="float32"))

    def predict(self, noise: Tensor, sparsity: float) -> Tensor:
        """Return the pairs whose number is at least `sparsity`."""
        return noise >= sparsity
