"""Ranking by principal components and by the largest channels, against their plain definitions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from covering import all_pairs
from examples import EXAMPLES
from sparse_attention.errors import InputError
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.bounds import Oracle
from sparse_attention.predictors.lowrank import LargestChannels, PrincipalComponents

DISTINCT = ("square", "causal", "fewer-queries", "fewer-keys", "local", "longer")


def best(scores, valid, keys):
    """The first `keys` valid places by falling score, of equal ones the first."""
    places = [j for j in range(len(scores)) if valid[j]]
    return set(sorted(places, key=lambda j: (-scores[j], j))[:keys])


def fitted(training, layer=1):
    predictor = PrincipalComponents(Context())
    predictor.fit(layer, [(features, None) for features in training])
    return predictor


@pytest.fixture
def training(make_features):
    """Examples of different lengths whose keys lie around a point far from the origin, more along some axes."""
    scale = torch.tensor([0.3, 3.0, 1.0, 0.1, 2.0])
    examples = [make_features(shape, seed=seed) for seed, shape in enumerate(("long", "longer", "square"))]
    return [dataclasses.replace(f, raw_keys=f.raw_keys * scale + torch.arange(5) * 4) for f in examples]


def components(training, head):
    keys = np.concatenate([features.raw_keys[head].double().numpy() for features in training])
    values, vectors = np.linalg.eigh(np.cov(keys.T, bias=True))
    return vectors[:, np.argsort(-values)]


@all_pairs(shape=DISTINCT, keys=[1, 3, 100], dim=[1, 2, 4])
def test_pca_ranks_by_the_first_components_of_the_training_keys(
    shape, keys, dim, training, make_features, by_definition
):
    features = make_features(shape, seed=7)
    chosen = {}
    for head in range(3):
        axes = components(training, head)[:, :dim]
        low_queries, low_keys = (x[head].double().numpy() @ axes for x in (features.raw_queries, features.raw_keys))
        for i, row in enumerate((low_queries @ low_keys.T).tolist()):
            chosen[head, i] = best(row, features.valid[i], keys)
    support = fitted(training).support(features, dim=dim, keys=keys)
    assert torch.equal(support, by_definition(features, lambda h, i, j: j in chosen[h, i]))


def test_pca_in_one_dimension_sees_only_the_axis_of_greatest_variance(make_features):
    spread = torch.tensor([0.1, 0.1, 2.0, 0.1, 0.1])
    example = make_features("long")
    # the mean, which lies along another axis, is much larger than any deviation
    example = dataclasses.replace(example, raw_keys=example.raw_keys * spread + torch.tensor([50.0, 0, 0, 0, 0]))
    keys = torch.zeros(3, 9, 5)
    keys[:, 4, 2], keys[:, 6, 0] = 1, 10
    features = dataclasses.replace(make_features("square"), raw_queries=torch.ones(3, 9, 5), raw_keys=keys)
    support = fitted([example]).support(features, dim=1, keys=1)
    assert support.nonzero()[:, 2].unique().tolist() == [4]


def test_pca_is_blind_to_a_shift_of_all_keys(training, make_features):
    features, shift = make_features("longer", seed=3), torch.randn(3, 1, 5, generator=torch.Generator().manual_seed(1))
    moved = [dataclasses.replace(f, raw_keys=f.raw_keys + shift) for f in (*training, features)]
    before = fitted(training).support(features, dim=2, keys=5)
    assert torch.equal(fitted(moved[:-1]).support(moved[-1], dim=2, keys=5), before)


def test_pca_with_all_components_is_the_oracle(training, make_features):
    features = make_features("causal", seed=2)
    support = fitted(training).support(features, dim=5, keys=2)
    assert torch.equal(support, Oracle(Context()).support(features, keys=2))


def test_pca_uses_the_components_of_the_heads_it_is_given(training, make_features):
    features, predictor = make_features("longer"), fitted(training)
    whole = predictor.support(features, dim=1, keys=4)
    assert torch.equal(predictor.support(features.part(slice(1, 3)), dim=1, keys=4), whole[1:])


def test_pca_learns_each_layer_anew(training, make_features):
    features, other = make_features("longer"), [make_features("long", seed=9)]
    predictor = fitted(training)
    predictor.fit(1, [(f, None) for f in other])
    again = predictor.support(features, dim=1, keys=4)
    assert torch.equal(again, fitted(other).support(features, dim=1, keys=4))
    assert not torch.equal(again, fitted(training).support(features, dim=1, keys=4))


@all_pairs(channels=[1, 2, 4], keys=[1, 3, 100], features=EXAMPLES, indirect=["features"])
def test_sparq_ranks_by_each_querys_largest_channels(channels, keys, features, by_definition):
    chosen = {}
    for head in range(3):
        queries, vectors = features.raw_queries[head].tolist(), features.raw_keys[head].tolist()
        for i, query in enumerate(queries):
            largest = sorted(range(5), key=lambda c: (-abs(query[c]), c))[:channels]
            scores = [sum(query[c] * vector[c] for c in largest) for vector in vectors]
            chosen[head, i] = best(scores, features.valid[i], keys)
    support = LargestChannels(Context()).support(features, channels=channels, keys=keys)
    assert torch.equal(support, by_definition(features, lambda h, i, j: j in chosen[h, i]))


def test_sparq_misses_what_lies_in_a_smaller_channel(make_features):
    queries, keys = torch.zeros(3, 9, 5), torch.zeros(3, 9, 5)
    queries[..., 1], queries[..., 3] = -3, 2
    keys[:, 7, 3], keys[:, 5, 1] = 100, -1
    features = dataclasses.replace(make_features("square"), raw_queries=queries, raw_keys=keys)
    found = [LargestChannels(Context()).support(features, channels=c, keys=1).nonzero()[:, 2].unique() for c in (1, 2)]
    assert [places.tolist() for places in found] == [[5], [7]]


def test_sparq_with_all_channels_is_the_oracle(make_features):
    features = make_features("local", seed=4)
    support = LargestChannels(Context()).support(features, channels=5, keys=2)
    assert torch.equal(support, Oracle(Context()).support(features, keys=2))


@pytest.mark.parametrize("predictor, setting", [("pca", "dim"), ("sparq", "channels")])
def test_more_numbers_than_a_vector_has_are_refused(predictor, setting, training, make_features):
    instance = fitted(training) if predictor == "pca" else LargestChannels(Context())
    with pytest.raises(InputError, match=rf"predictors\.{predictor}\.{setting}: 6; allowed: 1 to 5"):
        instance.support(make_features("square"), **{setting: 6, "keys": 1})


def test_costs_count_valid_pairs_only(make_features):
    full, causal = make_features("square"), make_features("causal")
    assert PrincipalComponents(Context()).cost(full, dim=2, keys=1) == 18 * 5 * 2 + 81 * 3
    assert PrincipalComponents(Context()).cost(causal, dim=2, keys=1) == 18 * 5 * 2 + 45 * 3
    assert LargestChannels(Context()).cost(full, channels=2, keys=1) == 9 * 5 + 81 * 3
    assert LargestChannels(Context()).cost(causal, channels=2, keys=1) == 9 * 5 + 45 * 3
