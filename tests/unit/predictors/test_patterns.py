"""Window, BigBird, Longformer and the Sparse Transformer against their plain definitions."""

from __future__ import annotations

import itertools

import pytest
import torch

from sparse_attention.predictors.base import Context
from sparse_attention.predictors.patterns import BigBird, Longformer, Strided
from sparse_attention.predictors.window import Window


def drawn_keys(predictor, features, count):
    """The random keys alone, without the pattern around them."""
    pattern, noise = predictor.prepare(features)
    return predictor.levels((torch.zeros_like(pattern), noise), [count]) == 0


@pytest.mark.parametrize("width", [1, 3, 5, 99])
def test_window_is_centred_on_the_query(width, features, by_definition):
    support = Window(Context()).support(features, width=width)
    assert torch.equal(support, by_definition(features, lambda _, i, j: abs(i - j) <= (width - 1) / 2))


def test_a_window_of_width_0_holds_nothing_not_even_the_diagonal(features):
    assert not Window(Context()).support(features, width=0).any()


def is_fixed_part_of_bigbird(shape, i, j):
    _, queries, keys = shape
    return abs(i - j) <= 1 or i in (0, queries - 1) or j in (0, keys - 1)


@pytest.mark.parametrize("random_keys", [0, 1, 3, 1000])
def test_bigbird_is_its_pattern_and_random_keys(random_keys, features, by_definition):
    pattern = by_definition(features, lambda _, i, j: is_fixed_part_of_bigbird(features.shape, i, j))
    predictor = BigBird(Context())
    drawn = drawn_keys(predictor, features, random_keys)
    assert torch.equal(drawn.sum(-1), features.valid.sum(-1).clamp(max=random_keys).expand(features.shape[:2]))
    assert not (drawn & ~features.valid).any()
    assert torch.equal(predictor.support(features, random_keys=random_keys), pattern | drawn)


def test_bigbird_draws_uniformly_from_all_valid_keys_per_query_and_head(make_features):
    predictor, drawn = BigBird(Context(seed=5)), torch.zeros(70)
    for index in range(60):
        keys = drawn_keys(predictor, make_features("long", index=index), 3).float()
        assert (keys.sum(-1) == 3).all()
        assert not torch.equal(keys[0], keys[1])
        drawn += keys.sum((0, 1))
    expected = 60 * 3 * 70 * 3 / 70
    assert (drawn / expected - 1).abs().max() < 5 / expected**0.5


def test_bigbird_never_draws_invalid_keys_while_valid_ones_are_left(make_features):
    features = make_features("causal")
    for query in range(9):
        drawn = drawn_keys(BigBird(Context()), features, query + 1)
        assert torch.equal(drawn[:, query], features.valid[query].expand(3, 9))


@pytest.mark.parametrize("global_tokens", [1, 2, 4, 1000])
def test_longformer_is_the_diagonal_and_rows_and_columns_of_global_tokens(global_tokens, features, by_definition):
    predictor = Longformer(Context(seed=1))
    tokens = max(features.shape[1:])
    place = [0, *(predictor.rng(features).permutation(tokens - 1) + 1).tolist()]
    chosen = {position for position in range(tokens) if place[position] < global_tokens}
    assert 0 in chosen
    assert len(chosen) == min(global_tokens, tokens)
    support = predictor.support(features, global_tokens=global_tokens)
    assert torch.equal(support, by_definition(features, lambda _, i, j: i == j or i in chosen or j in chosen))


def test_longformer_draws_other_tokens_in_every_example_and_layer(make_features):
    predictor, drawn = Longformer(Context()), set()
    for layer, index in itertools.product(range(3), range(3)):
        features = make_features("long", layer=layer, index=index)
        drawn.add(tuple(predictor.support(features, global_tokens=4)[0, 1].tolist()))
    assert len(drawn) == 9


@pytest.mark.parametrize(("stride", "expressivity"), [(1, 0), (1, 1), (3, 1), (4, 2), (4, 0), (5, 5), (9, 2), (100, 2)])
def test_the_sparse_transformer_sees_its_block_and_every_blocks_last_positions(
    stride, expressivity, features, by_definition
):
    def rule(_, i, j):
        own_block = range(i - i % stride, i - i % stride + stride)
        return j in own_block or j % stride in range(stride - expressivity, stride)

    support = Strided(Context()).support(features, stride=stride, expressivity=expressivity)
    assert torch.equal(support, by_definition(features, rule))


def test_a_worked_example_of_the_sparse_transformer(make_features):
    support = Strided(Context()).support(make_features("square", heads=1), stride=4, expressivity=1)
    rows = ["".join(".x"[kept] for kept in row) for row in support[0].int().tolist()]
    assert rows == ["xxxx...x."] * 4 + ["...xxxxx."] * 4 + ["...x...xx"]


@pytest.mark.parametrize("stride", [9, 10, 1000])
def test_one_block_for_all_is_complete(stride, make_features):
    features = make_features("square")
    assert torch.equal(
        Strided(Context()).support(features, stride=stride, expressivity=2), features.valid.expand(3, 9, 9)
    )


@pytest.mark.parametrize(
    ("predictor", "point"),
    [(Window, {"width": 3}), (BigBird, {"random_keys": 2}), (Longformer, {"global_tokens": 2}),
     (Strided, {"stride": 4, "expressivity": 2})],
)  # fmt: skip
def test_patterns_cost_nothing_and_ignore_content(predictor, point, make_features):
    one, other = make_features("square", seed=0), make_features("square", seed=1)
    pattern = predictor(Context())
    assert pattern.cost(one, **point) == 0
    assert torch.equal(pattern.support(one, **point), pattern.support(other, **point))
