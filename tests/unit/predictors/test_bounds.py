"""Oracle and random against their plain definitions."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from sparse_attention.predictors.base import Context
from sparse_attention.predictors.bounds import Oracle, Random
from sparse_attention.predictors.features import block_features


@pytest.mark.parametrize("keys", [1, 2, 3, 10, 1000])
def test_oracle_takes_the_best_valid_keys_and_of_equals_the_first(keys, features, by_definition):
    scores = (features.raw_queries.double() @ features.raw_keys.double().transpose(1, 2)).tolist()
    chosen = {
        (h, i): set(sorted(features.valid[i].nonzero().flatten().tolist(), key=lambda j: (-scores[h][i][j], j))[:keys])
        for h in range(features.shape[0])
        for i in range(features.shape[1])
    }
    support = Oracle(Context()).support(features, keys=keys)
    assert torch.equal(support, by_definition(features, lambda h, i, j: j in chosen[h, i]))


def test_oracle_ignores_the_projection(make_features):
    few, many = make_features("square", dim=2), make_features("square", dim=2, seed=1)
    mixed = type(few)(0, 0, many.queries, many.keys, few.raw_queries, few.raw_keys, few.valid)
    first, second = (Oracle(Context()).support(f, keys=2) for f in (few, mixed))
    assert torch.equal(first, second)


def test_random_keeps_about_its_share_of_each_head_and_denser_contains_sparser(make_features):
    grid = [{"sparsity": sparsity} for sparsity in (0.0, 0.5, 0.9, 1.0)]
    supports = [Random(Context(seed=3)).support(make_features("long"), **point) for point in grid]
    for point, support in zip(grid, supports, strict=True):
        spread = (point["sparsity"] * (1 - point["sparsity"]) / 70**2) ** 0.5
        assert (support.float().mean((1, 2)) - (1 - point["sparsity"])).abs().max() <= 4 * spread
    for denser, sparser in pairwise(supports):
        assert not (sparser & ~denser).any()


def test_random_keeps_only_valid_pairs_and_heads_differ(make_features):
    features = make_features("causal")
    support = Random(Context()).support(features, sparsity=0.3)
    assert not (support & ~features.valid).any()
    assert not torch.equal(support[0], support[1])


@pytest.mark.parametrize("size", [2, 4])
def test_the_oracle_of_blocks_ranks_them_by_their_best_score(size, features, by_definition):
    blocks = block_features(features, size)
    scores = features.raw_queries.double() @ features.raw_keys.double().transpose(1, 2)
    scores = scores.masked_fill(~features.valid, -torch.inf)
    relative = scores - scores.amax(-1, keepdim=True)
    heads, queries, keys = blocks.shape
    best = [
        [[float(relative[h, i * size : (i + 1) * size, j * size : (j + 1) * size].max()) for j in range(keys)]
         for i in range(queries)] for h in range(heads)
    ]  # fmt: skip
    order = [[sorted(range(keys), key=lambda j, row=row: (-row[j], j))[:2] for row in head] for head in best]
    support = Oracle(Context()).support(blocks, keys=2)
    assert torch.equal(support, by_definition(blocks, lambda h, i, j: j in order[h][i]))
