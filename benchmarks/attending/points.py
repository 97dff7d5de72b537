"""Points of every predictor, from few kept blocks to many, and predictors that are set up for them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from sparse_attention.clusters.centroids import Centroids
from sparse_attention.predictors.base import Context, Predictor
from sparse_attention.predictors.features import Features
from sparse_attention.predictors.registry import create, discover
from sparse_attention.qk.gold import gold_of
from sparse_attention.qk.store import Example

Setting = tuple[dict[str, Any], dict[str, Any]]
"""Fitted settings, and a point."""
LEARNING_TOKENS = 256
STEPS = 3  # of learning: the values that are learned do not change the time
ITERATIONS = 5


def powers(first: int, last: int, ratio: float = 1.4) -> list[int]:
    """Return whole numbers that grow by about a ratio."""
    found, value = [], float(first)
    while round(value) < last:
        found.append(round(value))
        value *= ratio
    return sorted({*found, last})


def falling(first: float, last: float, count: int = 24) -> list[float]:
    """Return numbers from `first` down to `last`, in equal ratios."""
    return [first * (last / first) ** (step / (count - 1)) for step in range(count)]


SHARES = [round(0.995 - 0.03 * step, 3) for step in range(33)]  # of what is left out
DISTANCES = falling(1e-6, 1e3, 60)


def swept(name: str, values: Iterable[Any], fixed: dict[str, Any] | None = None, **others: Any) -> list[Setting]:
    """Return points that differ in one setting."""
    return [(fixed or {}, {**others, name: value}) for value in values]


def fitted(name: str, values: Iterable[int], fixed: dict[str, Any] | None = None, **others: Any) -> list[Setting]:
    """Return points that differ in one fitted setting."""
    return [({**(fixed or {}), name: value}, others) for value in values]


LADDERS: dict[str, Callable[[int, int], list[Setting]]] = {
    "bigbird": lambda n, b: swept("random_keys", [0, *powers(1, n)]),
    "calibrated": lambda n, b: swept("sparsity", SHARES, distance="l2"),
    "cos": lambda n, b: swept("threshold", falling(1e-6, 2, 60)),
    "direction": lambda n, b: swept("threshold", DISTANCES, p=2),
    "dynamic": lambda n, b: swept("bucket_size", powers(1, n), temperature=1.0),
    "entmax": lambda n, b: swept("alpha", falling(2, 1.05)),
    "euclidean": lambda n, b: swept("threshold", DISTANCES),
    "fixed": lambda n, b: swept("bucket_size", powers(1, n)),
    "gate": lambda n, b: swept("threshold", falling(0.999, 1e-6, 60), {"dim": 16, "block": b, "steps": STEPS}),
    "gaussian_pages": lambda n, b: swept("probability", falling(0.99, 1e-9, 40), page=16, alpha=1.5, mixture=False),
    "hash_attention": lambda n, b: swept("keys", powers(1, n), {"bits": 16, "hidden": 0, "steps": STEPS}),
    "indexer": lambda n, b: swept("keys", powers(1, n), {"index_heads": 2, "dim": 8, "steps": STEPS}),
    "kmeans": lambda n, b: fitted("clusters", powers(2, max(2, n // b))[::-1], {"runs": 1}, top=1),
    "l2": lambda n, b: swept("threshold", DISTANCES),
    "longformer": lambda n, b: swept("global_tokens", powers(1, n)),
    "min": lambda n, b: swept("threshold", DISTANCES),
    "min_norm": lambda n, b: swept("threshold", DISTANCES, p=2),
    "minkowski": lambda n, b: swept("threshold", DISTANCES, p=1),
    "oracle": lambda n, b: swept("keys", powers(1, n)),
    "pca": lambda n, b: swept("keys", powers(1, n), dim=8),
    "quest": lambda n, b: swept("pages", powers(1, max(1, n // 16)), page=16),
    "random": lambda n, b: swept("sparsity", [1 - share for share in falling(1e-6, 1, 40)]),
    "reformer": lambda n, b: swept("buckets", [2 * x for x in powers(1, max(1, n // b))[::-1]], rounds=1, tied=False),
    "routing": lambda n, b: swept("clusters", powers(2, max(2, n // b))[::-1], membership="first"),
    "routing_kmeans": lambda n, b: fitted("clusters", powers(2, max(2, n // b))[::-1], {"runs": 1}, membership="first"),
    "routing_trained": lambda n, b: fitted("clusters", powers(2, max(2, n // b))[::-1], membership="first"),
    "simhash": lambda n, b: swept("bits", range(12, 0, -1), tables=4, collisions=2),
    "sparq": lambda n, b: swept("keys", powers(1, n), channels=8),
    "strided": lambda n, b: swept("stride", powers(b, max(b, math.isqrt(b * n)))[::-1], expressivity=1),
    "window": lambda n, b: swept("width", [2 * reach + 1 for reach in [0, *powers(1, n)]]),
    "xattention": lambda n, b: swept("threshold", falling(0.001, 1, 60), block=b, stride=min(8, b)),
}
"""For each predictor a function of the length and the block size: points, the fewest kept pairs first."""


def set_up(name: str, fixed: dict[str, Any], features: Features) -> Predictor:
    """Return a predictor, fitted on the first queries and keys of an example."""
    info, first = discover()[name], _beginning(features)
    centroids = Centroids((_centroids(first.keys, fixed["clusters"]),)) if "clusters" in info.needs else None
    predictor = create(name, Context(0, fixed, centroids))
    if predictor.fits:
        gold = gold_of(Example(0, first.raw_queries, first.raw_keys, first.valid), 1.5)
        predictor.fit(0, [(first, gold)])
    return predictor


def _beginning(features: Features) -> Features:
    vectors = (features.queries, features.keys, features.raw_queries, features.raw_keys)
    places = torch.arange(min(LEARNING_TOKENS, features.shape[2]))
    valid = features.valid_at(places[:, None], places)
    return Features(0, 0, *(tensor[:, : len(places)] for tensor in vectors), valid)


def _centroids(keys: Tensor, clusters: int) -> Tensor:
    """Return centroids by a few iterations of k-means, float64 ``(heads, 1, clusters, dim)``."""
    keys, draw = keys.double(), torch.Generator().manual_seed(0)
    chosen = torch.rand(keys.shape[0], max(clusters, keys.shape[1]), generator=draw).argsort(-1)[:, :clusters]
    centroids = keys.gather(1, (chosen % keys.shape[1])[..., None].expand(-1, -1, keys.shape[2]))
    for _ in range(ITERATIONS):
        nearest = torch.cdist(keys, centroids).argmin(-1)
        member = torch.nn.functional.one_hot(nearest, clusters).double()
        counts = member.sum(1)[..., None]
        centroids = torch.where(counts > 0, member.mT @ keys / counts.clamp(min=1), centroids)
    return centroids[:, None]


def nearest_point(settings: list[Setting], wanted: float, kept: Callable[[Setting], float]) -> Setting:
    """Return the setting whose kept share is nearest to the wanted one; shares grow along the list."""
    share = functools.cache(lambda place: kept(settings[place]))
    low, high = 0, len(settings) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if share(middle) >= wanted else (middle + 1, high)
    return settings[min({max(low - 1, 0), low}, key=lambda place: abs(share(place) - wanted))]
