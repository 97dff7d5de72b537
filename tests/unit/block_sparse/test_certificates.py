"""Certified rows are those of full entmax in float64, never others; repair certifies all."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_attention.attention.entmax import probabilities, threshold
from sparse_attention.block_sparse.certificates import BOUNDS, attend_certified, threshold_error
from sparse_attention.block_sparse.dispatch import attend
from sparse_attention.block_sparse.lists import BlockLists
from sparse_attention.block_sparse.visible import HIDDEN, Visible

ALPHAS = pytest.mark.parametrize("alpha", [1.25, 1.5, 2.0])
KERNELS = pytest.mark.parametrize("kernels", ["auto", "reference"])
EVERY_BOUND = pytest.mark.parametrize("bound", BOUNDS)


def tensors(batch, heads, queries, keys, dim, groups=None, scale=1.0, seed=0):
    draw = torch.Generator().manual_seed(seed)
    shapes = (heads, queries, dim), (groups or heads, keys, dim), (groups or heads, keys, dim)
    query, key, value = (torch.randn(batch, *shape, generator=draw) for shape in shapes)
    return query * scale, key * scale, value


def lists_of(share, batch, heads, queries, keys, query_block=16, key_block=16, seed=0):
    shape = batch, heads, -(-queries // query_block), -(-keys // key_block)
    blocks = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < share
    return BlockLists.of(blocks, queries, keys, query_block, key_block)


def ragged(lengths, keys):
    real = torch.arange(keys) < torch.tensor(lengths)[:, None]
    return Visible.of_mask(real[:, None, None, :].expand(-1, 1, keys, keys))


def full(query, key, value, alpha, visible=None, scaling=None):
    """Return probabilities and output of entmax over all visible keys, in float64."""
    shared = query.shape[1] // key.shape[1]
    key, value = (tensor.double().repeat_interleave(shared, 1) for tensor in (key, value))
    scores = query.double() @ key.mT * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    if visible is not None:
        scores = scores.masked_fill(~visible.mask(), -torch.inf)
    shares = probabilities(scores, alpha).masked_fill((scores == -torch.inf).all(-1, keepdim=True), 0.0)
    return shares, shares @ value


def check(result, shares, output, visible=None, tolerance=1e-6):
    """Hold what was certified against full entmax."""
    skipped = ~result.lists.tokens().expand_as(shares)
    missed = ((shares > 0) & skipped).any(-1)
    assert not (missed & result.certified).any()
    seen = torch.ones_like(skipped) if visible is None else visible.mask().expand_as(skipped)
    empty = ~(seen & ~skipped).any(-1)
    assert torch.equal(result.certified & empty, empty & ~seen.any(-1))
    assert result.certified[~(seen & skipped).any(-1)].all()
    gap = (result.output.double() - output).abs().amax(-1)[result.certified]
    assert gap.numel() == 0 or float(gap.max()) <= tolerance


CASES = {
    "square": (tensors(2, 3, 70, 70, 16), lists_of(0.5, 2, 3, 70, 70), None),
    "rectangular": (tensors(1, 2, 33, 97, 24), lists_of(0.6, 1, 2, 33, 97, 8, 32), None),
    "shared lists": (tensors(2, 3, 64, 64, 8), lists_of(0.5, 1, 1, 64, 64), None),
    "causal": (tensors(2, 2, 50, 50, 16), lists_of(0.5, 2, 2, 50, 50), Visible.everything(2, 50, 50, causal=True)),
    "more queries": (tensors(1, 2, 60, 40, 8), lists_of(0.5, 1, 2, 60, 40), Visible.everything(1, 60, 40, causal=True)),
    "ragged": (tensors(3, 2, 48, 48, 16), lists_of(0.5, 3, 2, 48, 48), ragged([48, 17, 1], 48)),
    "grouped": (tensors(2, 6, 40, 40, 16, groups=2), lists_of(0.6, 2, 6, 40, 40), None),
    "empty rows": (tensors(1, 2, 64, 64, 8), lists_of(0.1, 1, 2, 64, 64), None),
    "one block": (tensors(1, 1, 10, 10, 4), lists_of(1.0, 1, 1, 10, 10, 128, 128), None),
    "nothing kept": (tensors(1, 1, 20, 40, 4), lists_of(0.0, 1, 1, 20, 40), None),
    "large scores": (tensors(1, 2, 80, 80, 64, scale=8.0), lists_of(0.5, 1, 2, 80, 80), None),
    "tiny scores": (tensors(1, 2, 80, 80, 64, scale=1e-4), lists_of(0.5, 1, 2, 80, 80), None),
    "denormal scores": (tensors(1, 1, 32, 32, 8, scale=1e-42), lists_of(0.5, 1, 1, 32, 32), None),
    "equal keys": ([torch.ones(1, 1, 48, 8)] * 3, lists_of(0.5, 1, 1, 48, 48), None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@EVERY_BOUND
@ALPHAS
@KERNELS
def test_certified_and_repaired_rows_are_those_of_full_entmax(name, bound, alpha, kernels):
    arguments, lists, visible = CASES[name]
    shares, output = full(*arguments, alpha, visible)
    # a float32 score of size s is known to s / 2**24 only
    largest = float(arguments[0].norm(dim=-1).max() * arguments[1].norm(dim=-1).max()) / math.sqrt(
        arguments[0].shape[-1]
    )
    tolerance = (1e-6 + 3e-7 * largest) * float(arguments[2].abs().max())
    first = attend_certified(*arguments, lists, alpha, visible, kernels=kernels, bound=bound)
    check(first, shares, output, visible, tolerance)
    assert first.lists is lists
    assert first.work.rounds == 0
    assert first.work.certified_before == pytest.approx(float(first.certified.double().mean()))
    again = attend_certified(*arguments, lists, alpha, visible, kernels=kernels, repair=True, bound=bound)
    assert again.certified.all()
    check(again, shares, output, visible, tolerance)
    assert (lists.blocks() <= again.lists.blocks()).all()
    assert again.work.rounds <= 2
    assert again.work.certified_before == first.work.certified_before
    assert (again.work.kept_before, again.work.kept_after) == (lists.kept, again.lists.kept)


@EVERY_BOUND
@ALPHAS
def test_in_float64_repaired_rows_equal_full_entmax(bound, alpha):
    arguments = [tensor.double() for tensor in tensors(1, 2, 90, 90, 16, scale=3.0)]
    result = attend_certified(*arguments, lists_of(0.3, 1, 2, 90, 90), alpha, repair=True, bound=bound)
    torch.testing.assert_close(result.output, full(*arguments, alpha)[1], rtol=0, atol=1e-12)


@EVERY_BOUND
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_certificate_is_false(bound, data):
    draw = torch.Generator().manual_seed(data.draw(st.integers(0, 2**20), label="seed"))
    alpha = data.draw(st.sampled_from([1.05, 1.25, 1.5, 1.7, 2.0]), label="alpha")
    dim, keys = data.draw(st.sampled_from([1, 2, 5, 16]), label="dim"), data.draw(st.integers(1, 70), label="keys")
    query, key, value = (torch.randn(1, 2, n, dim, generator=draw) for n in (24, keys, keys))
    if data.draw(st.booleans(), label="few values"):  # many ties, also at thresholds
        query, key = query.round(), key.round() / 2
    query = query * 10.0 ** data.draw(st.integers(-6, 6), label="query scale")
    key = key * 10.0 ** data.draw(st.integers(-6, 4), label="key scale")
    if data.draw(st.booleans(), label="outliers"):
        key[..., torch.rand(keys, generator=draw) < 0.1, :] *= 1e3
    scaling = data.draw(st.sampled_from([None, 1.0, -0.3, 1e-3]), label="scaling")
    visible = data.draw(st.sampled_from([None, Visible.everything(1, 24, keys, causal=True)]), label="visible")
    lists = lists_of(data.draw(st.floats(0, 1), label="share"), 1, 2, 24, keys, 8, 16, seed=keys)
    result = attend_certified(query, key, value, lists, alpha, visible, scaling, bound=bound)
    check(result, *full(query, key, value, alpha, visible, scaling), visible, tolerance=torch.inf)


@EVERY_BOUND
@ALPHAS
def test_scores_at_the_threshold(bound, alpha):
    # one kept key of score 0: its threshold is -1; skipped ones at it, and just above and below
    below = torch.tensor([0.0, 2.0**-23, 1e-6, -(2.0**-24), -1e-6, 0.01, 0.1])
    query = torch.ones(1, 1, 7, 1)
    key = torch.full((1, 1, 32, 1), -50.0)
    key[..., 0, 0] = 0.0
    lists = BlockLists.of(torch.tensor([True, False]).expand(1, 1, 7, 2), 7, 32, 1, 16)
    for row, less in enumerate(below):
        key[..., 20, 0] = -(1 + less) / (alpha - 1)
        result = attend_certified(query, key, key, lists, alpha, scaling=1.0, bound=bound)
        shares, _ = full(query, key, key, alpha, scaling=1.0)
        assert not (result.certified & (shares[..., 20] > 0)).any()
        if less >= 0.01 and bound != "low_rank":
            assert result.certified.all(), row


@EVERY_BOUND
@ALPHAS
@KERNELS
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_a_score_that_rounding_puts_below_the_threshold(scale, kernels, bound, alpha):
    query, key, value = (tensor.double() for tensor in tensors(400, 1, 1, 32, 16, scale=scale))
    kept = key[:, :, :16]
    limits = threshold(query @ kept.mT / 4, alpha) / (alpha - 1)
    # one skipped key at the threshold, but for the rounding of its entries to float32; the others far below
    along = query / query.square().sum(-1, keepdim=True)
    chosen = key[:, :, 16:17]
    chosen = chosen + along * (4 * limits - (chosen * query).sum(-1, keepdim=True))
    key = torch.cat([kept, chosen, (-100 * query).expand(-1, -1, 15, -1)], dim=2)
    arguments = [tensor.float() for tensor in (query, key, value)]
    shares, _ = full(*arguments, alpha)
    above = shares[..., 16] > 0
    assert 0.2 < float(above.double().mean()) < 0.8
    lists = BlockLists.of(torch.tensor([[[[True, False]]]]), 1, 32, 16, 16)
    result = attend_certified(*arguments, lists, alpha, kernels=kernels, bound=bound)
    assert not (result.certified & above).any()


@EVERY_BOUND
@ALPHAS
def test_keys_that_are_far_away_are_proven_to_be(bound, alpha):
    # half of the keys point to where the queries look, half away from it
    query, key, value = tensors(1, 2, 32, 64, 8)
    query[..., 0], key[..., :32, 0], key[..., 32:, 0] = 10.0, 10.0, -10.0
    lists = BlockLists.of(torch.tensor([True, True, False, False]).expand(1, 2, 4, 4), 32, 64, 8, 16)
    result = attend_certified(query, key, value, lists, alpha, repair=True, bound=bound)
    assert result.work == (0.5, 0.5, 0, 1.0)


def test_closer_looks_prove_more():
    query, key, value = tensors(1, 2, 128, 128, 16, scale=3.0)
    lists = BlockLists.covering(full(query, key, value, 1.5)[0] > 0, 8, 16)
    shares = [attend_certified(query, key, value, lists, bound=bound).work.certified_before for bound in BOUNDS]
    assert shares == sorted(shares)
    assert shares[-1] > 0.99 > shares[0]


def test_repair_by_scores_adds_little_more_than_the_support_needs():
    query, key, value = tensors(1, 2, 128, 128, 16, scale=4.0)
    needed = BlockLists.covering(full(query, key, value, 1.5)[0] > 0, 4, 16)
    nothing = BlockLists.of(torch.zeros(1, 2, 32, 8, dtype=torch.bool), 128, 128, 4, 16)
    kept = attend_certified(query, key, value, nothing, repair=True, bound="scores").lists
    assert (needed.blocks() <= kept.blocks()).all()
    assert needed.kept <= kept.kept < needed.kept + 0.1


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e30], ids=["NaN", "infinity", "overflow"])
@EVERY_BOUND
def test_numbers_out_of_range_are_not_certified(bad, bound):
    query, key, value = tensors(1, 1, 32, 32, 4)
    query[..., 3, 1] = bad
    result = attend_certified(query, key, value, lists_of(0.6, 1, 1, 32, 32, 8, 16), bound=bound)
    assert not result.certified[..., 3].any()
    query, key, value = tensors(1, 1, 32, 32, 4)
    key[..., 20, 1] = bad
    lists = BlockLists.of(torch.tensor([True, False]).expand(1, 1, 4, 2), 32, 32, 8, 16)
    assert not attend_certified(query, key, value, lists, bound=bound).certified.any()
    repaired = attend_certified(query, key, value, lists, bound=bound, repair=True)
    assert repaired.certified.all()
    assert repaired.lists.kept == 1


@EVERY_BOUND
def test_hidden_keys_count_for_nothing(bound):
    query, key, value = tensors(1, 1, 32, 64, 8)
    query[..., 0], key[..., :32, 0], key[..., 32:, 0] = 10.0, 10.0, -10.0
    key[..., 40, :] = math.nan
    key[..., 50:, :] = 1e20
    position = torch.arange(64, dtype=torch.int32)
    position[40], position[50:] = HIDDEN, HIDDEN
    everything = Visible.everything(1, 32, 64)
    visible = Visible(everything.first, everything.last, position.expand(1, 1, -1))
    lists = BlockLists.of(torch.tensor([True, True, False, False]).expand(1, 1, 4, 4), 32, 64, 8, 16)
    assert attend_certified(query, key, value, lists, visible=visible, bound=bound).certified.all()


@pytest.mark.parametrize("bound", ["low_rank", "scores"])
def test_closer_looks_see_only_the_keys_of_each_query(bound):
    query, key, value = tensors(1, 1, 32, 64, 8)
    query[..., 0], key[..., 0], key[..., 32:40, 0] = 10.0, 10.0, -10.0
    everything = Visible.everything(1, 32, 64)
    visible = Visible(everything.first, torch.full_like(everything.last, 39), everything.position)
    lists = BlockLists.of(torch.tensor([True, True, False, False]).expand(1, 1, 4, 4), 32, 64, 8, 16)
    assert attend_certified(query, key, value, lists, visible=visible, bound=bound).certified.all()


def test_thresholds_of_scores_out_of_range_are_not_trusted():
    query, key, _ = tensors(1, 1, 4, 4, 4)
    query[..., 1, 0], real = 1e25, torch.ones(1, 1, 4, dtype=torch.bool)
    key[..., 0, 0] = 1e6
    error = threshold_error(query, key, real, torch.zeros(1, 1, 4), 1.5, 0.5)
    assert error.isinf().flatten().tolist() == [False, True, False, False]


@KERNELS
@ALPHAS
@pytest.mark.parametrize("scale", [1e-22, 1e-3, 1.0, 30.0, 1e3, 1e8])
def test_thresholds_are_as_close_as_is_claimed(scale, alpha, kernels):
    query, key, value = tensors(1, 2, 60, 500, 64, scale=scale)
    key[:, 0, 7] *= 50
    real = torch.ones(1, 1, 500, dtype=torch.bool)
    found = attend(query, key, value, alpha=alpha, kernels=kernels).thresholds
    error = threshold_error(query, key, real, found, alpha, 0.125)
    exact = threshold(query.double() @ key.double().mT / 8, alpha)[..., 0]
    assert (found.double() - exact <= error).all()
    assert float((error / (1 + exact.abs())).max()) < 0.01 * max(
        1.0, float(key.norm(dim=-1).max() / key.norm(dim=-1).min())
    )


@ALPHAS
def test_certified_rows_have_the_gradients_of_full_entmax(alpha):
    arguments = [tensor.double() for tensor in tensors(1, 2, 40, 40, 8, scale=2.0)]
    weights = torch.randn(1, 2, 40, 8, generator=torch.Generator().manual_seed(1)).double()

    def gradients(function):
        leaves = [tensor.clone().requires_grad_() for tensor in arguments]
        (function(*leaves).output * weights).sum().backward()
        return [leaf.grad for leaf in leaves]

    lists = lists_of(0.2, 1, 2, 40, 40, 4, 16)
    mine = gradients(lambda *given: attend_certified(*given, lists, alpha, repair=True, bound="scores"))
    for one, other in zip(mine, gradients(lambda *given: attend(*given, alpha=alpha)), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@KERNELS
def test_half_precision_is_computed_in_float32(dtype, kernels):
    arguments = [tensor.to(dtype) for tensor in tensors(1, 2, 40, 40, 16)]
    result = attend_certified(*arguments, lists_of(0.4, 1, 2, 40, 40), kernels=kernels, repair=True)
    assert result.certified.all()
    assert result.output.dtype == dtype
    expected = full(*arguments, 1.5)[1]
    torch.testing.assert_close(result.output.double(), expected.to(dtype).double(), rtol=1e-2, atol=1e-4)


def test_softmax_has_no_certificate():
    with pytest.raises(ValueError, match="softmax has no certificate"):
        attend_certified(*tensors(1, 1, 16, 16, 4), lists_of(1.0, 1, 1, 16, 16), alpha=1)


def test_an_unknown_bound_is_refused():
    with pytest.raises(ValueError, match="bound: 'tight'; allowed: blocks, low_rank, scores"):
        attend_certified(*tensors(1, 1, 16, 16, 4), lists_of(1.0, 1, 1, 16, 16), bound="tight")
