"""K-means clusters of the projected queries and keys: a pair is kept when it shares a cluster."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sparse_attention.attention.supports import Buckets
from sparse_attention.clusters.centroids import Centroids
from sparse_attention.errors import InputError
from sparse_attention.predictors.base import BucketPredictor, Context
from sparse_attention.predictors.features import Features


def given_centroids(context: Context, name: str) -> Centroids:
    """Return the centroids that the predictor `name` was set up with; raise `InputError` when it was not."""
    if context.centroids is None:
        raise InputError(f"{name}: there are no centroids; allowed: a predictor job with a `centroids` input")
    return context.centroids


def centroids_for(features: Features, centroids: Centroids) -> Tensor:
    """Return those of the given heads, float64 `(heads, runs, clusters, dim)`; `InputError` when they do not fit."""
    found = centroids.layer(features.layer)[features.heads].to(features.valid.device)
    heads, dim = features.shape[0], features.queries.shape[-1]
    if (found.shape[0], found.shape[-1]) != (heads, dim):
        raise InputError(
            f"centroids: {found.shape[0]} heads of dimension {found.shape[-1]} in layer {features.layer}; "
            f"allowed: {heads} of dimension {dim}, as the projected keys"
        )
    return found


class KMeans(BucketPredictor):
    """Query and key share at least one cluster among the `top` nearest of each, in any run.

    A true set intersection: the originals' other two readings of `top`, one matched by rank and one with the diagonal
    forced on, are not this one; all agree at `top` 1.
    """

    name = "kmeans"
    label = "K-means clusters"
    paper = (
        "Treviso, Góis, Fernandes, Fonseca, Martins. Predicting Attention Sparsity in Transformers. SPNLP 2022. "
        "arXiv:2109.12188"
    )
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
        self.centroids = given_centroids(context, self.name)

    def buckets(self, prepared: Features, top: int) -> Buckets:
        """Return each vector's `top` nearest clusters in every run."""
        _, runs, clusters, _ = centroids_for(prepared, self.centroids).shape
        first = torch.arange(runs, device=prepared.queries.device)[:, None, None] * clusters
        queries, keys = (
            (self.centroids.assign(prepared.layer, vectors, top, prepared.heads) + first).transpose(1, 2).flatten(2)
            for vectors in (prepared.queries, prepared.keys)
        )
        return Buckets(queries, keys, clusters, runs)

    def cost(self, features: Features, **point: Any) -> float:
        """One product per dim, vector and centroid, and a comparison for each of the `top` nearest to find."""
        _, runs, clusters, dim = self.centroids.layer(features.layer).shape
        return float(sum(features.shape[1:]) * runs * clusters * (dim + point["top"]))
