"""Small examples of every shape that predictors meet, and predictors that are set up and fitted."""

from __future__ import annotations

import itertools

import pytest
import torch

from examples import EXAMPLES, features_of_shape
from fitted_predictors import fitted
from sparse_attention.predictors.features import Features


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
def new():
    return fitted
