"""Thresholds per head, learned so that every head keeps the same share of its pairs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Sized
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from sparse_attention.attention.distances import cosine, least_squared, least_squared_of_units, squared_euclidean
from sparse_attention.attention.levels import ascending, levels_of_thresholds
from sparse_attention.predictors.base import NestedPredictor
from sparse_attention.predictors.distance import Cosine, Least, LeastOfUnits, SquaredEuclidean
from sparse_attention.predictors.features import Features

if TYPE_CHECKING:
    from sparse_attention.qk.gold import Gold

DISTANCES = {"cos": cosine, "l2": squared_euclidean, "min": least_squared, "min_norm": least_squared_of_units}
COSTS = {"cos": Cosine, "l2": SquaredEuclidean, "min": Least, "min_norm": LeastOfUnits}
SAMPLE = 2**18  # pairs per head, all examples together: a share of 1 % is met to about 2 % of it, in 1 MB per distance


class Calibrated(NestedPredictor):
    """A distance below a threshold of the head's own: the quantile of its distances over the train split.

    Ours: the code of Sparsefinder (arXiv:2109.12188) takes one threshold for all heads, or a list given by hand. Heads
    differ in how far apart queries and keys lie, so that one threshold leaves some dense and others empty; here each
    keeps the share `1 - sparsity` of the train split's valid pairs, every example counting alike. `euclidean` would
    keep what `l2` keeps, and `direction` for p = 2 what `cos` keeps, so they are not offered; `min_norm` has p = 2.
    """

    name = "calibrated"
    label = "Calibrated distance"
    group = "Distances"
    needs = ("projection",)
    fits = True
    nested, falling = "sparsity", True
    parameters = {
        "distance": {"enum": ["cos", "l2", "min", "min_norm"]},
        "sparsity": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    }

    def fit(self, layer: int, training: Iterable[tuple[Features, Gold]]) -> None:
        """Sort the distances of a sample of the train split's valid pairs, the same pairs in all heads."""
        pairs = max(1, SAMPLE // len(cast(Sized, training)))
        found: dict[str, list[Tensor]] = {name: [] for name in DISTANCES}
        for features, _ in training:
            queries, keys = self._sampled(features, pairs)
            for name, distance in DISTANCES.items():
                found[name].append(distance(queries[..., None, :], keys[..., None, :])[..., 0, 0])
        self._sorted = {name: ascending(torch.cat(parts, dim=1)) for name, parts in found.items()}

    def _sampled(self, features: Features, pairs: int) -> tuple[Tensor, Tensor]:
        """Return the vectors of `pairs` valid pairs, drawn one from each of as many equal parts of all of them."""
        valid = features.valid.reshape(-1).nonzero()[:, 0]
        places = (torch.arange(pairs) + torch.from_numpy(self.rng(features).random(pairs))) * (len(valid) / pairs)
        chosen = valid[places.long().clamp(max=len(valid) - 1).to(valid.device)]
        keys = features.shape[2]
        return features.queries[:, chosen // keys], features.keys[:, chosen % keys]

    def thresholds(self, distance: str, sparsity: float) -> Tensor:
        """Return each head's threshold: as many of the sampled distances lie below it as it should keep, or less."""
        ordered = self._sorted[distance]
        kept = round((1 - sparsity) * ordered.shape[1])
        return ordered[:, kept] if kept < ordered.shape[1] else torch.full_like(ordered[:, 0], math.inf)

    def levels(self, prepared: Features, values: Sequence[float], **others: Any) -> Tensor:
        """Compare with the thresholds of these heads."""
        name = others["distance"]
        bounds = [self.thresholds(name, sparsity)[prepared.heads] for sparsity in values]
        return levels_of_thresholds(DISTANCES[name](prepared.queries, prepared.keys), bounds)

    def cost(self, features: Features, **point: Any) -> float:
        """Return the cost of the distance."""
        return COSTS[point["distance"]](self.context).cost(features)
