"""Predictors that are set up to be timed, each at the point that keeps nearest to a share of the blocks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sparse_attention.clusters.centroids import Centroids
from sparse_attention.predictors.base import Context, Predictor
from sparse_attention.predictors.features import Features
from sparse_attention.predictors.registry import create, discover
from sparse_attention.qk.gold import gold_of
from sparse_attention.qk.store import Example
from sparse_attention.settings.ladders import Setting

LEARNING_TOKENS = 256
ITERATIONS = 5


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
    names = ("queries", "keys", "raw_queries", "raw_keys")
    places = torch.arange(min(LEARNING_TOKENS, features.shape[2]))
    valid = features.valid_at(places[:, None], places)
    vectors: dict[str, Any] = {name: getattr(features, name)[:, : len(places)] for name in names}
    return replace(features, **vectors, pairs=valid)


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
