"""Ordering by a tree is a permutation that makes neighbours close."""

from __future__ import annotations

import pytest
import torch

from sparse_attention.block_sparse.tree import by_tree


@pytest.mark.parametrize("tokens", [1, 15, 16, 17, 100, 256])
def test_the_order_holds_every_token_once(tokens):
    draw = torch.Generator().manual_seed(0)
    query, key = (torch.randn(2, 3, n, 8, generator=draw) for n in (tokens + 5, tokens))
    found = by_tree(query, key)
    for order, count in ((found.queries, tokens + 5), (found.keys, tokens)):
        assert torch.equal(order.sort(-1).values, torch.arange(count).expand(2, 3, -1))


def test_clusters_become_neighbours():
    draw = torch.Generator().manual_seed(0)
    clusters = torch.arange(64) % 4
    centres = 10 * torch.randn(4, 8, generator=draw)
    key = centres[clusters] + 0.1 * torch.randn(1, 1, 64, 8, generator=draw)
    found = clusters[by_tree(torch.randn(1, 1, 64, 8, generator=draw), key).keys].unflatten(-1, (4, 16))
    assert (found == found[..., :1]).all()
