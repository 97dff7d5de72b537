"""Packed supports, levels and buckets against bool tensors and loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from covering import all_pairs
from sparse_attention.attention.masks import valid_pairs
from sparse_attention.attention.supports import (
    Bins,
    Buckets,
    Levels,
    PackedSupport,
    _bits_by_arithmetic,
    pack,
    popcount,
)

KEYS = (1, 7, 63, 64, 65, 128, 200)
WORDS = [0, 1, -1, -2, 2**63 - 1, -(2**63), 2**62, -(2**62), 0x5555555555555555, -0x5555555555555556, 255, -256]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_mask(*shape, share=0.3, seed=0):
    return torch.rand(shape, generator=generator(seed)) < share


# packing


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_key_is_a_bit_and_nothing_lies_behind_the_last(keys, share):
    mask = random_mask(2, 5, keys, share=share)
    words = pack(mask)
    assert words.dtype == torch.int64
    assert words.shape == (2, 5, -(-keys // 64))
    for head, query, word in itertools.product(*map(range, words.shape)):
        bits = mask[head, query, 64 * word : 64 * word + 64].tolist()
        assert int(words[head, query, word]) % 2**64 == sum(bit << place for place, bit in enumerate(bits))


@pytest.mark.parametrize("view", ["transposed", "expanded", "sliced"])
def test_views_are_packed_as_they_look(view):
    mask = random_mask(1, 70, 70)
    mask = {"transposed": mask.transpose(1, 2), "expanded": mask.expand(3, -1, -1), "sliced": mask[:, 1::2, :65]}[view]
    assert torch.equal(pack(mask), pack(mask.contiguous().clone()))
    support = PackedSupport(pack(mask)[:, ::2], mask.shape[-1])
    assert torch.equal(support.unpacked(), mask[:, ::2])


@pytest.mark.parametrize("keys", KEYS)
def test_unpacking_undoes_packing(keys):
    mask = random_mask(3, 4, keys)
    support = PackedSupport.of(mask)
    assert support.unpacked().dtype == torch.bool
    assert torch.equal(support.unpacked(), mask)


@pytest.mark.parametrize("keys", KEYS)
def test_popcount_counts_over_queries_and_words(keys):
    mask = random_mask(2, 3, 5, keys)
    counts = popcount(pack(mask))
    assert counts.dtype == torch.float64
    assert torch.equal(counts, mask.sum((-1, -2)).double())


def test_popcount_takes_the_sign_for_a_bit():
    words = torch.tensor(WORDS)
    expected = [bin(word % 2**64).count("1") for word in WORDS]
    assert popcount(words[:, None, None]).tolist() == expected


def test_bits_are_counted_by_arithmetic_where_there_is_no_instruction():
    drawn = torch.from_numpy(np.random.default_rng(0).integers(-(2**63), 2**63 - 1, 1000))
    words = torch.cat([torch.tensor(WORDS), drawn, torch.ones(64, dtype=torch.int64) << torch.arange(64)])
    assert _bits_by_arithmetic(words).tolist() == [bin(word % 2**64).count("1") for word in words.tolist()]


# supports


@pytest.mark.parametrize("keys", KEYS)
def test_a_packed_support_is_one_of_a_single_level(keys):
    mask = random_mask(3, 6, keys)
    packed, levels = PackedSupport.of(mask), Levels((~mask).to(torch.uint8), 1)
    flat = torch.randperm(mask.numel(), generator=generator())[: max(1, mask.numel() // 2)]
    for support in (packed, levels):
        found = support.at(flat)
        assert found.dtype == np.uint8
        assert found.tolist() == (~mask).reshape(-1)[flat].int().tolist()
        assert support.at(flat[:0]).shape == (0,)
        assert support.at(torch.arange(mask.numel())).tolist() == (~mask).reshape(-1).int().tolist()


def counted(first, points, codes, count, weights):
    """The histogram in loops."""
    table = np.zeros((first.shape[0], points + 1, count))
    for head, query, key in itertools.product(*map(range, first.shape)):
        if codes[query, key] < count:
            table[head, first[head, query, key], codes[query, key]] += weights[query, key]
    return table


@pytest.mark.parametrize("weighted", [False, True], ids=["pairs", "weights"])
@pytest.mark.parametrize("keys", [1, 64, 70])
def test_histograms_count_pairs_by_level_and_bin(keys, weighted):
    codes = torch.randint(0, 4, (6, keys), generator=generator())  # 3 counts nowhere
    weights = torch.randint(0, 5, (6, keys), generator=generator(1)).double()
    ones = torch.ones_like(weights)
    bins = Bins(codes.to(torch.int16), 3, weights if weighted else None)
    first = torch.randint(0, 6, (2, 6, keys), generator=generator(2)).to(torch.uint8)
    expected = counted(first, 5, codes, 3, weights if weighted else ones)
    assert np.array_equal(Levels(first, 5).histogram(bins), expected)
    mask = random_mask(2, 6, keys)
    expected = counted((~mask).int(), 1, codes, 3, weights if weighted else ones)
    found = PackedSupport.of(mask).histogram(bins)
    assert found.dtype == np.float64
    assert np.array_equal(found, expected)


def test_a_histogram_holds_as_many_levels_as_fit_a_byte():
    codes = torch.randint(0, 15, (20, 30), generator=generator())
    first = torch.randint(0, 256, (2, 20, 30), generator=generator(1)).to(torch.uint8)
    expected = counted(first, 255, codes, 14, torch.ones(20, 30))
    assert np.array_equal(Levels(first, 255).histogram(Bins(codes.to(torch.int16), 14)), expected)


def test_nested_levels_are_the_supports_one_by_one():
    first = torch.randint(0, 4, (2, 9, 70), generator=generator()).to(torch.uint8)
    bins = Bins(torch.randint(0, 3, (9, 70), generator=generator(1)).to(torch.int16), 3)
    nested = Levels(first, 3).histogram(bins)[:, :3].cumsum(1)
    for point in range(3):
        alone = PackedSupport.of(first <= point)
        assert np.array_equal(alone.histogram(bins)[:, 0], nested[:, point])


# buckets


def random_buckets(heads, queries, keys, size, tables, lists, at_least=1, none=0.0, seed=0):
    """Each vector in `lists` different buckets of every table, some of them taken away."""
    rng = np.random.default_rng(seed)

    def side(count):
        table = np.arange(tables) * size
        chosen = rng.permuted(np.tile(np.arange(size), (heads, count, tables, 1)), axis=-1)[..., :lists]
        chosen = (chosen + table[:, None]).reshape(heads, count, tables * lists)
        chosen[rng.random(chosen.shape) < none] = -1
        return torch.from_numpy(chosen)

    return Buckets(side(queries), side(keys), size, tables, at_least)


def in_loops(buckets, valid):
    """The pairs that meet often enough, and how often valid pairs meet."""
    heads, queries, keys = *buckets.queries.shape[:2], buckets.keys.shape[1]
    pairs, meetings = torch.zeros(heads, queries, keys, dtype=torch.bool), [0] * heads
    sides = [
        [[set(lists) - {-1} for lists in head] for head in side.tolist()] for side in (buckets.queries, buckets.keys)
    ]
    for head, query, key in itertools.product(range(heads), range(queries), range(keys)):
        shared = len(sides[0][head][query] & sides[1][head][key])
        pairs[head, query, key] = shared >= buckets.at_least
        meetings[head] += shared * bool(valid[query, key])
    return pairs, meetings


CASES = {
    "one-table": (10, 10, 5, 1, 1),
    "top-2": (10, 10, 5, 1, 2),
    "tables": (9, 13, 4, 3, 1),
    "tables-top-2": (13, 9, 4, 3, 2),
    "all-buckets": (6, 8, 3, 2, 3),
    "one-bucket": (6, 70, 1, 4, 1),
    "word-and-a-bit": (5, 65, 7, 2, 2),
    "whole-words": (3, 128, 30, 4, 1),
    "one-token": (1, 1, 2, 3, 1),
    "many-buckets": (12, 12, 500, 1, 1),
}


@all_pairs(case=CASES, at_least=[1, 2, 3], none=[0.0, 0.4, 1.0], causal={"full": False, "causal": True})
def test_buckets_join_pairs_and_count_their_meetings(case, at_least, none, causal):
    queries, keys, *sizes = case
    buckets = random_buckets(2, queries, keys, *sizes, at_least=at_least, none=none)
    valid = valid_pairs(queries, keys, causal)
    pairs, meetings = in_loops(buckets, valid)
    assert torch.equal(buckets.pairs(), pairs)
    support = buckets.support(valid)
    assert torch.equal(support.unpacked(), pairs)
    # the packed support has no bits behind the last key: counting needs no mask
    assert torch.equal(support.words, pack(pairs))
    assert support.operations.tolist() == meetings
    assert (support.keys, support.points) == (keys, 1)


def test_operations_are_more_than_the_pairs_when_pairs_meet_again():
    buckets = random_buckets(2, 50, 50, 2, 4, 1)
    valid = valid_pairs(50, 50)
    support = buckets.support(valid)
    kept = popcount(support.words)
    assert (support.operations > kept).all()
    once = Buckets(buckets.queries[..., :1], buckets.keys[..., :1], 2).support(valid)
    assert torch.equal(once.operations, popcount(once.words))


def test_a_head_does_not_see_the_buckets_of_another():
    together = random_buckets(4, 20, 30, 5, 2, 1)
    valid = valid_pairs(20, 30)
    whole = together.support(valid)
    for head in range(4):
        part = slice(head, head + 1)
        alone = Buckets(together.queries[part], together.keys[part], 5, 2).support(valid)
        assert torch.equal(alone.words, whole.words[part])
        assert alone.operations.item() == whole.operations[head].item()


def test_buckets_are_left_as_they_were():
    buckets = random_buckets(2, 9, 9, 4, 2, 1, none=0.3)
    before = buckets.queries.clone(), buckets.keys.clone()
    buckets.support(valid_pairs(9, 9))
    buckets.pairs()
    assert torch.equal(buckets.queries, before[0])
    assert torch.equal(buckets.keys, before[1])
