"""Pairs of a projected query and key that lie close together."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize

from sparse_attention.predictors.base import DistancePredictor, Features


class Cosine(DistancePredictor):
    """`1 - cos(q, k) < threshold`."""

    name = "cos"
    label = "Cosine distance"
    needs = ("projection",)
    parameters = {"threshold": {"type": "number", "exclusiveMinimum": 0, "maximum": 2}}

    def prepare(self, features: Features) -> Tensor:
        """Return cosine distances, never below 0; a zero vector is at distance 1 from all."""
        queries, keys = normalize(features.queries, dim=-1), normalize(features.keys, dim=-1)
        return (1 - queries @ keys.transpose(-1, -2)).clamp_(min=0)


class SquaredEuclidean(DistancePredictor):
    """`||q - k||² < threshold`."""

    name = "l2"
    label = "Squared L2 distance"
    needs = ("projection",)
    parameters = {"threshold": {"type": "number", "exclusiveMinimum": 0}}

    def prepare(self, features: Features) -> Tensor:
        """Return squared distances, summed over dims one by one: the usual `q² - 2qk + k²` loses the small ones."""
        distance = features.queries.new_zeros(features.shape)
        for queries, keys in zip(features.queries.unbind(-1), features.keys.unbind(-1), strict=True):
            distance += (queries[..., :, None] - keys[..., None, :]).square_()
        return distance
