"""The gate: pools and probabilities against their plain definitions, and gold supports that it can express."""

from __future__ import annotations

import math

import pytest
import torch

from learnable import HEADS, features_like, gold_like, recall_and_sparsity, same_code
from sparse_attention.attention.blocks import block_any
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.features import block_features
from sparse_attention.predictors.gate import Gate, pooled
from sparse_attention.qk.gold import block_gold


def new(dim=3, block=1, steps=150):
    return Gate(Context(0, {"dim": dim, "block": block, "steps": steps}))


def with_random_weights(features, dim, block):
    predictor, generator = new(dim, block), torch.Generator().manual_seed(5)
    widths = [vectors.shape[-1] for vectors in pooled(features, block)]
    predictor.learned[features.layer] = {
        side: {
            "w": torch.randn(features.shape[0], width, dim, generator=generator),
            "b": torch.randn(features.shape[0], 1, dim, generator=generator),
        }
        for side, width in zip(("queries", "keys"), widths, strict=True)
    }
    offset = torch.randn(features.shape[0], 1, 1, generator=generator)
    predictor.learned[features.layer]["logit"] = {"offset": offset}
    return predictor


def block_of(vectors, head, position, size):
    """The vectors of the block that holds a position."""
    first = position // size * size
    return [vector.double().tolist() for vector in vectors[head, first : first + size]]


def mapped(weights, head, vector):
    rows = zip(vector, weights["w"][head].double(), strict=True)
    return (sum(x * row for x, row in rows) + weights["b"][head, 0]).tolist()


def probability(learned, head, query_block, key_block, dim):
    """The gate's probability, in plain loops."""
    query = [sum(column) / len(query_block) for column in zip(*query_block, strict=True)]
    columns = list(zip(*key_block, strict=True))
    key = [sum(column) / len(key_block) for column in columns]
    if learned["keys"]["w"].shape[1] > len(key):
        key += [max(column) for column in columns] + [min(column) for column in columns]
    low = mapped(learned["queries"], head, query), mapped(learned["keys"], head, key)
    logit = sum(a * b for a, b in zip(*low, strict=True)) / math.sqrt(dim) + float(learned["logit"]["offset"][head])
    return 1 / (1 + math.exp(-logit))


