"""The Routing Transformer's clusters: each takes the queries and keys that are most similar to its centroid."""

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
from sparse_attention.predictors.learning import weights_for

if TYPE_CHECKING:
    from sparse_attention.qk.gold import Gold

ITERATIONS = 10  # as published: Lloyd iterations from the initial centroids
EXAMPLES_AT_ONCE = 16  # as published: examples per update of the trained centroids
DECAY = 0.999  # as published: weight of the old centroids in an update

# Similarity of queries, and of keys, to each centroid: float64 ``(heads, runs, clusters, n)``
Similarities = tuple[Tensor, Tensor]


def unit_vectors(features: Features) -> tuple[Tensor, Tensor]:
    """Return queries and keys divided by their lengths, float64 ``(heads, n, dim)`` each; a zero vector stays zero."""
    return normalize(features.queries.double(), dim=-1), normalize(features.keys.double(), dim=-1)


def similarities(features: Features, centroids: Tensor) -> Similarities:
    """Compute the product of each centroid with the unit vectors of queries and keys.

    The length of a centroid does not matter for the order of its similarities, by which it takes vectors.

    Parameters
    ----------
    features : Features
        Projected queries and keys.
    centroids : Tensor
        float64 ``(heads, runs, clusters, dim)``.
    """
    queries, keys = (centroids @ vectors[:, None].transpose(-1, -2) for vectors in unit_vectors(features))
    return queries, keys


def lloyd_step(vectors: Tensor, centroids: Tensor) -> Tensor:
    """Return the mean direction of the vectors nearest to each centroid; a centroid without such vectors stays.

    Parameters
    ----------
    vectors, centroids : Tensor
        float64 ``(heads, n, dim)`` and ``(heads, clusters, dim)``, all of length 1.

    Returns
    -------
    Tensor
        float64 ``(heads, clusters, dim)``, of length 1.
    """
    nearest = (vectors @ centroids.transpose(1, 2)).argmax(-1)
    sums = torch.zeros_like(centroids).scatter_add_(1, nearest[..., None].expand_as(vectors), vectors)
    lengths = sums.norm(dim=-1, keepdim=True)
    return torch.where(lengths > 0, sums / lengths, centroids)


def initial_centroids(vectors: Tensor, clusters: int, generators: Iterable[np.random.Generator]) -> Tensor:
    """Compute centroids by spherical k-means from random vectors, which are distinct if there are enough.

    Parameters
    ----------
    vectors : Tensor
        float64 ``(heads, n, dim)``, of length 1.
    clusters : int
        Number of centroids.
    generators : iterable
        A random generator for each head.

    Returns
    -------
    Tensor
        float64 ``(heads, clusters, dim)``.
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

    A cluster takes the `n // clusters + 1` most similar of the `n` vectors; of equally similar ones the earlier.

    Parameters
    ----------
    similarity : Tensor
        float64 ``(heads, runs, clusters, n)``.
    membership : str
        `all`: every cluster that took the vector; `first`: only the one with the lowest number.

    Returns
    -------
    Tensor
        int64 ``(heads, n, …)``: numbers of clusters, −1 for none. Cluster c of run r has the number `r * clusters + c`.
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


def cluster_buckets(compared: Similarities, membership: str) -> Buckets:
    """Return the clusters as buckets; each takes queries among queries, and keys among keys."""
    queries, keys = compared
    _, runs, clusters, _ = queries.shape
    return Buckets(clusters_of(queries, membership), clusters_of(keys, membership), clusters, runs)


def assignment_cost(features: Features, centroids: int) -> float:
    """Return the cost of normalising vectors, of their similarities to all centroids, and of sorting by these."""
    dim = features.queries.shape[-1]
    return float(sum(n * (2 * dim + centroids * (dim + n.bit_length())) for n in features.shape[1:]))


class Routing(BucketPredictor):
    """Routing Transformer (arXiv 2003.05997) with centroids from the example itself: nothing is learned beforehand.

    Each cluster takes the ⌊n / clusters⌋ + 1 most similar of n queries, and likewise of keys. With `membership: all`,
    as in the paper, a pair is kept when any cluster took both. With `membership: first`, as in Sparsefinder's
    simulation, a vector only belongs to the first cluster that took it. In both cases, some vectors may be in no
    cluster.

    Centroids are computed per head, by ten iterations of spherical k-means from random queries and keys of the example.
    In the published code, they are computed from the first evaluation batch and used for all examples. There, vectors
    are not normalised, so that long ones weigh more, and clusters take padding as well.
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
        """Return a cached function that computes the similarities for a number of clusters."""

        @functools.cache
        def compared(clusters: int) -> Similarities:
            generators = (self.rng(features, head) for head in range(features.heads.start, features.heads.stop))
            vectors = torch.cat(unit_vectors(features), dim=1)
            return similarities(features, initial_centroids(vectors, clusters, generators)[:, None])

        return compared

    def buckets(self, prepared: Callable[[int], Similarities], clusters: int, membership: str) -> Buckets:
        """Return the clusters of queries and keys as buckets."""
        return cluster_buckets(prepared(clusters), membership)

    def cost(self, features: Features, **point: Any) -> float:
        """Count the assignment, and per iteration a similarity and a comparison per vector and centroid, and sums."""
        dim, clusters = features.queries.shape[-1], point["clusters"]
        step = sum(features.shape[1:]) * (clusters * (dim + 1) + dim) + 2 * clusters * dim
        return ITERATIONS * step + assignment_cost(features, clusters)


