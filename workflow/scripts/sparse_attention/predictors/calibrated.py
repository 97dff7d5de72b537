"""Distance thresholds per head, calibrated so that every head keeps the same share of its pairs."""

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
SAMPLE = 2**18  # pairs per head over all examples: estimates a share of 1 % to about 2 % of it, in 1 MB per distance


class Calibrated(NestedPredictor):
    """Keep the pairs whose distance is below the threshold of their head, a quantile over the train split.

    This predictor is new here. The code of Sparsefinder (arXiv:2109.12188) uses one threshold for all heads, or a list
    given by hand. Distances between queries and keys differ between heads, so one threshold leaves some heads dense and
    others empty. Here, each head keeps the share `1 - sparsity` of the valid pairs of the train split; all examples
    have equal weight. `euclidean` would keep the same pairs as `l2`, and `direction` with p = 2 the same as `cos`, so
    they are not offered. `min_norm` has p = 2.
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
        """Sort the distances of a sample of valid pairs of the train split; the pairs are the same in all heads."""
        pairs = max(1, SAMPLE // len(cast(Sized, training)))
        found: dict[str, list[Tensor]] = {name: [] for name in DISTANCES}
        for features, _ in training:
            queries, keys = self._sampled(features, pairs)
            for name, distance in DISTANCES.items():
                found[name].append(distance(queries[..., None, :], keys[..., None, :])[..., 0, 0])
        self.learned = {layer: {"sorted": {name: ascending(torch.cat(parts, dim=1)) for name, parts in found.items()}}}

    def _sampled(self, features: Features, pairs: int) -> tuple[Tensor, Tensor]:
        """Return the vectors of `pairs` valid pairs, one from each of equal parts of the list of all valid pairs."""
        valid = features.valid.reshape(-1).nonzero()[:, 0]
        places = (torch.arange(pairs) + torch.from_numpy(self.rng(features).random(pairs))) * (len(valid) / pairs)
        chosen = valid[places.long().clamp(max=len(valid) - 1).to(valid.device)]
        keys = features.shape[2]
        return features.queries[:, chosen // keys], features.keys[:, chosen % keys]

    def thresholds(self, layer: int, distance: str, sparsity: float) -> Tensor:
        """Return the threshold of each head of a layer, ``(heads,)``: at most `1 - sparsity` of its sample is below."""
        ordered = self.learned[layer]["sorted"][distance]
        kept = round((1 - sparsity) * ordered.shape[1])
        return ordered[:, kept] if kept < ordered.shape[1] else torch.full_like(ordered[:, 0], math.inf)

    def levels(self, prepared: Features, values: Sequence[float], **others: Any) -> Tensor:
        """Compare the distances with the thresholds of these heads."""
        name = others["distance"]
        bounds = [self.thresholds(prepared.layer, name, sparsity)[prepared.heads] for sparsity in values]
        return levels_of_thresholds(DISTANCES[name](prepared.queries, prepared.keys), bounds)

    def cost(self, features: Features, **point: Any) -> float:
        """Return the cost of the distance."""
        return COSTS[point["distance"]](self.context).cost(features)
