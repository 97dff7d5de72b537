"""Attention over block lists, every kernel against a loop over queries in float64."""

from __future__ import annotations

import functools
import math

import pytest
import torch

from sparse_attention.attention.entmax import entmax
from sparse_attention.block_sparse.cpu import build
from sparse_attention.block_sparse.dispatch import attend
from sparse_attention.block_sparse.lists import BlockLists
from sparse_attention.block_sparse.visible import Visible

ALPHAS = pytest.mark.parametrize("alpha", [1.0, 1.25, 1.5, 1.7, 2.0])
KERNELS = pytest.mark.parametrize("kernels", ["auto", "reference"])


def tensors(batch, heads, queries, keys, dim, groups=None, value_dim=None, scale=1.0, seed=0):
    draw = torch.Generator().manual_seed(seed)
    shapes = (heads, queries, dim), (groups or heads, keys, dim), (groups or heads, keys, value_dim or dim)
    return [torch.randn(batch, *shape, generator=draw) * scale for shape in shapes]


def random_lists(batch, heads, queries, keys, query_block, key_block, share=0.5, seed=0):
    shape = batch, heads, -(-queries // query_block), -(-keys // key_block)
    blocks = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < share
    return BlockLists.of(blocks, queries, keys, query_block, key_block)


def by_hand(query, key, value, alpha, lists=None, visible=None):
    """One query after the other, in float64; zeros where a query sees nothing."""
    query, key, value = (tensor.double() for tensor in (query, key, value))
    batch, heads, queries, dim = query.shape
    shared, keys = heads // key.shape[1], key.shape[2]
    everything = torch.ones(batch, heads, queries, keys, dtype=torch.bool)
    kept = everything if lists is None else lists.tokens().expand_as(everything)
    kept = kept & (everything if visible is None else visible.mask().expand_as(everything))
    rows = []
    for b, h, i in ((b, h, i) for b in range(batch) for h in range(heads) for i in range(queries)):
        mine = kept[b, h, i].nonzero()[:, 0]
        scores = key[b, h // shared][mine] @ query[b, h, i] / math.sqrt(dim)
        if len(mine) == 0:
            rows.append(0 * (query[b, h, i].sum() + value[b, h // shared, 0]))
            continue
        shares = torch.softmax(scores, -1) if alpha == 1 else entmax(scores[None], alpha)[0]
        rows.append(shares @ value[b, h // shared][mine])
    return torch.stack(rows).unflatten(0, (batch, heads, queries))


CASES = {
    "square": (tensors(2, 3, 70, 70, 16), random_lists(2, 3, 70, 70, 16, 16), None),
    "rectangular": (tensors(1, 2, 33, 97, 24, seed=1), random_lists(1, 2, 33, 97, 32, 32), None),
    "shared lists": (tensors(2, 2, 64, 64, 8), random_lists(1, 1, 64, 64, 16, 32), None),
    "lists by head": (tensors(2, 3, 64, 64, 8), random_lists(1, 3, 64, 64, 16, 16), None),
    "lists by batch": (tensors(2, 3, 64, 64, 8), random_lists(2, 1, 64, 64, 16, 16), None),
    "dense": (tensors(1, 2, 40, 40, 20), None, None),
    "causal": (tensors(1, 2, 50, 50, 16), None, Visible.everything(1, 50, 50, causal=True)),
    "causal blocks": (tensors(2, 2, 50, 50, 16), random_lists(2, 2, 50, 50, 16, 16),
                      Visible.everything(2, 50, 50, causal=True)),
    "last queries": (tensors(1, 2, 7, 50, 16), None, Visible.everything(1, 7, 50, causal=True)),
    "grouped": (tensors(2, 6, 40, 40, 16, groups=2), random_lists(2, 6, 40, 40, 16, 16), None),
    "one block": (tensors(1, 1, 10, 10, 4), random_lists(1, 1, 10, 10, 128, 128, 1.0), None),
    "one token": (tensors(1, 1, 1, 1, 4), None, None),
    "many empty rows": (tensors(1, 2, 64, 64, 8), random_lists(1, 2, 64, 64, 8, 16, 0.15), None),
    "wide values": (tensors(1, 2, 40, 40, 8, value_dim=100), random_lists(1, 2, 40, 40, 16, 16), None),
    "large scores": (tensors(1, 2, 80, 80, 64, scale=8.0), random_lists(1, 2, 80, 80, 16, 16), None),
    "tiny scores": (tensors(1, 2, 80, 80, 64, scale=1e-4), random_lists(1, 2, 80, 80, 16, 16), None),
    "equal scores": ([torch.ones(1, 1, 48, 8)] * 3, random_lists(1, 1, 48, 48, 16, 16), None),
}  # fmt: skip


def ragged(lengths, keys):
    real = torch.arange(keys) < torch.tensor(lengths)[:, None]
    return Visible.of_mask(real[:, None, None, :].expand(-1, 1, keys, keys))


CASES["ragged"] = (tensors(3, 2, 48, 48, 16), random_lists(3, 2, 48, 48, 16, 16), ragged([48, 17, 1], 48))
HARD = ("square", "ragged", "many empty rows", "large scores", "equal scores")
ALL = pytest.mark.parametrize(
    ("name", "alpha"),
    [
        *((name, alpha) for name in CASES for alpha in (1.0, 1.5)),
        *((name, alpha) for name in HARD for alpha in (1.25, 1.7, 2.0)),
    ],
)


@functools.cache
def expected_of(name, alpha):
    """Return the output of a case by hand, the weights of a loss, and its gradients."""
    given, lists, visible = CASES[name]
    leaves = [tensor.double().requires_grad_() for tensor in given]
    output = by_hand(*leaves, alpha, lists, visible)
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(7))
    (output * weights).sum().backward()
    return output.detach(), weights, [leaf.grad for leaf in leaves]


@ALL
@KERNELS
def test_output_and_gradients_are_those_of_a_loop_over_queries(name, alpha, kernels):
    given, lists, visible = CASES[name]
    expected, weights, gradients = expected_of(name, alpha)
    query, key, value = leaves = [tensor.clone().requires_grad_() for tensor in given]
    found = attend(*leaves, lists, alpha, visible, kernels=kernels)
    # a float32 score of size s is known to s / 2**24 only
    largest = (query.double() @ key.double().repeat_interleave(query.shape[1] // key.shape[1], 1).mT).abs().max()
    tolerance = 1e-6 + 3e-7 * float(largest) / math.sqrt(query.shape[-1])
    torch.testing.assert_close(found.output.double(), expected, rtol=0, atol=tolerance * float(value.abs().max()))
    assert torch.equal(found.thresholds.isinf(), (expected == 0).all(-1))
    (found.output * weights).sum().backward()
    for mine, other in zip(leaves, gradients, strict=True):
        # where a score is at the threshold, alpha near 2 lets the gradient jump
        far = (mine.grad.double() - other).abs() > 1e-4 * (1 + other.abs().max())
        assert far.double().mean() <= (0.01 if alpha > 1.5 else 0)


@ALPHAS
def test_the_reference_passes_gradcheck(alpha):
    given = [tensor.double().requires_grad_() for tensor in tensors(1, 2, 12, 20, 4, groups=1)]
    lists, visible = random_lists(1, 2, 12, 20, 4, 16), Visible.everything(1, 12, 20, causal=True)
    assert torch.autograd.gradcheck(lambda *t: attend(*t, lists, alpha, visible).output, given)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@ALPHAS
def test_half_precision_is_computed_in_float32(alpha, dtype):
    given = [tensor.to(dtype) for tensor in tensors(1, 2, 40, 40, 16)]
    exact = attend(*(tensor.float() for tensor in given), None, alpha).output
    assert torch.equal(attend(*given, None, alpha).output, exact.to(dtype))


@pytest.mark.parametrize("scale", [1e3, 1e4, 1e6])
@pytest.mark.parametrize("alpha", [1.25, 1.5, 2.0])
@KERNELS
def test_scores_beyond_the_whole_numbers_of_float32_keep_their_highest_key(alpha, scale, kernels):
    query, key, value = tensors(1, 2, 20, 40, 8, scale=scale)
    output = attend(query, key, value, alpha=alpha, kernels=kernels).output
    best = (query @ key.mT).argmax(-1)
    wanted = value.gather(2, best[..., None].expand(-1, -1, -1, 8))
    torch.testing.assert_close(output / scale, wanted / scale, atol=1e-5, rtol=1e-5)


@pytest.mark.skipif(build.find_compiler() is None, reason="needs a C++ compiler")
@ALPHAS
def test_the_number_of_threads_changes_nothing(alpha):
    given = tensors(2, 4, 90, 90, 16)
    lists, before, results = random_lists(2, 4, 90, 90, 16, 16), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            own = [tensor.clone().requires_grad_() for tensor in given]
            output = attend(*own, lists, alpha).output
            output.square().sum().backward()
            results.append([output.detach(), *(tensor.grad for tensor in own)])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": 2.5}, r"alpha: 2\.5; allowed: from 1"),
        ({"alpha": float("nan")}, "alpha: nan"),
        ({"kernels": "fast"}, "kernels: 'fast'; allowed: auto, reference"),
        ({"key": torch.zeros(1, 3, 32, 8)}, "allowed: equal batch and head_dim, heads in equal groups"),
        ({"lists": random_lists(1, 2, 32, 48, 16, 16)}, "do not go with"),
    ],
    ids=["alpha", "nan", "kernels", "groups", "lists"],
)
def test_what_does_not_fit_is_refused(change, message):
    query, key, value = tensors(1, 2, 32, 32, 8)
    given = {"query": query, "key": key, "value": value, **change}
    with pytest.raises(ValueError, match=message):
        attend(**given)
