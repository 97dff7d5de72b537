"""Every predictor, set up for the small examples of the tests and fitted on a few of them."""

from __future__ import annotations

import dataclasses
import functools

import torch

from examples import features_of_shape
from points import GRIDS
from sparse_attention.clusters.centroids import Centroids
from sparse_attention.predictors.base import Context, Predictor
from sparse_attention.predictors.features import Features
from sparse_attention.predictors.registry import create
from sparse_attention.qk.gold import Gold, gold_of
from sparse_attention.qk.store import Example


@functools.cache
def training() -> list[tuple[Features, Gold]]:
    """Return examples of layer 1 with their gold support, for predictors that learn."""
    examples = []
    for index, shape in enumerate(("square", "longer", "causal", "fewer-keys")):
        features = features_of_shape(shape, layer=1, seed=index)
        example = Example(index, features.raw_queries, features.raw_keys, features.valid)
        examples.append((dataclasses.replace(features, index=index), gold_of(example, 1.5)))
    return examples


@functools.cache
def fitted(name: str, seed: int = 0) -> Predictor:
    """Return a predictor, fitted for layer 1 where it learns."""
    centroids = torch.randn(3, 2, 5, 2, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    predictor = create(name, Context(seed, GRIDS[name][0], Centroids((centroids,) * 4)))
    if predictor.fits:
        predictor.fit(1, training())
    return predictor
