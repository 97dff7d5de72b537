"""Windows and kept tokens are added to lists by arithmetic, in any order."""

from __future__ import annotations

import pytest
import torch

from sparse_attention.attention.masks import keep_mask, window_mask
from sparse_attention.block_sparse.extras import with_extras
from sparse_attention.block_sparse.lists import BlockLists
from sparse_attention.block_sparse.reordering import Reordering
from sparse_attention.block_sparse.visible import Visible
from sparse_attention.errors import InputError

EXTRAS = pytest.mark.parametrize(
    ("window", "keep"),
    [(0, "cls"), (1, "none"), (11, "none"), (41, "last"), (5, "cls+last"), (999, "none"), (0, "none")],
    ids=["cls", "diagonal", "window", "window and last", "window and both", "everything", "nothing"],
)
LENGTHS = pytest.mark.parametrize(("queries", "keys"), [(64, 64), (70, 33), (20, 75)], ids=["whole", "wide", "long"])


def drawn(queries, keys):
    draw = torch.Generator().manual_seed(3)
    support = torch.rand(1, 2, queries, keys, generator=draw) < 0.002
    order = Reordering(*(torch.rand(1, 2, n, generator=draw).argsort(-1) for n in (queries, keys)))
    return support, order


def in_order(pairs, order):
    return pairs.gather(-2, order.queries[..., None].expand_as(pairs)).gather(
        -1, order.keys[..., None, :].expand_as(pairs)
    )


@EXTRAS
@LENGTHS
@pytest.mark.parametrize("sort", [False, True], ids=["as they are", "sorted"])
def test_added_blocks_are_those_with_a_pair_of_the_mask(window, keep, queries, keys, sort):
    support, order = drawn(queries, keys)
    everything = support | window_mask(queries, keys, window) | keep_mask(queries, keys, keep)
    given, expected = (
        BlockLists.covering(in_order(pairs, order) if sort else pairs, 8, 16) for pairs in (support, everything)
    )
    found = with_extras(given, window, keep, order if sort else None)
    assert torch.equal(found.blocks(), expected.blocks())


@EXTRAS
@pytest.mark.parametrize("sort", [False, True], ids=["as they are", "sorted"])
def test_blocks_out_of_sight_are_not_added(window, keep, sort):
    support, order = drawn(70, 70)
    visible = Visible.everything(1, 70, 70, causal=True)
    valid = visible.mask()
    pairs = (support & valid) | ((window_mask(70, 70, window) | keep_mask(70, 70, keep)) & valid)
    given, expected = (
        BlockLists.covering(in_order(of, order) if sort else of, 8, 16) for of in (support & valid, pairs)
    )
    found = with_extras(given, window, keep, order if sort else None, visible).blocks()
    assert not (expected.blocks() & ~found).any()
    if sort:
        out_of_sight = ~visible.reordered(order.queries, order.keys).blocks(8, 16)
        assert not (found & out_of_sight).any()
    else:
        assert torch.equal(found, expected.blocks())


def test_extras_of_shared_lists_stay_shared():
    lists = BlockLists.of(torch.zeros(1, 1, 4, 4, dtype=torch.bool), 64, 64, 16, 16)
    assert with_extras(lists, 3, "cls").counts.shape == (1, 1, 4)


@pytest.mark.parametrize(
    ("window", "keep"), [(4, "none"), (-1, "none"), (1, "first")], ids=["even", "negative", "keep"]
)
def test_what_is_no_window_or_token_is_refused(window, keep):
    lists = BlockLists.of(torch.ones(1, 1, 1, 1, dtype=torch.bool), 4, 4, 16, 16)
    with pytest.raises(InputError, match="is not allowed; allowed: "):
        with_extras(lists, window, keep)
