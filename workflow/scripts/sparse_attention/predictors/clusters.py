"""K-means clusters of the projected queries and keys: a pair is kept when it shares a cluster."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from sparse_attention.errors import InputError
from sparse_attention.predictors.base import Context, Features, Predictor


class KMeans(Predictor):
    """Query and key share at least one cluster among the `top` nearest of each, in any run.

    A true set intersection: the originals' other two readings of `top`, one matched by rank and one with the diagonal
    forced on, are not this one; all agree at `top` 1.
    """

    name = "kmeans"
    label = "K-means clusters"
    needs = ("projection", "clusters")
    parameters = {
        "clusters": {"type": "integer", "minimum": 2},
        "runs": {"type": "integer", "minimum": 1},
        "top": {"type": "integer", "minimum": 1},
    }
    fitted = ("clusters", "runs")
    at_most = {"top": "clusters"}

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        if context.centroids is None:
            raise InputError("kmeans: there are no centroids; allowed: a predictor job with a `centroids` input")
        self.centroids = context.centroids

    def predict(self, features: Features, top: int) -> Tensor:
        """Return the pairs that share a cluster: their memberships, 0 or 1 per run and cluster, are not orthogonal."""
        heads, _, clusters, dim = self.centroids.layer(features.layer).shape
        if (heads, dim) != (features.shape[0], features.queries.shape[-1]):
            raise InputError(
                f"centroids: {heads} heads of dimension {dim} in layer {features.layer}; "
                f"allowed: {features.shape[0]} of dimension {features.queries.shape[-1]}, as the projected keys"
            )
        queries, keys = (
            one_hot(self.centroids.assign(features.layer, vectors, top), clusters).sum(-2).float()
            for vectors in (features.queries, features.keys)
        )
        return torch.einsum("hric,hrjc->hij", queries, keys) > 0
