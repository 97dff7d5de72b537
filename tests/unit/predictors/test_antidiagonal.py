"""Blocks chosen by their antidiagonals, against a plain definition and constructed cases."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from covering import all_pairs
from sparse_attention.errors import InputError
from sparse_attention.predictors.antidiagonal import XAttention, tile_scores
from sparse_attention.predictors.base import Context


def tile_score(scores, valid, row, column, stride):
    """The mean of a tile's valid scores on the antidiagonal, of all when there is none, None when it has none."""
    queries, keys = valid.shape
    inside = [
        (i, j)
        for i in range(row * stride, min((row + 1) * stride, queries))
        for j in range(column * stride, min((column + 1) * stride, keys))
        if valid[i, j]
    ]
    pairs = [(i, j) for i, j in inside if i % stride + j % stride == stride - 1] or inside
    return sum(scores[i, j].item() for i, j in pairs) / len(pairs) if pairs else None


def chosen_blocks(features, head, block, stride, threshold):
    """The (row, column) pairs of blocks that are kept for one head, in plain loops."""
    queries, keys = features.valid.shape
    scores = features.raw_queries[head].double() @ features.raw_keys[head].double().T
    scores /= math.sqrt(features.raw_queries.shape[-1])
    sums: dict[tuple[int, int], float] = {}
    for row in range(-(-queries // stride)):
        tiles = {c: tile_score(scores, features.valid, row, c, stride) for c in range(-(-keys // stride))}
        tiles = {c: score for c, score in tiles.items() if score is not None}
        total = sum(math.exp(score) for score in tiles.values())
        for column, score in tiles.items():
            place = row * stride // block, column * stride // block
            sums[place] = sums.get(place, 0) + math.exp(score) / total
    chosen = set()
    for row in {r for r, _ in sums}:
        shares = {c: share for (r, c), share in sums.items() if r == row}
        reached = 0.0
        for column in sorted(shares, key=lambda c: (-shares[c], c)):
            if reached >= threshold * sum(shares.values()):
                break
            chosen.add((row, column))
            reached += shares[column]
    return chosen


@all_pairs(
    shape=["square", "causal", "fewer-queries", "fewer-keys", "local", "one-token", "longer"],
    sizes=[(1, 1), (2, 1), (2, 2), (4, 2), (6, 3), (4, 4), (32, 4)],
    threshold=[0.017, 0.37, 0.61, 0.93],
)
def test_the_fewest_blocks_that_reach_the_share_are_kept(shape, sizes, threshold, make_features, by_definition):
    block, stride = sizes
    features = make_features(shape, seed=2)
    chosen = [chosen_blocks(features, head, block, stride, threshold) for head in range(3)]
    support = XAttention(Context()).support(features, block=block, stride=stride, threshold=threshold)
    assert torch.equal(support, by_definition(features, lambda h, i, j: (i // block, j // block) in chosen[h]))


def vectors_for(scores):
    """Queries and keys of one head with given scores `q·k / √head_dim`: the keys are the axes."""
    keys = scores.shape[1]
    return (scores * math.sqrt(keys))[None], torch.eye(keys)[None]


def example(make_features, scores, valid=None):
    queries, keys = vectors_for(scores)
    valid = torch.ones(scores.shape, dtype=torch.bool) if valid is None else valid
    return dataclasses.replace(make_features("square"), raw_queries=queries, raw_keys=keys, pairs=valid)


def test_a_stripe_and_a_diagonal_are_seen_but_no_pair_off_the_antidiagonal(make_features):
    scores = torch.zeros(16, 16)
    scores[0:4, 9] = 20  # a column crosses every antidiagonal of its tiles
    scores[5, 4] = 20  # local place (1, 0) of a tile of 4
    scores[8:12, 4:8] = 20 * torch.eye(4).flip(0)
    features = example(make_features, scores)
    support = XAttention(Context()).support(features, block=4, stride=4, threshold=0.5)[0]
    blocks = support[::4, ::4]
    assert blocks[0].tolist() == [False, False, True, False]
    assert blocks[2].tolist() == [False, True, False, False]
    # nothing but equal shares: the first two blocks
    assert blocks[1].tolist() == blocks[3].tolist() == [True, True, False, False]
    finer = XAttention(Context()).support(features, block=4, stride=2, threshold=0.5)[0]
    assert finer[4:8, ::4].tolist() == [[False, True, False, False]] * 4


def test_future_keys_do_not_count_even_on_the_antidiagonal(make_features):
    scores, causal = torch.zeros(8, 8), torch.ones(8, 8, dtype=torch.bool).tril()
    tempting = scores.clone()
    tempting[~causal] = 100
    plain, other = (tile_scores(example(make_features, s, causal), 4) for s in (scores, tempting))
    assert torch.equal(plain, other)
    assert plain[0].tolist() == [[0, -math.inf], [0, 0]]


def test_a_last_tile_without_an_antidiagonal_has_the_mean_of_its_pairs(make_features):
    scores = torch.zeros(6, 5)
    scores[4, 4], scores[5, 4] = 3, 5
    # the last tile has 2 queries and 1 key; the antidiagonal of a whole one starts at its fourth query or key
    found = tile_scores(example(make_features, scores), 4)[0]
    assert found.flatten().tolist() == pytest.approx([0, 0, 0, 4], abs=1e-5)


@pytest.mark.parametrize("blind", [slice(4, 6), slice(4, 8), slice(5, 6)], ids=["tiles", "block", "one"])
def test_queries_without_keys_keep_none_and_leave_the_others_alone(blind, make_features, by_definition):
    features = make_features("causal", seed=4)
    valid = features.valid.clone()
    valid[blind] = False
    features = dataclasses.replace(features, pairs=valid)
    chosen = [chosen_blocks(features, head, 4, 2, 0.9) for head in range(3)]
    support = XAttention(Context()).support(features, block=4, stride=2, threshold=0.9)
    assert torch.equal(support, by_definition(features, lambda h, i, j: (i // 4, j // 4) in chosen[h]))
    assert support.any(-1).sum() == 3 * int(valid.any(-1).sum())


def test_huge_scores_keep_one_block(make_features):
    features = make_features("longer", seed=1)
    features = dataclasses.replace(features, raw_queries=1e6 * features.raw_queries)
    support = XAttention(Context()).support(features, block=4, stride=1, threshold=0.2)
    assert support.any(-1).all() and (support.sum(-1) == 4).all()


def test_a_stride_that_does_not_divide_the_block_is_refused(make_features):
    with pytest.raises(InputError, match=r"predictors\.xattention\.stride: 3; allowed: a divisor of block, 8"):
        XAttention(Context()).support(make_features("square"), block=8, stride=3, threshold=0.5)


def test_the_cost_is_that_of_one_pair_in_stride(make_features):
    full, causal = (
        XAttention(Context()).cost(make_features(s), block=4, stride=2, threshold=0.5) for s in ("square", "causal")
    )
    # 5 × 5 tiles, of which 15 hold a valid pair under the causal mask; 3 × 3 blocks
    assert [full, causal] == [25 * (2 * 5 + 10) + 9 * 2, 15 * (2 * 5 + 10) + 9 * 2]
