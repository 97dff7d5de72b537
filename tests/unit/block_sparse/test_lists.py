"""Block lists hold exactly what they are made from."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention.flex_attention import flex_attention

from sparse_attention.block_sparse.dispatch import attend
from sparse_attention.block_sparse.lists import BlockLists
from sparse_attention.block_sparse.visible import Visible


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0], ids=["none", "some", "all"])
@pytest.mark.parametrize(("queries", "keys"), [(64, 64), (70, 33), (1, 1)], ids=["whole", "ragged", "one"])
def test_lists_give_back_their_blocks(share, queries, keys):
    shape = 2, 3, -(-queries // 8), -(-keys // 16)
    blocks = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < share
    lists = BlockLists.of(blocks, queries, keys, 8, 16)
    assert torch.equal(lists.blocks(), blocks) and lists.kept == pytest.approx(blocks.double().mean().item())
    tokens = lists.tokens()
    assert tokens.shape == (2, 3, queries, keys)
    assert torch.equal(tokens[0, 0, ::8, ::16], blocks[0, 0])
    listed = lists.indices[0, 0, 0, : lists.counts[0, 0, 0]]
    assert torch.equal(listed, listed.sort().values)


@pytest.mark.parametrize(("queries", "keys"), [(64, 64), (70, 33)], ids=["whole", "ragged"])
@pytest.mark.parametrize("size", [8, 16])
def test_covering_lists_hold_the_support_and_no_block_without_it(queries, keys, size):
    support = torch.rand(1, 2, queries, keys, generator=torch.Generator().manual_seed(1)) < 0.01
    lists = BlockLists.covering(support, size, 16)
    assert not (support & ~lists.tokens()).any()
    for _, head, row, column in lists.blocks().nonzero().tolist():
        assert support[0, head, row * size : (row + 1) * size, column * 16 : column * 16 + 16].any()


@pytest.mark.parametrize("causal", [False, True], ids=["everything", "causal"])
@pytest.mark.parametrize("shared", [False, True], ids=["by head", "shared"])
def test_flex_attention_takes_the_lists(causal, shared):
    draw = torch.Generator().manual_seed(2)
    query, key, value = torch.randn(3, 2, 2, 128, 16, generator=draw)
    blocks = torch.rand(2, 1 if shared else 2, 4, 4, generator=draw) < 0.5
    blocks[..., 0] = True  # what FlexAttention gives to a query without any key is its own affair
    lists, visible = BlockLists.of(blocks, 128, 128, 32, 32), Visible.everything(2, 128, 128, causal)
    found = flex_attention(query, key, value, block_mask=lists.to_block_mask(visible if causal else None))
    torch.testing.assert_close(found, attend(query, key, value, lists, 1.0, visible).output, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key_block": 24}, "allowed: positive, keys a multiple of 16"),
        ({"query_block": 0}, "allowed: positive"),
        ({"queries": 100}, "do not go with 100 queries"),
        ({"counts": torch.full((1, 1, 4), 3, dtype=torch.int32)}, "counts up to 3 with room for 2"),
        ({"counts": torch.full((1, 1, 4), -1, dtype=torch.int32)}, "counts up to -1"),
        ({"counts": torch.ones(1, 1, 4)}, "allowed: int32"),
        ({"indices": torch.full((1, 1, 4, 2), 2, dtype=torch.int32)}, "indices from 2 to 2 of 2 key blocks"),
    ],
    ids=["multiple", "empty block", "tokens", "too many", "negative", "dtype", "place"],
)
def test_what_does_not_fit_is_refused(change, message):
    good = {
        "counts": torch.ones(1, 1, 4, dtype=torch.int32), "indices": torch.zeros(1, 1, 4, 2, dtype=torch.int32),
        "queries": 30, "keys": 30, "query_block": 8, "key_block": 16,
    }  # fmt: skip
    assert BlockLists(**good).kept == 0.5
    with pytest.raises(ValueError, match=message):
        BlockLists(**{**good, **change})
