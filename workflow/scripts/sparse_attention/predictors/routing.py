"""The Routing Transformer's clusters: each takes the queries and the keys that are most similar to its centroid."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from sparse_attention.attention.levels import levels_of_budgets
from sparse_attention.attention.supports import Buckets
from sparse_attention.errors import InputError
from sparse_attention.predictors.base import BucketPredictor, Context
from sparse_attention.predictors.clusters import centroids_for, given_centroids
from sparse_attention.predictors.features import Features

if TYPE_CHECKING:
    from sparse_attention.qk.gold import Gold

ITERATIONS = 10  # as published: Lloyd iterations from the initial centroids
EXAMPLES_AT_ONCE = 16  # as published: examples to an update of the trained centroids
DECAY = 0.999  # as published: of the trained centroids in an update

Similarities = tuple[Tensor, Tensor]  # of queries and of keys to each centroid, float64 `(heads, runs, clusters, n)`


def unit_vectors(features: Features) -> tuple[Tensor, Tensor]:
    """Return queries and keys at length 1, float64; a zero vector stays zero."""
    return normalize(features.queries.double(), dim=-1), normalize(features.keys.double(), dim=-1)


def similarities(features: Features, centroids: Tensor) -> Similarities:
    """Compare with centroids, float64 `(heads, runs, clusters, dim)`; their lengths do not matter to what they take."""
    queries, keys = (centroids @ vectors[:, None].transpose(-1, -2) for vectors in unit_vectors(features))
    return queries, keys


def lloyd_step(vectors: Tensor, centroids: Tensor) -> Tensor:
    """Return the mean directions of the vectors nearest to each centroid; a centroid without any stays.

    Parameters
    ----------
    vectors, centroids : Tensor
        float64 `(heads, n, dim)` and `(heads, clusters, dim)`, of length 1.
    """
    nearest = (vectors @ centroids.transpose(1, 2)).argmax(-1)
    sums = torch.zeros_like(centroids).scatter_add_(1, nearest[..., None].expand_as(vectors), vectors)
    lengths = sums.norm(dim=-1, keepdim=True)
    return torch.where(lengths > 0, sums / lengths, centroids)


def initial_centroids(vectors: Tensor, clusters: int, generators: Iterable[np.random.Generator]) -> Tensor:
    """Start from random vectors, as few as possible of them twice, and iterate.

    Parameters
    ----------
    vectors : Tensor
        float64 `(heads, n, dim)`, of length 1.
    clusters : int
        Number of centroids.
    generators : iterable
        One for each head.

    Returns
    -------
    Tensor
        float64 `(heads, clusters, dim)`.
    """
    orders = np.stack([np.resize(generator.permutation(vectors.shape[1]), clusters) for generator in generators])
    chosen = torch.from_numpy(orders).to(vectors.device)
    centroids = vectors.gather(1, chosen[..., None].expand(-1, -1, vectors.shape[-1]))
    for _ in range(ITERATIONS):
        centroids, before = lloyd_step(vectors, centroids), centroids
        if torch.equal(centroids, before):
            break
    return centroids


def clusters_of(similarity: Tensor, membership: str) -> Tensor:
    """Return the clusters that took each vector.

    A cluster takes the `n // clusters + 1` most similar of the `n` vectors, of equally similar ones the first.

    Parameters
    ----------
    similarity : Tensor
        float64 `(heads, runs, clusters, n)`.
    membership : str
        `all`: every cluster that took it; `first`: only that of the lowest number.

    Returns
    -------
    Tensor
        int64 `(heads, n, …)`, numbered on over the runs; −1 for none.
    """
    _, runs, clusters, count = similarity.shape
    taken = levels_of_budgets(similarity, [min(count // clusters + 1, count)]) == 0
    number = torch.arange(clusters, device=similarity.device)[:, None]
    numbers = torch.where(taken, number, clusters).transpose(2, 3)
    if membership == "first":
        numbers = numbers.amin(-1, keepdim=True)
    else:
        numbers = numbers.sort(-1).values[..., : max(1, int(taken.sum(2).max()))]
    first = torch.arange(runs, device=similarity.device)[:, None, None] * clusters
    return torch.where(numbers == clusters, -1, numbers + first).transpose(1, 2).flatten(2)


def routed(compared: Similarities, membership: str) -> Buckets:
    """Return the clusters of queries and keys, each chosen among their own kind, as buckets."""
    queries, keys = compared
    _, runs, clusters, _ = queries.shape
    return Buckets(clusters_of(queries, membership), clusters_of(keys, membership), clusters, runs)


def choosing_cost(features: Features, centroids: int) -> float:
    """Return the cost of lengths 1, of every vector's similarity to every centroid, and of sorting by it."""
    dim = features.queries.shape[-1]
    return float(sum(n * (2 * dim + centroids * (dim + n.bit_length())) for n in features.shape[1:]))


