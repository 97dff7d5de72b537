"""Quirks of the routing predictors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.nn.functional import pad

from sparse_attention.as_published.predictors import Padded
from sparse_attention.as_published.registry import quirk
from sparse_attention.attention.supports import Buckets
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.features import Features
from sparse_attention.predictors.routing import KMeansRouting, Routing, Similarities, initial_centroids, similarities


@quirk(
    "first_cluster_only",
    "predictor",
    "In routing, a query or key that several clusters took belongs only to the cluster with the lowest number.",
)
class FirstClusterRouting(KMeansRouting):
    """`routing_kmeans` with at most one cluster per vector."""

    def buckets(self, prepared: Similarities, membership: str) -> Buckets:
        """Return the first cluster of each vector, whatever `membership` is."""
        return super().buckets(prepared, "first")


@quirk(
    "routing_of_first_batch",
    "predictor",
    "The centroids of routing come from the first batch of the evaluation, for all examples, and long vectors weigh "
    "more in them.",
)
class FirstBatchRouting(Routing):
    """`routing` with the centroids of the first batch of the evaluation.

    Parameters
    ----------
    context : Context
        See `Predictor`.
    vectors : mapping
        For each layer the queries and keys of the first `BATCH` examples, float64 ``(heads, n, dim)``.
    """

    def __init__(self, context: Context, vectors: Mapping[int, Tensor]) -> None:
        super().__init__(context)
        self.vectors = vectors

    def prepare(self, features: Features) -> Callable[[int], Similarities]:
        """Return a function that computes the similarities of the example to the first batch's centroids."""
        vectors, first = self.vectors[features.layer][features.heads], replace(features, index=0)

        def compared(clusters: int) -> Similarities:
            generators = (self.rng(first, head) for head in range(features.heads.start, features.heads.stop))
            return similarities(features, initial_centroids(vectors, clusters, generators)[:, None])

        return compared


@quirk(
    "padding_in_routing",
    "predictor",
    "In routing, clusters also take padding, and as many vectors as the padded length allows for.",
)
class PaddedRouting(Padded, KMeansRouting):
    """`routing_kmeans` with padding: zero vectors behind the last token."""

    def __init__(self, context: Context, padded: int) -> None:
        KMeansRouting.__init__(self, context)
        self.padded = padded

    def prepare(self, features: Features) -> tuple[Similarities, Features]:  # type: ignore[override]
        """Return the similarities of padded queries and keys to the centroids, and the features."""
        queries, keys = (pad(x, (0, 0, 0, self.padded - x.shape[1])) for x in (features.queries, features.keys))
        return super().prepare(replace(features, queries=queries, keys=keys)), features

    def buckets(self, prepared: Any, membership: str) -> Buckets:
        """Return the buckets of queries and keys, after clusters took padding as well."""
        compared, features = prepared
        _, queries, keys = features.shape
        found = super().buckets(compared, membership)
        return replace(found, queries=found.queries[:, :queries], keys=found.keys[:, :keys])
