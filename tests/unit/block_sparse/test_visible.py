"""Bounds of positions say what masks say."""

from __future__ import annotations

import itertools

import pytest
import torch

from sparse_attention.block_sparse.visible import Visible


def test_causal_bounds_are_a_triangle_and_meet_at_the_last_token():
    assert torch.equal(Visible.everything(2, 5, 5, causal=True).mask(), torch.ones(2, 1, 5, 5).tril().bool())
    assert torch.equal(Visible.everything(1, 2, 5, causal=True).mask()[0, 0], torch.ones(2, 5).tril(3).bool())
    assert Visible.everything(1, 3, 4).mask().all()


def test_masks_of_runs_are_expressed():
    ones = torch.ones(6, 6, dtype=torch.bool)
    masks = {
        "padding": ones & (torch.arange(6) < 4),
        "padding in front": ones & (torch.arange(6) >= 2),
        "causal": ones.tril(),
        "window": ones.tril(1) & ones.triu(-1),
        "causal window of padded": ones.tril() & ones.triu(-2) & (torch.arange(6) < 5),
        "nothing": ones & False,
    }
    for name, mask in masks.items():
        visible = Visible.of_mask(mask[None, None])
        assert visible is not None and torch.equal(visible.mask()[0, 0], mask), name


def test_keys_that_nobody_sees_may_lie_between():
    mask = torch.ones(4, 6, dtype=torch.bool)
    mask[:, 2] = False
    assert torch.equal(Visible.of_mask(mask[None, None]).mask()[0, 0], mask)


def test_other_masks_are_not_expressed():
    mask = torch.eye(4, dtype=torch.bool)
    mask[:, 0] = True
    assert Visible.of_mask(mask[None, None]) is None


def test_bounds_follow_a_new_order():
    visible = Visible.everything(1, 5, 5, causal=True)
    queries, keys = torch.tensor([[[3, 1, 0, 4, 2]]]), torch.tensor([[[4, 0, 2, 1, 3]]])
    expected = visible.mask()[0, 0][queries[0, 0]][:, keys[0, 0]]
    assert torch.equal(visible.reordered(queries, keys).mask()[0, 0], expected)


@pytest.mark.parametrize("blocks", [(4, 4), (3, 5), (1, 2), (20, 20)], ids=str)
def test_whole_blocks_hold_only_pairs_that_count(blocks):
    query_block, key_block = blocks
    masks = {
        "everything": torch.ones(12, 12, dtype=torch.bool),
        "causal": torch.ones(12, 12, dtype=torch.bool).tril(),
        "padded": (torch.arange(12) < 9).expand(12, 12),
        "a hidden key": (torch.arange(12) != 5).expand(12, 12),
        "blind queries": (torch.arange(12) < 6)[:, None].expand(12, 12),
    }
    for name, mask in masks.items():
        found = Visible.of_mask(mask[None, None]).whole_blocks(query_block, key_block)[0, 0]
        for row, column in itertools.product(*map(range, found.shape)):
            part = mask[row * query_block : (row + 1) * query_block, column * key_block : (column + 1) * key_block]
            assert found[row, column] == bool(part.all() and part.numel() == query_block * key_block), name
