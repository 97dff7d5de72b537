"""Distances against their plain definitions, the strict comparison, and thresholds per head."""

from __future__ import annotations

import dataclasses
import math

import jsonschema
import pytest
import torch

from covering import all_pairs
from examples import EXAMPLES
from sparse_attention.attention.masks import valid_pairs
from sparse_attention.errors import InputError
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.distance import (
    Cosine,
    Direction,
    Euclidean,
    Least,
    LeastOfUnits,
    Minkowski,
    SquaredEuclidean,
)
from sparse_attention.predictors.features import Features

ALL = [Cosine, SquaredEuclidean, Euclidean, Least, LeastOfUnits, Direction, Minkowski]
WITH_P = (LeastOfUnits, Direction, Minkowski)
THRESHOLDS = [0.0013, 0.11, 0.37, 0.93, 1.71, 3.3, 50.0]


def norm(v, p):
    return max(map(abs, v)) if p == math.inf else sum(abs(x) ** p for x in v) ** (1 / p)


def units(v, p):
    return [x / norm(v, p) if any(v) else 0.0 for x in v]


def cosine(q, k, p):
    products = sum(x * y for x, y in zip(q, k, strict=True))
    return 1 - products / norm(q, 2) / norm(k, 2) if any(q) and any(k) else 1.0


def squared(q, k, p):
    return sum((x - y) ** 2 for x, y in zip(q, k, strict=True))


def euclidean(q, k, p):
    return math.dist(q, k)


def least(q, k, p):
    return min((x - y) ** 2 for x, y in zip(q, k, strict=True))


def least_of_units(q, k, p):
    return least(units(q, p), units(k, p), p)


def minkowski(q, k, p):
    return norm([x - y for x, y in zip(q, k, strict=True)], p)


def direction(q, k, p):
    return minkowski(units(q, p), units(k, p), p)


PLAIN = dict(zip(ALL, (cosine, squared, euclidean, least, least_of_units, direction, minkowski), strict=True))
CASES = [(cls, p) for cls in ALL for p in ((1.0, 2.0, 2.5, 7, math.inf) if cls in WITH_P else (2.0,))]
IDS = [f"{cls.name}-{p:g}" if cls in WITH_P else cls.name for cls, p in CASES]


def point(cls, threshold, p=2.0):
    return {"p": p, "threshold": threshold} if cls in WITH_P else {"threshold": threshold}


def plain_distances(cls, p, features):
    """Distances by definition, as lists `[head][query][key]`."""
    heads = zip(features.queries.tolist(), features.keys.tolist(), strict=True)
    return [[[PLAIN[cls](query, key, p) for key in keys] for query in queries] for queries, keys in heads]


def of(queries, keys):
    """Features of one head of these vectors."""
    queries, keys = (torch.tensor([vectors], dtype=torch.float32) for vectors in (queries, keys))
    return Features(0, 0, queries, keys, queries, keys, valid_pairs(queries.shape[1], keys.shape[1]))


def swept(predictor, features, grid):
    """The supports as a sweep gives them, in the order of the grid."""
    found = [None] * len(grid)
    for places, support in predictor.supports(features, grid):
        for level, place in enumerate(places):
            found[place] = (support.first <= level) & features.valid
    return found


@all_pairs(
    cls={cls.name: cls for cls in ALL},
    p=[1.0, 2.0, 2.5, 7, math.inf],
    features=EXAMPLES,
    allowed=lambda cls, p, features: (cls, p) in CASES,
    indirect=["features"],
)
def test_supports_are_the_pairs_below_the_threshold(cls, p, features, by_definition):
    plain = plain_distances(cls, p, features)
    grid = [point(cls, threshold, p) for threshold in THRESHOLDS]
    for threshold, support in zip(THRESHOLDS, swept(cls(Context()), features, grid), strict=True):
        assert torch.equal(support, by_definition(features, lambda h, i, j, t=threshold: plain[h][i][j] < t))


