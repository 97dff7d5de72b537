"""Hash tables against their plain definition and the chance that two signs agree."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
import torch

from sparse_attention.predictors.base import Context
from sparse_attention.predictors.simhash import SimHash


def meetings(predictor, features, bits, tables):
    """In how many tables each pair agrees in all signs, one pair and one plane at a time."""
    planes = predictor.directions(features, bits, tables).double()
    result = torch.zeros(features.shape, dtype=torch.int64)
    for h, i, j in itertools.product(*map(range, features.shape)):
        query = features.raw_queries[h, i].double()
        key = features.raw_keys[h, j].double() - features.raw_keys[h].double().mean(0)
        for table in range(tables):
            own = range(table * bits, (table + 1) * bits)
            result[h, i, j] += all((query @ planes[h, :, n] > 0) == (key @ planes[h, :, n] > 0) for n in own)
    return result


@pytest.mark.parametrize("shape", ["square", "causal", "fewer-queries", "fewer-keys", "one-token"])
def test_pairs_that_agree_in_enough_tables_are_kept(shape, make_features):
    features, predictor = make_features(shape, seed=6), SimHash(Context(seed=3))
    shared = meetings(predictor, features, bits=2, tables=4)
    for collisions in (1, 2, 4):
        support = predictor.support(features, bits=2, tables=4, collisions=collisions)
        assert torch.equal(support, (shared >= collisions) & features.valid)


def test_a_meeting_costs_an_addition_and_a_kept_pair_a_score(make_features):
    features, predictor = make_features("causal", seed=6), SimHash(Context(seed=3))
    shared = meetings(predictor, features, bits=2, tables=4) * features.valid
    (_, support), *_ = predictor.supports(features, [{"bits": 2, "tables": 4, "collisions": 2}])
    expected = (shared >= 2).sum((1, 2)) + shared.sum((1, 2)).double() / 5
    assert support.operations.tolist() == pytest.approx(expected.tolist(), rel=1e-12)


@pytest.mark.parametrize("degrees", [20, 60, 90, 150])
def test_signs_agree_as_often_as_the_angle_says(degrees, make_features):
    angle = math.radians(degrees)
    # the mean of a key and its opposite is zero
    key = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).expand(3, 2, 2)
    query = torch.tensor([[math.cos(angle), math.sin(angle)]]).expand(3, 1, 2)
    features = dataclasses.replace(make_features("square"), raw_queries=query, raw_keys=key)
    features = dataclasses.replace(features, pairs=torch.ones(1, 2, dtype=torch.bool))
    buckets = SimHash(Context()).buckets(features, bits=2, tables=4000, collisions=1)
    shares = (buckets.queries == buckets.keys).double().mean((0, 2))
    for share, theta in zip(shares.tolist(), (angle, math.pi - angle), strict=True):
        expected = (1 - theta / math.pi) ** 2
        assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / 12_000)


def test_a_query_along_a_key_less_the_mean_meets_it_everywhere_and_its_opposite_nowhere(make_features):
    keys = make_features("square", seed=8).raw_keys + 50
    queries = keys - keys.mean(1, keepdim=True)
    features = dataclasses.replace(make_features("square"), raw_queries=queries, raw_keys=keys)
    point = {"bits": 3, "tables": 16, "collisions": 16}
    assert SimHash(Context()).support(features, **point).diagonal(dim1=1, dim2=2).all()
    opposite = dataclasses.replace(features, raw_queries=-queries)
    point["collisions"] = 1
    assert not SimHash(Context()).support(opposite, **point).diagonal(dim1=1, dim2=2).any()


def test_more_tables_add_pairs_and_more_collisions_take_some_away(make_features):
    features, predictor = make_features("long"), SimHash(Context())
    few, many, strict = (
        predictor.support(features, bits=4, tables=tables, collisions=collisions)
        for tables, collisions in ((4, 1), (12, 1), (12, 2))
    )
    assert not (few & ~many).any() and not (strict & ~many).any()
    assert few.sum() < many.sum() > strict.sum() > 0


def test_planes_are_drawn_once_for_each_head_of_each_layer(make_features):
    def planes(seed=0, **place):
        return SimHash(Context(seed)).directions(make_features("square", **place), 3, 2)

    first = planes()
    assert first.shape == (3, 5, 6)
    assert torch.equal(planes(index=9), first)
    assert not torch.equal(planes(layer=2), first) and not torch.equal(planes(seed=1), first)
    assert not torch.equal(first[0], first[1])
    part = make_features("square").part(slice(1, 3))
    assert torch.equal(SimHash(Context()).directions(part, 3, 2), first[1:])


def test_the_cost_is_that_of_the_mean_and_of_all_projections(make_features):
    cost = SimHash(Context()).cost(make_features("fewer-queries"), bits=3, tables=4, collisions=2)
    assert cost == 11 * 5 + 15 * 12 * 6
