"""Reformer hashing against loops over directions, and what its rounds and its tied vectors promise."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from sparse_attention.errors import InputError
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.hashing import Reformer, nearest_directions


def plain_buckets(vectors, rotations):
    """For each vector the place of the largest product with a direction, opposites behind the directions."""
    found = []
    for vector in vectors:
        products = [sum(x * r for x, r in zip(vector, direction, strict=True)) for direction in rotations]
        products += [-product for product in products]
        found.append(products.index(max(products)))
    return found


def plain_rule(features, buckets, rounds, tied, seed=3):
    predictor = Reformer(Context(seed))
    queries, keys = features.queries.double(), features.keys.double()
    if tied:
        queries = keys = torch.cat([queries, keys], dim=-1)
    hashes = {}
    for head in range(features.shape[0]):
        # every head of the layer has numbers of its own, the first rounds' first
        shape = (rounds, buckets // 2, queries.shape[-1])
        rotations = (
            predictor.rng(features, features.first_head + head).standard_normal(shape, dtype=np.float32).tolist()
        )
        for part in range(rounds):
            hashes["q", head, part] = plain_buckets(queries[head].tolist(), rotations[part])
            hashes["k", head, part] = plain_buckets(keys[head].tolist(), rotations[part])
    return lambda h, i, j: any(hashes["q", h, part][i] == hashes["k", h, part][j] for part in range(rounds))


@pytest.mark.parametrize(("buckets", "rounds"), [(2, 1), (6, 1), (4, 3), (64, 2)])
def test_pairs_share_their_nearest_direction_in_any_round(buckets, rounds, features, by_definition):
    for tied in (False, True) if features.shape[1] == features.shape[2] else (False,):
        support = Reformer(Context(3)).support(features, buckets=buckets, rounds=rounds, tied=tied)
        assert torch.equal(support, by_definition(features, plain_rule(features, buckets, rounds, tied)))


def test_opposite_vectors_never_meet_and_lengths_do_not_matter(make_features):
    features = make_features("long")
    opposite = dataclasses.replace(features, keys=-features.queries)
    longer = dataclasses.replace(features, keys=features.queries * torch.rand(70, 1).add(0.1))
    for buckets, rounds in ((2, 1), (8, 4)):
        point = {"buckets": buckets, "rounds": rounds, "tied": False}
        assert not Reformer(Context()).support(opposite, **point).diagonal(dim1=1, dim2=2).any()
        assert Reformer(Context()).support(longer, **point).diagonal(dim1=1, dim2=2).all()


def test_zero_vectors_are_in_the_first_bucket():
    assert nearest_directions(torch.zeros(1, 3, 2), torch.randn(1, 4, 5, 2)).eq(0).all()


@pytest.mark.parametrize("tied", [False, True])
def test_more_rounds_only_add_pairs(tied, make_features):
    features, predictor = make_features("long"), Reformer(Context())
    supports = [predictor.support(features, buckets=16, rounds=rounds, tied=tied) for rounds in (1, 2, 3, 8)]
    for fewer, more in itertools.pairwise(supports):
        assert not (fewer & ~more).any()
        assert more.sum() > fewer.sum()


def test_tied_vectors_give_a_symmetric_support_with_the_diagonal(make_features):
    features = make_features("long")
    for buckets, rounds in ((2, 1), (30, 1), (8, 3)):
        support = Reformer(Context()).support(features, buckets=buckets, rounds=rounds, tied=True)
        assert torch.equal(support, support.transpose(1, 2))
        assert support.diagonal(dim1=1, dim2=2).all()
    apart = Reformer(Context()).support(features, buckets=30, rounds=1, tied=False)
    assert not torch.equal(apart, apart.transpose(1, 2))


@pytest.mark.parametrize("shape", ["fewer-queries", "fewer-keys"])
def test_tied_vectors_need_as_many_queries_as_keys(shape, make_features):
    with pytest.raises(
        InputError, match=r"predictors\.reformer\.tied: true, but example 4 has \d+ queries and \d+ keys"
    ):
        Reformer(Context()).support(make_features(shape), buckets=4, rounds=1, tied=True)


def test_every_head_and_example_has_its_own_directions(make_features):
    features = make_features("long", heads=1)
    shared = {
        name: getattr(features, name).expand(3, -1, -1) for name in ("queries", "keys", "raw_queries", "raw_keys")
    }
    alike = dataclasses.replace(features, **shared)
    point = {"buckets": 8, "rounds": 1, "tied": False}
    drawn = [
        *Reformer(Context()).support(alike, **point).unbind(),
        *Reformer(Context()).support(dataclasses.replace(alike, index=5), **point).unbind(),
        *Reformer(Context(1)).support(alike, **point).unbind(),
    ]
    for one, other in itertools.combinations(drawn, 2):
        assert not torch.equal(one, other)


def test_torchs_generator_is_neither_read_nor_moved(make_features):
    features, point = make_features("square"), {"buckets": 8, "rounds": 2, "tied": False}
    torch.manual_seed(1)
    before = Reformer(Context()).support(features, **point)
    following = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), following)
    assert torch.equal(Reformer(Context()).support(features, **point), before)


def test_every_round_in_which_a_pair_meets_is_computed(make_features):
    features = make_features("causal")
    buckets = Reformer(Context()).buckets(features, buckets=4, rounds=5, tied=False)
    meetings = (buckets.queries[:, :, None] == buckets.keys[:, None]) & features.valid[..., None]
    assert buckets.support(features.valid).operations.tolist() == meetings.sum((1, 2, 3)).tolist()
    assert meetings.any(-1).sum() < meetings.sum()


def test_the_cost_is_a_product_per_direction_and_a_comparison_per_bucket(make_features):
    features, predictor = make_features("fewer-keys"), Reformer(Context())
    assert predictor.cost(features, buckets=8, rounds=3, tied=False) == (11 + 4) * 3 * (4 * 2 + 8)
    # one vector of twice the size for query and key
    assert predictor.cost(make_features("square"), buckets=8, rounds=3, tied=True) == 9 * 3 * (4 * 4 + 8)
