"""Buckets against their plain definitions."""

from __future__ import annotations

import bisect
import dataclasses
import math

import pytest
import torch

from covering import all_pairs
from examples import EXAMPLES
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.buckets import DynamicBuckets, FixedBuckets, ranks


def plain_ranks(column):
    order = sorted(range(len(column)), key=lambda position: (column[position], position))
    return [order.index(position) for position in range(len(column))]


@pytest.mark.parametrize("bucket_size", [1, 2, 4, 100])
def test_fixed_buckets_hold_neighbours_in_rank(bucket_size, features, by_definition):
    heads, _, dim = features.queries.shape
    rank = {
        (side, h, d): plain_ranks(vectors[h, :, d].tolist())
        for side, vectors in (("q", features.queries), ("k", features.keys))
        for h in range(heads)
        for d in range(dim)
    }

    def rule(h, i, j):
        return any(rank["q", h, d][i] // bucket_size == rank["k", h, d][j] // bucket_size for d in range(dim))

    support = FixedBuckets(Context()).support(features, bucket_size=bucket_size)
    assert torch.equal(support, by_definition(features, rule))


def test_every_full_fixed_bucket_joins_as_many_queries_as_keys(make_features):
    features = make_features("square", dim=1, heads=1)
    support = FixedBuckets(Context()).support(features, bucket_size=3)
    assert (support.sum(1) == 3).all()
    assert (support.sum(2) == 3).all()


@all_pairs(bucket_size=[1, 2, 4, 100], temperature=[0.3, 1.0, 20.0], features=EXAMPLES, indirect=["features"])
def test_dynamic_buckets_are_intervals_of_equal_width(bucket_size, temperature, features, by_definition):
    _, _, keys = features.shape
    count = math.ceil(keys / bucket_size)
    boundaries = torch.linspace(-1 + 2 / count, 1 - 2 / count, count - 1).tolist()

    def bucket(x):
        return bisect.bisect_left(boundaries, x)

    q, k = (torch.tanh(temperature * vectors).tolist() for vectors in (features.queries, features.keys))

    def rule(h, i, j):
        return any(bucket(x) == bucket(y) for x, y in zip(q[h][i], k[h][j], strict=True))

    support = DynamicBuckets(Context()).support(features, bucket_size=bucket_size, temperature=temperature)
    assert torch.equal(support, by_definition(features, rule))


def test_intervals_cut_the_open_interval_from_minus_one_to_one_evenly():
    count = 8
    boundaries = torch.linspace(-1 + 2 / count, 1 - 2 / count, count - 1)
    assert torch.allclose(torch.diff(boundaries, prepend=torch.tensor([-1.0]), append=torch.tensor([1.0])),
                          torch.full((count,), 2 / count))  # fmt: skip


def test_one_bucket_for_all_keeps_every_valid_pair(features):
    everything = features.valid.expand(features.shape)
    assert torch.equal(FixedBuckets(Context()).support(features, bucket_size=1000), everything)
    assert torch.equal(DynamicBuckets(Context()).support(features, bucket_size=1000, temperature=0.5), everything)


def test_a_pair_that_meets_in_several_dims_is_computed_in_each(make_features):
    features = make_features("long", dim=4)
    for predictor, point in ((FixedBuckets, {}), (DynamicBuckets, {"temperature": 1.0})):
        buckets = predictor(Context()).buckets(predictor(Context()).prepare(features), bucket_size=10, **point)
        meetings = (buckets.queries[:, :, None] == buckets.keys[:, None]).sum((1, 2, 3))
        assert buckets.support(features.valid).operations.tolist() == meetings.tolist()
    # fixed buckets of 10 of 70: each of the 4 dims has 7 buckets of 10 queries and 10 keys
    fixed = FixedBuckets(Context())
    packed = fixed.buckets(fixed.prepare(features), 10).support(features.valid)
    assert packed.operations.tolist() == [4 * 7 * 10 * 10] * 3


def test_extreme_values_fall_into_the_outer_buckets(make_features):
    features = make_features("square", dim=1, heads=1)
    values = torch.tensor([-1e30, -3e38, 0, 1e-30, 3e38, -1e-30, 1e30, 100, -100])[None, :, None]
    features = dataclasses.replace(features, queries=values, keys=values)
    bucket = torch.tensor([0, 0, 1, 1, 2, 1, 2, 2, 0])
    expected = bucket[:, None] == bucket
    assert torch.equal(DynamicBuckets(Context()).support(features, bucket_size=3, temperature=1.0)[0], expected)
    assert torch.equal(FixedBuckets(Context()).support(features, bucket_size=3)[0], expected)


def test_ranks_are_places_in_ascending_order_with_ties_by_position():
    vectors = torch.randint(0, 3, (3, 5, 4), generator=torch.Generator().manual_seed(0)).float()
    columns, places = (tensor.transpose(1, 2).flatten(0, 1).tolist() for tensor in (vectors, ranks(vectors)))
    assert places == [plain_ranks(column) for column in columns]
