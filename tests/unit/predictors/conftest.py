"""Small examples of every shape that predictors meet, and predictors that are set up and fitted."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch

from examples import EXAMPLES, features_of_shape
from points import GRIDS
from sparse_attention.clusters.centroids import Centroids
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.features import Features
from sparse_attention.predictors.registry import create
from sparse_attention.qk.gold import gold_of
from sparse_attention.qk.store import Example


@pytest.fixture
def make_features():
    return features_of_shape


@pytest.fixture(params=EXAMPLES.values(), ids=list(EXAMPLES))
def features(request) -> Features:
    shape, tied = request.param
    return features_of_shape(shape, tied=tied)


@pytest.fixture
def by_definition():
    """Build a support in plain loops from `rule(head, query, key) -> bool`."""

    def build(features, rule):
        support = torch.zeros(features.shape, dtype=torch.bool)
        for head, i, j in itertools.product(*map(range, features.shape)):
            support[head, i, j] = bool(rule(head, i, j)) and bool(features.valid[i, j])
        return support

    return build


@pytest.fixture
def training(make_features):
    """Examples of one layer with their gold support, for predictors that learn."""
    examples = []
    for index, shape in enumerate(("square", "longer", "causal", "fewer-keys")):
        features = make_features(shape, layer=1, seed=index)
        example = Example(index, features.raw_queries, features.raw_keys, features.valid)
        examples.append((dataclasses.replace(features, index=index), gold_of(example, 1.5)))
    return examples


@pytest.fixture
def new(training):
    """A function that sets a predictor up and fits it, once for each name and seed."""

    def build(name, seed=0):
        if (name, seed) not in FITTED:
            centroids = torch.randn(3, 2, 5, 2, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
            predictor = create(name, Context(seed, GRIDS[name][0], Centroids((centroids,) * 4)))
            if predictor.fits:
                predictor.fit(1, training)
            FITTED[name, seed] = predictor
        return FITTED[name, seed]

    return build


FITTED: dict = {}
