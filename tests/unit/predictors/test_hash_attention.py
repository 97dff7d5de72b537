"""Learned codes: shared bits against their plain definition, and a gold support that only signs tell."""

from __future__ import annotations

import math

import pytest
import torch

from covering import all_pairs
from examples import EXAMPLES
from learnable import features_like, gold_like, recall_and_sparsity, same_code
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.features import block_features
from sparse_attention.predictors.hash_attention import HashAttention


def new(bits=4, hidden=0, steps=60):
    return HashAttention(Context(0, {"bits": bits, "hidden": hidden, "steps": steps}))


def with_random_weights(features, bits, hidden=0):
    """A predictor whose weights are drawn, not learned, for the layer of `features`."""
    predictor, generator = new(bits, hidden), torch.Generator().manual_seed(5)
    heads, width = features.shape[0], features.raw_keys.shape[-1]
    shapes = {"w": (width, bits), "b": (1, bits)}
    if hidden:
        shapes = {"w1": (width, hidden), "b1": (1, hidden), "w2": (hidden, bits), "b2": (1, bits)}
    predictor.learned[features.layer] = {
        side: {name: torch.randn(heads, *shape, generator=generator) for name, shape in shapes.items()}
        for side in ("queries", "keys")
    }
    return predictor


def code(weights, head, vector):
    """The bits of one vector, in plain loops."""
    layers = [("w", "b")] if "w" in weights else [("w1", "b1"), ("w2", "b2")]
    numbers = vector.double()
    for place, (w, b) in enumerate(layers):
        numbers = torch.tanh(numbers) if place else numbers
        numbers = sum(x * row.double() for x, row in zip(numbers, weights[w][head], strict=True)) + weights[b][head, 0]
    return [bool(number > 0) for number in numbers]


@all_pairs(
    sizes={"1-bit": (1, 0), "4-bits": (4, 0), "70-bits": (70, 0), "hidden-layer": (4, 3)},
    keys=[1, 3, 50],
    features=EXAMPLES,
    indirect=["features"],
)
def test_keeps_the_keys_that_share_the_most_bits_and_of_equals_the_first(sizes, keys, features, by_definition):
    bits, hidden = sizes
    predictor = with_random_weights(features, bits, hidden)
    learned = predictor.learned[features.layer]
    chosen = {}
    for h in range(features.shape[0]):
        of_keys = [code(learned["keys"], h, key) for key in features.raw_keys[h]]
        for i, query in enumerate(features.raw_queries[h]):
            of_query = code(learned["queries"], h, query)
            shared = [sum(a == b for a, b in zip(of_query, other, strict=True)) for other in of_keys]
            valid = [j for j in range(features.shape[2]) if features.valid[i, j]]
            chosen[h, i] = sorted(valid, key=lambda j, shared=shared: (-shared[j], j))[:keys]
    support = predictor.support(features, keys=keys)
    assert torch.equal(support, by_definition(features, lambda h, i, j: j in chosen[h, i]))


def test_scores_stay_exact_with_many_bits_and_keys():
    """All keys share all bits: the scores differ by the keys' places only, and are beyond what float32 tells apart."""
    bits, count = 300, 70_000
    features = features_like(torch.zeros(1, 2, 1), torch.zeros(1, count, 1))
    predictor = new(bits)
    side = {"w": torch.zeros(1, 1, bits), "b": torch.ones(1, 1, bits)}
    predictor.learned[0] = {"queries": side, "keys": side}
    scores = predictor.prepare(features)
    assert torch.equal(scores, (bits * count - torch.arange(count, dtype=torch.float64)).expand(1, 2, -1))


def test_learns_which_signs_must_agree():
    """Independent normal vectors: gold are the pairs whose first two numbers, after a rotation, have the same signs."""

    def examples(count, first):
        rotations = torch.linalg.qr(torch.randn(2, 2, 6, 6, generator=torch.Generator().manual_seed(0)))[0]
        for index in range(first, first + count):
            generator = torch.Generator().manual_seed(index)
            low = [torch.randn(2, n, 6, generator=generator) for n in (40, 60)]
            low = [x + 0.3 * x.sign() for x in low]
            support = ((low[0][:, :, None, :2] > 0) == (low[1][:, None, :, :2] > 0)).all(-1)
            raw = (x @ rotation for x, rotation in zip(low, rotations, strict=True))
            yield features_like(*raw, index=index), gold_like(support)

    predictor, test = new(bits=16, steps=200), list(examples(4, 100))
    predictor.fit(0, list(examples(16, 0)))
    hit = total = 0
    for features, gold in test:
        rank = predictor.prepare(features).argsort(dim=-1, descending=True).argsort(dim=-1)
        # as many keys as the query has gold keys
        hit += int((gold.support & (rank < gold.support.sum(-1, keepdim=True))).sum())
        total += int(gold.support.sum())
    assert hit / total >= 0.95


def test_more_bits_and_a_hidden_layer_are_learned_too():
    predictor = new(bits=24, hidden=8, steps=150)
    predictor.fit(0, same_code(12))
    recall, sparsity, gold_sparsity = recall_and_sparsity(predictor, same_code(4, first=50), keys=4)
    assert recall >= 0.95
    assert sparsity == pytest.approx(gold_sparsity)


@pytest.mark.parametrize(
    ("bits", "hidden", "expected"),
    [
        (4, 0, (9 + 9) * (5 * 4 + 4) + 81 * 3),
        (65, 0, (9 + 9) * (5 * 65 + 65) + 81 * 5),
        (4, 3, (9 + 9) * (5 * 3 + 3 * 4 + 4) + 81 * 3),
    ],
)
def test_cost_counts_maps_signs_and_words(bits, hidden, expected, make_features):
    assert new(bits, hidden).cost(make_features("square"), keys=3) == expected


def test_cost_of_blocks_counts_their_long_vectors(make_features):
    blocks = block_features(make_features("square"), 4)
    assert new(4).cost(blocks, keys=3) == (3 + 3) * (20 * 4 + 4) + 9 * 3
    assert math.isfinite(new(4).cost(blocks))