@pytest.mark.parametrize("block", [1, 2, 4, 30])
def test_keeps_pairs_of_blocks_whose_probability_reaches_the_threshold(block, features, by_definition):
    dim = 2
    predictor = with_random_weights(features, dim, block)
    learned, found = predictor.learned[features.layer], {}
    for h in range(features.shape[0]):
        for i in range(features.shape[1]):
            for j in range(features.shape[2]):
                blocks = (
                    block_of(features.raw_queries, h, i, block), block_of(features.raw_keys, h, j, block)
                )  # fmt: skip
                found[h, i, j] = probability(learned, h, *blocks, dim)
    for threshold in (0.05, 0.5, 0.9):
        # a threshold that rounding does not decide
        threshold = next(t for t in (threshold, threshold + 1e-3) if all(abs(p - t) > 1e-6 for p in found.values()))
        expected = by_definition(features, lambda h, i, j, t=threshold: found[h, i, j] >= t)
        assert torch.equal(predictor.support(features, threshold=threshold), expected)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_pairs_of_blocks_hold_any_of_their_pairs(size):
    pairs = torch.rand(3, 7, 10, generator=torch.Generator().manual_seed(0)) < 0.1
    found = block_any(pairs, size)
    assert found.shape == (3, -(-7 // size), -(-10 // size))
    for h, i, j in torch.cartesian_prod(*map(torch.arange, found.shape)).tolist():
        assert found[h, i, j] == pairs[h, i * size : (i + 1) * size, j * size : (j + 1) * size].any()


@pytest.mark.parametrize("causal", [False, True])
def test_blocks_of_tokens_and_blocks_of_the_gate_are_the_same(causal):
    """Pooling 4 tokens, 4 positions of 1 token, or 2 positions of 2 tokens each."""
    tokens = same_code(4, queries=18, keys=26, causal=causal)
    found = []
    for size in (1, 2, 4):
        seen = [(block_features(f, size), block_gold(g, size)) for f, g in tokens] if size > 1 else tokens
        predictor = new(2, 4 // size, steps=5)
        predictor.fit(0, seen)
        probabilities = predictor.prepare(seen[0][0])
        positions = -(-18 // size), -(-26 // size)
        assert probabilities.shape == (HEADS, *positions)
        found.append(probabilities[:, :: 4 // size, :: 4 // size])
    for other in found[1:]:
        torch.testing.assert_close(other, found[0])


def low_rank(count, first, causal=False):
    """Pairs are gold when their product in two hidden dimensions is above 12."""
    maps = torch.randn(2, HEADS, 6, 2, generator=torch.Generator().manual_seed(0))
    for index in range(first, first + count):
        generator = torch.Generator().manual_seed(index)
        vectors = [torch.randn(HEADS, 40, 6, generator=generator) + 0.3 for _ in range(2)]
        features = features_like(*vectors, causal=causal, index=index)
        products = (vectors[0] @ maps[0]) @ (vectors[1] @ maps[1]).mT
        yield features, gold_like((products > 12) & features.valid)


@pytest.mark.parametrize("causal", [False, True])
def test_learns_which_low_rank_products_are_large(causal):
    # one dimension more than needed: descent gets stuck more easily without
    predictor = new(dim=3, steps=300)
    predictor.fit(0, list(low_rank(16, 0, causal)))
    recall, sparsity, gold_sparsity = recall_and_sparsity(predictor, list(low_rank(8, 100, causal)), threshold=0.5)
    assert 0.8 < gold_sparsity < 0.99
    assert recall >= 0.95
    assert sparsity == pytest.approx(gold_sparsity, abs=0.005)


def test_learns_blocks_whose_tokens_have_the_same_code():
    predictor = new(dim=4, block=4)
    predictor.fit(0, same_code(16, queries=24, keys=64, run=4))
    recall, sparsity, gold_sparsity = recall_and_sparsity(
        predictor, same_code(4, queries=24, keys=64, run=4, first=50), threshold=0.5
    )
    assert recall >= 0.95
    assert sparsity == pytest.approx(gold_sparsity, abs=0.005)


def test_probabilities_are_those_of_the_data():
    """With keys that tell nothing, each head learns its share of gold pairs."""
    shares, examples = torch.tensor([0.03, 0.4]), []
    for index in range(8):
        generator = torch.Generator().manual_seed(index)
        features = features_like(*(torch.ones(HEADS, 60, 4) for _ in range(2)), index=index)
        support = torch.rand(HEADS, 60, 60, generator=generator) < shares[:, None, None]
        examples.append((features, gold_like(support)))
    predictor = new()
    predictor.fit(0, examples)
    torch.testing.assert_close(predictor.prepare(examples[0][0]).mean((1, 2)), shares, atol=0.02, rtol=0)


def test_a_higher_threshold_only_removes(features):
    predictor = with_random_weights(features, 2, 2)
    supports = [predictor.support(features, threshold=threshold) for threshold in (0.9, 0.5, 0.1)]
    assert not (supports[0] & ~supports[1]).any()
    assert not (supports[1] & ~supports[2]).any()


@pytest.mark.parametrize(
    ("size", "block", "expected"),
    [
        (1, 1, (9 + 9) * 5 * 3 + 81 * 4),
        (1, 4, (9 + 3 * 9) * 5 + (3 + 3 * 3) * 5 * 3 + 9 * 4),
        (4, 1, (3 + 3 * 3) * 20 + (3 + 3 * 3) * 5 * 3 + 9 * 4),
        (4, 2, (3 + 3 * 3) * 20 + (2 + 3 * 2) * 5 * 3 + 4 * 4),
    ],
)
def test_cost_counts_pools_maps_and_pairs_of_blocks(size, block, expected, make_features):
    assert new(3, block).cost(block_features(make_features("square"), size), threshold=0.5) == expected
