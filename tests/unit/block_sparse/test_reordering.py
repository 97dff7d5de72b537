"""Blocks that share a bucket are found without looking at pairs of tokens, also in an order by bucket."""

from __future__ import annotations

import pytest
import torch

from sparse_attention.attention.blocks import blocks_that_meet
from sparse_attention.attention.entmax import entmax
from sparse_attention.attention.supports import Buckets
from sparse_attention.block_sparse.dispatch import attend
from sparse_attention.block_sparse.lists import BlockLists
from sparse_attention.block_sparse.reordering import Reordering
from sparse_attention.block_sparse.visible import Visible


def buckets(queries=70, keys=50, size=6, lists=1, missing=0.1, seed=0):
    """Random buckets of 2 heads, in as many tables as `lists`."""
    draw = torch.Generator().manual_seed(seed)
    found = []
    for count in (queries, keys):
        own = torch.randint(0, size, (2, count, lists), generator=draw) + torch.arange(lists) * size
        found.append(own.masked_fill(torch.rand(own.shape, generator=draw) < missing, -1))
    return Buckets(*found, size, lists)


def lists_of_buckets(given, query_block, key_block, order):
    """List the blocks that share a bucket."""
    places = (None, None) if order is None else (order.queries[0], order.keys[0])
    kept = blocks_that_meet(given, query_block, key_block, places)[None]
    return BlockLists.of(kept, given.queries.shape[1], given.keys.shape[1], query_block, key_block)


def random_order(batch, heads, queries, keys, seed=3):
    draw = torch.Generator().manual_seed(seed)
    return Reordering(*(torch.rand(batch, heads, count, generator=draw).argsort(-1) for count in (queries, keys)))


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
    found = attend(query, key, value, lists, alpha, visible, order=order)
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


def padding(lengths, keys):
    """Return a mask of examples of some lengths."""
    return (torch.arange(keys) < torch.tensor(lengths)[:, None])[:, None, None].expand(-1, 1, keys, -1)


SHAPES = {
    "as many heads": (2, 3, 3, 70, 50, None),
    "heads share keys": (2, 4, 2, 40, 40, None),
    "an order for all batches": (1, 2, 2, 33, 40, None),
    "wide values": (1, 2, 2, 40, 48, None),
    "causal": (2, 2, 1, 48, 48, Visible.everything(2, 48, 48, causal=True)),
    "ragged": (2, 2, 2, 48, 48, Visible.of_mask(padding([48, 5], 48))),
}


@pytest.mark.parametrize("kernels", ["auto", "reference"])
@pytest.mark.parametrize("alpha", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("name", SHAPES)
def test_an_order_changes_nothing_but_the_blocks(name, alpha, kernels):
    of_order, heads, groups, queries, keys, visible = SHAPES[name]
    order, draw = random_order(of_order, heads, queries, keys), torch.Generator().manual_seed(0)
    kept = torch.rand(1, heads, -(-queries // 8), -(-keys // 16), generator=draw) < 0.4
    lists = BlockLists.of(kept, queries, keys, 8, 16)
    width = 40 if name == "wide values" else 16
    shapes = (heads, queries, 16), (groups, keys, 16), (groups, keys, width)
    given = [torch.randn(2, *shape, generator=draw) for shape in shapes]
    weights = torch.randn(2, heads, queries, width, generator=draw)

    def gradients(output, leaves):
        return torch.autograd.grad((output * weights).sum(), leaves)

    leaves = [tensor.clone().requires_grad_() for tensor in given]
    found = attend(*leaves, lists, alpha, visible, kernels=kernels, order=order)
    # the pairs of tokens that the blocks hold, as a mask, by PyTorch's operations in float64
    doubles = [tensor.double().requires_grad_() for tensor in given]
    pairs = torch.zeros(2, heads, queries, keys, dtype=torch.bool)
    rows, columns = (places.expand(2, -1, -1) for places in (order.queries, order.keys))
    batches, own_heads = torch.arange(2)[:, None, None, None], torch.arange(heads)[:, None, None]
    pairs[batches, own_heads, rows[..., None], columns[..., None, :]] = lists.tokens().expand(2, -1, -1, -1)
    if visible is not None:
        pairs &= visible.mask()
    key, value = (tensor.repeat_interleave(heads // groups, 1) for tensor in doubles[1:])
    scores = (doubles[0] @ key.mT / 4).masked_fill(~pairs, -torch.inf)
    empty = ~pairs.any(-1, keepdim=True)
    shares = scores.masked_fill(empty, 0).softmax(-1) if alpha == 1 else entmax(scores.masked_fill(empty, 0), alpha)
    expected = shares.masked_fill(empty, 0) @ value
    assert torch.equal(found.thresholds.isinf(), empty[..., 0])
    torch.testing.assert_close(found.output.double(), expected, rtol=0, atol=1e-5)
    for ours, theirs in zip(gradients(found.output, leaves), gradients(expected, doubles), strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "places", [[0, 0, 2], [0, 1, 3], [-1, 0, 1], [0.0, 1.0, 2.0]], ids=["twice", "behind", "negative", "floats"]
)
def test_an_order_that_is_none_is_refused(places):
    wrong, right = torch.tensor([[places]]), torch.arange(3)[None, None]
    with pytest.raises(ValueError, match=r"order of (queries|keys): .*; allowed: "):
        Reordering(wrong, right)
    with pytest.raises(ValueError, match=r"order of keys: .*; allowed: "):
        Reordering(right, wrong)


def test_an_order_of_other_tokens_is_refused():
    given = [torch.zeros(1, 2, 6, 4)] * 3
    with pytest.raises(ValueError, match=r"order of queries: \(1, 2, 5\); allowed: \(1, 2, 6\)"):
        attend(*given, order=random_order(1, 2, 5, 6))


def test_buckets_without_a_number_of_16_bits_are_sorted_too():
    numbers = torch.tensor([[40000, -1, 7, 40000, 32767, 7]])[..., None]
    order = Reordering.by_bucket(Buckets(numbers, numbers, 50000, 1))
    assert order.keys.tolist() == [[[1, 2, 5, 4, 0, 3]]]
