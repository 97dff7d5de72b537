"""Blocks that share a bucket are found without looking at pairs of tokens, also in an order by bucket."""

from __future__ import annotations

import pytest
import torch

from sparse_attention.attention.supports import Buckets
from sparse_attention.block_sparse.dispatch import attend
from sparse_attention.block_sparse.lists import BlockLists
from sparse_attention.block_sparse.reordering import Reordering, lists_of_buckets
from sparse_attention.block_sparse.visible import Visible


def buckets(queries=70, keys=50, size=6, lists=1, missing=0.1, seed=0):
    """Random buckets of 2 heads, in as many tables as `lists`."""
    draw = torch.Generator().manual_seed(seed)
    found = []
    for count in (queries, keys):
        own = torch.randint(0, size, (2, count, lists), generator=draw) + torch.arange(lists) * size
        found.append(own.masked_fill(torch.rand(own.shape, generator=draw) < missing, -1))
    return Buckets(*found, size, lists)


CASES = {
    "one table": buckets(),
    "two tables": buckets(lists=2),
    "many buckets": buckets(size=40),
    "one bucket": buckets(size=1),
    "no bucket": buckets(missing=1.0),
    "two shared": Buckets(*(buckets(lists=3).queries,) * 2, 6, 3, at_least=2),
}
EACH = pytest.mark.parametrize("given", CASES.values(), ids=CASES)


@EACH
@pytest.mark.parametrize("sort", [False, True], ids=["as they are", "sorted"])
def test_lists_hold_all_pairs_that_meet_and_only_blocks_that_share_a_bucket(given, sort):
    order = Reordering.by_bucket(given) if sort else None
    lists = lists_of_buckets(given, 8, 16, order)
    pairs = given.pairs()
    if order:
        pairs = pairs.gather(1, order.queries[0][..., None].expand_as(pairs))
        pairs = pairs.gather(2, order.keys[0][:, None, :].expand_as(pairs))
    assert not (pairs & ~lists.tokens()[0]).any()
    if given.at_least == 1:
        assert torch.equal(lists.blocks(), BlockLists.covering(pairs[None], 8, 16).blocks())


@EACH
def test_an_order_is_one_by_bucket_and_undone(given):
    order = Reordering.by_bucket(given)
    assert torch.equal(order.queries.sort().values[0, 0], torch.arange(given.queries.shape[1]))
    sorted_buckets = given.keys[..., 0].gather(1, order.keys[0])
    assert torch.equal(sorted_buckets, sorted_buckets.sort(1).values)


@pytest.mark.parametrize("causal", [False, True], ids=["everything", "causal"])
@pytest.mark.parametrize("alpha", [1.0, 1.5])
def test_attention_in_another_order_is_that_of_all_kept_pairs(alpha, causal):
    given = buckets(64, 64, size=4)
    order = Reordering.by_bucket(given)
    lists = lists_of_buckets(given, 16, 16, order)
    query, key, value = torch.randn(3, 2, 2, 64, 8, generator=torch.Generator().manual_seed(1))
    visible = Visible.everything(2, 64, 64, causal)
    found = order.attend(query, key, value, lists, alpha, visible)
    kept = torch.zeros(1, 2, 64, 64, dtype=torch.bool)
    kept[0, torch.arange(2)[:, None, None], order.queries[0][..., None], order.keys[0][:, None, :]] = lists.tokens()[0]
    scores = (query.double() @ key.double().mT / 8**0.5).masked_fill(~(kept & visible.mask()), -torch.inf)
    for b, h, i in ((b, h, i) for b in range(2) for h in range(2) for i in range(64)):
        mine = scores[b, h, i].isfinite().nonzero()[:, 0]
        expected = torch.zeros(8)
        if len(mine):
            expected = attend(
                query[b, h, i][None, None, None], *(t[b, h, mine][None, None] for t in (key, value)), alpha=alpha
            )
            expected = expected.output[0, 0, 0]
        assert found.thresholds[b, h, i].isinf() == (len(mine) == 0)
        torch.testing.assert_close(found.output[b, h, i], expected, rtol=0, atol=1e-5)
