"""k-means clusters of projected queries and keys; a pair is kept when it shares a cluster."""

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
    """Return the centroids in a predictor's context; raise `InputError` when there are none."""
    if context.centroids is None:
        raise InputError(f"predictors.{name}: there are no centroids; allowed: a job with an input `centroids`")
    return context.centroids


def centroids_for(features: Features, centroids: Centroids) -> Tensor:
    """Return the centroids of the layer and heads of `features`, float64 ``(heads, runs, clusters, dim)``.

    Raises
    ------
    InputError
        When number or dimension of these heads is not that of the features.
    """
    found = centroids.layer(features.layer)[features.heads].to(features.device)
    heads, dim = features.shape[0], features.queries.shape[-1]
    if (found.shape[0], found.shape[-1]) != (heads, dim):
        raise InputError(
            f"centroids: {found.shape[0]} heads of dimension {found.shape[-1]} in layer {features.layer}; "
            f"allowed: {heads} heads of dimension {dim}, as in the projected keys"
        )
    return found


class KMeans(BucketPredictor):
    """Keep a pair when the `top` nearest clusters of query and key have a cluster in common, in any run.

    This is the intersection of two sets. The original code computes two other things for `top` above 1: with centroids
    from a file, clusters must have the same rank for both; without, the diagonal is always kept.
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
        """Return the `top` nearest clusters of each vector in every run."""
        _, runs, clusters, _ = centroids_for(prepared, self.centroids).shape
        first = torch.arange(runs, device=prepared.queries.device)[:, None, None] * clusters
        queries, keys = (
            (self.centroids.assign(prepared.layer, vectors, top, prepared.heads) + first).transpose(1, 2).flatten(2)
            for vectors in (prepared.queries, prepared.keys)
        )
        return Buckets(queries, keys, clusters, runs)

    def cost(self, features: Features, **point: Any) -> float:
        """Count a product per dimension, vector and centroid, and `top` comparisons per vector and centroid."""
        _, runs, clusters, dim = self.centroids.layer(features.layer).shape
        return float(sum(features.shape[1:]) * runs * clusters * (dim + point["top"]))
