"""Window, BigBird and Longformer against their plain definitions."""

from __future__ import annotations

import itertools

import pytest
import torch

from sparse_attention.predictors.base import Context
from sparse_attention.predictors.patterns import BigBird, Longformer
from sparse_attention.predictors.window import Window


@pytest.mark.parametrize("width", [1, 3, 5, 99])
def test_window_is_centred_on_the_query(width, features, by_definition):
    (support,) = Window(Context()).supports(features, [{"width": width}])
    assert torch.equal(support, by_definition(features, lambda _, i, j: abs(i - j) <= (width - 1) / 2))


def is_fixed_part_of_bigbird(shape, i, j):
    _, queries, keys = shape
    return abs(i - j) <= 1 or i in (0, queries - 1) or j in (0, keys - 1)


@pytest.mark.parametrize("random_keys", [0, 1, 3, 1000])
def test_bigbird_is_its_pattern_and_random_keys(random_keys, features, by_definition):
    pattern = by_definition(features, lambda _, i, j: is_fixed_part_of_bigbird(features.shape, i, j))
    (support,) = BigBird(Context()).supports(features, [{"random_keys": random_keys}])
    assert not (pattern & ~support).any()
    available = features.valid.sum(-1)
    extra = (support & ~pattern).sum(-1)
    assert (extra <= available.clamp(max=random_keys)).all()
    lowest = (available.clamp(max=random_keys) - pattern.sum(-1)).clamp(min=0)
    assert (extra >= lowest).all()


def test_bigbird_draws_uniformly_from_all_valid_keys_per_query_and_head(make_features):
    predictor, drawn = BigBird(Context(seed=5)), torch.zeros(70)
    for index in range(60):
        features = make_features("long", index=index)
        _, noise, ordered = predictor.prepare(features)
        keys = (noise <= ordered[..., 2, None]).float()
        assert (keys.sum(-1) == 3).all()
        assert not torch.equal(keys[0], keys[1])
        drawn += keys.sum((0, 1))
    expected = 60 * 3 * 70 * 3 / 70
    assert (drawn / expected - 1).abs().max() < 5 / expected**0.5


def test_bigbird_never_draws_invalid_keys_while_valid_ones_are_left(make_features):
    features = make_features("causal")
    _, noise, ordered = BigBird(Context()).prepare(features)
    for query in range(9):
        drawn = noise[:, query] <= ordered[:, query, query, None]
        assert torch.equal(drawn, features.valid[query].expand(3, 9))


@pytest.mark.parametrize("global_tokens", [1, 2, 4, 1000])
def test_longformer_is_the_diagonal_and_rows_and_columns_of_global_tokens(global_tokens, features, by_definition):
    predictor = Longformer(Context(seed=1))
    tokens = max(features.shape[1:])
    place = [0, *(predictor.rng(features).permutation(tokens - 1) + 1).tolist()]
    chosen = {position for position in range(tokens) if place[position] < global_tokens}
    assert 0 in chosen
    assert len(chosen) == min(global_tokens, tokens)
    (support,) = predictor.supports(features, [{"global_tokens": global_tokens}])
    assert torch.equal(support, by_definition(features, lambda _, i, j: i == j or i in chosen or j in chosen))


def test_longformer_draws_other_tokens_in_every_example_and_layer(make_features):
    predictor, drawn = Longformer(Context()), set()
    for layer, index in itertools.product(range(3), range(3)):
        features = make_features("long", layer=layer, index=index)
        (support,) = predictor.supports(features, [{"global_tokens": 4}])
        drawn.add(tuple(support[0, 1].tolist()))
    assert len(drawn) == 9
