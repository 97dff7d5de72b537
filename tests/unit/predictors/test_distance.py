"""Distances against their plain definitions, and the strict comparison with the threshold."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from sparse_attention.attention.masks import valid_pairs
from sparse_attention.predictors.base import Context, Features
from sparse_attention.predictors.distance import Cosine, SquaredEuclidean


def cosine(q, k):
    norms = math.sqrt(sum(x * x for x in q)) * math.sqrt(sum(x * x for x in k))
    return 1 - sum(x * y for x, y in zip(q, k, strict=True)) / norms if norms else 1.0


def squared(q, k):
    return sum((x - y) ** 2 for x, y in zip(q, k, strict=True))


@pytest.mark.parametrize(
    ("predictor", "distance", "thresholds"),
    [(Cosine, cosine, [0.01, 0.35, 0.9, 1.7]), (SquaredEuclidean, squared, [0.01, 0.35, 1.7, 3.3, 50.0])],
    ids=["cos", "l2"],
)
def test_supports_are_the_pairs_below_the_threshold(predictor, distance, thresholds, features, by_definition):
    queries, keys = features.queries.tolist(), features.keys.tolist()
    grid = [{"threshold": threshold} for threshold in thresholds]
    for point, support in zip(grid, predictor(Context()).supports(features, grid), strict=True):
        expected = by_definition(
            features, lambda h, i, j, t=point["threshold"]: distance(queries[h][i], keys[h][j]) < t
        )
        assert support.dtype == torch.bool
        assert torch.equal(support, expected)


@pytest.mark.parametrize(
    ("predictor", "keys", "threshold", "expected"),
    [
        (Cosine, [[2, 0], [0, 3], [-1, 0], [0, 0]], 1.0, [True, False, False, False]),
        (Cosine, [[2, 0], [0, 3], [-1, 0], [0, 0]], 2.0, [True, True, False, True]),
        (SquaredEuclidean, [[1, 0], [1, 1], [1, 2], [3, 0]], 1.0, [True, False, False, False]),
        (SquaredEuclidean, [[1, 0], [1, 1], [1, 2], [3, 0]], 4.0, [True, True, False, False]),
    ],
)
def test_a_distance_equal_to_the_threshold_is_not_below_it(predictor, keys, threshold, expected):
    queries, keys = torch.tensor([[[1.0, 0.0]]]), torch.tensor([keys], dtype=torch.float32)
    features = Features(0, 0, queries, keys, queries, keys, valid_pairs(1, 4))
    (support,) = predictor(Context()).supports(features, [{"threshold": threshold}])
    assert support[0, 0].tolist() == expected


@pytest.mark.parametrize("predictor", [Cosine, SquaredEuclidean], ids=["cos", "l2"])
def test_equal_vectors_are_at_a_distance_of_at_least_zero_however_large(predictor, make_features):
    features = make_features("long", dim=64)
    vectors = 1e3 * features.queries
    same = Features(0, 0, vectors, vectors, vectors, vectors, features.valid)
    diagonal = predictor(Context()).prepare(same).diagonal(dim1=1, dim2=2)
    assert (diagonal >= 0).all()
    assert (diagonal < 1e-6).all()


@pytest.mark.parametrize("predictor", [Cosine, SquaredEuclidean], ids=["cos", "l2"])
def test_a_higher_threshold_only_adds(predictor, features):
    grid = [{"threshold": threshold} for threshold in (0.1, 0.5, 1.0, 1.5)]
    supports = list(predictor(Context()).supports(features, grid))
    for lower, higher in pairwise(supports):
        assert not (lower & ~higher).any()