@all_pairs(
    cls={cls.name: cls for cls in ALL},
    p=[1.0, 2.0, 2.5, 7, math.inf],
    dim=[1, 4, 33],
    allowed=lambda cls, p, dim: (cls, p) in CASES,
)
def test_distances_are_right_to_float32_rounding(cls, p, dim, make_features):
    features = make_features("fewer-queries", dim=dim)
    found = cls(Context()).distances(features, **({"p": p} if cls in WITH_P else {}))
    assert found.dtype == torch.float32
    assert torch.allclose(found, torch.tensor(plain_distances(cls, p, features)), rtol=3e-6, atol=1e-12)


@all_pairs(
    cls={cls.name: cls for cls in ALL},
    p=[1.0, 2.0, 2.5, 7, math.inf],
    scale=[1e-12, 1.0, 1e12],
    allowed=lambda cls, p, scale: (cls, p) in CASES,
)
def test_equal_vectors_are_at_exactly_zero_however_large_or_small(cls, p, scale, make_features):
    vectors = scale * make_features("long", dim=32).queries
    same = dataclasses.replace(make_features("long"), queries=vectors, keys=vectors.clone())
    distances = cls(Context()).distances(same, **({"p": p} if cls in WITH_P else {}))
    assert (distances.diagonal(dim1=1, dim2=2) == 0).all()
    assert (distances >= 0).all()
    if scale == 1:
        assert (distances[:, ~torch.eye(70, dtype=torch.bool)] > 0).float().mean() > 0.98


@pytest.mark.parametrize("p", [1.0, 2.0, 64.0, 1000.0, math.inf])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_high_powers_neither_vanish_nor_overflow(p, scale, make_features):
    features = make_features("square", dim=3)
    scaled = dataclasses.replace(features, queries=scale * features.queries, keys=scale * features.keys)
    greatest = (scaled.queries[:, :, None] - scaled.keys[:, None]).abs().amax(-1)
    distances = Minkowski(Context()).distances(scaled, p=p)
    assert (distances >= greatest * (1 - 1e-6)).all()
    assert (distances <= greatest * 3 ** (1 / p) * (1 + 1e-6)).all()
    for cls in (Direction, LeastOfUnits):
        found, expected = (cls(Context()).distances(each, p=p) for each in (scaled, features))
        assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("cls", "keys", "threshold", "p", "expected"),
    [
        (Cosine, [[2, 0], [0, 3], [-1, 0], [0, 0]], 1.0, 2.0, [True, False, False, False]),
        (Cosine, [[2, 0], [0, 3], [-1, 0], [0, 0]], 2.0, 2.0, [True, True, False, True]),
        (SquaredEuclidean, [[1, 0], [1, 1], [1, 2], [3, 0]], 1.0, 2.0, [True, False, False, False]),
        (SquaredEuclidean, [[1, 0], [1, 1], [1, 2], [3, 0]], 4.0, 2.0, [True, True, False, False]),
        (Euclidean, [[1, 0], [1, 1], [1, 2], [4, 4]], 2.0, 2.0, [True, True, False, False]),
        (Euclidean, [[1, 0], [1, 1], [1, 2], [4, 4]], 5.0, 2.0, [True, True, True, False]),
        (Least, [[1, 9], [2, 9], [3, 0], [3, 1]], 1.0, 2.0, [True, False, True, False]),
        (LeastOfUnits, [[5, 0], [1, 1], [0, 2], [-3, 0]], 0.25, 1.0, [True, False, False, True]),
        (Direction, [[5, 0], [1, 1], [0, 2], [-3, 0]], 2.0, 1.0, [True, True, False, False]),
        (Minkowski, [[2, 0], [2, 1], [1, 2], [3, 1]], 2.0, 1.0, [True, False, False, False]),
        (Minkowski, [[2, 0], [2, 1], [1, 2], [3, 1]], 2.0, math.inf, [True, True, False, False]),
        (Minkowski, [[2, 0], [2, 1], [1, 2], [3, 1]], 1.0, 3.0, [False, False, False, False]),
    ],
)
def test_a_distance_equal_to_the_threshold_is_not_below_it(cls, keys, threshold, p, expected):
    support = cls(Context()).support(of([[1, 0]], keys), **point(cls, threshold, p))
    assert support[0, 0].tolist() == expected


