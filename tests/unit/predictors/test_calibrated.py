"""Thresholds per head against plain quantiles of the train split's valid pairs."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import jsonschema
import pytest
import torch

from covering import all_pairs
from sparse_attention.attention.distances import cosine, least_squared, least_squared_of_units, squared_euclidean
from sparse_attention.predictors import calibrated
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.calibrated import Calibrated
from sparse_attention.predictors.distance import Cosine, LeastOfUnits

DISTANCES = {"cos": cosine, "l2": squared_euclidean, "min": least_squared, "min_norm": least_squared_of_units}
SPARSITIES = [0.02, 0.5, 0.81, 0.9, 0.99]


@pytest.fixture(autouse=True)
def small_sample(monkeypatch):
    monkeypatch.setattr(calibrated, "SAMPLE", 2**14)


def training_of(make_features, *shapes, spread=True, **settings):
    """Features of examples, head by head further apart; the gold supports are not looked at."""
    examples = []
    for index, shape in enumerate(shapes):
        features = make_features(shape, seed=index, **settings)
        wider = torch.tensor([1.0, 3.0, 9.0])[:, None, None] if spread else 1.0
        features = dataclasses.replace(features, index=index, queries=wider * features.queries)
        examples.append((features, None))
    return examples


def fitted(training, seed=0):
    predictor = Calibrated(Context(seed))
    predictor.fit(1, training)
    return predictor


def plain_thresholds(training, distance, sparsity, copies):
    """The value of rank `(1 - sparsity) * pairs` among all valid pairs, each so many times, for each head."""
    found = []
    for head in range(3):
        values = []
        for features, _ in training:
            distances = DISTANCES[distance](features.queries, features.keys)[head]
            values += distances[features.valid].tolist() * copies
        kept = round((1 - sparsity) * len(values))
        found.append(sorted(values)[kept] if kept < len(values) else float("inf"))
    return found


@all_pairs(
    distance=list(DISTANCES),
    shape=["square", "causal", "fewer-queries", "fewer-keys", "local", "one-token", "long"],
    tied={"distinct": False, "tied": True},
)
def test_with_room_for_all_pairs_thresholds_are_the_quantiles(distance, shape, tied, make_features, monkeypatch):
    training = training_of(make_features, shape, shape, tied=tied)
    pairs = sum(int(features.valid.sum()) for features, _ in training)
    monkeypatch.setattr(calibrated, "SAMPLE", 8 * pairs)
    predictor = fitted(training)
    for sparsity in SPARSITIES:
        expected = plain_thresholds(training, distance, sparsity, copies=8)
        assert predictor.thresholds(1, distance, sparsity).tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("distance", DISTANCES)
def test_every_head_keeps_its_share_of_unseen_examples(distance, make_features):
    predictor = fitted(training_of(make_features, *["long"] * 12, dim=4))
    (unseen, _), *_ = training_of(make_features, "long", dim=4)
    unseen = dataclasses.replace(unseen, queries=unseen.queries.flip(1))
    single = DISTANCES[distance](unseen.queries, unseen.keys)
    for sparsity in (0.5, 0.8, 0.9):
        share = predictor.support(unseen, distance=distance, sparsity=sparsity).float().mean((1, 2))
        assert ((share - (1 - sparsity)).abs() < 0.25 * (1 - sparsity)).all()
        if distance in ("l2", "min"):  # one threshold for all heads would not do
            one = (single < single.quantile(1 - sparsity)).float().mean((1, 2))
            assert one.max() > 2 * one.min()


@pytest.mark.parametrize("distance", DISTANCES)
def test_supports_are_the_pairs_below_the_heads_own_threshold(distance, features, by_definition, make_features):
    predictor = fitted(training_of(make_features, "square", "longer", "causal"))
    distances = DISTANCES[distance](features.queries, features.keys)
    grid = [{"distance": distance, "sparsity": sparsity} for sparsity in (0.9, 0.3, 0.6)]
    found = [None] * len(grid)
    for places, support in predictor.supports(features, grid):
        for level, place in enumerate(places):
            found[place] = (support.first <= level) & features.valid
    for point, support in zip(grid, found, strict=True):
        bounds = predictor.thresholds(1, **point).tolist()
        expected = by_definition(features, lambda h, i, j, bounds=bounds: float(distances[h, i, j]) < bounds[h])
        assert torch.equal(support, expected)
        assert torch.equal(predictor.support(features, **point), expected)
        part = features.part(slice(1, 3))
        assert torch.equal(predictor.support(part, **point), expected[1:])


def test_examples_count_alike_whatever_their_length(make_features):
    (short, _), (long, _) = training_of(make_features, "one-token", "long", spread=False)
    near = dataclasses.replace(short, keys=short.queries.clone())  # the only pair of the short one: distance 0
    bounds = fitted([(near, None), (long, None)]).thresholds
    assert (bounds(1, "l2", 0.55) == 0).all()
    assert (bounds(1, "l2", 0.45) > 0).all()


def test_pairs_that_may_not_attend_are_not_looked_at(make_features):
    training = training_of(make_features, "causal", "causal")
    changed = []
    for features, gold in training:
        keys = features.keys.clone()
        keys[:, -1] *= 100  # only the last query sees it
        valid = features.valid.clone()
        valid[:, -1] = False
        changed.append((dataclasses.replace(features, keys=keys, pairs=valid), gold))
    original = [(dataclasses.replace(f, pairs=v.valid), g) for (f, g), (v, _) in zip(training, changed, strict=True)]
    for distance in DISTANCES:
        one, other = (fitted(each).thresholds(1, distance, 0.5) for each in (original, changed))
        assert torch.equal(one, other)


def test_heads_learn_each_by_itself_and_chance_is_the_seeds(make_features, monkeypatch):
    monkeypatch.setattr(calibrated, "SAMPLE", 500)
    training = training_of(make_features, "long", "long", "long")
    whole = fitted(training).thresholds(1, "l2", 0.9)
    torch.manual_seed(7)
    assert torch.equal(fitted(training).thresholds(1, "l2", 0.9), whole)
    assert not torch.equal(fitted(training, seed=1).thresholds(1, "l2", 0.9), whole)
    for head in range(3):
        alone = [(features.part(slice(head, head + 1)), gold) for features, gold in training]
        assert torch.equal(fitted(alone).thresholds(1, "l2", 0.9), whole[head : head + 1])


@pytest.mark.parametrize(("sample", "examples", "kept"), [(100, 4, 100), (101, 4, 100), (3, 5, 5)])
def test_memory_is_bounded_whatever_the_length_of_examples(sample, examples, kept, make_features, monkeypatch):
    monkeypatch.setattr(calibrated, "SAMPLE", sample)
    predictor = fitted(training_of(make_features, *["long"] * examples))
    assert {tuple(ordered.shape) for ordered in predictor.learned[1]["sorted"].values()} == {(3, kept)}


def test_sampled_pairs_are_spread_evenly_over_queries_and_keys(make_features, monkeypatch):
    monkeypatch.setattr(calibrated, "SAMPLE", 4900 // 7)
    place = torch.arange(70.0)[None, :, None].expand(3, -1, 2)
    (features, _), *_ = training_of(make_features, "long")
    features = dataclasses.replace(features, queries=place, keys=place)
    counts = torch.zeros(2, 70)
    for index in range(40):
        pair = Calibrated(Context())._sampled(dataclasses.replace(features, index=index), 700)
        for side, vectors in enumerate(pair):
            counts[side] += torch.bincount(vectors[0, :, 0].long(), minlength=70)
    assert (counts[0] == 400).all()  # ten from every query each time
    assert (counts[1] - 400).abs().max() < 5 * 400**0.5


def test_less_sparse_contains_sparser(features, make_features):
    predictor = fitted(training_of(make_features, "square", "longer"))
    for distance in DISTANCES:
        supports = [predictor.support(features, distance=distance, sparsity=sparsity) for sparsity in SPARSITIES]
        for denser, sparser in pairwise(supports):
            assert not (sparser & ~denser).any()


def test_a_sparsity_that_rounds_to_nothing_keeps_all(make_features, monkeypatch):
    monkeypatch.setattr(calibrated, "SAMPLE", 10)
    predictor = fitted(training_of(make_features, "square", "square"))
    features = make_features("causal")
    support = predictor.support(features, distance="l2", sparsity=0.001)
    assert torch.equal(support, features.valid.expand(features.shape))


def test_the_cost_is_that_of_the_distance(make_features):
    features = make_features("fewer-queries", dim=4)
    for name, cls, p in (("cos", Cosine, {}), ("min_norm", LeastOfUnits, {"p": 2.0})):
        cost = Calibrated(Context()).cost(features, distance=name, sparsity=0.9)
        assert cost == cls(Context()).cost(features, threshold=1.0, **p) > 0


def test_the_schema_takes_known_distances_and_sparsities_between():
    for key, good, bad in (
        ("distance", list(DISTANCES), ["euclidean", "", 1]),
        ("sparsity", [0.5, 0.999], [0, 1, -1, "0.5"]),
    ):
        for value in good:
            jsonschema.validate(value, Calibrated.parameters[key])
        for value in bad:
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(value, Calibrated.parameters[key])
