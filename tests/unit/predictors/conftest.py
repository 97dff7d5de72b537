"""Small examples of every shape that predictors meet."""

from __future__ import annotations

import itertools

import pytest
import torch

from sparse_attention.attention.masks import valid_pairs
from sparse_attention.predictors.features import Features

# name: (queries, keys, causal, local window)
SHAPES = {
    "square": (9, 9, False, None),
    "causal": (9, 9, True, None),
    "fewer-queries": (4, 11, False, None),
    "fewer-keys": (11, 4, False, None),
    "local": (9, 9, False, 2),
    "one-token": (1, 1, False, None),
    "longer": (24, 24, False, None),
    "long": (70, 70, False, None),
}


def features_of_shape(shape, *, tied=False, heads=3, dim=2, head_dim=5, layer=1, index=4, seed=0) -> Features:
    queries, keys, causal, local_window = SHAPES[shape]
    generator = torch.Generator().manual_seed(seed)

    def vectors(n, size):
        if tied:
            return torch.randint(-1, 2, (heads, n, size), generator=generator).float()
        return torch.randn(heads, n, size, generator=generator)

    low = vectors(queries, dim), vectors(keys, dim)
    raw = vectors(queries, head_dim), vectors(keys, head_dim)
    return Features(layer, index, *low, *raw, valid_pairs(queries, keys, causal, local_window))


@pytest.fixture
def make_features():
    return features_of_shape


@pytest.fixture(params=[(shape, tied) for shape in SHAPES if shape != "long" for tied in (False, True)],
                ids=lambda p: f"{p[0]}-{'tied' if p[1] else 'distinct'}")  # fmt: skip
def features(request) -> Features:
    return features_of_shape(request.param[0], tied=request.param[1])


@pytest.fixture
def by_definition():
    """Build a support in plain loops from `rule(head, query, key) -> bool`."""

    def build(features, rule):
        support = torch.zeros(features.shape, dtype=torch.bool)
        for head, i, j in itertools.product(*map(range, features.shape)):
            support[head, i, j] = bool(rule(head, i, j)) and bool(features.valid[i, j])
        return support

    return build