class TrainedRouting(BucketPredictor):
    """Routing Transformer, see `Routing`, with centroids from one pass over the train split: a running mean.

    The initial centroids are computed as in `routing`, from the first batch of 16 examples. Each batch, including the
    first, then moves the centroids towards the result of one more k-means iteration on it, by a thousandth as
    published. So with few examples they stay close to the initial ones. Here, centroids are normalised after each
    update.
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

    def fit(self, layer: int, training: Iterable[tuple[Features, Gold]]) -> None:
        """Compute the centroids of `layer` in one pass over the train split."""
        clusters, centroids = self.context.fixed["clusters"], None
        for vectors in batches(training):
            if centroids is None:
                entropy = (self.context.seed, zlib.crc32(self.name.encode()), layer)
                generators = (np.random.default_rng((*entropy, head)) for head in range(len(vectors)))
                centroids = initial_centroids(vectors, clusters, generators)
            moved = DECAY * centroids + (1 - DECAY) * lloyd_step(vectors, centroids)
            centroids = normalize(moved, dim=-1)
        if centroids is None:
            raise InputError("predictors.routing_trained: the train split is empty; allowed: at least one example")
        self.learned = {layer: {"clusters": {"centroids": centroids[:, None]}}}

    def prepare(self, features: Features) -> Similarities:
        """Compute the similarities to the centroids."""
        learned = weights_for(features, self.learned[features.layer])
        return similarities(features, learned["clusters"]["centroids"])

    def buckets(self, prepared: Similarities, membership: str) -> Buckets:
        """Return the clusters of queries and keys as buckets."""
        return cluster_buckets(prepared, membership)

    def cost(self, features: Features, **point: Any) -> float:
        """Count the assignment to clusters only; the centroids are computed beforehand."""
        return assignment_cost(features, self.context.fixed["clusters"])


class KMeansRouting(BucketPredictor):
    """Routing Transformer, see `Routing`, with k-means centroids; a pair is kept when any run keeps it.

    The lengths of centroids do not affect which vectors they take.
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
        """Compute the similarities to the centroids of all runs."""
        return similarities(features, centroids_for(features, self.centroids))

    def buckets(self, prepared: Similarities, membership: str) -> Buckets:
        """Return the clusters of queries and keys as buckets."""
        return cluster_buckets(prepared, membership)

    def cost(self, features: Features, **point: Any) -> float:
        """Count the assignment to clusters only; the centroids are computed beforehand."""
        _, runs, clusters, _ = self.centroids.layer(features.layer).shape
        return assignment_cost(features, runs * clusters)


def batches(training: Iterable[tuple[Features, Gold]]) -> Iterator[Tensor]:
    """Yield the queries and keys of `EXAMPLES_AT_ONCE` examples at a time, float64 ``(heads, n, dim)``, normalised."""
    batch: list[Tensor] = []
    for features, _ in training:
        batch.append(torch.cat(unit_vectors(features), dim=1))
        if len(batch) == EXAMPLES_AT_ONCE:
            yield torch.cat(batch, dim=1)
            batch = []
    if batch:
        yield torch.cat(batch, dim=1)