class Routing(BucketPredictor):
    """Routing Transformer (arXiv 2003.05997) with centroids from the example itself: nothing is learned beforehand.

    Each cluster takes the most similar queries and as many keys, ⌊n / clusters⌋ + 1 of n. A pair is kept when one
    cluster took both (`membership: all`), as in the paper; in Sparsefinder's simulation a vector belongs to the `first`
    cluster that took it only. Either way, some vectors may be in none.

    Centroids start from random queries and keys of the example, each head's own, and ten iterations of spherical
    k-means follow. In the published code they come from the first evaluation batch, for all examples, with vectors of
    any length: long ones pull more. There, padding is taken as well; here, there is none.
    """

    name = "routing"
    label = "Routing"
    paper = (
        "Roy, Saffar, Vaswani, Grangier. Efficient Content-Based Sparse Attention with Routing Transformers. TACL "
        "2021. arXiv:2003.05997"
    )
    needs = ("projection",)
    parameters = {
        "clusters": {"type": "integer", "minimum": 2},
        "membership": {"enum": ["first", "all"]},
    }

    def prepare(self, features: Features) -> Callable[[int], Similarities]:
        """Return a function that makes centroids, once for each number of them, and compares with them."""

        @functools.cache
        def compared(clusters: int) -> Similarities:
            generators = (self.rng(features, head) for head in range(features.heads.start, features.heads.stop))
            vectors = torch.cat(unit_vectors(features), dim=1)
            return similarities(features, initial_centroids(vectors, clusters, generators)[:, None])

        return compared

    def buckets(self, prepared: Callable[[int], Similarities], clusters: int, membership: str) -> Buckets:
        """Return the clusters."""
        return routed(prepared(clusters), membership)

    def cost(self, features: Features, **point: Any) -> float:
        """All iterations, each a similarity and a comparison per vector and centroid and a sum per vector; choosing."""
        dim, clusters = features.queries.shape[-1], point["clusters"]
        step = sum(features.shape[1:]) * (clusters * (dim + 1) + dim) + 2 * clusters * dim
        return ITERATIONS * step + choosing_cost(features, clusters)


class TrainedRouting(BucketPredictor):
    """Routing Transformer with centroids from the train split, see `Routing`: a running mean over one pass.

    They start as those of `routing`, from the first batch of 16 examples. Every batch, the first included, then moves
    them towards what one more iteration makes of them, by a thousandth as published: with few examples they stay near
    the start. Here they have length 1 again after each update.
    """

    name = "routing_trained"
    label = "Routing, trained"
    paper = (
        "Roy, Saffar, Vaswani, Grangier. Efficient Content-Based Sparse Attention with Routing Transformers. TACL "
        "2021. arXiv:2003.05997"
    )
    needs = ("projection",)
    fits = True
    parameters = {
        "clusters": {"type": "integer", "minimum": 2},
        "membership": {"enum": ["first", "all"]},
    }
    fitted = ("clusters",)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.centroids: dict[int, Tensor] = {}

    def fit(self, layer: int, training: Iterable[tuple[Features, Gold]]) -> None:
        """Pass over the train split once."""
        clusters, centroids = self.context.fixed["clusters"], None
        for vectors in batches(training):
            if centroids is None:
                entropy = (self.context.seed, zlib.crc32(self.name.encode()), layer)
                generators = (np.random.default_rng((*entropy, head)) for head in range(len(vectors)))
                centroids = initial_centroids(vectors, clusters, generators)
            moved = DECAY * centroids + (1 - DECAY) * lloyd_step(vectors, centroids)
            centroids = normalize(moved, dim=-1)
        if centroids is None:
            raise InputError("routing_trained: the train split is empty; allowed: at least one example")
        self.centroids[layer] = centroids[:, None]

    def prepare(self, features: Features) -> Similarities:
        """Compare with the centroids."""
        return similarities(features, self.centroids[features.layer][features.heads].to(features.valid.device))

    def buckets(self, prepared: Similarities, membership: str) -> Buckets:
        """Return the clusters."""
        return routed(prepared, membership)

    def cost(self, features: Features, **point: Any) -> float:
        """Choosing only: the centroids are there."""
        return choosing_cost(features, self.context.fixed["clusters"])


class KMeansRouting(BucketPredictor):
    """Routing Transformer with k-means centroids, see `Routing`; a pair is kept when any run keeps it.

    The lengths of these centroids make no difference to which vectors they take.
    """

    name = "routing_kmeans"
    label = "Routing, k-means"
    paper = (
        "Roy, Saffar, Vaswani, Grangier. Efficient Content-Based Sparse Attention with Routing Transformers. TACL "
        "2021. arXiv:2003.05997"
    )
    needs = ("projection", "clusters")
    parameters = {
        "clusters": {"type": "integer", "minimum": 2},
        "runs": {"type": "integer", "minimum": 1},
        "membership": {"enum": ["first", "all"]},
    }
    fitted = ("clusters", "runs")

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.centroids = given_centroids(context, self.name)

    def prepare(self, features: Features) -> Similarities:
        """Compare with the centroids of all runs."""
        return similarities(features, centroids_for(features, self.centroids))

    def buckets(self, prepared: Similarities, membership: str) -> Buckets:
        """Return the clusters."""
        return routed(prepared, membership)

    def cost(self, features: Features, **point: Any) -> float:
        """Choosing only: the centroids are there."""
        _, runs, clusters, _ = self.centroids.layer(features.layer).shape
        return choosing_cost(features, runs * clusters)


def batches(training: Iterable[tuple[Features, Gold]]) -> Iterator[Tensor]:
    """Yield the queries and keys of a few examples at a time, float64 `(heads, n, dim)`, of length 1."""
    batch: list[Tensor] = []
    for features, _ in training:
        batch.append(torch.cat(unit_vectors(features), dim=1))
        if len(batch) == EXAMPLES_AT_ONCE:
            yield torch.cat(batch, dim=1)
            batch = []
    if batch:
        yield torch.cat(batch, dim=1)
