"""Positions in blocks of one size, cut anew into blocks of another."""

from __future__ import annotations

import pytest
import torch

from sparse_attention.attention.blocks import regrouped


@pytest.mark.parametrize("new_size", [1, 2, 3, 4, 6, 7, 20])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_blocks_of_another_size_hold_what_the_positions_say(size, new_size):
    length, draw = 13, torch.Generator().manual_seed(size)
    pairs = torch.rand(2, -(-length // size), 3, generator=draw) < 0.4
    positions = pairs.repeat_interleave(size, 1)[:, :length]
    expected = torch.stack([part.any(1) for part in positions.split(new_size, 1)], 1)
    assert torch.equal(regrouped(pairs, 1, length, size, new_size), expected)