def test_diagonal_vectors_that_are_orthogonal_are_at_exactly_one():
    support = Cosine(Context()).support(of([[1, 1], [3, -4]], [[1, -1], [4, 3]]), threshold=1.0)
    assert support[0].diagonal().tolist() == [False, False]


@pytest.mark.parametrize(("cls", "p"), CASES, ids=IDS)
def test_zero_vectors_and_one_key_give_numbers(cls, p):
    features = of([[0.0, 0.0], [1.0, 2.0]], [[0.0, 0.0]])
    assert torch.isfinite(cls(Context()).distances(features, **({"p": p} if cls in WITH_P else {}))).all()


def test_the_distances_are_related_as_said(make_features):
    features, context = make_features("long", dim=4), Context()
    pairs = [(Cosine, 0.3, Direction, math.sqrt(2 * 0.3)), (SquaredEuclidean, 2.0, Euclidean, math.sqrt(2.0)),
             (Euclidean, 1.3, Minkowski, 1.3)]  # fmt: skip
    for first, a, second, b in pairs:
        one = first(context).support(features, **point(first, a))
        assert 0 < one.float().mean() < 1
        assert torch.equal(one, second(context).support(features, **point(second, b)))
    norm_free = dataclasses.replace(features, queries=5 * features.queries, keys=features.keys / 8)
    for cls in (Cosine, Direction, LeastOfUnits):
        found, expected = (cls(context).distances(each, p=2.0) for each in (norm_free, features))
        assert torch.allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.name)
def test_thresholds_per_head_are_those_of_each_head_alone(cls, features):
    predictor, thresholds = cls(Context()), [0.05, 0.8, 1.9]
    grid = [point(cls, 0.8), point(cls, thresholds), point(cls, 0.05), point(cls, thresholds[::-1])]
    found = swept(predictor, features, grid)
    for place, values in ((0, [0.8] * 3), (1, thresholds), (2, [0.05] * 3), (3, thresholds[::-1])):
        single = [predictor.support(features, **point(cls, value))[head] for head, value in enumerate(values)]
        assert torch.equal(found[place], torch.stack(single))
        part = swept(predictor, features.part(slice(1, 3)), [grid[place]])[0]
        assert torch.equal(part, found[place][1:])


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.name)
def test_too_few_thresholds_are_refused_by_their_key(cls, make_features):
    with pytest.raises(InputError, match=rf"predictors\.{cls.name}\.threshold: \[0\.1, 0\.2\] has 2 numbers.* 3 heads"):
        cls(Context()).support(make_features("square"), **point(cls, [0.1, 0.2]))


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.name)
def test_the_schema_takes_a_number_or_one_for_every_head(cls):
    schema = cls.parameters["threshold"]
    jsonschema.Draft202012Validator.check_schema(schema)
    for value in (0.1, 2, [0.1], [0.1, 0.1, 2]):
        jsonschema.validate(value, schema)
    for value in (0, -1, [], [0.1, 0], "0.1", [[0.1]], None, True):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(value, schema)


@pytest.mark.parametrize("cls", WITH_P, ids=lambda cls: cls.name)
def test_the_schema_takes_norms_only(cls):
    for value in (1, 2.5, math.inf):
        jsonschema.validate(value, cls.parameters["p"])
    for value in (0.5, 0, "inf"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(value, cls.parameters["p"])


@pytest.mark.parametrize(
    ("cls", "p", "vector", "pair"),
    [(Cosine, 2.0, 8, 4), (SquaredEuclidean, 2.0, 4, 5), (Euclidean, 2.0, 4, 5), (Least, 2.0, 0, 8),
     (LeastOfUnits, 1.0, 8, 8), (LeastOfUnits, 3.0, 40, 8), (Direction, 2.0, 8, 4), (Direction, math.inf, 8, 8),
     (Minkowski, 2.0, 4, 5), (Minkowski, 1.0, 0, 8), (Minkowski, 3.0, 0, 40)],
)  # fmt: skip
def test_the_cost_counts_vectors_pairs_and_the_comparison(cls, p, vector, pair, make_features):
    features = make_features("fewer-queries", dim=4)
    assert cls(Context()).cost(features, **point(cls, 1.0, p)) == (4 + 11) * vector + 4 * 11 * (pair + 1)
